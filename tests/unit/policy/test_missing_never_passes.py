"""Whatever is missing, and however an expression steps around it: it does not pass."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from unit.policy import samples
from unit.policy.samples import judge

from registry.domain.decision import Outcome
from registry.domain.dossier import Dossier

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
