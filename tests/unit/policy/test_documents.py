"""Policy files: what is read, and where and how it is said that something is wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.decision import Action
from registry.errors import BadDocument
from registry.policy import (
    GateBinding,
    GatePolicy,
    Match,
    Validation,
    check,
    parse_documents,
    shipped_lifecycle,
)
from registry.policy.shipped import shipped_texts

LIFECYCLE = shipped_lifecycle()

FAIR = """\
kind: GatePolicy
metadata: {name: group-fairness, title: Fair, controls: [eu-ai-act/art-10, nist-ai-rmf/MEASURE-2.11]}
match: {to: [deployed], from: evaluated, when: "subject.risk_tier in ['high', 'limited']"}
params: {most: 1, kinds: [a, b], strict: true}
validations:
  - id: difference
    expression: "evidence['check.bias'].metrics['gap'] <= params.most && params.strict && to in params.kinds"
    message: "too different: {version}"
    messageExpression: "'gap of ' + string(params.most)"
    value: evidence['check.bias'].metrics['gap']
    limit: params.most
    remedy: phasegate run train {version}
    supply: phasegate run bias {version}
---
kind: GateBinding
metadata: {name: in-production}
policy: group-fairness
params: {most: 0.05}
action: deny
"""


def problems(text: str, *known: GatePolicy) -> list[tuple[int, int, str, str]]:
    return [(p.line, p.column, p.reason, p.hint) for p in check(text, "p.yaml", LIFECYCLE, known)]


def only(text: str, *known: GatePolicy) -> tuple[int, int, str, str]:
    (found,) = problems(text, *known)
    return found


def rule(expression: str = "to != ''", **fields: str) -> str:
    """A policy of one rule; the rule begins in line 5, its expression in line 6, column 17."""
    more = "".join(f"\n    {key}: {value}" for key, value in fields.items())
    return (
        "kind: GatePolicy\nmetadata: {name: p}\nmatch: {to: [deployed]}\nvalidations:\n"
        f"  - id: a\n    expression: {expression}\n    message: sorry{more}\n"
    )


# -- what is read -------------------------------------------------------------------------------


def test_a_policy_and_its_binding_are_read() -> None:
    read = parse_documents(FAIR, "fair.yaml", LIFECYCLE)
    (policy,) = read.policies
    assert policy.name == "group-fairness"
    assert policy.controls == ("eu-ai-act/art-10", "nist-ai-rmf/MEASURE-2.11")
    assert policy.match == Match(("deployed",), ("evaluated",), "subject.risk_tier in ['high', 'limited']")
    assert policy.params == {"most": 1.0, "kinds": ("a", "b"), "strict": True}
    assert type(policy.params["most"]) is float
    (validation,) = policy.validations
    assert validation.supply == "phasegate run bias {version}"
    assert validation.message_expression == "'gap of ' + string(params.most)"
    (binding,) = read.bindings
    assert (binding.name, binding.policy, binding.action) == ("in-production", "group-fairness", Action.DENY)
    assert binding.params == {"most": 0.05}


def test_a_company_s_first_policy_may_look_like_this() -> None:
    text = """\
kind: GatePolicy
metadata: {name: group-fairness, controls: [eu-ai-act/art-10, nist-ai-rmf/MEASURE-2.11]}
match: {to: [deployed], when: "subject.risk_tier in ['high', 'limited']"}
params: {max_dp_difference: 0.10, max_eo_difference: 0.10, max_age_days: 90}
validations:
  - id: dp-difference
    expression: "evidence['check.bias'].metrics['demographic_parity_difference.upper'] <= params.max_dp_difference"
    message: demographic parity difference above the limit, or not measured
    remedy: "phasegate run bias {version}"
---
kind: GateBinding
metadata: {name: group-fairness-prod}
policy: group-fairness
params: {max_dp_difference: 0.05}
action: deny          # audit -> warn -> deny is the path of a new policy
"""  # noqa: E501
    assert problems(text) == []


def test_a_binding_may_name_a_policy_published_elsewhere() -> None:
    policy_text, binding_text = FAIR.split("---\n")
    (policy,) = parse_documents(policy_text, "a.yaml", LIFECYCLE).policies
    assert parse_documents(binding_text, "b.yaml", LIFECYCLE, [policy]).bindings
    assert "there is no policy 'group-fairness'" in only(binding_text)[2]


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
words = st.text(max_size=20).filter(lambda text: text.isprintable())
params = st.dictionaries(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    st.one_of(
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        words,
        st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
        st.lists(words, max_size=3).map(tuple),
    ),
    max_size=3,
)
policies = st.builds(
    GatePolicy,
    name=names,
    match=st.builds(Match, st.just(("deployed",)), st.sampled_from([(), ("evaluated",)]), words),
    validations=st.lists(st.builds(Validation, names, names, names, remedy=words), max_size=3).map(tuple),
    params=params,
    title=words,
    controls=st.lists(names, max_size=2).map(tuple),
)


@given(policies)
def test_a_policy_comes_back_from_storage_the_same(policy: GatePolicy) -> None:
    stored = json.loads(json.dumps(policy.document))
    again = GatePolicy.from_document(stored)
    assert again == policy
    assert again.digest == policy.digest
    assert (again.match, again.validations, dict(again.params)) == (
        policy.match,
        policy.validations,
        policy.params,
    )


@given(st.builds(GateBinding, names, names, st.sampled_from(Action), params))
def test_a_binding_comes_back_from_storage_the_same(binding: GateBinding) -> None:
    assert GateBinding.from_document(json.loads(json.dumps(binding.document))) == binding


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"params": {"most": 2.0}},
        {"match": Match(("retired",))},
        {"validations": (Validation("a", "to == 'x'", "no"),)},
        {"description": "new"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_change_is_another_policy(change: dict[str, object]) -> None:
    policy = GatePolicy("p", Match(("deployed",)), (Validation("a", "true", "no"),), {"most": 1.0})
    assert replace(policy, **change).digest != policy.digest  # type: ignore[arg-type]
    assert replace(policy, **change) != policy  # type: ignore[arg-type]


# -- where something is wrong -------------------------------------------------------------------


def test_an_error_says_file_line_column_and_the_nearest_name() -> None:
    with pytest.raises(BadDocument) as caught:
        parse_documents(rule("subject.stge == 'x'"), "policies/own.yaml", LIFECYCLE)
    assert str(caught.value) == "policies/own.yaml:6:24: subject has no field 'stge'"
    assert caught.value.hint == "did you mean 'stage'?"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("expression", "line", "column"),
    [
        ("subject.stge == ''", 6, 24),
        ("\"subject.stge == ''\"", 6, 25),
        ("'subject.stge == to'", 6, 25),
        ("|\n      to == 'x' &&\n        subject.stge == ''", 8, 16),
        ("|-\n      subject.stge == ''", 7, 14),
        ("|\n\n        to == '' &&\n      \n        subject.stge == ''", 10, 16),
        (">-\n      to == 'x' &&\n      subject.stge == ''", 8, 14),
        ("\"subject.\\x73tge == ''\"", 6, 17),
        ("to == 'é日' && subject.stge == ''", 6, 38),
    ],
    ids=[
        "plain",
        "double",
        "single",
        "literal",
        "literal strip",
        "literal gaps",
        "folded",
        "escaped",
        "wide",
    ],
)
def test_a_mistake_in_an_expression_has_its_place_in_the_file(
    expression: str, line: int, column: int
) -> None:
    assert only(rule(expression))[:3] == (line, column, "subject has no field 'stge'")


def test_every_problem_is_found_in_the_order_of_the_lines() -> None:
    text = """\
kind: GatePolicy
metadata: {name: a b, titel: x}
match: {to: [deployd], form: [evaluated]}
params: {limit: .nan}
validations:
  - {id: a, expression: subject.stge == '', message: "{verson}"}
  - {id: a, expresion: 'true', message: 3}
---
kind: GateBinding
metadata: {}
policy: nothing
action: dney
"""
    found = problems(text)
    assert [(line, reason) for line, _, reason, _ in found] == [
        (2, "name 'a b' cannot be used: it holds ' '"),
        (2, "metadata has no field 'titel'"),
        (3, "there is no stage 'deployd'"),
        (3, "match has no field 'form'"),
        (4, "parameter 'limit' must be a finite number"),
        (6, "subject has no field 'stge'"),
        (6, "nothing can be put in for {verson}"),
        (7, "a validation needs a field 'expression'"),
        (7, "two validations are called 'a'"),
        (7, "a validation has no field 'expresion'"),
        (7, "message must be text, and is a whole number (3)"),
        (10, "metadata needs a field 'name'"),
        (12, "'dney' is no action"),
    ]
    hints = {reason: hint for _, _, reason, hint in found}
    assert hints["metadata has no field 'titel'"] == "did you mean 'title'?"
    assert hints["there is no stage 'deployd'"] == "did you mean 'deployed'?"
    assert hints["'dney' is no action"] == "did you mean 'deny'?"
    assert hints["nothing can be put in for {verson}"] == "did you mean 'version'?"


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "---\n---\n...\n"])
def test_an_empty_file_is_a_problem(text: str) -> None:
    assert only(text) == (0, 0, "the file is empty", "a policy file begins with kind: GatePolicy")


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("kind: GatePolicy\n\tname: x", 2, 1, "'\\t'"),
        ("kind: [a", 1, 9, "expected ',' or ']'"),
        ("kind: GatePolicy\nx: \x07", 2, 4, "a character that YAML does not allow"),
        ("kind: GatePolicy\nx: 'open", 2, 9, "unexpected end of stream"),
        ("[" * 600, 0, 0, "nested too deeply"),
        ("kind: *nowhere", 1, 7, "undefined alias"),
        ("- a", 1, 1, "says no 'kind'"),
        ("words", 1, 1, "says no 'kind'"),
        ("kind: GatePolcy", 1, 7, "'GatePolcy' is no kind of document"),
        ("kind: 3", 1, 7, "kind of document must be text"),
        ("!!python/object:os.system {}", 1, 1, "says no 'kind'"),
        ("kind: !!str [a]", 1, 7, "kind of document must be text, and is a list"),
        ("kind: !!map a", 1, 7, "kind of document must be text"),
    ],
)
def test_what_is_no_policy_file_is_said_where(text: str, line: int, column: int, said: str) -> None:
    found = only(text)
    assert found[:2] == (line, column)
    assert said in found[2]


def test_what_stands_before_a_syntax_error_is_still_checked() -> None:
    found = problems(rule("subject.stge == ''") + "---\nkind: [")
    assert len(found) == 2
    assert found[0][2] == "subject has no field 'stge'"


@pytest.mark.parametrize(
    ("validations", "said"),
    [
        ("[]", "validations is an empty list"),
        ("{}", "validations must be a list, and is a mapping"),
        ("", "validations must be a list, and is nothing"),
    ],
)
def test_a_policy_without_rules_is_a_problem(validations: str, said: str) -> None:
    text = f"kind: GatePolicy\nmetadata: {{name: p}}\nmatch: {{to: [deployed]}}\nvalidations: {validations}\n"
    assert only(text)[2] == said


def test_repeated_keys_are_a_problem() -> None:
    text = rule().replace("metadata: {name: p}", "metadata: {name: p}\nmetadata: {name: q}")
    assert only(text)[:3] == (3, 1, "a policy has two fields 'metadata'; the first is in line 2")


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("{to: [deployed], from: [planned]}", "no step leads from planned to deployed"),
        ("{to: [evaluated], from: [prepared]}", "no step leads from prepared to evaluated"),
        ("{to: [planned]}", "no step leads from another stage, open steps apart, to planned"),
        ("{to: []}", "to is an empty list"),
        ("{from: [planned]}", "match needs a field 'to'"),
        ("{to: [deployed, deployed]}", "to names 'deployed' twice"),
        ("{to: [deployed], when: item.ref == ''}", "'item' cannot be used here"),
        ("{to: [deployed], when: \"'a' in evidence\"}", "'evidence' cannot be used here"),
        ("{to: [deployed], when: to}", "this must be true or false, and is STRING"),
    ],
)
def test_a_match_that_cannot_match_is_a_problem(match: str, said: str) -> None:
    assert said in only(rule().replace("{to: [deployed]}", match))[2]


@pytest.mark.parametrize(
    ("given_params", "said"),
    [
        ("{m: [1, a]}", "parameter 'm' mixes types"),
        ("{m: {a: 1}}", "parameter 'm' must be a number"),
        ("{m: null}", "parameter 'm' must be a number"),
        ("{m: 2020-01-01}", "parameter 'm' must be a number"),
        ("{m: .inf}", "parameter 'm' must be a finite number"),
        ("{m: 1e-3}", "parameter 'm': YAML takes 1e-3 for text"),
        (f"{{m: 1{'0' * 400}}}", "parameter 'm' cannot be read as a whole number"),
        ("{in: 1}", "'in' cannot be the name of a parameter"),
        ("{a-b: 1}", "'a-b' cannot be the name of a parameter"),
        ("[m]", "params must be a mapping, and is a list"),
        ("{m: !!bool maybe}", "parameter 'm' cannot be read as a truth value"),
        ("{m: [[1]]}", "parameter 'm' may be a list of numbers, of texts or of truth values"),
    ],
)
def test_parameters_that_cannot_be_used_are_a_problem(given_params: str, said: str) -> None:
    assert said in only(rule() + f"params: {given_params}\n")[2]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"each": "dta"}, "'dta' is no collection for `each`"),
        ({"each": "evidence"}, "'evidence' is no collection for `each`"),
        ({"value": "subject"}, "this is a whole object"),
        ({"limit": "params.x"}, "the policy declares no parameter 'x'"),
        ({"messageExpression": "'1.0'"}, "this must be text, and is DOUBLE"),
        ({"remedy": "run {item}"}, "nothing can be put in for {item}"),
        ({"each": "targets", "remedy": "run {role}"}, "nothing can be put in for {role}"),
        ({"value": "item.met"}, "'item' cannot be used here"),
        ({"remedy": "''"}, "remedy is empty"),
        ({"remedy": "true"}, "remedy must be text, and is a truth value (true)"),
    ],
)
def test_a_field_of_a_rule_that_cannot_work_is_a_problem(fields: dict[str, str], said: str) -> None:
    assert said in only(rule(**fields))[2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("policy: group-fairness", "policy: group-fairnes"), "there is no policy 'group-fairnes'"),
        (("{most: 0.05}", "{mots: 0.05}"), "policy 'group-fairness' has no parameter 'mots'"),
        (("{most: 0.05}", "{most: high}"), "parameter 'most' is a number, and is set to a text"),
        (
            ("{most: 0.05}", "{kinds: [1]}"),
            "parameter 'kinds' is a list of text, and is set to a list of number",
        ),
        (("action: deny", "action: on"), "action must be text, and is a truth value (on)"),
        (("action: deny\n", ""), "a binding needs a field 'action'"),
    ],
)
def test_a_binding_that_does_not_fit_is_a_problem(change: tuple[str, str], said: str) -> None:
    assert only(FAIR.replace(*change))[2] == said


def test_two_of_a_name_are_a_problem() -> None:
    assert "the policy in line 2 has the same name 'p'" in only(rule() + "---\n" + rule())[2]


# -- whatever is given --------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    assert check(text, "p.yaml", LIFECYCLE)


@given(st.data())
def test_a_damaged_policy_is_read_or_complained_about_within_the_file(data: st.DataObject) -> None:
    whole = FAIR if data.draw(st.booleans()) else shipped_texts()["deployed.yaml"]
    start = data.draw(st.integers(0, len(whole)))
    gone = data.draw(st.integers(0, 12))
    new = data.draw(st.text(st.sampled_from("ab:'\"{}[]-,>|&*!#\n\t .1"), max_size=4))
    damaged = whole[:start] + new + whole[start + gone :]
    lines = damaged.count("\n") + 2
    for problem in check(damaged, "p.yaml", LIFECYCLE):
        assert problem.reason
        assert 0 <= problem.line <= lines
