"""`phasegate db`."""

from __future__ import annotations

import click

from registry.cli.shell import Shell, example, with_shell


@click.group()
def db() -> None:
    """The database's schema."""


@db.command(epilog=example("phasegate db upgrade"))
@with_shell
def upgrade(shell: Shell) -> None:
    """Migrate the database to this release, in one transaction."""
    registry = shell.registry(unchecked=True)
    before, after = registry.upgrade()
    shell.answer(
        {"before": before, "after": after},
        lambda: click.echo(
            f"{registry.database}: {after} already" if before == after else f"{before} -> {after}"
        ),
    )
