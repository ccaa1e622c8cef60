"""`phasegate risk`: the risk register."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.render import facts, table
from registry.cli.shell import NUMBER, Shell, example, with_shell
from registry.cli.times import TIME, read_time
from registry.domain.risks import CATEGORIES

if TYPE_CHECKING:
    from datetime import datetime

    from registry.usecases.look_exceptions import RiskView


@click.group()
def risk() -> None:
    """Risks: the register of what could go wrong with systems."""


@risk.command(
    epilog=example(
        "phasegate risk add lending --category training/bias --title 'women are refused more often' "
        "--likelihood 3 --severity 4 --controls 'reweighing; a person looks at every refusal' "
        "--residual 2x3 --owner alice --review-by 180d"
    )
)
@click.argument("system")
@click.option(
    "--category",
    required=True,
    help="`phasegate risk categories` lists them.",
    shell_complete=lambda ctx, param, text: [known for known in CATEGORIES if known.startswith(text)],
)
@click.option("--title", required=True, help="What could go wrong, in a line.")
@click.option("--text", default="", help="More about it.")
@click.option("--likelihood", type=int, required=True, help="Before controls, 1 to 5.")
@click.option("--severity", type=int, required=True, help="Before controls, 1 to 5.")
@click.option("--controls", default="", help="What is done against it.")
@click.option("--residual", required=True, metavar="LxS", help="Likelihood and severity with the controls.")
@click.option("--owner", required=True, help="Who looks after it.")
@click.option("--review-by", required=True, metavar="TIME", help=f"When to look at it again. {TIME}")
@click.option("--reason", default="", help="Why the residual is above the score before controls, if it is.")
@with_shell
def add(
    shell: Shell,
    system: str,
    category: str,
    title: str,
    text: str,
    likelihood: int,
    severity: int,
    controls: str,
    residual: str,
    owner: str,
    review_by: str,
    reason: str,
) -> None:
    """Enter a risk into a system's register. It is open until an approver accepts what remains of it."""
    made = shell.registry().risks.add(
        system,
        category=category,
        title=title,
        description=text,
        likelihood=likelihood,
        severity=severity,
        controls=controls,
        residual=residual,
        owner=owner,
        review_by=read_time(review_by, "--review-by"),
        reason=reason,
    )

    def say() -> None:
        click.echo(f"Risk {made.id} entered for {made.system}: {_scores(made)}.")
        click.echo(f"Next: phasegate risk accept {made.id} --as APPROVER --reason WHY")

    shell.answer(made, say)


@risk.command("list", epilog=example("phasegate risk list --system lending --open"))
@click.option("--system", default="", help="Only those of this system.")
@click.option("--open", "only_open", is_flag=True, help="Only those that are neither accepted nor closed.")
@with_shell
def list_(shell: Shell, system: str, only_open: bool) -> None:
    """List risks; those whose review is overdue are marked."""
    found = shell.registry().risks.all(system=system, only_open=only_open)
    rows = [
        (
            row.id,
            row.system,
            row.category,
            row.score,
            row.residual_score,
            _says(row),
            row.review_by,
            row.owner,
            row.title,
        )
        for row in found
    ]
    columns = ["risk", "system", "category", "score", "residual", "now", "review by", "owner", "title"]
    shell.answer(found, lambda: table(columns, rows))


@risk.command(epilog=example("phasegate risk categories"))
@with_shell
def categories(shell: Shell) -> None:
    """List the categories of risks: of training, launch and content, and for generative AI."""
    rows = list(CATEGORIES.items())
    shell.answer(dict(CATEGORIES), lambda: table(["category", "about"], rows))


@risk.command(epilog=example("phasegate risk show 1"))
@click.argument("number", type=NUMBER)
@with_shell
def show(shell: Shell, number: int) -> None:
    """Show one risk."""
    found = shell.registry().risks.one(number)
    shell.answer(found, lambda: _say(found))


@risk.command(epilog=example("phasegate risk change 1 --residual 3x3 --review-by 90d --as ruth"))
@click.argument("number", type=NUMBER)
@click.option("--title", help="What could go wrong, in a line.")
@click.option("--text", help="More about it.")
@click.option("--likelihood", type=int, help="Before controls, 1 to 5.")
@click.option("--severity", type=int, help="Before controls, 1 to 5.")
@click.option("--controls", help="What is done against it.")
@click.option("--residual", metavar="LxS", help="Likelihood and severity with the controls.")
@click.option("--owner", help="Who looks after it.")
@click.option("--review-by", metavar="TIME", help=f"When to look at it again. {TIME}")
@click.option("--reason", help="Why the residual is above the score before controls, if it is.")
@with_shell
def change(
    shell: Shell,
    number: int,
    title: str | None,
    text: str | None,
    likelihood: int | None,
    severity: int | None,
    controls: str | None,
    residual: str | None,
    owner: str | None,
    review_by: str | None,
    reason: str | None,
) -> None:
    """Judge a risk anew: takes a reviewer or approver. If it was accepted, it is open again."""
    found = shell.registry().risks.change(
        number,
        title=title,
        description=text,
        likelihood=likelihood,
        severity=severity,
        controls=controls,
        residual=residual,
        owner=owner,
        review_by=read_time(review_by, "--review-by") if review_by is not None else None,
        reason=reason,
    )
    shell.answer(found, lambda: _say(found))


@risk.command(epilog=example("phasegate risk accept 1 --reason 'within our appetite' --as ruth"))
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why.")
@with_shell
def accept(shell: Shell, number: int, reason: str) -> None:
    """Accept what remains of a risk: takes an approver who neither owns it nor judged it last."""
    found = shell.registry().risks.accept(number, reason)
    shell.answer(found, lambda: _say(found))


@risk.command(epilog=example("phasegate risk close 1 --reason 'the feature is gone' --as ruth"))
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why.")
@with_shell
def close(shell: Shell, number: int, reason: str) -> None:
    """Say that a risk is none any more: takes a reviewer or approver who does not own it."""
    found = shell.registry().risks.close(number, reason)
    shell.answer(found, lambda: _say(found))


def _says(row: RiskView) -> str:
    return f"{row.state}, review overdue" if row.overdue else row.state


def _scores(row: RiskView) -> str:
    return f"{row.score} ({row.inherent}), residual {row.residual_score} ({row.residual})"


def _say(row: RiskView) -> None:
    facts(
        {
            "risk": row.id,
            "system": row.system,
            "category": f"{row.category}: {CATEGORIES.get(row.category, '')}",
            "title": row.title,
            "text": row.description,
            "score": _scores(row),
            "because": row.reason,
            "controls": row.controls,
            "owner": row.owner,
            "now": _says(row),
            "review by": row.review_by,
            "judged": f"{row.judged_at:%Y-%m-%d %H:%M} by {row.judged_by}",
            "accepted": _done(row.accepted_at, row.accepted_by, row.acceptance),
            "closed": _done(row.closed_at, row.closed_by, row.closure),
        }
    )


def _done(at: datetime | None, by: str, why: str) -> str:
    return f"{at:%Y-%m-%d %H:%M} by {by}: {why}" if at else ""
