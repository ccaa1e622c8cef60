"""Cases of policies: how they are read, judged and counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from registry.domain.dossier import ChampionFacts
from registry.policy import shipped_lifecycle
from registry.policy.cases.case import Case, CaseResult
from registry.policy.cases.collecting import Collected, collect
from registry.policy.cases.defaults import NOW
from registry.policy.cases.junit import to_junit
from registry.policy.cases.report import CaseReport, run_cases

LIFECYCLE = shipped_lifecycle()
POLICY = """\
kind: GatePolicy
metadata: {name: fair}
match: {from: [evaluated], to: [deployed], when: subject.risk_tier != 'minimal'}
params: {most: 0.1}
validations:
  - id: bias
    expression: evidence['check.bias'].metrics['gap'] <= params.most
    message: groups differ
    value: evidence['check.bias'].metrics['gap']
    limit: params.most
  - {id: rows, each: data, expression: item.rows >= 100, message: too small, waivable: false}
  - {id: first, expression: "approvals[0].verdict == 'approved'", message: the first word was no}
---
kind: GateBinding
metadata: {name: fair-strict}
policy: fair
params: {most: 0.05}
scope: {risk_tiers: [high]}
action: deny
"""
CASES = """\
kind: PolicyCases
policy: fair
step: {from: evaluated, to: deployed}
base:
  evidence: {check.bias: {metrics: {gap: 0.1}}}
  data: {train: {rows: 100}, test: {rows: 100}}
  approvals: [rita]
cases:
  - name: at the edge
    expect: pass
"""


def read(cases: str, policy: str = POLICY) -> Collected:
    return collect({"fair.yaml": policy, "cases/fair.yaml": cases}, {}, LIFECYCLE)


def case(given: str, expect: str = "pass", more: str = "") -> str:
    """The cases with one more."""
    return f"{CASES}  - name: another\n    given: {given}\n    expect: {expect}\n{more}"


def one(given: str, expect: str = "pass", more: str = "") -> Case:
    """The added case, as it was read."""
    found = read(case(given, expect, more))
    assert [problem.message for problem in found.problems] == []
    return found.sets[0].cases[-1]


def run(cases: str, wanted: float = 0.0, policy: str = POLICY) -> CaseReport:
    found = read(cases, policy)
    assert [problem.message for problem in found.problems] == []
    return run_cases(found, wanted)


def outcomes(result: CaseResult) -> Mapping[str, str]:
    return {got.rule: got.outcome for got in result.got}


# -- what a case gives ---------------------------------------------------------------------------


def test_what_a_case_does_not_say_is_neutral() -> None:
    given = read(CASES).sets[0].cases[0].dossier
    assert (given.subject.stage, given.to, given.now) == ("evaluated", "deployed", NOW)
    assert given.subject.risk_tier == given.subject.system.risk_tier == "high"
    bias = given.evidence["check.bias"]
    assert (bias.kind, bias.status, bias.coverage) == ("check.bias", "complete", 1.0)
    assert bias.subject == given.subject.artifact
    assert bias.criteria_digest == given.subject.criteria_digest
    assert bias.created_at == NOW - timedelta(days=1)
    assert bias.valid_until is None
    (said,) = given.approvals
    assert (said.actor, said.verdict, said.to, said.current, said.independent) == (
        "rita",
        "approved",
        "deployed",
        True,
        True,
    )
    assert (given.waivers, given.findings, given.risks, given.champion) == ((), (), (), ChampionFacts())
    assert given.data["train"].ref == "sample-train/1"
    assert given.data["train"].digest != given.data["test"].digest


def test_a_case_is_laid_over_its_base() -> None:
    given = one(
        "{evidence: {check.bias: {coverage: 0.5}, check.pii: {}}, data: {test: null}, approvals: []}"
    ).dossier
    assert (given.evidence["check.bias"].coverage, given.evidence["check.bias"].metrics) == (
        0.5,
        {"gap": 0.1},
    )
    assert set(given.evidence) == {"check.bias", "check.pii"}
    assert set(given.data) == {"train"}
    assert given.approvals == ()


def test_short_forms() -> None:
    given = one(
        "{targets: ['f1>=0.9 measured 0.95', 'f1>=0.9 measured 0.8', auroc>=0.8,"
        " {target: 'ece<=0.1 measured 0.2', criteria_current: false}],"
        " waivers: [bias, {rule: 'fair/rows[sample-train/1]', holds: false}, other/rule],"
        " champion: {metrics: {f1: 0.9}}, findings: [{severity: low}], risks: [{}],"
        " signatures: [{about: provenance}], approvals: [{actor: rob, verdict: rejected, at: -3d}]}",
        "{first: fail, '*': pass}",
    ).dossier
    assert [(t.metric, t.measured, t.met, t.criteria_current) for t in given.targets] == [
        ("f1", True, True, True),
        ("f1", True, False, True),
        ("auroc", False, False, False),
        ("ece", True, False, False),
    ]
    assert [(w.rule, w.holds) for w in given.waivers] == [
        ("fair/bias", True),
        ("fair/rows[sample-train/1]", False),
        ("other/rule", True),
    ]
    assert (given.champion.exists, given.champion.metrics) == (True, {"f1": 0.9})
    assert (given.findings[0].severity, given.findings[0].open, given.risks[0].state) == ("low", True, "open")
    assert (given.signatures[0].about, given.signatures[0].valid) == ("provenance", True)
    assert given.approvals[0].at == NOW - timedelta(days=3)


def test_times_are_told_from_now_or_in_full() -> None:
    given = one(
        "{now: 2026-06-01T00:00:00Z, evidence: {check.bias: {created_at: -90d, valid_until: +2h}},"
        " subject: {created_at: 2026-01-01T00:00Z}}"
    ).dossier
    assert f"{given.now:%Y-%m-%d}" == "2026-06-01"
    assert given.evidence["check.bias"].created_at == given.now - timedelta(days=90)
    assert given.evidence["check.bias"].valid_until == given.now + timedelta(hours=2)
    assert f"{given.subject.created_at:%Y-%m-%d}" == "2026-01-01"


@pytest.mark.parametrize(
    ("given", "at", "said"),
    [
        ("{evidnce: {}}", "evidnce", "given has no field 'evidnce'"),
        ("{evidence: {check.bias: {metrics: {gap: low}}}}", "low", "a number"),
        ("{evidence: {check.bias: {covrage: 1}}}", "covrage", "evidence has no field 'covrage'"),
        ("{evidence: {check.bias: {status: compleet}}}", "compleet", "'compleet' is no status"),
        ("{evidence: {check.pii: null}}", "check.pii", "there is no 'check.pii' to take away"),
        ("{subject: {stage: deployed}}", "stage", "subject has no field 'stage'"),
        ("{subject: {number: 1.5}}", "1.5", "a whole number"),
        ("{to: retired}", "to:", "given has no field 'to'"),
        ("{evidence: {check.bias: {created_at: yesterday}}}", "yesterday", "is no time"),
        ("{evidence: {check.bias: {created_at: '2026-01-01'}}}", "'2026-01-01'", "says no time zone"),
        ("{targets: [f1]}", "f1]", "'f1' is no target"),
        ("{waivers: [bais]}", "bais", "fair has no rule 'bais'"),
        ("{approvals: [{verdict: approved}]}", "{verdict", "needs a field 'actor'"),
        ("{approvals: [{actor: rita, verdict: yes please}]}", "yes please", "is no verdict"),
        ("{champion: {metrics: [0.9]}}", "[0.9]", "must be a mapping"),
        ("{actor: ann}", "ann", "must be a mapping"),
    ],
)
def test_a_mistake_in_what_is_given_has_its_place(given: str, at: str, said: str) -> None:
    text = case(given)
    start = text.index(given) + given.index(at)
    problems = read(text).problems
    line, column = text[:start].count("\n") + 1, start - text.rfind("\n", 0, start)
    assert [(problem.file, problem.line, problem.column) for problem in problems] == [
        ("cases/fair.yaml", line, column)
    ]
    assert said in problems[0].reason


# -- what a case expects -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "at", "said"),
    [
        ("{bias: pass}", "{bias", "nothing is expected of rows[sample-train/1]"),
        ("{bais: pass, '*': pass}", "bais", "fair has no rule 'bais' (did you mean 'bias'?)"),
        ("{bias: passes, '*': pass}", "passes", "'passes' is no outcome (did you mean 'pass'?)"),
        ("{'rows[sample-trian/1]': pass, '*': pass}", "'rows", "no item 'rows[sample-trian/1]'"),
        ("passes", "passes", "'passes' is no outcome"),
    ],
)
def test_a_mistake_in_what_is_expected_has_its_place(expect: str, at: str, said: str) -> None:
    text = case("{}", expect)
    start = text.rindex(expect) + expect.index(at)
    problems = read(text).problems
    assert problems[0].line == text[:start].count("\n") + 1
    assert problems[0].column == start - text.rfind("\n", 0, start)
    assert said in f"{problems[0].reason} ({problems[0].hint})"


@pytest.mark.parametrize(
    ("right", "typed", "said"),
    [
        ("policy: fair", "policy: fiar", "there is no policy 'fiar' (did you mean 'fair'?)"),
        ("policy: fair", "policy: fair\nbinding: fair-strct", "did you mean 'fair-strict'?"),
        ("policy: fair", "policy: fair\nparams: {mots: 1}", "no parameter 'mots' (did you mean 'most'?)"),
        ("policy: fair", "policy: fair\nparams: {most: high}", "is a number, and is set to a text"),
        ("policy: fair", "policy: fair\nnever: {bais: [error]}", "did you mean 'bias'?"),
        ("policy: fair", "policy: fair\nnever: {bias: [eror]}", "did you mean 'error'?"),
        ("from: evaluated", "from: evaluatd", "there is no stage 'evaluatd' (did you mean 'evaluated'?)"),
        ("to: deployed", "to: monitored", "monitored cannot follow evaluated"),
        ("to: deployed", "to: '@champoin'", "did you mean '@champion'?"),
        ("step: {from: evaluated, to: deployed}\n", "", "the case says no 'step'"),
        ("name: at the edge", "nam: at the edge", "a case has no field 'nam' (did you mean 'name'?)"),
        ("cases:\n", "cases:\n  - {name: at the edge, expect: pass}\n", "two cases are called 'at the edge'"),
    ],
)
def test_a_mistake_around_the_cases_is_found(right: str, typed: str, said: str) -> None:
    assert CASES.count(right) == 1
    problems = read(CASES.replace(right, typed)).problems
    assert any(said in f"{one.reason} ({one.hint})" for one in problems)
    assert all(one.line for one in problems)


def test_what_an_item_is_expected_to_be_goes_before_its_rule_and_that_before_the_rest() -> None:
    report = run(case("{data: {test: {rows: 99}}}", "{'rows[sample-test/1]': fail, rows: pass, '*': pass}"))
    assert report.passed
    assert outcomes(report.results[-1]) == {
        "bias": "pass",
        "rows[sample-train/1]": "pass",
        "rows[sample-test/1]": "fail",
        "first": "pass",
    }


# -- judging -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        ("{evidence: {check.bias: {metrics: {gap: 0.11}}}}", "{bias: fail, '*': pass}"),
        ("{evidence: {check.bias: {metrics: {gap: .nan}}}}", "{bias: missing, '*': pass}"),
        ("{evidence: null}", "{bias: missing, '*': pass}"),
        ("{evidence: {check.bias: {status: insufficient}}}", "{bias: insufficient, '*': pass}"),
        ("{data: null}", "{rows: missing, '*': pass}"),
        ("{approvals: null}", "{first: error, '*': pass}"),
        ("{evidence: {check.bias: {metrics: {gap: 0.2}}}, waivers: [bias]}", "{bias: waived, '*': pass}"),
        ("{data: {test: {rows: 1}}, waivers: [rows]}", "{'rows[sample-test/1]': fail, '*': pass}"),
        ("{approvals: [], waivers: [first]}", "{first: error, '*': pass}"),
        ("{subject: {risk_tier: minimal}}", "not-applicable"),
        ("{evidence: {check.bias: {coverage: .nan}}}", "{bias: error, '*': pass}"),
    ],
)
def test_every_outcome_can_be_expected(given: str, expect: str) -> None:
    report = run(case(given, expect))
    assert [result.wrong for result in report.results] == [(), ()]
    assert report.passed


def test_a_case_that_fails_says_what_was_seen() -> None:
    report = run(case("{evidence: {check.bias: {metrics: {gap: 0.2}}}}"))
    (failed,) = report.failed
    (wrong,) = failed.wrong
    assert (wrong.rule, wrong.expected, wrong.outcome) == ("bias", "pass", "fail")
    assert (wrong.message, wrong.value, wrong.limit) == ("groups differ", "0.2", "0.1")
    assert (failed.file, failed.line) == ("cases/fair.yaml", 11)
    assert not report.passed


def test_a_step_that_the_policy_does_not_govern_is_not_applicable_and_says_so() -> None:
    report = run(case("{}", "pass", "    step: {from: tuned, to: evaluated}\n"))
    wrong = report.failed[0].wrong[0]
    assert (wrong.outcome, wrong.message) == (
        "not-applicable",
        "the policy does not govern tuned -> evaluated",
    )


def test_a_case_may_be_judged_with_a_binding_and_with_parameters() -> None:
    strict = CASES.replace("policy: fair", "policy: fair\nbinding: fair-strict")
    assert outcomes(run(strict).results[0])["bias"] == "fail"
    loose = run(f"{strict}    params: {{most: 0.2}}\n")
    assert loose.passed
    outside = strict.replace("  approvals", "  subject: {risk_tier: limited}\n  approvals")
    assert "scope of binding fair-strict" in run(outside).failed[0].wrong[0].message


def test_a_condition_that_cannot_be_judged_must_be_expected() -> None:
    unsure = POLICY.replace("subject.risk_tier != 'minimal'", "\"approvals[0].actor == 'rita'\"")
    text = case("{approvals: []}", "{first: error, '*': pass}")
    (wrong,) = run(text, policy=unsure).failed[0].wrong
    assert (wrong.rule, wrong.expected, wrong.outcome) == ("when", "", "error")
    expected = text.replace("{first: error, '*'", "{when: error, first: error, '*'")
    assert run(expected, policy=unsure).passed
    judged = expected.replace("{approvals: []}", "{}").replace("first: error, ", "")
    (wrong,) = run(judged, policy=unsure).failed[0].wrong
    assert (wrong.rule, wrong.expected, wrong.outcome) == ("when", "error", "pass")


@pytest.mark.parametrize("cases", ["cases: []\n", ""])
def test_an_empty_set_of_cases_fails(cases: str) -> None:
    report = run(CASES[: CASES.index("cases:")] + cases)
    assert not report.passed
    assert report.complaints == (("fair", "fair has no cases: an empty set of cases fails"),)


def test_nothing_at_all_fails() -> None:
    report = run_cases(collect({}, {}, LIFECYCLE))
    assert not report.passed
    assert report.complaints == (("policies", "there is no policy to test"),)


# -- coverage ------------------------------------------------------------------------------------


def test_coverage_asks_for_what_each_rule_can_be() -> None:
    wanted = {one.rule: set(one.wanted) for one in run(CASES).coverage}
    assert wanted == {
        "when": {"pass", "not-applicable"},
        "bias": {"pass", "fail", "missing", "insufficient", "waived"},
        "rows": {"pass", "fail", "missing"},
        "first": {"pass", "fail", "error", "waived"},
    }


@pytest.mark.parametrize(
    ("expression", "fails"),
    [
        ("subject.number > 1", False),
        ("subject.number / 2 > 1", False),
        ("10 / subject.number > 1", True),
        ("subject.hours_used / subject.budget_hours <= 1.0", False),
        ("10 % subject.number == 1", True),
        ("int(subject.risk_tier) > 1", True),
        ("string(subject.number) == '1'", False),
        ("now - subject.created_at <= days(params.most)", False),
        ("now - subject.created_at <= days(subject.budget_hours)", True),
        ("timestamp(subject.purpose) < now", True),
        ("timestamp('2026-01-01T00:00:00Z') < now", False),
        ("subject.purpose.matches('x')", False),
        ("subject.purpose.matches(subject.task)", True),
        ("approvals.filter(a, a.current)[0].actor == 'x'", True),
        ("subject.design['architecture'] == 'x'", False),
    ],
)
def test_an_error_is_asked_for_only_where_an_operation_can_fail(expression: str, fails: bool) -> None:
    text = POLICY.replace("approvals[0].verdict == 'approved'", expression)
    coverage = run(CASES.replace("expect: pass", "expect: {first: pass, '*': pass}"), policy=text).coverage
    assert ("error" in coverage[-1].wanted) is fails


def test_coverage_counts_only_what_was_expected() -> None:
    report = run(case("{evidence: {check.bias: {metrics: {gap: 0.2}}}}"))
    bias = next(one for one in report.coverage if one.rule == "bias")
    assert dict(bias.cases) == {"pass": 1}
    assert bias.lacking == ("fail", "missing", "insufficient", "waived")


def test_a_coverage_that_is_too_low_fails_and_says_what_is_lacking() -> None:
    report = run(CASES, wanted=0.5)
    # when, bias, rows and first pass: 4 of 14.
    assert report.rate == pytest.approx(4 / 14)
    (_, text) = report.complaints[0]
    assert text.splitlines()[0] == "coverage is 28.6%, and 50.0% is asked for"
    assert "fair/first: no case where it is fail or error or waived" in text
    assert not report.passed
    assert run(CASES, wanted=0.28).passed


def test_what_a_rule_never_is_is_not_asked_for_and_must_be_true() -> None:
    said = CASES.replace("cases:", "never: {first: [fail, waived]}\ncases:")
    first = run(said).coverage[-1]
    assert (first.wanted, first.never) == (("pass", "error"), ("fail", "waived"))
    refuted = (
        said + case("{approvals: [{actor: a, verdict: rejected}]}", "{first: fail, '*': pass}")[len(CASES) :]
    )
    report = run(refuted)
    assert not report.failed
    assert report.complaints == (("fair", "fair/first is never fail, the cases say; but one of them is"),)


# -- where policies and cases are ----------------------------------------------------------------


def test_a_policy_finds_its_cases_beside_it_and_cases_their_policy() -> None:
    other = CASES.replace("policy: fair", "policy: other")
    for named in ({"fair.yaml": POLICY}, {"cases/fair.yaml": CASES}):
        beside = {
            "fair.yaml": POLICY,
            "cases/fair.yaml": CASES,
            "other.yaml": other,
            "bad.yaml": "kind: Nothing",
        }
        found = collect(named, beside, LIFECYCLE)
        assert found.problems == ()
        assert [policy.name for policy in found.policies] == ["fair"]
        assert [case.name for one in found.sets for case in one.cases] == ["at the edge"]


def test_what_is_wrong_in_a_named_file_is_told() -> None:
    found = collect({"bad.yaml": "kind: Nothing", "fair.yaml": POLICY.replace("gap", "gap'")}, {}, LIFECYCLE)
    assert {problem.file for problem in found.problems} == {"bad.yaml", "fair.yaml"}


def test_a_policy_in_two_files_is_ambiguous() -> None:
    found = collect({"a.yaml": POLICY, "b.yaml": POLICY}, {}, LIFECYCLE)
    assert [problem.message for problem in found.problems] == [
        "b.yaml: policy 'fair' is also in a.yaml: test them one after the other"
    ]


# -- JUnit ---------------------------------------------------------------------------------------


def test_junit_holds_every_case_and_why_it_failed() -> None:
    report = run(case("{evidence: {check.bias: {metrics: {gap: 0.2}}}}"), wanted=1.0)
    root = ET.fromstring(to_junit(report.results, report.complaints))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "2")
    cases, whole = root.findall("testsuite")
    assert (cases.get("name"), cases.get("tests"), cases.get("failures")) == (
        "cases/fair.yaml: fair",
        "2",
        "1",
    )
    good, bad = cases.findall("testcase")
    assert (good.get("name"), good.get("classname"), good.find("failure")) == ("at the edge", "fair", None)
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "bias: expected pass, got fail"
    assert (
        failure.text == "bias: expected pass, got fail\n  message: groups differ\n  value: 0.2\n  limit: 0.1"
    )
    told = whole.find("testcase/failure")
    assert told is not None
    assert str(told.text).startswith("coverage is 28.6%")


def test_junit_is_xml_whatever_a_case_is_called() -> None:
    text = CASES.replace("name: at the edge", 'name: "a\\u0001 <b> & \\"c\\" 日"')
    root = ET.fromstring(to_junit(run(text).results))
    assert root.findall("testsuite/testcase")[0].get("name") == 'a\ufffd <b> & "c" 日'
