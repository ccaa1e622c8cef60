"""Mutation: every changed operator and number is tried, and a case that is missing is noticed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.policy import shipped_lifecycle
from registry.policy.cases.collecting import collect
from registry.policy.cases.mutants import changes_of, compiles, mutants_of, values_near
from registry.policy.cases.report import CaseReport, run_cases
from registry.policy.cases.tokens import tokens_of
from registry.policy.expressions import Expression, Scope

LIFECYCLE = shipped_lifecycle()
POLICY = """\
kind: GatePolicy
metadata: {name: fair}
match: {from: [evaluated], to: [deployed], when: subject.risk_tier != 'minimal'}
params: {most: 0.1, people: 2}
validations:
  - id: bias
    expression: >-
      evidence['check.bias'].metrics['gap'] <=
      params.most
    message: groups differ
    value: evidence['check.bias'].metrics['gap'] + 1.0
    limit: params.most
  - id: people
    expression: >-
      double(size(approvals.filter(a, a.current && !(a.actor in subject.developers)))) >= params.people
    message: too few people
---
kind: GateBinding
metadata: {name: strict}
policy: fair
params: {most: 0.05}
action: deny
"""
CASES = """\
kind: PolicyCases
policy: fair
step: {from: evaluated, to: deployed}
base:
  evidence: {check.bias: {metrics: {gap: 0.1}}}
  approvals: [rita, rob]
cases:
  - {name: at the edge, expect: pass}
  - name: just above
    given: {evidence: {check.bias: {metrics: {gap: 0.101}}}}
    expect: {bias: fail, "*": pass}
  - {name: minimal, given: {subject: {risk_tier: minimal}}, expect: not-applicable}
  - name: what is out of date is nothing
    given: {approvals: [rita, {actor: rob, current: false}]}
    expect: {people: fail, "*": pass}
  - {name: one person, given: {approvals: [rita]}, expect: {people: fail, "*": pass}}
  - {name: a developer is nobody, given: {approvals: [rita, dev]}, expect: {people: fail, "*": pass}}
---
kind: PolicyCases
policy: fair
binding: strict
step: {from: evaluated, to: deployed}
base: {evidence: {check.bias: {metrics: {gap: 0.05}}}, approvals: [rita, rob]}
cases:
  - {name: at the edge, expect: pass}
  - {name: above, given: {evidence: {check.bias: {metrics: {gap: 0.051}}}}, expect: {bias: fail, "*": pass}}
"""


def run(cases: str = CASES, policy: str = POLICY) -> CaseReport:
    found = collect({"fair.yaml": policy, "cases.yaml": cases}, {}, LIFECYCLE)
    assert [problem.message for problem in found.problems] == []
    return run_cases(found, mutate=True)


def without(name: str) -> str:
    """The cases but one of them."""
    documents = CASES.split("  - ")
    kept = [part for part in documents if not part.removeprefix("{").startswith(f"name: {name}")]
    assert len(kept) == len(documents) - 1
    return "  - ".join(kept)


def test_good_cases_notice_every_mutant() -> None:
    report = run()
    assert [one.text for one in report.surviving] == []
    assert report.passed
    # `when`: != and a text; `<=`: 2; `&&`, `!`, `in`, `>=`: 5; most, people and the binding's most: 2 each.
    assert report.mutants == 2 + 2 + 5 + 6
    assert report.summary.endswith("15 of 15 mutants noticed")


@pytest.mark.parametrize(
    ("name", "survivor"),
    [
        ("just above", "fair.yaml:4:10: fair/params.most: 0.1 -> 0.11"),
        ("above", "fair.yaml:21:10: binding strict/params.most: 0.05 -> 0.055"),
        ("minimal", "fair.yaml:3:71: fair/when: 'minimal' -> 'minimal~'"),
    ],
)
def test_a_case_that_is_missing_is_noticed_where_the_mutant_is(name: str, survivor: str) -> None:
    report = run(without(name))
    assert survivor in [one.text for one in report.surviving]
    assert not report.passed
    assert ("mutation", f"{survivor}: no case notices") in report.complaints


def test_without_a_case_at_the_edge_the_operator_may_be_another() -> None:
    report = run(CASES.replace("gap: 0.1}", "gap: 0.01}").replace("gap: 0.05}", "gap: 0.01}"))
    assert "fair.yaml:8:45: fair/bias: <= -> <" in [one.text for one in report.surviving]


def test_cases_that_fail_as_it_is_are_not_asked() -> None:
    report = run(CASES.replace("expect: pass", "expect: fail", 1))
    assert report.failed
    assert report.mutants is None


def test_a_waiver_does_not_make_every_mutant_noticed() -> None:
    """It is for the digest of the policy: it must count for the mutant, which has another, too."""
    waived = (
        "kind: PolicyCases\npolicy: fair\nstep: {from: evaluated, to: deployed}\n"
        "cases:\n  - name: waived\n    given: {waivers: [bias, people]}\n    expect: waived\n"
    )
    assert not run(waived).failed
    surviving = {one.where for one in run(waived).surviving}
    assert surviving >= {"fair/bias", "fair/people", "fair/params.most", "fair/params.people"}


@pytest.mark.parametrize(
    ("expression", "mutants"),
    [
        ("a < 1", {"a <= 1", "a >= 1", "a < 2", "a < 0"}),
        ("a <= 1.5", {"a < 1.5", "a > 1.5", "a <= 1.65", "a <= 1.35"}),
        ("a > 0.0", {"a >= 0.0", "a <= 0.0", "a > 1.0", "a > (-1.0)"}),
        ("a >= -1", {"a > -1", "a < -1", "a >= 1", "a >= -2", "a >= -0"}),
        ("a == b", {"a != b"}),
        ("a != b", {"a == b"}),
        ("a && b || c", {"a || b || c", "a && b && c"}),
        ("!a", {"a"}),
        ("a + b - c", {"a - b - c", "a + b + c"}),
        ("a * b / c % d", {"a / b / c % d", "a * b * c % d", "a * b / c * d"}),
        ("a.all(x, x)", {"a.exists(x, x)"}),
        ("a.exists(x, x)", {"a.all(x, x)"}),
        ("all", set()),
        ("true", {"false"}),
        ("a in b", {"!(a in b)"}),
        ("x || f(a, b) in c.d[0] && y", {"x && f(a, b) in c.d[0] && y", "x || f(a, b) in c.d[1] && y",
                                         "x || f(a, b) in c.d[(-1)] && y", "x || f(a, b) in c.d[0] || y",
                                         "x || !(f(a, b) in c.d[0]) && y"}),
        ("e['check.bias'].m['f1']", set()),
        ("a in ['b', \"c\"]", {"!(a in ['b', \"c\"])", "a in ['b~', \"c\"]", "a in ['b', \"c~\"]"}),
        ("a.matches(r'\\S')", {"a.matches(r'\\S~')"}),
        ("a == '<= && 1'", {"a != '<= && 1'", "a == '<= && 1~'"}),
        ("a // 1 < 2\n == b", {"a // 1 < 2\n != b"}),
        ("a ? 1u : 0x10", {"a ? 2u : 0x10", "a ? 0u : 0x10", "a ? 1u : 17", "a ? 1u : 15"}),
        ("a == 1e3", {"a != 1e3", "a == 1001.0", "a == 999.0"}),
    ],
)  # fmt: skip
def test_what_is_changed(expression: str, mutants: set[str]) -> None:
    assert {change.text for change in changes_of(expression)} == mutants


def test_values_of_parameters_move_a_little() -> None:
    assert set(values_near(30.0)) == {31.0, 29.0}
    assert set(values_near(0.5)) == {0.55, 0.45}
    assert set(values_near(True)) == {False}
    assert set(values_near("high")) == {"high~"}
    assert set(values_near(("a", "b"))) == {("a",), ("b",)}


NUMBERS = st.one_of(st.integers(0, 10**9).map(str), st.floats(0, 1e9, allow_nan=False).map(repr))
COMPARED = st.builds(
    "double({}) {} {}".format,
    NUMBERS,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.floats(0, 1e9, allow_nan=False).map(repr),
)


@given(
    st.recursive(
        COMPARED, lambda inner: st.builds("({}) {} !({})".format, inner, st.sampled_from(["&&", "||"]), inner)
    )
)
def test_tokens_are_the_whole_expression_and_mutants_of_numbers_compile(expression: str) -> None:
    assert "".join(token.text for token in tokens_of(expression)) == expression.replace(" ", "")
    for change in changes_of(expression):
        assert change.text != expression
        assert not Expression(change.text, Scope(), "truth value").problems, change.text


def test_what_does_not_compile_is_no_mutant() -> None:
    text = POLICY.replace("params.most\n    message", "params.most && 'a' + 'b' != ''\n    message")
    (policy,) = collect({"fair.yaml": text}, {}, LIFECYCLE).policies
    minus = [mutant for mutant in mutants_of(policy) if mutant.after == "-"]
    assert len(minus) == 1
    assert not compiles(minus[0])


def test_parameters_that_are_only_shown_are_not_mutated() -> None:
    shown = POLICY.replace("params.people\n", "2.0\n").replace("limit: params.most", "limit: params.people")
    (policy,) = collect({"fair.yaml": shown}, {}, LIFECYCLE).policies
    assert {mutant.field for mutant in mutants_of(policy) if mutant.field.startswith("params")} == {
        "params.most"
    }


def test_a_thousand_judgements_are_a_matter_of_moments() -> None:
    rules = "".join(
        f"  - {{id: r{n}, message: bad, expression: "
        f"\"evidence['check.bias'].metrics['gap'] <= 0.1 && {n} < {n + 1}\"}}\n"
        for n in range(40)
    )
    text = POLICY[: POLICY.index("  - id: people")] + rules + POLICY[POLICY.index("---") :]
    text = text.replace(", people: 2", "")
    cases = "".join(f"  - {{name: case {n}, expect: pass}}\n" for n in range(30))
    start = time.process_time()
    report = run(
        CASES[: CASES.index("  - {name: at")].replace("  approvals: [rita, rob]\n", "") + cases, text
    )
    spent = time.process_time() - start
    assert report.mutants is not None
    assert report.mutants * 30 > 10_000
    assert spent < 20
