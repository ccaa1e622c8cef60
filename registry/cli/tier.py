"""`phasegate system questions|assess|tier`: how risky a system is as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.render import facts, table
from registry.cli.shell import NUMBER, Shell, example, pairs, with_shell
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.usecases.tiers import AssessmentView


@click.command(epilog=example("phasegate system questions"))
@with_shell
def questions(shell: Shell) -> None:
    """Show what a system is asked, with the tier that each answer reaches."""
    asked = shell.registry().tiers.questionnaire()
    rows = [(one.id, one.text, one.answers) for one in asked.questions]
    shell.answer(
        {"questions": asked.questions, "digest": asked.digest},
        lambda: table(["question", "asks", "answer=tier"], rows),
    )


@click.command(
    epilog=example(
        "phasegate system assess lending --answers answers.yaml",
        "phasegate system assess lending --answers answers.yaml --set exposure=team",
        "phasegate system assess lending --answers answers.yaml --tier limited --reason 'a small pilot'",
    )
)
@click.argument("name")
@click.option(
    "--answers",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="YAML or JSON: question: answer.",
)
@click.option(
    "--set", "values", multiple=True, metavar="QUESTION=ANSWER", help="Goes before the file; repeatable."
)
@click.option("--tier", default="", help="Ask for this tier instead of the computed one.")
@click.option("--reason", default="", help="Why another tier.")
@with_shell
def assess(
    shell: Shell, name: str, answers: Path | None, values: tuple[str, ...], tier: str, reason: str
) -> None:
    """Compute a system's risk tier: the highest that any answer reaches.

    A tier above the one that stands is in force at once. A lower one, or another than the computed one, waits
    for an approver; until then the higher of computed and current stands. `system questions` shows them.
    """
    given = _read(answers) if answers is not None else {}
    given.update(pairs(values, "QUESTION=ANSWER"))
    found = shell.registry().tiers.assess(name, given, tier=tier, reason=reason)

    def say() -> None:
        click.echo(f"{found.system}: the answers come to {found.computed}, by {', '.join(found.because)}.")
        if found.state == "requested":
            click.echo(f"{found.tier} waits for an approver; until then {found.stands} stands.")
            click.echo(f"Next: phasegate system tier approve {found.id} --as APPROVER")
        else:
            click.echo(f"Its risk tier is {found.stands}.")

    shell.answer(found, say)


@click.group()
def tier() -> None:
    """Risk tiers that assessments ask for: list, approve, reject."""


@tier.command("list", epilog=example("phasegate system tier list --system lending"))
@click.option("--system", default="", help="Only those of this system.")
@with_shell
def list_(shell: Shell, system: str) -> None:
    """List assessments."""
    found = shell.registry().tiers.all(system)
    rows = [
        (row.id, row.system, row.computed, row.tier, row.state, row.assessed_by, row.assessed_at, row.reason)
        for row in found
    ]
    columns = ["assessment", "system", "computed", "asks for", "now", "by", "when", "reason"]
    shell.answer(found, lambda: table(columns, rows))


@tier.command(epilog=example("phasegate system tier approve 2 --as ruth"))
@click.argument("number", type=NUMBER)
@click.option("--reason", default="", help="Why, for the record.")
@with_shell
def approve(shell: Shell, number: int, reason: str) -> None:
    """Put the tier that an assessment asks for in force: takes an approver who did not ask for it."""
    _answer(shell, shell.registry().tiers.approve(number, reason))


@tier.command(epilog=example("phasegate system tier reject 2 --reason 'the pilot is over' --as ruth"))
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why.")
@with_shell
def reject(shell: Shell, number: int, reason: str) -> None:
    """Say no to the tier that an assessment asks for."""
    _answer(shell, shell.registry().tiers.reject(number, reason))


def _answer(shell: Shell, found: AssessmentView) -> None:
    when = f"{found.decided_at:%Y-%m-%d %H:%M} by {found.decided_by}" if found.decided_at else ""
    shell.answer(
        found,
        lambda: facts(
            {
                "assessment": found.id,
                "system": found.system,
                "computed": found.computed,
                "asks for": found.tier,
                "now": found.state,
                "decided": when,
                "because": found.decision_reason,
                "risk tier": found.stands,
            }
        ),
    )


def _read(file: Path) -> dict[str, str]:
    """Answers of a file, each as the text that is written there: `yes` is no truth value here."""
    import yaml

    try:
        read = yaml.load(file.read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - it makes only texts
    except (OSError, UnicodeDecodeError) as cause:
        raise BadInput(f"{file} cannot be read: {cause}") from cause
    except (yaml.YAMLError, RecursionError) as cause:
        raise BadInput(f"{file} is no YAML: {' '.join(str(cause).split())}") from cause
    if not isinstance(read, dict) or not all(isinstance(text, str) for pair in read.items() for text in pair):
        raise BadInput(f"{file} holds no answers", hint="write one line QUESTION: ANSWER for each question")
    return read
