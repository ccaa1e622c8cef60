"""The default policies: each rule passes when it should, and fails when it should."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.policy import samples
from unit.policy.samples import dossier, subject, with_evidence
from unit.policy.shipped_cases import (
    CASES,
    NO,
    RITA,
    ROB,
    Change,
    about,
    fields,
    metric,
    of_data,
    of_subject,
    people,
)

from registry.domain.decision import Action, Outcome, RuleResult, Verdict
from registry.domain.dossier import Dossier
from registry.policy import BoundPolicy, GatePolicy, bind, check, decide, shipped_lifecycle, shipped_policies
from registry.policy.shipped import shipped_texts

LIFECYCLE = shipped_lifecycle()
SHIPPED = shipped_policies()
POLICIES = {policy.name: policy for policy in SHIPPED.policies}
BOUND = [bind(POLICIES[binding.policy], binding) for binding in SHIPPED.bindings]
GOVERNED = [(step.origin, step.to) for step in LIFECYCLE.steps if not step.open]


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


def test_every_shipped_file_is_without_a_problem() -> None:
    for name, text in shipped_texts().items():
        assert check(text, name, LIFECYCLE) == [], name


def test_every_policy_is_bound_and_every_rule_says_what_to_do() -> None:
    assert {binding.policy for binding in SHIPPED.bindings} == set(POLICIES)
    for policy in SHIPPED.policies:
        assert policy.title, policy.name
        assert policy.description, policy.name
        assert policy.controls, policy.name
        for rule in policy.validations:
            assert rule.remedy.startswith("phasegate "), f"{policy.name}/{rule.id}"
            assert not rule.supply or rule.supply.startswith("phasegate run "), f"{policy.name}/{rule.id}"


@pytest.mark.parametrize(("origin", "to"), GOVERNED)
def test_a_version_that_lacks_nothing_takes_every_step(origin: str, to: str) -> None:
    verdict = gate(dossier(origin, to))
    assert [result for result in verdict.results if result.outcome is not Outcome.PASS] == []
    assert verdict.allowed
    assert any(result.action is Action.DENY for result in verdict.results)


@pytest.mark.parametrize(
    ("step", "rule", "bad", "edge"), CASES, ids=[f"{case[1]}-{n}" for n, case in enumerate(CASES)]
)
def test_a_rule_refuses_what_it_should_and_only_that(
    step: tuple[str, str], rule: str, bad: Change, edge: Change | None
) -> None:
    whole = dossier(*step)
    found = results(bad(whole))[rule]
    assert found.outcome in (Outcome.FAIL, Outcome.MISSING)
    assert found.message
    assert found.remedy
    if found.action is Action.DENY:
        assert not gate(bad(whole)).allowed
    if edge is not None:
        assert results(edge(whole))[rule].outcome is Outcome.PASS


def test_every_rule_has_a_case() -> None:
    rules = {f"{policy.name}/{rule.id}" for policy in SHIPPED.policies for rule in policy.validations}
    assert rules == {rule for _, rule, _, _ in CASES}


@pytest.mark.parametrize("role", ["train", "test", "validation", "reference"])
def test_people_in_any_linked_dataset_stop_the_preparation(role: str) -> None:
    found = samples.ABOUT_DATA | {"check.pii": {"findings": 7.0}}
    evidence = {kind: samples.evidence(kind, metrics) for kind, metrics in found.items()}
    verdict = gate(of_data(role, evidence=evidence)(dossier("planned", "prepared")))
    assert not verdict.allowed
    (blocking,) = verdict.blocking
    assert blocking.rule == f"personal-data/nobody-found[loans-{role}/2]"
    assert blocking.message == f"the scan found people in the {role} data loans-{role}/2"
    assert (blocking.value, blocking.limit) == ("7", "0")
    assert blocking.remedy == f"phasegate run mask loans-{role}/2"


def test_unfairness_is_shown_with_its_interval_and_the_way_out() -> None:
    unfair = metric(
        "check.bias",
        demographic_parity_difference=0.2100001,
        demographic_parity_difference__lower=0.17,
        demographic_parity_difference__upper=0.24,
    )
    found = results(unfair(dossier()))["group-fairness/dp-difference"]
    assert (found.value, found.limit) == ("0.21 [0.17, 0.24]", "0.1")
    assert found.remedy == (
        "phasegate promote loans/1 designed && phasegate run train-classifier loans/1 --set reweigh=COLUMN"
    )


def test_a_plan_without_targets_is_told_how_to_plan() -> None:
    found = results(fields(targets=())(dossier("planned", "prepared")))["purpose-and-targets/targets"]
    assert found.message == "loans/1 has no targets"
    assert found.remedy == "phasegate model plan loans --system loans --target 'f1>=0.90'"


def test_a_rejection_is_told_with_name_and_reason() -> None:
    found = results(people(RITA, ROB, replace(NO, actor="ann"))(dossier()))["approvals/no-rejection"]
    assert found.message == "rejected by ann: too few women"


@pytest.mark.parametrize(
    ("tier", "applies"), [("minimal", False), ("limited", True), ("high", True), ("", True)]
)
def test_only_minimal_systems_are_exempt_from_fairness(tier: str, applies: bool) -> None:
    rules = results(of_subject(risk_tier=tier)(dossier()))
    assert ("group-fairness/dp-difference" in rules) is applies


@pytest.mark.parametrize("stage", [stage for stage in LIFECYCLE.stages if stage != "retired"])
def test_a_version_that_was_never_deployed_can_be_retired_from_anywhere(stage: str) -> None:
    bare = replace(
        dossier(stage, "retired"),
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
    assert gate(replace(dossier(origin, "evaluated"), evidence={}, data={}, targets=())).allowed


def named_in(policy: GatePolicy, rule: str) -> set[str]:
    """Every word in quotes that a rule's expression holds: the things it names, found without a parser."""
    (found,) = [validation for validation in policy.validations if validation.id == rule]
    per_item = {found.each} if found.each else set()
    return set(re.findall(r"'([^']*)'", found.expression)) | per_item


KINDS = [*samples.ABOUT_DATA, *samples.ABOUT_VERSION]
METRICS = [(kind, name) for kind in KINDS for name in {**samples.ABOUT_DATA, **samples.ABOUT_VERSION}[kind]]
NAN = float("nan")


def taken_away() -> st.SearchStrategy[tuple[set[str], Change]]:
    """Something that may be missing: the words that name it, and how to take it away."""
    kinds = st.sampled_from(KINDS)
    metrics = st.sampled_from(METRICS)
    past = samples.NOW - timedelta(seconds=1)
    return st.one_of(
        kinds.map(lambda kind: ({kind}, lambda given: samples.without_evidence(given, kind))),
        kinds.map(lambda kind: ({kind}, about(kind, status="insufficient", reason="too few"))),
        kinds.map(lambda kind: ({kind}, about(kind, valid_until=past))),
        metrics.map(lambda m: (set(m), lambda given: samples.without_metric(given, *m))),
        metrics.map(lambda m: (set(m), lambda given: with_evidence(given, m[0], metrics={m[1]: NAN}))),
        st.sampled_from(["train", "test"]).map(
            lambda role: (
                {role},
                lambda given: replace(given, data={k: v for k, v in given.data.items() if k != role}),
            )
        ),
        st.just(({"data"}, fields(data={}))),
        st.just(({"targets"}, fields(targets=()))),
    )


@given(st.sampled_from(GOVERNED), st.lists(taken_away(), min_size=1, max_size=4))
def test_no_shipped_rule_passes_on_what_is_missing(
    step: tuple[str, str], losses: list[tuple[set[str], Change]]
) -> None:
    given_dossier = dossier(*step)
    for _, lose in losses:
        given_dossier = lose(given_dossier)
    for result in gate(given_dossier).results:
        name, rule = result.rule.partition("[")[0].split("/")
        named = named_in(POLICIES[name], rule)
        if any(words <= named for words, _ in losses):
            assert result.outcome in (Outcome.MISSING, Outcome.INSUFFICIENT), result


def test_nothing_shipped_passes_on_an_empty_dossier() -> None:
    for origin, to in GOVERNED:
        if to == "retired":
            continue
        bare = replace(
            dossier(origin, to),
            subject=subject(origin, artifact="", design={}, purpose="", risk_tier=""),
            evidence={},
            data={},
            targets=(),
            approvals=(),
            deployments=(),
        )
        verdict = gate(bare)
        assert not verdict.allowed
        assert {result.outcome for result in verdict.results} & {Outcome.ERROR} == set()


def test_policies_survive_storage_unchanged() -> None:
    for policy in SHIPPED.policies:
        assert GatePolicy.from_document(policy.document).digest == policy.digest


def test_the_gate_judges_as_bound() -> None:
    assert all(isinstance(bound, BoundPolicy) for bound in BOUND)
    assert {bound.binding.action for bound in BOUND} == {Action.DENY, Action.WARN}
