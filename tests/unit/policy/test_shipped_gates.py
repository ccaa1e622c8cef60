"""The default gates as a whole: what lacks nothing passes, and nothing passes on what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.policy import samples
from unit.policy.samples import subject, with_evidence
from unit.policy.whole import KINDS, METRICS, data, whole

from registry.domain.decision import Action, Outcome, RuleResult, Verdict
from registry.domain.dossier import Dossier
from registry.domain.tiers import TIERS
from registry.policy import GatePolicy, bind, decide, shipped_lifecycle, shipped_policies

LIFECYCLE = shipped_lifecycle()
SHIPPED = shipped_policies()
POLICIES = {policy.name: policy for policy in SHIPPED.policies}
BOUND = [bind(POLICIES[binding.policy], binding) for binding in SHIPPED.bindings]
GOVERNED = [(step.origin, step.to) for step in LIFECYCLE.steps if not step.open]
NAN = float("nan")
CHAMPION = [("deployed", "@champion"), ("monitored", "@champion")]


def gate(given: Dossier) -> Verdict:
    step = LIFECYCLE.step(given.subject.stage, given.to)
    return decide(BOUND, given, open_step=step.open)


def results(given: Dossier) -> dict[str, RuleResult]:
    """Results by rule, items left out; of several items the worst."""
    found: dict[str, RuleResult] = {}
    for result in gate(given).results:
        name = result.rule.partition("[")[0]
        if name not in found or found[name].outcome is Outcome.PASS:
            found[name] = result
    return found


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(("origin", "to"), GOVERNED + CHAMPION)
def test_a_version_that_lacks_nothing_takes_every_step(origin: str, to: str, tier: str) -> None:
    verdict = gate(whole(origin, to, tier=tier))
    assert [result for result in verdict.results if result.outcome is not Outcome.PASS] == []
    assert verdict.allowed
    assert any(result.action is Action.DENY for result in verdict.results)


def test_a_higher_tier_is_asked_more_of() -> None:
    for origin, to in GOVERNED:
        asked = [{result.rule for result in gate(whole(origin, to, tier=tier)).results} for tier in TIERS]
        minimal = {rule.replace("no-rejection/", "approvals/") for rule in asked[0]}
        assert minimal <= asked[1] <= asked[2], (origin, to)


@pytest.mark.parametrize("role", ["train", "test", "validation", "reference"])
def test_people_in_any_linked_dataset_stop_the_preparation(role: str) -> None:
    given = whole("planned", "prepared")
    given = replace(given, data={**given.data, role: data(role)})
    facts = given.data[role].evidence["check.pii"]
    people = replace(facts, metrics={**facts.metrics, "findings": 7.0, "findings.US_SSN": 7.0})
    found = replace(given.data[role], evidence={**given.data[role].evidence, "check.pii": people})
    verdict = gate(replace(given, data={**given.data, role: found}))
    assert not verdict.allowed
    blocking, _ = verdict.blocking
    assert blocking.rule == f"personal-data/nobody-found[loans-{role}/2]"
    assert blocking.message == f"the scan found people in the {role} data loans-{role}/2"
    assert (blocking.value, blocking.limit) == ("7", "0")
    assert blocking.remedy == f"phasegate run mask loans-{role}/2"


def test_unfairness_is_shown_with_its_interval_and_the_way_out() -> None:
    name = "demographic_parity_difference"
    metrics = {name: 0.2100001, f"{name}.lower": 0.17, f"{name}.upper": 0.24}
    found = results(with_evidence(whole(tier="limited"), "check.bias", metrics=metrics))
    unfair = found["group-fairness/dp-difference"]
    assert (unfair.value, unfair.limit) == ("0.21 [0.17, 0.24]", "0.1")
    assert unfair.remedy == (
        "phasegate promote loans/1 designed && phasegate run train-classifier loans/1 --set reweigh=COLUMN"
    )


def test_a_plan_without_targets_is_told_how_to_plan() -> None:
    found = results(whole("planned", "prepared", targets=()))["purpose-and-targets/targets"]
    assert found.message == "loans/1 has no targets"
    assert found.remedy == "phasegate model plan loans --system loans --target 'f1>=0.90'"


@pytest.mark.parametrize("tier", TIERS)
def test_a_rejection_is_told_with_name_and_reason(tier: str) -> None:
    given = whole(tier=tier)
    no = replace(given.approvals[0], actor="ann", verdict="rejected", reason="too few women")
    (blocking,) = gate(replace(given, approvals=(*given.approvals, no))).blocking
    assert blocking.message == "rejected by ann: too few women"


@pytest.mark.parametrize("stage", [stage for stage in LIFECYCLE.stages if stage != "retired"])
def test_a_version_that_was_never_deployed_can_be_retired_from_anywhere(stage: str) -> None:
    bare = replace(
        whole(stage, "retired"),
        subject=subject(stage, artifact="", design={}),
        evidence={},
        data={},
        targets=(),
        approvals=(),
        deployments=(),
    )
    assert gate(bare).allowed


@pytest.mark.parametrize("origin", ["deployed", "monitored"])
def test_a_withdrawal_needs_nothing(origin: str) -> None:
    assert gate(whole(origin, "evaluated", evidence={}, data={}, targets=())).allowed


@pytest.mark.parametrize("to", ["designed", "tuned"])
def test_rework_needs_nothing(to: str) -> None:
    assert gate(whole("evaluated", to, evidence={}, approvals=(), signatures=())).allowed


def named_in(policy: GatePolicy, rule: str) -> set[str]:
    """Every word in quotes that a rule's expression holds: the things it names, found without a parser."""
    (found,) = [validation for validation in policy.validations if validation.id == rule]
    per_item = {found.each} if found.each else set()
    return set(re.findall(r"'([^']*)'", found.expression)) | per_item


def taken_away() -> st.SearchStrategy[tuple[set[str], object]]:
    """Something that may be missing: the words that name it, and how to take it away."""
    kinds, metrics = st.sampled_from(KINDS), st.sampled_from(METRICS)
    past = samples.NOW - timedelta(seconds=1)
    return st.one_of(
        kinds.map(lambda kind: ({kind}, lambda given: samples.without_evidence(given, kind))),
        kinds.map(lambda kind: ({kind}, lambda given: with_evidence(given, kind, status="insufficient"))),
        kinds.map(lambda kind: ({kind}, lambda given: with_evidence(given, kind, valid_until=past))),
        metrics.map(lambda m: (set(m), lambda given: samples.without_metric(given, *m))),
        metrics.map(lambda m: (set(m), lambda given: with_evidence(given, m[0], metrics={m[1]: NAN}))),
        st.sampled_from(["train", "test"]).map(
            lambda role: (
                {role},
                lambda given: replace(given, data={k: v for k, v in given.data.items() if k != role}),
            )
        ),
        st.just(({"data"}, lambda given: replace(given, data={}))),
        st.just(({"targets"}, lambda given: replace(given, targets=()))),
    )


@given(st.sampled_from(GOVERNED), st.lists(taken_away(), min_size=1, max_size=4))
def test_no_shipped_rule_passes_on_what_is_missing(step: tuple[str, str], losses: list) -> None:  # type: ignore[type-arg]
    given_dossier = whole(*step)
    for _, lose in losses:
        given_dossier = lose(given_dossier)
    for result in gate(given_dossier).results:
        name, rule = result.rule.partition("[")[0].split("/")
        named = named_in(POLICIES[name], rule)
        if any(words <= named for words, _ in losses):
            assert result.outcome in (Outcome.MISSING, Outcome.INSUFFICIENT), result


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_shipped_passes_on_an_empty_dossier(tier: str) -> None:
    for origin, to in GOVERNED:
        if to == "retired":
            continue
        bare = replace(
            samples.dossier(origin, to),
            subject=subject(origin, artifact="", design={}, purpose="", risk_tier=tier),
            evidence={},
            data={},
            targets=(),
            approvals=(),
            deployments=(),
        )
        verdict = gate(bare)
        assert not verdict.allowed
        assert {result.outcome for result in verdict.results} & {Outcome.ERROR} == set()


# One thing taken from a version that lacks nothing: at which step, and the rules that must refuse it.
LOSSES: list[tuple[tuple[str, str], dict[str, object], set[str]]] = [
    (("prepared", "designed"), {"approvals": ()}, {"design-approved/independent"}),
    (("designed", "trained"), {"signatures": ()}, {"artifact-signed/trusted"}),
    (("evaluated", "deployed"), {"signatures": ()}, {"artifact-signed/trusted"}),
    (("evaluated", "deployed"), {"approvals": ()}, {"approvals/independent"}),
    (("evaluated", "deployed"), {"risks": ()}, {"risks-registered/not-empty"}),
    (("evaluated", "deployed"), {"actor": samples.dossier().actor}, {"deployer-acts/role"}),
    (("deployed", "monitored"), {"deployments": ()}, {"deployment-healthy/active"}),
    (("trained", "evaluated"), {"signatures": ()}, {"artifact-signed/trusted"}),
]


@pytest.mark.parametrize(("step", "lost", "refusing"), LOSSES)
def test_one_thing_less_refuses(step: tuple[str, str], lost: dict[str, object], refusing: set[str]) -> None:
    verdict = gate(whole(*step, **lost))
    assert {result.rule for result in verdict.blocking} == refusing


@pytest.mark.parametrize("tier", TIERS)
def test_one_kind_of_evidence_less_refuses_wherever_a_denying_rule_names_it(tier: str) -> None:
    refused = set()
    for step in GOVERNED:
        verdict = gate(whole(*step, tier=tier))
        for kind in KINDS:
            asking = {
                result.rule
                for result in verdict.results
                if result.action is Action.DENY and kind in named_by(result.rule)
            }
            without = gate(samples.without_evidence(whole(*step, tier=tier), kind))
            blocking = {result.rule for result in without.blocking}
            assert blocking >= asking
            assert without.allowed is not bool(blocking)
            if blocking:
                refused.add(kind)
    # Of minimal risk little is asked, of high risk everything that there is but what only warns.
    warned = {"data.split"}
    assert refused == set(KINDS) - warned if tier == "high" else refused < set(KINDS)


def named_by(rule: str) -> set[str]:
    name, _, identifier = rule.partition("[")[0].partition("/")
    return named_in(POLICIES[name], identifier)
