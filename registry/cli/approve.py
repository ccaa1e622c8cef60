"""`phasegate approve` and `phasegate reject`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.completion import stages, version_refs
from registry.cli.shell import Shell, example, plain, with_shell
from registry.domain.digests import short

if TYPE_CHECKING:
    from registry.api import Registry


_FOR = click.option(
    "--for",
    "on_behalf_of",
    default="",
    metavar="NAME",
    help="Whom you stand in for, if several people lend you the role.",
)


@click.command(
    epilog=example(
        "phasegate approve loans/1 deployed --as ruth --reason 'fair in both groups'",
        "phasegate approve loans/1 @champion --as ruth",
    )
)
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("stage", metavar="STAGE|@ALIAS", shell_complete=stages)
@click.option("--reason", default="", help="Why, for the record.")
@_FOR
@with_shell
def approve(shell: Shell, ref: str, stage: str, reason: str, on_behalf_of: str) -> None:
    """Say yes to a version's step. It counts for what the version is now: a later change makes it stale."""
    registry = shell.registry()
    registry.approve(ref, stage, reason, on_behalf_of=on_behalf_of)
    _answer(shell, registry, ref)


@click.command(
    epilog=example("phasegate reject loans/1 deployed --as ruth --reason 'no test on older people'")
)
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("stage", metavar="STAGE|@ALIAS", shell_complete=stages)
@click.option("--reason", required=True, help="Why.")
@_FOR
@with_shell
def reject(shell: Shell, ref: str, stage: str, reason: str, on_behalf_of: str) -> None:
    """Say no to a version's step, with a reason."""
    registry = shell.registry()
    registry.reject(ref, stage, reason, on_behalf_of=on_behalf_of)
    _answer(shell, registry, ref)


def _answer(shell: Shell, registry: Registry, ref: str) -> None:
    version = registry.version(ref).ref
    given = [word for word in registry.approvals(version) if word.actor == registry.actor][-1]

    def say() -> None:
        behalf = f" for {given.on_behalf_of}" if given.on_behalf_of else ""
        said = f"{given.verdict} {version} for {given.to}, as it is now ({short(given.digest)})"
        click.echo(f"{given.actor}{behalf} {said}.")
        if not given.independent:
            click.echo("It is no independent word: who planned, designed or trained a version made it.")

    shell.answer({**plain(given), "version": version, "stage": given.to}, say)
