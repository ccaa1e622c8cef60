"""Judging a case: what each rule said, beside what was expected."""

from __future__ import annotations

from dataclasses import replace

from registry.policy.binding import BoundPolicy
from registry.policy.cases.case import NOT_APPLICABLE, Case, CaseResult, Got
from registry.policy.judging import Judge
from registry.policy.validations import WHEN


def run_case(case: Case) -> CaseResult:
    """Judge a case as a gate would."""
    got = _judge(case)
    return CaseResult(case.name, case.policy.name, case.file, case.line, got, _condition(case, got))


def outcomes_of(case: Case, bound: BoundPolicy) -> dict[str, str]:
    """What each rule says of a case with another policy in the place of its own; empty if none applies."""
    if not (bound.matches(case.step) and bound.covers(case.dossier)):
        return {}
    dossier, lead = case.dossier, len(bound.policy.name) + 1
    if dossier.waivers:
        # They are for the policy of the case: for the one in its place, then, too.
        own, other = case.policy.digest, bound.policy.digest
        moved = (replace(one, policy=other) if one.policy == own else one for one in dossier.waivers)
        dossier = replace(dossier, waivers=tuple(moved))
    results = Judge(bound, dossier, case.view).results()
    return {result.rule[lead:]: result.outcome.value for result in results}


def _judge(case: Case) -> tuple[Got, ...]:
    bound, step = case.bound, case.step
    why = ""
    if not bound.matches(step):
        why = f"the policy does not govern {step.origin} -> {step.to}"
    elif not bound.covers(case.dossier):
        why = f"the scope of binding {bound.binding.name} leaves it out"
    results = [] if why else list(Judge(bound, case.dossier, case.view).results())
    if not results:
        told = why or f"its condition is not true: {bound.policy.match.when}"
        return tuple(Got(name, wanted, NOT_APPLICABLE, told) for name, wanted in case.expected.items())
    lead = len(bound.policy.name) + 1
    got = [
        Got(
            name := result.rule[lead:],
            case.expected.get(name, ""),
            result.outcome.value,
            result.message,
            result.value,
            result.limit,
        )
        for result in results
    ]
    if WHEN in case.expected and not any(one.rule == WHEN for one in got):
        got.insert(0, Got(WHEN, case.expected[WHEN], "pass", "the condition was judged, and is true"))
    return tuple(got)


def _condition(case: Case, got: tuple[Got, ...]) -> str:
    """What the policy's own condition said, as far as it was asked."""
    if not (case.policy.match.when and case.bound.matches(case.step) and case.bound.covers(case.dossier)):
        return ""
    if any(one.outcome == NOT_APPLICABLE for one in got):
        return NOT_APPLICABLE
    return next((one.outcome for one in got if one.rule == WHEN), "pass")
