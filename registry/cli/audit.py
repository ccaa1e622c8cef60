"""`phasegate audit`."""

from __future__ import annotations

import click

from registry.cli.ledger import checkpoint, key, prove, verifier, witness
from registry.cli.render import facts, table
from registry.cli.shell import COUNT, Shell, example, time_of, with_shell


@click.group()
def audit() -> None:
    """The ledger: what happened, and whether it still says so."""


@audit.command(epilog=example("phasegate audit log --subject model:loans/1 --action stage-decided"))
@click.option("--subject", "subjects", multiple=True, help="For example model:loans/1, run:7; repeatable.")
@click.option("--actor", "by", default="", help="Only what this actor did.")
@click.option("--action", default="", help="For example stage-decided.")
@click.option("--since", default="", metavar="TIME", help="ISO 8601, UTC unless it says otherwise.")
@click.option("--until", default="", metavar="TIME", help="Likewise, exclusive.")
@click.option(
    "-n", "limit", type=COUNT, default=50, show_default=True, help="At most so many, the newest; 0 for all."
)
@with_shell
def log(
    shell: Shell, subjects: tuple[str, ...], by: str, action: str, since: str, until: str, limit: int
) -> None:
    """Print ledger entries."""
    found = shell.registry().log(
        subjects=subjects, actor=by, action=action, since=time_of(since), until=time_of(until), limit=limit
    )
    rows = [(row.index, row.at, row.actor, row.action, row.subject, row.text) for row in found]
    shell.answer(found, lambda: table(["entry", "when", "who", "action", "subject", "happened"], rows))


@audit.command(epilog=example("phasegate audit verify --artifacts"))
@click.option("--artifacts", is_flag=True, help="Hash every stored byte again, too.")
@with_shell
def verify(shell: Shell, artifacts: bool) -> int:
    """Recompute the ledger, and replay it against the live tables. Exits with 4 if they disagree."""
    found = shell.registry().verify(artifacts=artifacts)

    def say() -> None:
        facts(
            {
                "entries": found.size,
                "root": found.root,
                "rows": f"{found.rows} compared with the ledger",
                "artifacts": f"{found.artifacts} hashed again" if artifacts else "not hashed (--artifacts)",
            }
        )
        if found.ok:
            click.echo("The ledger is whole, and the tables are what it says.")
        else:
            click.echo(f"Integrity violated, {len(found.problems)} problems:")
            for problem in found.problems:
                click.echo(f"  {problem}")

    shell.answer({"ok": found.ok, "audit": found}, say)
    return 0 if found.ok else 4


for command in (key, checkpoint, witness, prove, verifier):
    audit.add_command(command)
