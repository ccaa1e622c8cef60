"""Mutants of a policy: the same policy with one operator, number or word of a rule changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from registry.policy.binding import compiled
from registry.policy.cases.tokens import Token, around, is_key, is_prefix, tokens_of
from registry.policy.policies import GatePolicy, ParamValue, Validation

_SWAPS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "&&": ("||",),
    "||": ("&&",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "%": ("*",),
    "true": ("false",),
    "false": ("true",),
}
_LARGE = 1e9  # from here on, 1 more is no difference worth a case
_QUANTIFIERS = {"all": "exists", "exists": "all"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A policy that differs in one place.

    Attributes:
        policy: The mutant, with only those rules that the change can reach.
        field: Where the change is: `match.when`, `ID.expression` or `params.NAME`.
        text: What stands there in the policy; empty for a parameter.
        offset: Where in that text.
        before, after: What was there, and what is there now.
    """

    policy: GatePolicy
    field: str
    text: str
    offset: int
    before: str
    after: str


def mutants_of(policy: GatePolicy) -> Iterator[Mutant]:
    """Every mutant of a policy that is a policy, too: what does not compile is passed over."""
    when = policy.match.when
    for change in changes_of(when):
        made = replace(bare(policy, policy.validations), match=replace(policy.match, when=change.text))
        yield Mutant(made, "match.when", when, change.offset, change.before, change.after)
    for rule in policy.validations:
        text = rule.expression
        for change in changes_of(text):
            made = bare(policy, [replace(rule, expression=change.text)])
            yield Mutant(made, f"{rule.id}.expression", text, change.offset, change.before, change.after)
    for name, value in policy.params.items():
        reached = readers_of(policy, name)
        for other in values_near(value) if reached else ():
            made = replace(bare(policy, reached), params={**policy.params, name: other})
            yield Mutant(made, f"params.{name}", "", 0, show_param(value), show_param(other))


def bare(policy: GatePolicy, rules: Sequence[Validation]) -> GatePolicy:
    """A policy with some rules, of which only what decides is kept: it is judged often, shown to nobody."""
    kept = tuple(replace(rule, value="", limit="", message_expression="") for rule in rules)
    return replace(policy, validations=kept, title="", description="", controls=())


def compiles(mutant: Mutant) -> bool:
    """Whether a mutant could be published."""
    when, rules = compiled(mutant.policy)
    return not (when and when.problems) and not any(rule.test.problems for rule in rules)


def readers_of(policy: GatePolicy, param: str) -> tuple[Validation, ...]:
    """The rules that a parameter can reach: all of them if the policy's condition reads it."""
    when, rules = compiled(policy)
    variable = f"params.{param}"
    if when is not None and variable in when.names.roots:
        return policy.validations
    return tuple(rule.validation for rule in rules if variable in rule.test.names.roots)


@dataclass(frozen=True, slots=True)
class Change:
    """An expression with one thing changed."""

    text: str
    offset: int
    before: str
    after: str


def changes_of(expression: str) -> Iterator[Change]:
    """An expression, changed in one place at a time."""
    tokens = tokens_of(expression)
    for place, token in enumerate(tokens):
        for other in _others(tokens, place):
            text = expression[: token.start] + other + expression[token.end :]
            yield Change(text, token.start, token.text, other or "nothing")
        if token.text == "in":
            start, end = around(tokens, place)
            text = f"{expression[:start]}!({expression[start:end]}){expression[end:]}"
            yield Change(text, token.start, "in", "not in")


def values_near(value: ParamValue) -> Iterator[ParamValue]:
    """Values next to a parameter's: numbers a little up and down, truth values turned, texts changed."""
    if isinstance(value, tuple):
        for place in range(len(value)):
            yield value[:place] + value[place + 1 :]  # type: ignore[misc,operator]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, float):
        yield from (value + step_of(value), value - step_of(value))
    else:
        yield f"{value}~"


def step_of(value: float) -> float:
    """How far a number is moved: a whole one by 1, any other, or a very large one, by a tenth of itself."""
    return 1.0 if value == int(value) and abs(value) < _LARGE else abs(value) / 10


def show_param(value: ParamValue) -> str:
    """A parameter as YAML has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(show_param(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _others(tokens: Sequence[Token], place: int) -> Iterator[str]:
    """What could stand in a token's place."""
    token = tokens[place]
    if token.kind == "number":
        yield from _numbers(token.text)
    elif token.kind == "text":
        if not is_key(tokens, place):
            quote = 3 if token.text.endswith(("'''", '"""')) and len(token.text) >= 6 else 1
            yield f"{token.text[:-quote]}~{token.text[-quote:]}"
    elif token.text == "!" or (token.text == "-" and is_prefix(tokens, place)):
        yield ""
    elif token.text in _QUANTIFIERS:
        called = place + 1 < len(tokens) and tokens[place + 1].text == "("
        if called and place > 0 and tokens[place - 1].text == ".":
            yield _QUANTIFIERS[token.text]
    elif token.kind == "sign" or token.text in ("true", "false"):
        yield from _SWAPS.get(token.text, ())


def _numbers(text: str) -> Iterator[str]:
    unsigned = text[-1] if text[-1] in "uU" else ""
    digits = text.removesuffix(unsigned) if unsigned else text
    if digits.lower().startswith("0x") or digits.isdigit():
        whole = int(digits, 0) if digits.lower().startswith("0x") else int(digits)
        for moved in (whole + 1, whole - 1):
            yield f"{moved}{unsigned}" if moved >= 0 else f"({moved})"
        return
    value = float(digits)
    for near in (value + step_of(value), value - step_of(value)):
        if near != value and math.isfinite(near):
            yield repr(near) if near >= 0 else f"({near!r})"
