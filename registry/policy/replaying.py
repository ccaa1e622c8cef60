"""A policy in force, asked about a dossier of the past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from registry.domain.decision import Outcome, RuleResult
from registry.domain.lifecycle import Step
from registry.policy.binding import BoundPolicy
from registry.policy.judging import Judge
from registry.policy.recorded import Recorded
from registry.policy.validations import WHEN
from registry.policy.view import View

# Fields of a dossier that a binding's scope reads.
_OF_SCOPE = {
    "risk_tiers": ("SubjectFacts.risk_tier",),
    "systems": ("SubjectFacts.system", "SystemFacts.name"),
    "tags": ("SubjectFacts.tags",),
}


def rejudge(bound: BoundPolicy, recorded: Recorded, step: Step) -> tuple[RuleResult, ...]:
    """What a policy in force says of a recorded dossier.

    A rule that reads what was not recorded is an error: nobody knows what it would have said.
    """
    if not bound.matches(step):
        return ()
    unknown = recorded.unrecorded
    scope = bound.binding.scope
    blind = {field for key, fields in _OF_SCOPE.items() if getattr(scope, key) for field in fields} & unknown
    if not blind and not bound.covers(recorded.dossier):
        return ()
    view = View(recorded.dossier)
    whether = blind | (bound.when.names.fields & unknown if bound.when is not None else frozenset())
    if whether:
        # Nobody knows whether it would have applied: so it does, and all of it is judged.
        bound = replace(bound, policy=replace(bound.policy, match=replace(bound.policy.match, when="")))
    results = tuple(_results(bound, recorded, view))
    return (_unknowable(bound, WHEN, whether), *results) if whether else results


def _results(bound: BoundPolicy, recorded: Recorded, view: View) -> Iterator[RuleResult]:
    lead = len(bound.policy.name) + 1
    reads = {rule.validation.id: rule.test.names.fields for rule in bound.rules}
    for result in Judge(bound, recorded.dossier, view).results():
        rule = result.rule[lead:].partition("[")[0]
        blind = reads.get(rule, frozenset()) & recorded.unrecorded
        yield _unknowable(bound, result.rule[lead:], blind) if blind else result


def _unknowable(bound: BoundPolicy, name: str, blind: frozenset[str] | set[str]) -> RuleResult:
    fields = ", ".join(sorted(_called(field) for field in blind))
    return RuleResult(
        rule=f"{bound.policy.name}/{name}",
        policy=bound.policy.digest,
        binding=bound.binding.name,
        outcome=Outcome.ERROR,
        action=bound.binding.action,
        message=f"cannot be judged: it reads {fields}, which the decision did not record",
    )


def _called(field: str) -> str:
    """`SubjectFacts.tags` as people know it."""
    owner, _, name = field.partition(".")
    return name if owner == "Dossier" else f"{owner.removesuffix('Facts').lower()}.{name}"
