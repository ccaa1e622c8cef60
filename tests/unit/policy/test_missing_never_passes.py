"""Whatever is missing, and however an expression steps around it: it does not pass."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.policy import samples
from unit.policy.samples import judge

from registry.domain.decision import Outcome
from registry.domain.dossier import ChampionFacts, Dossier

# Ways to name a metric, evidence about data, or a target's value.
KIND, METRIC = "check.bias", "groups"
NAMED = st.sampled_from(
    [
        f"evidence['{KIND}'].metrics['{METRIC}'] <= 2.0",
        f"evidence['{KIND}'].metrics.{METRIC} <= 2.0",
        f"'{METRIC}' in evidence['{KIND}'].metrics",
        f"!('{METRIC}' in evidence['{KIND}'].metrics)",
        f"has(evidence['{KIND}'].metrics.{METRIC})",
        f"[1, 2].exists(x, evidence['{KIND}'].metrics['{METRIC}'] > double(x))",
        f"targets.exists(t, evidence['{KIND}'].metrics['{METRIC}'] > t.threshold)",
        f"data.all(r, data[r].rows > 0 || evidence['{KIND}'].metrics['{METRIC}'] > 0.0)",
        f"size([evidence['{KIND}'].metrics['{METRIC}']].filter(x, x > 0.0)) == 0",
    ]
)
HARMLESS = st.sampled_from(["true", "false", "to == 'deployed'", "size(approvals) > 1", "now == now"])


def guarded(named: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Boolean expressions in which a name stands somewhere, possibly where it is never evaluated."""

    def around(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            inner.map("!({})".format),
            st.builds("({}) || ({})".format, HARMLESS, inner),
            st.builds("({}) || ({})".format, inner, HARMLESS),
            st.builds("({}) && ({})".format, HARMLESS, inner),
            st.builds("({}) ? ({}) : ({})".format, HARMLESS, inner, HARMLESS),
            st.builds("({}) ? ({}) : ({})".format, HARMLESS, HARMLESS, inner),
            st.builds("({}) ? ({}) : ({})".format, inner, HARMLESS, HARMLESS),
            inner.map("[1].all(x, {})".format),
            inner.map("size([1].filter(x, {})) == 0".format),
        )

    return st.recursive(named, around, max_leaves=4)


def outcomes(expression: str, dossier: Dossier) -> set[Outcome]:
    return {result.outcome for result in judge(expression, dossier)}


WHOLE = samples.with_evidence(samples.dossier(), KIND, metrics={METRIC: 2.0})


@given(guarded(NAMED))
def test_absent_evidence_does_not_pass(expression: str) -> None:
    assert outcomes(expression, samples.without_evidence(WHOLE, KIND)) == {Outcome.MISSING}


@given(guarded(NAMED))
def test_an_absent_metric_does_not_pass(expression: str) -> None:
    assert outcomes(expression, samples.without_metric(WHOLE, KIND, METRIC)) == {Outcome.MISSING}


@given(guarded(NAMED))
def test_a_metric_that_is_no_number_does_not_pass(expression: str) -> None:
    broken = samples.with_evidence(WHOLE, KIND, metrics={METRIC: float("nan")})
    assert outcomes(expression, broken) == {Outcome.MISSING}


@given(guarded(NAMED))
def test_insufficient_evidence_does_not_pass(expression: str) -> None:
    weak = samples.with_evidence(WHOLE, KIND, status="insufficient")
    assert outcomes(expression, weak) == {Outcome.INSUFFICIENT}


@given(guarded(NAMED))
def test_with_everything_there_it_is_judged(expression: str) -> None:
    assert outcomes(expression, WHOLE) <= {Outcome.PASS, Outcome.FAIL}


ABOUT_DATA = st.sampled_from(
    [
        "data['train'].evidence['check.pii'].metrics['findings'] == 0.0",
        "data.all(r, data[r].evidence['check.pii'].metrics['findings'] == 0.0)",
        "data.exists(r, data[r].evidence['check.pii'].metrics['findings'] == 0.0)",
        "!data.exists(r, data[r].evidence['check.pii'].metrics['findings'] > 0.0)",
        "data.all(r, !('check.pii' in data[r].evidence))",
        "data.map(r, data[r]).all(d, d.evidence['check.pii'].coverage == 1.0)",
        "size(data.filter(r, data[r].evidence['check.pii'].coverage < 1.0)) == 0",
    ]
)


@given(guarded(ABOUT_DATA))
def test_absent_evidence_about_one_dataset_does_not_pass(expression: str) -> None:
    bare = replace(WHOLE, data={**WHOLE.data, "train": samples.data("train", evidence={})})
    assert outcomes(expression, bare) == {Outcome.MISSING}


@given(guarded(ABOUT_DATA))
def test_no_data_does_not_pass(expression: str) -> None:
    assert outcomes(expression, replace(WHOLE, data={})) == {Outcome.MISSING}


ABOUT_TARGETS = st.sampled_from(
    [
        "targets.all(t, t.met)",
        "targets.all(t, t.value <= 1.0)",
        "!targets.exists(t, t.value > 1.0)",
        "!targets.exists(t, t.met)",
        "targets.filter(t, t.threshold > 0.0).all(u, u.value <= 1.0)",
        "size(targets.filter(t, !t.criteria_current)) > 0",
    ]
)


@given(guarded(ABOUT_TARGETS))
def test_targets_that_nothing_measured_do_not_pass(expression: str) -> None:
    unmeasured = samples.target(measured=False, value=0.0, met=False, criteria_current=False)
    for targets in ((), (unmeasured,), (samples.target("accuracy"), unmeasured)):
        assert outcomes(expression, replace(WHOLE, targets=targets)) == {Outcome.MISSING}


# -- the champion, and whatever is looked up in measurements -------------------------------------

CHAMPION = st.sampled_from(
    [
        "champion.metrics['f1'] <= 1.0",
        "champion.metrics.f1 <= 1.0",
        "!(champion.metrics['f1'] > 1.0)",
        "'f1' in champion.metrics",
        "!('f1' in champion.metrics)",
        "has(champion.metrics.f1)",
        "champion.metrics.exists(m, m == 'f1')",
        "champion.metrics.all(m, champion.metrics[m] <= 1.0)",
        "targets.all(t, champion.metrics['f1'] <= t.value)",
    ]
)
LED = replace(WHOLE, champion=ChampionFacts(True, "loans/0", True, {"f1": 0.9}))


@given(guarded(CHAMPION))
def test_without_a_champion_no_comparison_with_it_passes(expression: str) -> None:
    assert outcomes(expression, WHOLE) == {Outcome.MISSING}


@given(guarded(CHAMPION))
def test_a_champion_that_was_not_measured_does_not_pass(expression: str) -> None:
    for metrics in ({}, {"f1": float("nan")}):
        blind = replace(LED, champion=replace(LED.champion, metrics=metrics))
        assert outcomes(expression, blind) == {Outcome.MISSING}


@given(guarded(CHAMPION))
def test_a_champion_that_is_there_is_judged(expression: str) -> None:
    assert outcomes(expression, LED) <= {Outcome.PASS, Outcome.FAIL}


@given(guarded(st.sampled_from(["champion.same_data", "!champion.same_data", "champion.ref == ''"])))
def test_nothing_else_of_a_champion_is_seen_without_one(expression: str) -> None:
    assert outcomes(expression, WHOLE) == {Outcome.MISSING}
    assert outcomes(expression, LED) <= {Outcome.PASS, Outcome.FAIL}


@given(guarded(st.just("champion.exists")))
def test_whether_there_is_a_champion_can_be_asked(expression: str) -> None:
    assert outcomes(expression, WHOLE) <= {Outcome.PASS, Outcome.FAIL}


LOOPED = st.sampled_from(
    [
        f"evidence['{KIND}'].metrics.all(m, evidence['{KIND}'].metrics[m] <= 9.0)",
        f"!evidence['{KIND}'].metrics.exists(m, evidence['{KIND}'].metrics[m] > 9.0)",
        f"evidence['{KIND}'].metrics.filter(m, m != 'x').all(n, evidence['{KIND}'].metrics[n] <= 9.0)",
    ]
)


@given(guarded(LOOPED))
def test_a_loop_over_metrics_sees_one_that_is_no_number_and_none_at_all(expression: str) -> None:
    broken = samples.with_evidence(WHOLE, KIND, metrics={METRIC: float("nan")})
    assert outcomes(expression, broken) == {Outcome.MISSING}
    facts = replace(WHOLE.evidence[KIND], metrics={})
    assert outcomes(expression, replace(WHOLE, evidence={**WHOLE.evidence, KIND: facts})) == {Outcome.MISSING}
    assert outcomes(expression, WHOLE) <= {Outcome.PASS, Outcome.FAIL}


PER_TARGET = st.sampled_from(
    [
        f"evidence['{KIND}'].metrics[item.metric] <= 9.0",
        f"!(evidence['{KIND}'].metrics[item.metric] > 9.0)",
        "champion.metrics[item.metric] <= item.value",
    ]
)


@given(guarded(PER_TARGET))
def test_a_metric_that_each_target_names_must_be_there_for_each(expression: str) -> None:
    targets = (samples.target("f1"), samples.target("recall"))
    given = replace(samples.with_evidence(LED, KIND, metrics={"f1": 0.9}), targets=targets)
    by_item = {result.rule: result.outcome for result in judge(expression, given, each="targets")}
    assert by_item["sample/rule[recall]"] is Outcome.MISSING
    assert by_item["sample/rule[f1]"] in (Outcome.PASS, Outcome.FAIL)
    assert {result.outcome for result in judge(expression, replace(given, targets=()), each="targets")} == {
        Outcome.MISSING
    }


@pytest.mark.parametrize(
    "expression",
    [
        f"targets.all(t, evidence['{KIND}'].metrics[t.metric] <= 1.0)",
        f"evidence['{KIND}'].metrics[to] <= 1.0",
        f"evidence['{KIND}'].metrics.map(m, m + '.upper').all(n, evidence['{KIND}'].metrics[n] <= 1.0)",
        f"champion.metrics.all(m, evidence['{KIND}'].metrics[m] >= champion.metrics[m])",
        f"champion.metrics.all(m, m in evidence['{KIND}'].metrics)",
        "targets.all(t, champion.metrics[t.metric] <= t.value)",
    ],
)
def test_a_metric_whose_name_cannot_be_known_beforehand_is_refused(expression: str) -> None:
    """`||` swallows the error of a key that is not there: so it must be found before the rule is judged."""
    assert outcomes(f"({expression}) || true", LED) == {Outcome.ERROR}


@pytest.mark.parametrize("field", ["coverage"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_share_that_is_no_number_does_not_pass(field: str, value: float) -> None:
    broken = samples.with_evidence(WHOLE, KIND, **{field: value})
    for expression in (f"evidence['{KIND}'].coverage <= 1.0", f"!(evidence['{KIND}'].coverage > 1.0)"):
        assert outcomes(expression, broken) == {Outcome.ERROR}


def test_hours_that_are_no_number_do_not_pass() -> None:
    broken = replace(WHOLE, subject=samples.subject(hours_used=float("nan")))
    assert outcomes("subject.hours_used <= 10.0", broken) == {Outcome.ERROR}


# -- conditions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "when",
    [
        "size(findings) == 0",
        "risks.all(r, r.residual < 9)",
        "size(signatures) > 0",
        "champion.metrics['f1'] > 0.9",
        "champion.same_data",
        "'f1' in champion.metrics",
        "size(waivers) == 0",
    ],
)
def test_a_policy_is_not_lifted_by_what_is_missing(when: str) -> None:
    judged = {result.rule: result for result in judge("true", LED, when=when)}
    assert judged["sample/when"].outcome is Outcome.ERROR
    assert "sample/rule" in judged


def test_a_policy_may_ask_whether_there_is_a_champion_at_all() -> None:
    assert judge("champion.metrics['f1'] <= 0.95", WHOLE, when="champion.exists") == []
    assert outcomes("champion.metrics['f1'] <= 0.95", LED) == {Outcome.PASS}
