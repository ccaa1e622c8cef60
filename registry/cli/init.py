"""`phasegate init` and `phasegate doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.render import table
from registry.cli.shell import Shell, example, with_shell


@click.command(
    epilog=example("phasegate init", "phasegate init --database postgresql+psycopg://user@host/registry")
)
@click.option("--lifecycle", type=click.Path(path_type=Path), help="A lifecycle of your own, as YAML.")
@with_shell
def init(shell: Shell, lifecycle: Path | None) -> None:
    """Make a registry: database, lifecycle and default policies. Safe to repeat."""
    registry = shell.registry(unchecked=True)
    new = registry.initialise(lifecycle)
    answer = {
        "home": str(registry.home.root),
        "database": registry.database,
        "new": new,
        "actor": registry.actor,
    }

    def say() -> None:
        click.echo(f"{'Made' if new else 'There is already'} a registry at {registry.home.root}")
        click.echo(f"  database  {registry.database}")
        click.echo(f"  actor     {registry.actor} (this mode trusts the operating system's user)")
        click.echo("Next: phasegate system add NAME --purpose TEXT --risk-tier limited")

    shell.answer(answer, say)


@click.command(epilog=example("phasegate doctor"))
@with_shell
def doctor(shell: Shell) -> int:
    """Say what is installed, what works, and what would help. Exits with 1 if something is broken."""
    checks = shell.registry(unchecked=True).examine()
    rows = [
        ("ok" if check.ok else "broken" if check.fatal else "missing", check.name, check.text)
        for check in checks
    ]
    shell.answer(checks, lambda: table(["", "what", "found"], rows))
    return 1 if any(check.fatal and not check.ok for check in checks) else 0
