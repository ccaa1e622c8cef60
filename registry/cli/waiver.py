"""`phasegate waive` and `phasegate waiver`: approved exceptions to one rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.completion import version_refs
from registry.cli.render import facts, table
from registry.cli.shell import NUMBER, Shell, example, with_shell
from registry.cli.times import TIME, read_time
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.usecases.look_exceptions import WaiverView


@click.command(
    epilog=example(
        "phasegate waive loans/1 group-fairness/dp-difference --reason 'too few women in the test data' "
        "--control 'a person looks at every refusal' --until 30d",
        "phasegate waive --system lending robustness/typos --reason 'typed from a list' "
        "--control 'none is free text' --until 2027-01-31",
    )
)
@click.argument("words", nargs=-1, required=True, metavar="[MODEL/N] RULE", shell_complete=version_refs)
@click.option("--system", default="", help="For all versions of this system, instead of one version.")
@click.option("--reason", required=True, help="Why the rule cannot be kept.")
@click.option("--control", required=True, help="What is done instead.")
@click.option("--until", required=True, metavar="TIME", help=f"When it ends. {TIME}")
@with_shell
def waive(shell: Shell, words: tuple[str, ...], system: str, reason: str, control: str, until: str) -> None:
    """Ask for an exception to one rule: POLICY/VALIDATION, or POLICY/VALIDATION[ITEM].

    It counts once an approver has granted it, who neither asked for it nor developed the version; for the
    version and the policy as they are now; and no longer than the policy allows, from the approval on.
    To renew it is to ask again.
    """
    if len(words) != (1 if system else 2):
        given = " ".join(words)
        raise BadInput(
            f"{given!r} names {'more than a rule' if system else 'no version and rule'}",
            hint="phasegate waive MODEL/N RULE, or phasegate waive --system NAME RULE",
        )
    made = shell.registry().waivers.request(
        words[-1],
        ref="" if system else words[0],
        system=system,
        reason=reason,
        control=control,
        until=read_time(until, "--until"),
    )

    def say() -> None:
        click.echo(f"Waiver {made.id} asked for: {made.rule} of {made.about}, until {made.until:%Y-%m-%d}.")
        click.echo(f"Next: phasegate waiver approve {made.id} --as APPROVER")

    shell.answer(made, say)


@click.group()
def waiver() -> None:
    """Waivers: list, show, approve, reject, revoke."""


@waiver.command(
    "list", epilog=example("phasegate waiver list --about loans/1", "phasegate waiver list --system lending")
)
@click.option(
    "--about",
    default="",
    metavar="MODEL/N",
    help="Only those that apply to this version.",
    shell_complete=version_refs,
)
@click.option("--system", default="", help="Only those that were given to this system.")
@with_shell
def list_(shell: Shell, about: str, system: str) -> None:
    """List waivers, and whether each holds now. Those that end within 14 days are marked."""
    found = shell.registry().waivers.all(ref=about, system=system)
    rows = [(row.id, row.about, row.rule, _says(row), row.until, row.requested_by) for row in found]
    shell.answer(found, lambda: table(["waiver", "about", "rule", "now", "until", "asked by"], rows))


@waiver.command(epilog=example("phasegate waiver show 3"))
@click.argument("number", type=NUMBER)
@with_shell
def show(shell: Shell, number: int) -> None:
    """Show one waiver."""
    found = shell.registry().waivers.one(number)
    shell.answer(found, lambda: _say(found))


@waiver.command(epilog=example("phasegate waiver approve 3 --as ruth --reason 'the control is in place'"))
@click.argument("number", type=NUMBER)
@click.option("--reason", default="", help="Why, for the record.")
@with_shell
def approve(shell: Shell, number: int, reason: str) -> None:
    """Grant a waiver: takes an approver who neither asked for it nor developed what it is about."""
    found = shell.registry().waivers.approve(number, reason)
    shell.answer(found, lambda: _say(found))


@waiver.command(epilog=example("phasegate waiver reject 3 --as ruth --reason 'measure it instead'"))
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why.")
@with_shell
def reject(shell: Shell, number: int, reason: str) -> None:
    """Say no to a waiver; whoever asked for it may take it back in this way."""
    found = shell.registry().waivers.reject(number, reason)
    shell.answer(found, lambda: _say(found))


@waiver.command(epilog=example("phasegate waiver revoke 3 --as ruth --reason 'the control was dropped'"))
@click.argument("number", type=NUMBER)
@click.option("--reason", required=True, help="Why.")
@with_shell
def revoke(shell: Shell, number: int, reason: str) -> None:
    """End a waiver that was granted, from now on and for good."""
    found = shell.registry().waivers.revoke(number, reason)
    shell.answer(found, lambda: _say(found))


def _says(row: WaiverView) -> str:
    if not row.holds:
        return f"does not hold: {row.why_not}"
    return "holds, ends soon" if row.ends_soon else "holds"


def _say(row: WaiverView) -> None:
    decided = (
        f"{row.state} by {row.decided_by}" if row.state == "rejected" else f"approved by {row.decided_by}"
    )
    when = f", {row.decided_at:%Y-%m-%d %H:%M}" if row.decided_at else ""
    facts(
        {
            "waiver": row.id,
            "about": row.about,
            "rule": row.rule,
            "policy": row.policy,
            "now": _says(row),
            "until": row.until,
            "reason": row.reason,
            "control": row.control,
            "asked": f"{row.requested_at:%Y-%m-%d %H:%M} by {row.requested_by}",
            "decided": f"{decided}{when}" if row.decided_by else "not yet",
            "because": row.decision_reason,
        }
    )
