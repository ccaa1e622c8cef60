"""Waivers: which exception holds for which rule, and which never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from unit.policy import samples
from unit.policy.samples import NOW

from registry.domain.decision import Action, Outcome, RuleResult
from registry.domain.dossier import Dossier, WaiverFacts
from registry.policy import GateBinding, GatePolicy, Match, Validation, bind, decide

BIAS = "evidence['check.bias'].metrics['equal_opportunity_difference']"
FAILS = Validation("bias", f"{BIAS} <= 0.01", "groups differ", value=BIAS, limit="0.01", remedy="repair it")
HOLDS = Validation("stage", "subject.stage == 'evaluated'", "not evaluated")
PER_DATA = Validation("rows", "item.rows > 1000", "{item} is small", each="data")
BREAKS = Validation("broken", "approvals[9].actor == 'rita'", "no tenth approval")


def policy(*rules: Validation, **fields: Any) -> GatePolicy:
    match = fields.pop("match", Match(("deployed",)))
    return GatePolicy("fair", match, rules, **fields)


def waiver(of: GatePolicy, rule: str = "fair/bias", **changes: Any) -> WaiverFacts:
    """Granted by rita for ten more days, at dev's request."""
    made = WaiverFacts(
        id=7,
        rule=rule,
        policy=of.digest,
        reason="launch",
        control="a person reads every refusal",
        requested_by="dev",
        approved_by="rita",
        until=NOW + timedelta(days=10),
        holds=True,
    )
    return replace(made, **changes)


def judge(of: GatePolicy, *waivers: WaiverFacts, given: Dossier | None = None) -> dict[str, RuleResult]:
    gate = [bind(of, GateBinding("fair", "fair", Action.DENY))]
    dossier = replace(given or samples.dossier(), waivers=waivers)
    return {result.rule: result for result in decide(gate, dossier, open_step=False).results}


def test_a_waived_rule_is_waived_and_never_a_pass() -> None:
    made = policy(FAILS)
    found = judge(made, waiver(made))["fair/bias"]
    assert found.outcome is Outcome.WAIVED
    assert found.waiver == 7
    assert not found.blocks
    assert found.message == (
        "waived by rita until 2026-03-11; instead: a person reads every refusal. Without that: groups differ"
    )
    assert (found.value, found.limit, found.remedy) == ("0.04", "0.01", "repair it")


def test_a_step_is_allowed_when_all_that_fails_is_waived() -> None:
    made = policy(FAILS, HOLDS)
    gate = [bind(made, GateBinding("fair", "fair", Action.DENY))]
    dossier = samples.dossier()
    assert not decide(gate, dossier, open_step=False).allowed
    waived = decide(gate, replace(dossier, waivers=(waiver(made),)), open_step=False)
    assert waived.allowed
    assert [result.outcome for result in waived.results] == [Outcome.WAIVED, Outcome.PASS]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (samples.without_evidence(samples.dossier(), "check.bias"), "no check.bias about artifact"),
        (samples.with_evidence(samples.dossier(), "check.bias", status="insufficient", reason="few"), "few"),
    ],
    ids=["missing", "insufficient"],
)
def test_missing_and_insufficient_evidence_can_be_waived(given: Dossier, message: str) -> None:
    made = policy(FAILS)
    found = judge(made, waiver(made), given=given)["fair/bias"]
    assert found.outcome is Outcome.WAIVED
    assert message in found.message


def test_an_error_is_never_waived() -> None:
    made = policy(BREAKS)
    assert judge(made, waiver(made, "fair/broken"))["fair/broken"].outcome is Outcome.ERROR
    unsure = policy(FAILS, match=Match(("deployed",), (), "approvals[9].actor == 'rita'"))
    found = judge(unsure, waiver(unsure, "fair/when"))
    assert found["fair/when"].outcome is Outcome.ERROR


def test_a_rule_that_holds_needs_no_waiver() -> None:
    made = policy(HOLDS)
    found = judge(made, waiver(made, "fair/stage"))["fair/stage"]
    assert (found.outcome, found.waiver, found.message) == (Outcome.PASS, 0, "")


def test_a_waiver_covers_all_items_or_the_one_that_it_names() -> None:
    made = policy(PER_DATA)
    everywhere = judge(made, waiver(made, "fair/rows"))
    assert {result.outcome for result in everywhere.values()} == {Outcome.WAIVED}
    one = judge(made, waiver(made, "fair/rows[loans-train/2]"))
    assert {name: result.outcome for name, result in one.items()} == {
        "fair/rows[loans-train/2]": Outcome.WAIVED,
        "fair/rows[loans-test/2]": Outcome.FAIL,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"holds": False, "why_not": "revoked"},
        {"rule": "fair/bia"},
        {"rule": "other/bias"},
        {"rule": "bias"},
        {"policy": "sha256:" + "0" * 64},
        {"until": NOW},
        {"until": NOW - timedelta(days=1)},
        {"until": NOW + timedelta(days=30, seconds=1)},
        {"approved_by": ""},
        {"approved_by": "dev"},
    ],
    ids=lambda changes: "-".join(f"{key}={value}" for key, value in changes.items()),
)
def test_what_is_no_waiver_of_this_rule_now_leaves_it_failed(changes: dict[str, Any]) -> None:
    made = policy(FAILS)
    found = judge(made, waiver(made, **changes))["fair/bias"]
    assert (found.outcome, found.waiver, found.message) == (Outcome.FAIL, 0, "groups differ")


def test_a_changed_policy_needs_a_new_waiver() -> None:
    old, new = policy(FAILS), policy(replace(FAILS, expression=f"{BIAS} <= 0.02"))
    assert judge(old, waiver(old))["fair/bias"].outcome is Outcome.WAIVED
    assert judge(new, waiver(old))["fair/bias"].outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "made",
    [
        policy(replace(FAILS, waivable=False)),
        policy(FAILS, max_waiver_days=0),
        policy(FAILS, max_waiver_days=9),
    ],
    ids=["rule not waivable", "no waivers", "too long"],
)
def test_a_policy_says_what_may_be_waived_and_for_how_long(made: GatePolicy) -> None:
    assert judge(made, waiver(made))["fair/bias"].outcome is Outcome.FAIL


def test_of_several_waivers_the_longest_counts() -> None:
    made = policy(FAILS)
    longest = waiver(made, id=9, until=NOW + timedelta(days=20), approved_by="rob")
    found = judge(made, waiver(made), longest, waiver(made, id=11, holds=False))["fair/bias"]
    assert (found.waiver, found.message.split(";")[0]) == (9, "waived by rob until 2026-03-21")


def test_the_defaults_leave_old_digests_as_they_were() -> None:
    made = policy(FAILS)
    assert "waivers" not in made.document
    assert "waivable" not in made.document["validations"][0]
    strict = policy(replace(FAILS, waivable=False), max_waiver_days=0)
    assert strict.document["waivers"] == {"max_days": 0}
    assert strict.document["validations"][0]["waivable"] is False
    again = GatePolicy.from_document(strict.document)
    assert again == strict
    assert (again.max_waiver_days, again.validations[0].waivable) == (0, False)


def test_no_expression_sees_a_waiver() -> None:
    """Else a rule could pass because of one, and nobody would see that it was waived."""
    found = samples.judge_one("waivers.exists(w, w.holds)")
    assert found.outcome is Outcome.ERROR
    assert "the gate itself honours them" in found.message
