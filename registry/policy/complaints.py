"""What is wrong with an expression, in words that help: CEL's messages, translated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.domain.names import did_you_mean, nearest
from registry.policy.schema import PACKAGE, seen_classes, seen_fields

_PROBLEM = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)$", re.MULTILINE)
_FIELD = re.compile(r"undefined field '(.+)' not found in struct '(?:\w+\.)*(\w+)'")
_NAME = re.compile(r"undeclared reference to '(.+)' \(in container")
_OVERLOAD = re.compile(r"found no matching overload for '(.+)' applied to '(.*)'")
_KEY = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
TOO_DEEP = "the expression is nested too deeply"
_NUMBERS = {"double", "int", "uint"}
_MACROS = ("all", "exists", "exists_one", "filter", "has", "map")
_FUNCTIONS = (
    "contains",
    "days",
    "distinct",
    "double",
    "duration",
    "endsWith",
    "int",
    "interval",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an expression.

    Attributes:
        line: 1-based line within the expression.
        column: 1-based column within that line.
    """

    message: str
    line: int = 1
    column: int = 1
    hint: str = ""


def problem_at(text: str, offset: int, message: str, hint: str = "") -> Problem:
    """A problem at a character of an expression."""
    before = text[:offset]
    return Problem(message, before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1, hint)


def translate(
    error: str, text: str, variables: Iterable[str], reserved: Mapping[str, str]
) -> tuple[Problem, ...]:
    """CEL's compile errors as problems.

    Args:
        error: What the compiler said.
        text: The expression.
        variables: Names that the expression may use, `params.x` among them.
        reserved: Names that exist elsewhere, and why not here.
    """
    known = tuple(variables)
    lines = text.splitlines()
    found = []
    for line, column, said in _PROBLEM.findall(error):
        if "'*error*'" in said:
            continue  # it follows from another one
        message, hint = _explain(said, known, reserved)
        found.append(Problem(message, int(line), _start(lines, int(line), int(column), said), hint))
    if "recursion" in error:
        return (Problem(TOO_DEEP, hint="split it into several validations"),)
    if "codepoint limit" in error:
        return (Problem("the expression is too long"),)
    return tuple(found) or (Problem(error.strip()),)


def missing_key(error: str) -> str | None:
    """The key that a run-time error says is not there; None if it says something else."""
    found = _KEY.search(error)
    return found[1] if found else None


def _explain(said: str, known: tuple[str, ...], reserved: Mapping[str, str]) -> tuple[str, str]:
    if found := _FIELD.match(said):
        field, owner = found[1], seen_classes()[found[2]]
        return f"{_called(owner.__name__)} has no field {field!r}", did_you_mean(field, seen_fields(owner))
    if found := _NAME.match(said):
        return _unknown(found[1], known, reserved)
    if found := _OVERLOAD.match(said):
        return _mismatch(found[1], re.sub(rf"\b{PACKAGE}\.(\w+)", lambda m: _called(m[1]), found[2]))
    if "mismatched input '<EOF>'" in said:
        return "the expression ends too early", ""
    # The parser lists every token it would have taken: that helps nobody.
    return re.sub(r" expecting \{.*\}", "", said.removeprefix("Syntax error: ")), ""


def _start(lines: list[str], line: int, column: int, said: str) -> int:
    """Where a name begins: CEL points at the last dot of `params.x`, and behind the name of a function."""
    found = _NAME.match(said)
    if not found or not 0 < line <= len(lines):
        return column
    before = lines[line - 1][: column - 1]
    for lead in (found[1], found[1].rpartition(".")[0]):
        if lead and before.endswith(lead):
            return column - len(lead)
    return column


def _unknown(name: str, known: tuple[str, ...], reserved: Mapping[str, str]) -> tuple[str, str]:
    root, _, rest = name.partition(".")
    if root in reserved:
        return f"{root!r} cannot be used here: {reserved[root]}", ""
    if root == "params":
        declared = [variable.removeprefix("params.") for variable in known if variable.startswith("params.")]
        if not rest:
            return "'params' alone is no value", "write params.NAME"
        return f"the policy declares no parameter {rest!r}", did_you_mean(
            rest, declared
        ) or "it declares none"
    roots = sorted({variable.partition(".")[0] for variable in known})
    close = nearest(root, [*roots, *_MACROS, *_FUNCTIONS])
    return f"there is no {root!r}", f"did you mean {close!r}?" if close else f"known: {', '.join(roots)}"


def _mismatch(operator: str, operands: str) -> tuple[str, str]:
    shown = operator.strip("_@").replace("_", " ").strip() or operator
    shown = {"?  :": "? :", "[ ]": "[]"}.get(shown, shown)
    kinds = set(re.findall(r"\w+", operands))
    hint = ""
    if "double" in kinds and kinds & {"int", "uint"} and kinds <= _NUMBERS | {"list"}:
        hint = "metrics and parameters are doubles: write 1.0 for 1, and double(...) around a count"
    return f"{shown!r} cannot take {operands}", hint


def _called(class_name: str) -> str:
    """What people call a class of the dossier: `EvidenceFacts` is evidence."""
    return class_name.removesuffix("Facts").lower()
