"""`phasegate people group`."""

from __future__ import annotations

import click

from registry.cli.render import table
from registry.cli.shell import Shell, example, with_shell


@click.group()
def group() -> None:
    """Groups of people, for policies to name."""


@group.command("list", epilog=example("phasegate people group list"))
@with_shell
def list_(shell: Shell) -> None:
    """List groups, and who is in them."""
    found = shell.registry().people.groups()
    rows = [(row.name, row.members, row.created_at, row.created_by) for row in found]
    shell.answer(found, lambda: table(["group", "members", "made", "by"], rows))


@group.command(epilog=example("phasegate people group add model-risk"))
@click.argument("name", metavar="GROUP")
@with_shell
def add(shell: Shell, name: str) -> None:
    """Make a group. Takes an admin."""
    shell.registry().people.add_group(name)
    shell.answer({"group": name, "members": []}, lambda: click.echo(f"There is a group {name} now."))


@group.command(epilog=example("phasegate people group join model-risk ruth"))
@click.argument("name", metavar="GROUP")
@click.argument("person", metavar="NAME")
@with_shell
def join(shell: Shell, name: str, person: str) -> None:
    """Put somebody into a group. Takes an admin."""
    registry = shell.registry()
    registry.people.join(name, person)
    shell.answer(
        {"group": name, "name": person, "member": True}, lambda: click.echo(f"{person} is in {name}.")
    )


@group.command(epilog=example("phasegate people group leave model-risk ruth"))
@click.argument("name", metavar="GROUP")
@click.argument("person", metavar="NAME")
@with_shell
def leave(shell: Shell, name: str, person: str) -> None:
    """Take somebody out of a group. Takes an admin."""
    registry = shell.registry()
    registry.people.leave(name, person)
    shell.answer(
        {"group": name, "name": person, "member": False},
        lambda: click.echo(f"{person} is in {name} no more."),
    )
