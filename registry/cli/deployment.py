"""`phasegate deployment`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.render import facts, table
from registry.cli.shell import NUMBER, Shell, example, with_shell
from registry.errors import BadInput

_SHOWN = 5


@click.group()
def deployment() -> None:
    """Deployments: list, show, predict, stop."""


@deployment.command("list", epilog=example("phasegate deployment list"))
@with_shell
def list_(shell: Shell) -> None:
    """List deployments."""
    found = shell.registry().deployments.all()
    rows = [(row.id, row.version, row.target, row.endpoint, row.state, row.created_at) for row in found]
    shell.answer(
        found, lambda: table(["deployment", "version", "target", "endpoint", "state", "since"], rows)
    )


@deployment.command(epilog=example("phasegate deployment show 1"))
@click.argument("number", type=NUMBER)
@with_shell
def show(shell: Shell, number: int) -> None:
    """Show one deployment, and whether it answers now."""
    registry = shell.registry()
    found = registry.deployments.one(number)
    healthy = registry.deployments.healthy(number) if found.state == "active" else False

    def say() -> None:
        facts(
            {
                "deployment": found.id,
                "version": found.version,
                "target": found.target,
                "endpoint": found.endpoint,
                "state": found.state,
                "answers": healthy,
                "artifact": found.artifact,
                "run": found.run,
                "since": found.created_at,
                "stopped": found.stopped_at,
            }
        )

    shell.answer({"deployment": found, "healthy": healthy}, say)


@deployment.command(
    epilog=example(
        "phasegate deployment predict 1 'you have won a prize'",
        "phasegate deployment predict 1 --file in.csv",
    )
)
@click.argument("number", type=NUMBER)
@click.argument("texts", nargs=-1)
@click.option("--file", type=click.Path(path_type=Path), help="Texts from a table's column instead.")
@click.option("--column", default="text", show_default=True, help="Which column of the file.")
@with_shell
def predict(shell: Shell, number: int, texts: tuple[str, ...], file: Path | None, column: str) -> None:
    """Ask a deployment over HTTP what it makes of some texts."""
    if (file is None) == (not texts):
        raise BadInput("give texts, or a --file with them")
    registry = shell.registry()
    asked = list(texts) if file is None else registry.deployments.texts_of(file, column)
    answers = registry.deployments.predict(number, asked)
    rows = [
        (answer["label"], answer["probability"], text) for answer, text in zip(answers, asked, strict=True)
    ]

    def say() -> None:
        table(["label", "probability", "text"], rows[:_SHOWN])
        if len(rows) > _SHOWN:
            counts: dict[str, int] = {}
            for label, _, _ in rows:
                counts[label] = counts.get(label, 0) + 1
            click.echo(f"... {len(rows)} texts in all:")
            facts(counts)

    shell.answer(answers, say)


@deployment.command(epilog=example("phasegate deployment stop 1 --reason 'replaced'"))
@click.argument("number", type=NUMBER)
@click.option("--reason", default="stopped on request", help="Why, for the record.")
@with_shell
def stop(shell: Shell, number: int, reason: str) -> None:
    """Stop a deployment."""
    shell.registry().deployments.stop(number, reason)
    shell.answer(
        {"deployment": number, "state": "stopped"}, lambda: click.echo(f"Stopped deployment {number}.")
    )
