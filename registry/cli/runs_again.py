"""`phasegate runs replay`: the first steps of a training, done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.render import legible, table
from registry.cli.shell import NUMBER, Shell, example, with_shell

if TYPE_CHECKING:
    from registry.domain.replays import Replay

# Numbers that differ: enough to see where it begins.
_SHOWN = 10


@click.command(epilog=example("phasegate runs replay 7 --steps 20"))
@click.argument("run", type=NUMBER)
@click.option(
    "--steps", type=click.IntRange(1), default=10, show_default=True, help="How many steps are done again."
)
@with_shell
def replay(shell: Shell, run: int, steps: int) -> int:
    """Do the first steps of a training again, and compare its numbers with those recorded.

    The same plugin, options, seed, data and base, by their digests; nothing is made. What comes of it is
    recorded, as evidence about the artifact too. Exits with 1 if a number does not come again as exactly
    as the run claims.
    """
    from registry.cli.follow import screen_for, show

    registry = shell.registry()
    registry.runs.recover()
    plugin = registry.runs.one(run).plugin
    with screen_for(f"{plugin} again", quiet=shell.as_json) as screen:
        found = registry.runs.replay(run, steps, hear=lambda event: show(event, screen))
    answer = {
        "run": run,
        "repeats": found.repeats,
        "verdict": found.verdict,
        "claim": found.claim,
        "steps": found.steps,
        "compared": found.compared,
        "max_difference": found.max_difference,
        "tolerance": found.tolerance,
        "environment": found.environment,
        "packages": found.packages,
        "differences": found.differences,
        "evidence": found.evidence,
    }
    shell.answer(answer, lambda: _say(found))
    return 0 if found.repeats else 1


def _say(found: Replay) -> None:
    from registry.domain.replays import summary

    for name, (before, now) in {**found.environment, **found.packages}.items():
        click.echo(legible(f"  not as it was: {name} {before or '(nothing)'} -> {now or '(nothing)'}"))
    word = "repeats" if found.repeats else "does not repeat"
    click.echo(f"Run {found.run} {word}: {found.verdict}. It claims: {found.claim or 'nothing'}.")
    click.echo(f"  {summary(found)}.")
    if found.differences:
        rows = [(one.step, one.metric, one.recorded, one.again) for one in found.differences[:_SHOWN]]
        table(["step", "metric", "recorded", "again"], [tuple(map(_exactly, row)) for row in rows])
    if found.evidence is not None:
        click.echo(f"Evidence {found.evidence} of kind run.replay says so.")


def _exactly(value: object) -> object:
    """A number with all its digits: what differs may differ in the last one."""
    return "nothing came" if value is None else repr(value) if isinstance(value, float) else value
