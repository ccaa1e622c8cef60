"""`phasegate gate explain` and `phasegate promote`: one resolver, two verbs."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING

import click

from registry.cli.completion import stages, version_refs
from registry.cli.render import OUTCOMES
from registry.cli.shell import Shell, example, with_shell

if TYPE_CHECKING:
    from registry.domain.decision import Decision, RuleResult
    from registry.domain.dossier import Dossier, WaiverFacts


@click.group()
def gate() -> None:
    """Gates: what is missing for a stage, and what supplies it."""


@gate.command(epilog=example("phasegate gate explain loans/1 deployed"))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("stage", metavar="STAGE|@ALIAS", shell_complete=stages)
@with_shell
def explain(shell: Shell, ref: str, stage: str) -> int:
    """Say, rule by rule, what the gate into STAGE would answer now. Changes nothing; exits with 1 for no."""
    decision, dossier = shell.registry().explain(ref, stage)

    def say() -> None:
        would = "would be allowed" if decision.allowed else "would be refused"
        click.echo(f"{decision.ref}: {decision.origin} -> {decision.to} {would}. {_tally(decision)}")
        _say_results(decision, every=True)
        for waiver in _useless(decision, dossier):
            click.echo(f"Waiver {waiver.id} of {waiver.rule} does not hold: {waiver.why_not}.")

    shell.answer({"decision": decision, "dossier": dossier}, say)
    return 0 if decision.allowed else 1


@click.command(epilog=example("phasegate promote loans/1 deployed"))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("stage", shell_complete=stages)
@with_shell
def promote(shell: Shell, ref: str, stage: str) -> int:
    """Move a version to a stage, if its gate agrees. Exits with 1 if it does not; both are recorded."""
    return answer_decision(shell, shell.registry().promote(ref, stage))


def answer_decision(shell: Shell, decision: Decision) -> int:
    """Tell a recorded decision on a step to a stage or to `@alias`; returns the exit code."""
    name = decision.ref.rpartition("/")[0]
    if decision.to.startswith("@"):
        allowed = f"Pointed: {name}{decision.to} is {decision.ref}."
        refused = f"Refused: {name}{decision.to} is not {decision.ref}."
    else:
        allowed = f"Promoted: {decision.ref} is {decision.to}."
        refused = f"Refused: {decision.ref} stays {decision.origin}."

    def say() -> None:
        click.echo(f"{allowed if decision.allowed else refused} {_tally(decision)}")
        _say_results(decision, every=False)
        click.echo(f"Decision {decision.id} is in the ledger as entry {decision.entry}.")

    shell.answer(decision, say)
    return 0 if decision.allowed else 1


def _useless(decision: Decision, dossier: Dossier) -> list[WaiverFacts]:
    """Waivers of rules that fail which do not hold."""
    excepted = ("pass", "waived")
    failing = {result.rule for result in decision.verdict.results if result.outcome not in excepted}
    failing |= {rule.partition("[")[0] for rule in failing}
    return [waiver for waiver in dossier.waivers if not waiver.holds and waiver.rule in failing]


def _tally(decision: Decision) -> str:
    results = decision.verdict.results
    if not results:
        return decision.verdict.reason or "No policy governs this step; the lifecycle leaves it open."
    holding = sum(result.outcome == "pass" for result in results)
    waived = sum(result.outcome == "waived" for result in results)
    return f"{holding} of {len(results)} rules hold{f', {waived} waived' if waived else ''}."


def _say_results(decision: Decision, *, every: bool) -> None:
    shown = [result for result in decision.verdict.results if every or result.outcome != "pass"]
    if not shown:
        return
    click.echo()
    for _, alike in groupby(sorted(shown, key=_place), key=_told):
        _say_result(*alike)
    click.echo()


def _place(result: RuleResult) -> tuple[bool, bool]:
    """What blocks comes first, what holds last."""
    return result.outcome == "pass", not result.blocks


def _told(result: RuleResult) -> tuple[object, ...]:
    """Rules of a policy that lack the same evidence are told together: one command supplies all of them."""
    lacks = result.outcome in ("missing", "insufficient")
    names = result.rule.partition("/")[0] if lacks else result.rule
    return names, result.outcome, result.action, result.message, result.remedy, result.late


def _say_result(result: RuleResult, *others: RuleResult) -> None:
    word, colour = OUTCOMES[result.outcome]
    label = click.style(f"{word:<13}", fg=colour, bold=True) if sys.stdout.isatty() else f"{word:<13}"
    softly = "" if result.outcome in ("pass", "waived") or result.blocks else f" ({result.action.value} only)"
    seen = f"  {result.value}" if result.value else ""
    limit = f"  limit {result.limit}" if result.limit and not others else ""
    rules = ", ".join([result.rule, *(other.rule.partition("/")[2] for other in others)])
    click.echo(f"  {label} {rules}{softly}{seen}{limit}")
    if result.late:
        click.echo(f"  {'':<13} this rule, or its limit, was set after the evidence was made")
    if result.message:
        click.echo(f"  {'':<13} {result.message}")
    for line in result.remedy.splitlines():
        click.echo(f"  {'':<13} -> {line}")
