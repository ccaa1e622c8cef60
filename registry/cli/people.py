"""`phasegate people`."""

from __future__ import annotations

import click

from registry.cli.group import group
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell
from registry.cli.times import TIME, read_time
from registry.domain.people import EMBEDDED_TRUST, ROLES

_ROLE = click.argument(
    "role", shell_complete=lambda ctx, param, text: [role for role in ROLES if role.startswith(text)]
)


@click.group()
def people() -> None:
    """People: roles, groups, and who stands in for whom."""


@people.command("list", epilog=example("phasegate people list"))
@with_shell
def list_(shell: Shell) -> None:
    """List everybody who ever acted, and what they are now."""
    found = shell.registry().people.everybody()

    def say() -> None:
        rows = [(row.name, row.roles, row.lent, row.groups, row.since) for row in found]
        table(["name", "roles", "lent by", "groups", "since"], rows)
        click.echo(f"Note: {EMBEDDED_TRUST}.", err=True)

    shell.answer({"people": found, "trust": EMBEDDED_TRUST}, say)


@people.command(epilog=example("phasegate people show ruth"))
@click.argument("name")
@with_shell
def show(shell: Shell, name: str) -> None:
    """Show what somebody is now, and everything that they ever were."""
    person, tenures = shell.registry().people.person(name)

    def say() -> None:
        facts(
            {
                "name": person.name,
                "roles": person.roles,
                "lent by": person.lent,
                "groups": person.groups,
                "since": person.since,
            }
        )
        rows = [
            (row.kind, row.what, row.other, row.since, row.by, row.until, row.ended_at, row.ended_by)
            for row in tenures
        ]
        if rows:
            click.echo()
            table(["kind", "what", "whom", "since", "by", "until", "ended", "ended by"], rows)

    shell.answer({"person": person, "history": tenures}, say)


@people.command(epilog=example("phasegate people grant ruth approver"))
@click.argument("name")
@_ROLE
@with_shell
def grant(shell: Shell, name: str, role: str) -> None:
    """Give somebody a role: developer, reviewer, approver, deployer, auditor or admin. Takes an admin."""
    registry = shell.registry()
    registry.people.grant(name, role)
    _answer(shell, registry.people.person(name)[0].roles, name)


@people.command(epilog=example("phasegate people revoke ruth approver"))
@click.argument("name")
@_ROLE
@with_shell
def revoke(shell: Shell, name: str, role: str) -> None:
    """Take a role from somebody, and with it what they lent of it. The last admin stays one."""
    registry = shell.registry()
    registry.people.revoke(name, role)
    _answer(shell, registry.people.person(name)[0].roles, name)


@people.command(
    epilog=example("phasegate people delegate approver ravi --until 14d --reason 'on leave' --as ruth")
)
@_ROLE
@click.argument("name")
@click.option("--until", required=True, metavar="TIME", help=TIME)
@click.option("--reason", required=True, help="Why, for the record.")
@with_shell
def delegate(shell: Shell, role: str, name: str, until: str, reason: str) -> None:
    """Lend a role of yours to NAME, who stands in for you until it ends.

    What they approve counts as your word. A role that was lent to you cannot be lent on.
    """
    registry = shell.registry()
    end = read_time(until, "--until")
    registry.people.delegate(role, name, until=end, reason=reason)
    shell.answer(
        {"role": role, "lender": registry.actor, "to": name, "until": end, "reason": reason},
        lambda: click.echo(f"{name} is {role} for {registry.actor} until {end:%Y-%m-%d %H:%M} UTC."),
    )


@people.command(epilog=example("phasegate people undelegate approver ravi --as ruth"))
@_ROLE
@click.argument("name")
@click.option("--from", "lender", default="", metavar="NAME", help="Who lends it [you].")
@with_shell
def undelegate(shell: Shell, role: str, name: str, lender: str) -> None:
    """End what was lent to NAME before its end: the lender, NAME, or an admin may."""
    registry = shell.registry()
    registry.people.undelegate(role, name, lender=lender)
    owner = lender or registry.actor
    shell.answer(
        {"role": role, "lender": owner, "to": name, "ended": True},
        lambda: click.echo(f"{name} is {role} for {owner} no more."),
    )


def _answer(shell: Shell, roles: list[str], name: str) -> None:
    shell.answer({"name": name, "roles": roles}, lambda: click.echo(f"{name} is {' and '.join(roles)}."))


people.add_command(group)
