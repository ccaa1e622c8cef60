"""CEL, typed against what a gate sees: mistakes are found before a policy is published."""

from __future__ import annotations

from datetime import timedelta

import pytest
from unit.policy import samples

from registry.policy.complaints import Problem
from registry.policy.expressions import Expression, Failed, Scope, Seen, can_be_param, is_true
from registry.policy.view import Sight, View

TEN = list(range(10))
# More turns than CEL allows.
ENDLESS = f"{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, {TEN}.all(d, {TEN}.all(e, a + b + c + d + e >= 0)))))"
PARAMS = Scope.of({"limit": 0.1, "needed": 1.0, "roles": ("train",), "strict": True})


def problems(text: str, scope: Scope = PARAMS) -> tuple[Problem, ...]:
    return Expression(text, scope, "truth value").problems


def value(text: str, scope: Scope = Scope(), **variables: object) -> Seen | Failed:  # noqa: B008
    expression = Expression(text, scope, "figure")
    assert expression.problems == ()
    return expression.evaluate(expression.give(variables))


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("subject.stge == 'x'", 8, "subject has no field 'stge'", "did you mean 'stage'?"),
        ("subject.system.ownr == 'x'", 15, "system has no field 'ownr'", "did you mean 'owner'?"),
        (
            "evidence['a'].metrcs['x'] <= 1.0",
            14,
            "evidence has no field 'metrcs'",
            "did you mean 'metrics'?",
        ),
        ("evidnce['a'].coverage == 1.0", 1, "there is no 'evidnce'", "did you mean 'evidence'?"),
        (
            "to == '' && params.limt > 0.1",
            13,
            "the policy declares no parameter 'limt'",
            "did you mean 'limit'?",
        ),
        ("params", 1, "'params' alone is no value", "write params.NAME"),
        ("to.startswith('d')", 4, "there is no 'startswith'", "did you mean 'startsWith'?"),
        ("to == 1", 4, "'==' cannot take (string, int)", ""),
        ("subject.ref < 1.0", 13, "'<' cannot take (string, double)", ""),
        ("subject == evidence['a']", 9, "'==' cannot take (subject, evidence)", ""),
        ("1 +", 4, "the expression ends too early", ""),
        ("'é' == to && tp == ''", 14, "there is no 'tp'", "did you mean 'to'?"),
        ("subject.ref", 1, "this must be true or false, and is STRING", ""),
        ("subject", 1, "this must be true or false, and is SubjectFacts", ""),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_nearest_name(
    text: str, column: int, message: str, hint: str
) -> None:
    assert problems(text)[0] == Problem(message, 1, column, hint)


@pytest.mark.parametrize(
    "text",
    [
        "evidence['a'].metrics['x'] <= 1",
        "evidence['a'].metrics['x'] == 1",
        "evidence['a'].metrics['x'] in [1, 2]",
        "evidence['a'].metrics['x'] + 1 > 0.0",
        "size(approvals) >= params.needed",
        "params.limit > 1",
    ],
)
def test_whole_numbers_beside_doubles_are_refused_with_what_to_write(text: str) -> None:
    (problem,) = problems(text)
    assert "metrics and parameters are doubles: write 1.0 for 1" in problem.hint


def test_a_problem_knows_its_line() -> None:
    (problem,) = problems("to == 'deployed' &&\n  subject.stge == ''")
    assert (problem.line, problem.column) == (2, 10)


def test_every_mistake_is_found_not_only_the_first() -> None:
    assert len(problems("subject.stge == '' && params.limt > 0.0")) == 2


@pytest.mark.parametrize("name", ["item", "role"])
def test_the_item_exists_only_per_item(name: str) -> None:
    problem = problems(f"{name} == {name}")[0]
    assert "exists only in a validation with `each" in problem.message
    assert problems(f"{name} == {name}", Scope(each="data")) == ()


@pytest.mark.parametrize("name", ["evidence", "data", "targets"])
def test_a_condition_cannot_depend_on_what_was_measured(name: str) -> None:
    (problem,) = problems(f"size({name}) > 0", Scope(measured=False))
    assert "a lack of evidence would lift the policy" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "size(evidence) > 0",
        "evidence.all(kind, evidence[kind].coverage == 1.0)",
        "evidence.exists(kind, kind == 'check.bias')",
        "evidence['check.' + 'bias'].coverage == 1.0",
        "evidence[to].coverage == 1.0",
        "to in evidence",
        "to in evidence['a'].metrics",
        "(to == 'x' ? evidence['a'] : evidence['b']).coverage == 1.0",
        "[evidence['a']].all(e, e.metrics['x'] <= 1.0)",
        "has((to == 'x' ? evidence['a'].metrics : evidence['b'].metrics).x)",
        "'x' in (to == 'x' ? evidence['a'].metrics : evidence['b'].metrics)",
        "[data['a'].evidence].all(found, 'x' in found)",
        "['a'].all(evidence, evidence == 'a')",
        "[1].all(params, params == 1)",
    ],
)
def test_evidence_that_cannot_be_traced_to_a_name_is_refused(text: str) -> None:
    assert problems(text)


@pytest.mark.parametrize(
    "text", ["dyn(to) == 1", "1.0 in [1, 'a']", "[1, 'a'][0] == 1", "dyn(evidence['a'].metrics['x']) <= 1"]
)
def test_mixed_types_are_refused(text: str) -> None:
    assert any("mixes types" in problem.message for problem in problems(text))


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("duration('90d') < duration('1h')", 10),
        ("timestamp('yesterday') < now", 11),
        ("subject.ref.matches('^a(')", 21),
    ],
)
def test_a_constant_that_never_works_is_refused(text: str, column: int) -> None:
    (problem,) = problems(text)
    assert problem.column == column


@pytest.mark.parametrize(
    "text",
    [
        "data.all(role, data[role].evidence['check.pii'].metrics['findings'] == 0.0)",
        "data.map(role, data[role]).all(d, d.evidence['check.pii'].metrics['findings'] == 0.0)",
        "targets.filter(t, t.threshold > 0.5).all(t, t.met)",
        "evidence['a'].metrics.all(m, !m.startsWith('psi.') || evidence['a'].metrics[m] < 0.2)",
        "evidence.retirement.metrics.deployments_running == 0.0",
        "subject.design['architecture'] in ['encoder', 'decoder']",
        "params.roles.all(role, role in data)",
        "now - evidence['a'].created_at < days(90.0) && params.strict",
        "has(evidence['a'].valid_until)",
        "double(size(approvals)) >= params.needed",
    ],
)
def test_what_a_policy_may_say(text: str) -> None:
    assert problems(text) == ()


def nested(depth: int) -> str:
    text = "true"
    for level in range(depth):
        text = f"[1].all(x{level}, {text})"
    return text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (nested(25), "nested too deeply"),
        ("1 + " * 40 + "1 > 0", "nested too deeply"),
        ("(" * 40 + "true" + ")" * 40, "nested too deeply"),
        ("true && " * 20_000 + "true", "too long"),
    ],
    ids=["loops", "sums", "parentheses", "long"],
)
def test_a_monstrous_expression_is_refused(text: str, said: str) -> None:
    (problem,) = problems(text)
    assert said in problem.message


def test_one_mistake_is_told_once() -> None:
    assert len(problems("subject.sistem.owner == ''")) == 1


@pytest.mark.parametrize("name", ["in", "true", "null", "a-b", "1a", "é", "a b", ""])
def test_words_that_cannot_name_a_parameter(name: str) -> None:
    assert not can_be_param(name)


@pytest.mark.parametrize(
    "text",
    [
        "1 / (size(approvals) - size(approvals)) == 1",
        "[1, 2][size(approvals) + 5] == 1",
        "{'a': 1}[to] == 1",
        "int(to) == 1",
        "timestamp(to) < now",
        "to.matches(to + '(')",
        "days(1.0 / 0.0) > duration('1h')",
        "subject.design['nothing'] == ''",
        ENDLESS,
    ],
)
@pytest.mark.parametrize("around", ["{}", "!({})", "({}) && true", "({}) == ({})", "({}) ? true : true"])
def test_a_runtime_error_is_never_a_yes(text: str, around: str) -> None:
    expression = Expression(around.format(text, text), PARAMS, "truth value")
    variables = View(samples.dossier()).variables(Sight.of([expression.names]))
    result = expression.evaluate(expression.give(variables))
    assert isinstance(result, Failed)
    assert not is_true(result)


@pytest.mark.parametrize(
    "result", [Failed("NOT_FOUND"), Seen(False), Seen(1), Seen("true"), Seen(None), Seen([1])]
)
def test_only_true_is_true(result: Seen | Failed) -> None:
    assert not is_true(result)


def test_a_broken_expression_has_no_value() -> None:
    expression = Expression("subject.stge == 'x'", PARAMS, "truth value")
    assert expression.evaluate(expression.give({})) == Failed("subject has no field 'stge'")


def test_a_variable_that_was_not_given_is_an_error() -> None:
    expression = Expression("to == 'x'", PARAMS, "truth value")
    assert isinstance(expression.evaluate(expression.give({})), Failed)


def test_functions_of_our_own() -> None:
    assert value("days(1.5)") == Seen(timedelta(hours=36))
    assert value("distinct(['b', 'a', 'b'])") == Seen(["a", "b"])
    assert value("interval(0.2100001, 0.17, 0.24)") == Seen("0.21 [0.17, 0.24]")


def test_numbers_that_are_wrong_by_a_type_are_still_wrong() -> None:
    assert not is_true(value("params.limit > 5.0", Scope.of({"limit": 1.0}), **{"params.limit": "9"}))
