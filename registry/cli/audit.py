"""`phasegate audit`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.ledger import checkpoint, erase, key, prove, verifier, witness
from registry.cli.render import facts, table
from registry.cli.shell import COUNT, Shell, example, with_shell
from registry.cli.times import TIME, read_time


@click.group()
def audit() -> None:
    """The ledger: what happened, and whether it still says so."""


@audit.command(
    epilog=example(
        "phasegate audit log --subject model:loans/1 --action stage-decided",
        "phasegate audit log --since 30d --limit 20 --before 400",
    )
)
@click.option("--subject", "subjects", multiple=True, help="For example model:loans/1, run:7; repeatable.")
@click.option("--actor", "by", default="", help="Only what this actor did.")
@click.option("--action", default="", help="For example stage-decided.")
@click.option("--since", default="", metavar="TIME", help=TIME)
@click.option("--until", default="", metavar="TIME", help="Likewise, exclusive.")
@click.option(
    "-n",
    "--limit",
    type=COUNT,
    default=50,
    show_default=True,
    help="At most so many, the newest; 0 for all.",
)
@click.option("--before", type=click.IntRange(0), metavar="ENTRY", help="Only older ones: the page before.")
@with_shell
def log(
    shell: Shell,
    subjects: tuple[str, ...],
    by: str,
    action: str,
    since: str,
    until: str,
    limit: int,
    before: int | None,
) -> None:
    """Print ledger entries: every promotion, refusals included, and everything else that changed."""
    found = shell.registry().log(
        subjects=subjects,
        actor=by,
        action=action,
        since=read_time(since, "--since", past=True) if since else None,
        until=read_time(until, "--until", past=True) if until else None,
        limit=limit,
        before=before,
    )
    rows = [(row.index, row.at, row.actor, row.action, row.subject, row.text) for row in found]
    shell.answer(found, lambda: table(["entry", "when", "who", "action", "subject", "happened"], rows))


@audit.command(epilog=example("phasegate audit verify --checkpoint exported/ledger.checkpoints --artifacts"))
@click.option("--artifacts", is_flag=True, help="Hash every stored byte again, too.")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Hold the ledger against this file of checkpoints, beside the home's; repeatable.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="A verifier key of the ledger, from somebody whom you trust [keys/ledger.pub]; repeatable.",
)
@with_shell
def verify(shell: Shell, artifacts: bool, checkpoints: tuple[Path, ...], keys: tuple[str, ...]) -> int:
    """Recompute the ledger, replay it against the live tables, hold it against checkpoints that left.

    Exits with 4 if they disagree, and names what does.
    """
    found = shell.registry().verify(artifacts=artifacts, checkpoints=checkpoints, keys=keys)

    def say() -> None:
        facts(
            {
                "entries": found.size,
                "root": found.root,
                "rows": f"{found.rows} compared with the ledger",
                "checkpoints": f"{found.checkpoints} compared" if found.checkpoints else "",
                "erased": f"payloads of {found.erased} entries" if found.erased else "",
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


for command in (key, checkpoint, witness, prove, verifier, erase):
    audit.add_command(command)
