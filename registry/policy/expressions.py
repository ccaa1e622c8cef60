"""CEL: compiling, checking and evaluating expressions. Nothing else in Phasegate touches it.

What an expression may use: every field of a dossier by its name (`subject`, `to`, `now`, `evidence`, ...)
but the waivers, `params.x`, per item also `item` (and `role` of data); CEL's own macros and functions, and
`days(90.0)`, `distinct(['a', 'a'])`, `interval(value, lower, upper)`.

CEL's run-time errors are values, and true ones: only `Seen(True)` of a truth value is a yes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_origin

from registry.domain.dossier import DataFacts, Dossier, TargetFacts
from registry.policy.complaints import TOO_DEEP, Problem, missing_key, problem_at, translate
from registry.policy.figures import interval
from registry.policy.names import CHAMPION, Names, names_in
from registry.policy.policies import ParamValue, param_type
from registry.policy.schema import PACKAGE, part_of, schema, seen_fields, type_name
from registry.policy.syntax import Tree

if TYPE_CHECKING:
    from cel_expr_python import cel

Kind = Literal["truth value", "text", "figure"]

_WANTED = {"truth value": ("BOOL", "true or false"), "text": ("STRING", "text")}
_ITEMS = {"data": DataFacts, "targets": TargetFacts}
_HIDDEN = {
    "unusable": "it tells people why evidence does not count; a rule names the evidence",
    "waivers": "the gate itself honours them: a rule that is waived is not one that passes",
}
_HIDDEN_FROM_WHEN = ("evidence", "data", "targets", "findings", "risks", "signatures")
_UNMEASURED = ("exists", "ref")  # of the champion
_WHY_NOT = "`when` must not depend on what was measured, or a lack of evidence would lift the policy"
_TRIALS = {"duration": "duration({})", "timestamp": "timestamp({})", "matches": "''.matches({})"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may use.

    Attributes:
        params: Declared parameters and their types, sorted.
        each: What `item` is, if anything.
        measured: Whether evidence, data, targets, risks ... are to be seen: a policy's `when` must not
            depend on them, or their lack would lift the policy.
    """

    params: tuple[tuple[str, str], ...] = ()
    each: str = ""
    measured: bool = True

    @classmethod
    def of(cls, params: Mapping[str, ParamValue], each: str = "", *, measured: bool = True) -> Scope:
        return cls(tuple(sorted((name, param_type(value)) for name, value in params.items())), each, measured)


@dataclass(frozen=True, slots=True)
class Seen:
    """An expression's value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """An expression that has no value.

    Attributes:
        missing: The key that was looked up and is not there, if that is why.
    """

    error: str
    missing: str | None = None


class Expression:
    """A compiled expression.

    Attributes:
        names: What it names.
        problems: Why it must not be published; an expression with problems never has a value.
    """

    def __init__(self, text: str, scope: Scope, kind: Kind) -> None:
        self.text = text
        self._kind = kind
        self.names = Names(frozenset(), (), (), ())
        self._program: cel.Expression | None = None
        self._environment = _environment(scope)
        try:
            program = self._environment.compile(text)
        except RuntimeError as error:
            self.problems = translate(str(error), text, _variables(scope), _reserved(scope))
            return
        except UnicodeEncodeError as error:
            self.problems = (Problem(f"no text: {error.reason}"),)
            return
        try:
            tree = Tree(program.serialize())
        except ValueError:
            self.problems = (Problem(TOO_DEEP, hint="split it into several validations"),)
            return
        self.names = names_in(tree, text, _roots(scope))
        self.problems = (
            *self.names.problems,
            *_wrong_type(program, kind),
            *self._wrong_constants(),
            *([] if scope.measured else self._measured_champion()),
        )
        if not self.problems:
            self._program = program

    def give(self, variables: Mapping[str, Any]) -> cel.Activation:
        """Values for variables; every expression of the same scope can share them."""
        return self._environment.Activation(variables)

    def evaluate(self, given: cel.Activation) -> Seen | Failed:
        """Its value where `given` stands for the variables. Never raises: what goes wrong is `Failed`."""
        if self._program is None:
            return Failed(self.problems[0].message)
        try:
            value = self._program.eval(given)
            if value.type() == _error_type():
                error = str(value.value())
                return Failed(error, missing_key(error))
            seen = value.plain_value()
        except Exception as error:  # an expression must not break a gate, whatever the library raises
            return Failed(f"{type(error).__name__}: {error}")
        if self._kind == "truth value" and not isinstance(seen, bool):
            return Failed(f"neither true nor false: {seen!r}")
        return Seen(seen)

    def _wrong_constants(self) -> list[Problem]:
        """Literals that a function will refuse whenever it is asked: `duration('90d')`."""
        found = []
        for function, literal, offset in self.names.constants:
            trial = self._environment.compile(
                _TRIALS[function].format(json.dumps(literal, ensure_ascii=False))
            )
            value = trial.eval(data={})
            if value.type() == _error_type():
                reason = str(value.value()).partition(": ")[2]
                hint = "write '24h', or days(90.0)" if function == "duration" else ""
                found.append(problem_at(self.text, offset, f"{function}({literal!r}): {reason}", hint))
        return found

    def _measured_champion(self) -> list[Problem]:
        """A champion that nobody measured must not lift the policy."""
        if all(
            path[0] != CHAMPION or path[1:] in [(one,) for one in _UNMEASURED] for path in self.names.paths
        ):
            return []
        said = f"of the champion, `when` may read {' and '.join(_UNMEASURED)} only: {_WHY_NOT}"
        return [problem_at(self.text, max(0, self.text.find(CHAMPION)), said)]


def can_be_param(name: str) -> bool:
    """Whether `params.NAME` can be written: CEL keeps some words for itself."""
    if not (name.isidentifier() and name.isascii()):
        return False
    return not Expression(f"params.{name}", Scope(((name, "number"),)), "figure").problems


def is_true(result: Seen | Failed) -> bool:
    """Whether a result permits: the truth value True, not something that counts as true."""
    return isinstance(result, Seen) and result.value is True


def _wrong_type(program: cel.Expression, kind: Kind) -> list[Problem]:
    from cel_expr_python import cel

    made = program.return_type()
    if kind == "figure":
        wrong = made.is_message() and made not in (cel.Type.TIMESTAMP, cel.Type.DURATION)
        return [Problem("this is a whole object", hint="name one of its fields")] if wrong else []
    wanted, called = _WANTED[kind]
    if made.name() == wanted:
        return []
    return [Problem(f"this must be {called}, and is {made.name().removeprefix(PACKAGE + '.')}")]


def _variables(scope: Scope) -> dict[str, Any]:
    """Every variable of a scope and the type hint that it has in our own classes."""
    given = {name: hint for name, hint in seen_fields(Dossier).items() if name not in _HIDDEN}
    if not scope.measured:
        given = {name: hint for name, hint in given.items() if name not in _HIDDEN_FROM_WHEN}
    if scope.each:
        given["item"] = _ITEMS[scope.each]
    if scope.each == "data":
        given["role"] = str
    hints = {"number": float, "text": str, "truth value": bool}
    for name, kind in scope.params:
        hint = hints[kind.removeprefix("list of ")]
        given[f"params.{name}"] = tuple[hint, ...] if kind.startswith("list of ") else hint  # type: ignore[valid-type]
    return given


def _roots(scope: Scope) -> frozenset[str]:
    """Names that no loop variable may hide."""
    return frozenset({"params", *(name.partition(".")[0] for name in _variables(scope))})


def _reserved(scope: Scope) -> dict[str, str]:
    """Names that other expressions may use, and why this one may not."""
    reserved = dict(_HIDDEN)
    if not scope.measured:
        reserved |= dict.fromkeys(_HIDDEN_FROM_WHEN, _WHY_NOT)
    if not scope.each:
        reserved["item"] = "it exists only in a validation with `each`"
    if scope.each != "data":
        reserved["role"] = "it exists only in a validation with `each: data`"
    return reserved


@lru_cache(maxsize=256)
def _environment(scope: Scope) -> cel.Env:
    from cel_expr_python import cel

    types = {name: _cel_type(hint) for name, hint in _variables(scope).items()}
    return cel.NewEnv(schema().pool, variables=types, functions=_functions())


@lru_cache
def _error_type() -> cel.Type:
    from cel_expr_python import cel

    return cel.Type.ERROR


def _cel_type(hint: Any) -> cel.Type:
    from collections import abc

    from cel_expr_python import cel

    if get_origin(hint) is abc.Mapping:
        return cel.Type.Map(cel.Type.STRING, _cel_type(part_of(hint)))
    if get_origin(hint) is tuple:
        return cel.Type.List(_cel_type(part_of(hint)))
    scalars = {
        str: cel.Type.STRING,
        int: cel.Type.INT,
        float: cel.Type.DOUBLE,
        bool: cel.Type.BOOL,
        datetime: cel.Type.TIMESTAMP,
    }
    return scalars[hint] if hint in scalars else cel.Type(type_name(hint))


@lru_cache
def _functions() -> list[cel.FunctionDecl]:
    from cel_expr_python import cel

    double, text, texts = cel.Type.DOUBLE, cel.Type.STRING, cel.Type.List(cel.Type.STRING)

    def days(count: float) -> timedelta:
        return timedelta(days=count)

    def distinct(values: list[str]) -> list[str]:
        return sorted(set(values))

    return [
        _function("days", [double], cel.Type.DURATION, days),
        _function("distinct", [texts], texts, distinct),
        _function("interval", [double, double, double], text, interval),
    ]


def _function(name: str, parameters: list[cel.Type], returns: cel.Type, impl: Any) -> cel.FunctionDecl:
    from cel_expr_python import cel

    overload = cel.Overload(f"phasegate_{name}", return_type=returns, parameters=parameters, impl=impl)
    return cel.FunctionDecl(name, [overload])
