"""`phasegate policy replay`: what a candidate would have changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.shell import Shell, example, with_shell
from registry.cli.times import TIME, read_time

if TYPE_CHECKING:
    from registry.usecases.policy_replay import ReplayedDecision


@click.command(epilog=example("phasegate policy replay fairness.yaml --since 2026-01-01T00:00Z"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--since", default="", metavar="TIME", help=TIME)
@click.option("--policy", default="", metavar="NAME", help="Only this policy of the file.")
@click.option("--only", is_flag=True, help="Judge the file's policies alone, as if there were no others.")
@with_shell
def replay(shell: Shell, file: Path, since: str, policy: str, only: bool) -> None:
    """Ask a policy file about every decision of the past, and show what it would have changed.

    Its bindings take the place of those of the same name; every other rule keeps the result that was
    recorded. A rule that reads what a decision did not record is an error, not a pass. Nothing is changed.
    """
    found = shell.registry().gate.replay(
        file, since=read_time(since, "--since", past=True) if since else None, policy=policy, only=only
    )
    answer = [
        {
            "decision": one.decision,
            "ref": one.ref,
            "from": one.origin,
            "to": one.to,
            "at": one.at,
            "allowed": one.allowed,
            "would_be_allowed": one.would_be_allowed,
            "verdict": one.verdict,
            "changes": one.changes,
        }
        for one in found
    ]
    shell.answer(answer, lambda: _say(found))


def _say(found: list[ReplayedDecision]) -> None:
    for one in found:
        if one.verdict == "same" and not one.changes:
            continue
        news = "as it was" if one.verdict == "same" else f"would be {one.verdict}"
        step = f"{one.origin} -> {one.to}"
        click.echo(f"decision {one.decision}  {one.ref}  {step}  {one.at:%Y-%m-%d %H:%M}  {news}")
        for change in one.changes:
            after = change.after or "not judged"
            softly = f" ({change.action} only)" if change.action in ("audit", "warn") else ""
            click.echo(f"  {change.rule}: {change.before or 'not judged'} -> {after}{softly}")
            if change.message:
                click.echo(f"    {change.message}")
    tally = Counter(one.verdict for one in found)
    touched = sum(bool(one.changes) for one in found)
    click.echo(
        f"{len(found)} decisions: {tally['stopped']} would be stopped, {tally['let through']} let through; "
        f"rules say something else in {touched}."
    )
