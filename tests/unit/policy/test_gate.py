"""Deciding: what passes, what does not, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from unit.policy import samples
from unit.policy.samples import judge, judge_one

from registry.domain.decision import Action, Outcome
from registry.domain.lifecycle import Step
from registry.errors import BadInput
from registry.policy import GateBinding, GatePolicy, Match, Validation, bind, decide

BIAS = "evidence['check.bias'].metrics['equal_opportunity_difference']"
GATE = samples.dossier()


def bound(policy: GatePolicy, action: Action = Action.DENY, **params: float):  # type: ignore[no-untyped-def]
    return bind(policy, GateBinding("binding", policy.name, action, params))


def test_true_passes_and_shows_what_was_seen() -> None:
    result = judge_one(f"{BIAS} <= params.most", params={"most": 0.1}, value=BIAS, limit="params.most")
    assert result.outcome is Outcome.PASS
    assert (result.value, result.limit, result.message, result.remedy) == ("0.04", "0.1", "", "")
    assert result.rule == "sample/rule"
    assert (
        result.policy
        == samples.policy(
            f"{BIAS} <= params.most", params={"most": 0.1}, value=BIAS, limit="params.most"
        ).digest
    )


def test_false_fails_with_message_and_remedy() -> None:
    result = judge_one(
        f"{BIAS} <= 0.01",
        value=BIAS,
        limit="0.01",
        message="too different for {to}",
        remedy="phasegate run bias {version}",
        supply="phasegate run other {version}",
    )
    assert result.outcome is Outcome.FAIL
    assert result.message == "too different for deployed"
    assert (result.value, result.limit) == ("0.04", "0.01")
    assert result.remedy == "phasegate run bias loans/1"


def test_a_value_just_above_its_limit_is_told_apart() -> None:
    near = samples.with_evidence(GATE, "check.bias", metrics={"equal_opportunity_difference": 0.10000001})
    result = judge_one(f"{BIAS} <= 0.1", near, value=BIAS, limit="0.1")
    assert (result.value, result.limit) == ("0.10000001", "0.10000000000000001")


def test_a_number_in_words_is_no_other_number() -> None:
    given = samples.with_evidence(GATE, "check.bias", facts={"threshold": "0.35"})
    fact = "evidence['check.bias'].facts['threshold']"
    result = judge_one(
        f"double({fact}) <= params.most", given, params={"most": 0.35}, value=fact, limit="params.most"
    )
    assert (result.value, result.limit) == ("0.35", "0.35")


def test_a_message_may_be_an_expression_and_falls_back_when_it_fails() -> None:
    told = judge_one("to == ''", message_expression="'it goes to ' + to")
    assert told.message == "it goes to deployed"
    silent = judge_one("to == ''", message_expression="subject.design['nothing']", message="plain")
    assert silent.message == "plain"


def test_a_value_that_cannot_be_told_is_left_out() -> None:
    assert judge_one("to != ''", value="subject.design['nothing']").value == ""


# -- what is not there --------------------------------------------------------------------------


def test_absent_evidence_is_missing_and_the_command_supplies_it() -> None:
    result = judge_one(
        f"{BIAS} <= 0.1",
        samples.without_evidence(GATE, "check.bias"),
        limit="0.1",
        remedy="phasegate run train {version}",
        supply="phasegate run bias {version}",
    )
    assert result.outcome is Outcome.MISSING
    assert result.message == "no check.bias about artifact sha256:aaaaaaaaaaaa"
    assert (result.value, result.limit) == ("", "0.1")
    assert result.remedy == "phasegate run bias loans/1"


def test_missing_evidence_says_whether_there_was_some() -> None:
    bare = samples.without_evidence(GATE, "check.bias")
    stale = replace(bare, unusable={"check.bias": "stale: an older artifact has some"})
    assert "(stale: an older artifact has some)" in judge_one(f"{BIAS} <= 0.1", stale).message


def test_missing_evidence_about_data_names_role_and_dataset() -> None:
    bare = replace(
        samples.without_evidence(GATE, "check.pii"), unusable={"test:check.pii": "expired on 2026-01-01"}
    )
    expression = "data['test'].evidence['check.pii'].metrics['findings'] == 0.0"
    assert judge_one(expression, bare).message == (
        "no check.pii about test data loans-test/2 (sha256:test) (expired on 2026-01-01)"
    )


def test_a_version_without_an_artifact_is_told_so() -> None:
    bare = replace(GATE, subject=samples.subject(artifact=""), evidence={})
    assert judge_one(f"{BIAS} <= 0.1", bare).message == "no check.bias about loans/1, which has no artifact"


def test_insufficient_evidence_gives_its_reason() -> None:
    weak = samples.with_evidence(GATE, "check.bias", status="insufficient", reason="a group of 3")
    result = judge_one(f"{BIAS} <= 0.1", weak)
    assert result.outcome is Outcome.INSUFFICIENT
    assert "a group of 3" in result.message


def test_evidence_that_expired_meanwhile_does_not_count() -> None:
    old = samples.with_evidence(GATE, "check.bias", valid_until=samples.NOW)
    result = judge_one(f"{BIAS} <= 0.1", old)
    assert result.outcome is Outcome.MISSING
    assert "expired on 2026-03-01" in result.message
    fresh = samples.with_evidence(GATE, "check.bias", valid_until=samples.NOW + timedelta(seconds=1))
    assert judge_one(f"{BIAS} <= 0.1", fresh).outcome is Outcome.PASS


def test_a_missing_metric_is_named_with_the_nearest_one() -> None:
    result = judge_one("evidence['check.bias'].metrics['equal_opportunity_differnce'] <= 0.1")
    assert result.outcome is Outcome.MISSING
    assert result.message == (
        "check.bias has no metric 'equal_opportunity_differnce'; it has 'equal_opportunity_difference'"
    )


def test_a_metric_that_is_no_number_is_missing() -> None:
    broken = samples.with_evidence(GATE, "check.bias", metrics={"equal_opportunity_difference": float("nan")})
    assert judge_one(f"!({BIAS} > 0.1)", broken).outcome is Outcome.MISSING


def test_a_key_that_is_computed_and_not_there_is_missing() -> None:
    result = judge_one("subject.design[to] == ''")
    assert (result.outcome, result.message) == (Outcome.MISSING, "there is no 'deployed'")


def test_a_role_that_is_not_named_is_missing() -> None:
    result = judge_one("data['reference'].rows > 0")
    assert (result.outcome, result.message) == (Outcome.MISSING, "loans/1 names no reference data")


def test_a_target_that_nothing_measured_is_missing() -> None:
    open_target = replace(GATE, targets=(samples.target(measured=False, value=0.0, met=False),))
    assert judge_one("targets.all(t, t.value <= 1.0)", open_target).outcome is Outcome.MISSING
    assert judge_one("targets.all(t, t.threshold > 0.1)", open_target).outcome is Outcome.PASS


@pytest.mark.parametrize("collection", ["data", "targets"])
@pytest.mark.parametrize("expression", ["{}.all(x, true)", "!{}.exists(x, true)", "size({}) == 0"])
def test_nothing_holds_of_an_empty_collection(collection: str, expression: str) -> None:
    empty = replace(GATE, **{collection: {} if collection == "data" else ()})
    assert judge_one(expression.format(collection), empty).outcome is Outcome.MISSING


# -- per item -----------------------------------------------------------------------------------


def test_without_an_item_the_command_says_what_to_write_in_its_place() -> None:
    nothing = replace(GATE, data={})
    result = judge_one("item.rows > 0", nothing, each="data", remedy="phasegate run profile {item}")
    assert result.outcome is Outcome.MISSING
    assert result.remedy == "phasegate run profile DATASET/N"


def test_a_rule_per_item_is_judged_for_each() -> None:
    results = judge(
        "item.evidence['check.pii'].metrics['findings'] == 0.0 && role != ''",
        each="data",
        message="people in the {role} data {item}",
    )
    assert [result.rule for result in results] == ["sample/rule[loans-train/2]", "sample/rule[loans-test/2]"]
    assert {result.outcome for result in results} == {Outcome.PASS}


def test_one_bad_item_fails_alone() -> None:
    found = samples.evidence("check.pii", {"findings": 3.0})
    given = replace(GATE, data={**GATE.data, "test": samples.data("test", evidence={"check.pii": found})})
    results = judge(
        "item.evidence['check.pii'].metrics['findings'] == 0.0",
        given,
        each="data",
        message="people in the {role} data {item}",
    )
    assert [result.outcome for result in results] == [Outcome.PASS, Outcome.FAIL]
    assert results[1].message == "people in the test data loans-test/2"


@pytest.mark.parametrize(
    ("each", "empty"), [("data", {"data": {}}), ("targets", {"targets": ()})], ids=["data", "targets"]
)
def test_a_rule_per_item_without_items_does_not_pass(each: str, empty: dict[str, object]) -> None:
    result = judge_one("true", replace(GATE, **empty), each=each)
    assert result.outcome is Outcome.MISSING
    assert result.rule == "sample/rule"


def test_targets_are_called_by_their_metric() -> None:
    results = judge("item.met", each="targets", message="{item}")
    assert [result.rule for result in results] == ["sample/rule[f1]", "sample/rule[accuracy]"]


# -- errors -------------------------------------------------------------------------------------


def test_a_rule_that_errs_is_an_error() -> None:
    result = judge_one("1 / (size(approvals) - 2) == 1")
    assert result.outcome is Outcome.ERROR
    assert "divide by zero" in result.message
    assert result.remedy == "phasegate policy show sample"
    assert result.blocks


def test_a_rule_that_does_not_compile_is_an_error_and_the_others_are_still_judged() -> None:
    policy = GatePolicy(
        "old",
        Match(("deployed",)),
        (Validation("gone", "subject.gone == ''", "no"), Validation("here", "to == 'deployed'", "no")),
    )
    verdict = decide([bound(policy)], GATE, open_step=False)
    assert [result.outcome for result in verdict.results] == [Outcome.ERROR, Outcome.PASS]
    assert not verdict.allowed


def test_a_rule_that_is_no_truth_value_is_an_error() -> None:
    assert judge_one("subject.ref").outcome is Outcome.ERROR


@pytest.mark.parametrize(
    "broken",
    [
        replace(GATE, now=datetime(2026, 3, 1)),  # noqa: DTZ001
        replace(GATE, subject=samples.subject(purpose="\ud800")),
        replace(GATE, subject=samples.subject(design=None)),
        replace(GATE, subject=None),
        replace(GATE, evidence=None),
    ],
    ids=["naive time", "no unicode", "no mapping", "no subject", "no evidence"],
)
def test_a_dossier_that_cannot_be_read_is_an_error(broken: object) -> None:
    policy = samples.policy(
        f"{BIAS} <= 0.1 && subject.purpose != '' && now > timestamp('2020-01-01T00:00:00Z')"
    )
    if broken.subject is None:  # type: ignore[attr-defined]
        with pytest.raises(AttributeError):
            decide([bound(policy)], broken, open_step=False)  # type: ignore[arg-type]
        return
    verdict = decide([bound(policy)], broken, open_step=False)  # type: ignore[arg-type]
    assert [result.outcome for result in verdict.results] == [Outcome.ERROR]
    assert not verdict.allowed


# -- conditions, matching, actions --------------------------------------------------------------


def test_a_policy_whose_condition_does_not_hold_says_nothing() -> None:
    verdict = decide(
        [bound(samples.policy("true", when="subject.risk_tier == 'low'"))], GATE, open_step=False
    )
    assert verdict.results == ()
    assert not verdict.allowed
    assert "none of the 1 policies for evaluated -> deployed applies" in verdict.reason


def test_a_condition_that_errs_does_not_lift_the_policy() -> None:
    results = judge("true", when="subject.design['nothing'] == 'x'")
    assert [(result.rule, result.outcome) for result in results] == [
        ("sample/when", Outcome.ERROR),
        ("sample/rule", Outcome.PASS),
    ]


def test_a_gate_without_rules_permits_nothing_unless_the_step_is_open() -> None:
    refused = decide([], GATE, open_step=False)
    assert not refused.allowed
    assert refused.reason.startswith("no policy governs evaluated -> deployed")
    assert decide([], GATE, open_step=True).allowed


def test_policies_of_other_steps_are_passed_over() -> None:
    elsewhere = bound(replace(samples.policy("true"), match=Match(("retired",))))
    assert not decide([elsewhere], GATE, open_step=False).allowed


@pytest.mark.parametrize(
    ("match", "step", "governed"),
    [
        (Match(("b",)), Step("a", "b"), True),
        (Match(("b",)), Step("a", "c"), False),
        (Match(("b", "c")), Step("a", "c"), True),
        (Match(("b",), ("a",)), Step("a", "b"), True),
        (Match(("b",), ("x",)), Step("a", "b"), False),
        (Match(("b",)), Step("a", "b", open=True), False),
        (Match(("b",), ("a",)), Step("a", "b", open=True), True),
    ],
)
def test_which_steps_a_policy_governs(match: Match, step: Step, governed: bool) -> None:
    policy = replace(samples.policy("true"), match=match)
    assert bound(policy).matches(step) is governed


def test_a_policy_may_govern_an_open_step_by_naming_its_origin() -> None:
    policy = replace(samples.policy("false"), match=Match(("evaluated",), ("deployed",)))
    withdrawal = samples.dossier("deployed", "evaluated")
    assert not decide([bound(policy)], withdrawal, open_step=True).allowed
    unnamed = replace(policy, match=Match(("evaluated",)))
    assert decide([bound(unnamed)], withdrawal, open_step=True).allowed


@pytest.mark.parametrize(
    ("action", "allowed"), [(Action.AUDIT, True), (Action.WARN, True), (Action.DENY, False)]
)
def test_only_deny_refuses(action: Action, allowed: bool) -> None:
    verdict = decide([bound(samples.policy("false"), action)], GATE, open_step=False)
    assert verdict.allowed is allowed
    assert [result.outcome for result in verdict.results] == [Outcome.FAIL]


def test_one_denial_outweighs_every_pass() -> None:
    good, bad = bound(samples.policy("true")), bound(samples.policy("false"))
    assert not decide([good, bad, good], GATE, open_step=False).allowed


# -- parameters ---------------------------------------------------------------------------------


def test_a_binding_overrides_parameters() -> None:
    policy = samples.policy(f"{BIAS} <= params.most", params={"most": 0.01}, limit="params.most")
    assert not decide([bound(policy)], GATE, open_step=False).allowed
    assert decide([bound(policy, most=0.5)], GATE, open_step=False).allowed


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"mots": 0.5}, "has no parameter 'mots'"),
        ({"most": "high"}, "'most' is a number, and is set to a text"),
        ({"most": True}, "'most' is a number, and is set to a truth value"),
        ({"most": ()}, "'most' is a number, and is set to a list of text"),
        ({"roles": (1.0,)}, "'roles' is a list of text, and is set to a list of number"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(params: dict[str, object], said: str) -> None:
    policy = samples.policy("params.most > 0.0 || 'a' in params.roles", params={"most": 1.0, "roles": ("a",)})
    with pytest.raises(BadInput, match=said.replace("(", r"\(")):
        bind(policy, GateBinding("b", "sample", Action.DENY, params))  # type: ignore[arg-type]


def test_a_binding_of_another_policy_is_refused() -> None:
    with pytest.raises(BadInput, match="not of 'sample'"):
        bind(samples.policy("true"), GateBinding("b", "other", Action.DENY))


def test_whole_numbers_from_python_are_doubles_too() -> None:
    policy = samples.policy(f"{BIAS} <= params.most", params={"most": 1})
    assert policy.params == {"most": 1.0}
    assert decide([bound(policy, most=2)], GATE, open_step=False).allowed
    assert not decide([bound(policy, most=0)], GATE, open_step=False).allowed


def test_lists_and_words_as_parameters() -> None:
    params = {"kinds": ("encoder", "decoder"), "word": "encoder", "sure": True}
    expression = "subject.design['architecture'] in params.kinds && params.word == 'encoder' && params.sure"
    assert judge_one(expression, params=params).outcome is Outcome.PASS
