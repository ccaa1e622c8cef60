"""An expression as tokens, with where each stands: what mutation works on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
    |(?P<text>(?:[rR][bB]?|[bB][rR]?)?
        (?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][-+]?\d+)?[uU]?)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign><=|>=|==|!=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = "([{", ")]}"
# What ends an operand of `in`, outside of brackets: everything that binds no tighter than it does.
_LOOSE = {"&&", "||", "?", ":", ",", "<", "<=", ">", ">=", "==", "!=", "in"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of an expression.

    Attributes:
        kind: `text`, `number`, `name` or `sign`.
        start, end: Offsets in characters.
    """

    kind: str
    text: str
    start: int
    end: int


def tokens_of(expression: str) -> list[Token]:
    """The tokens of an expression that compiles; blanks and comments are left out."""
    return [
        Token(found.lastgroup, found[0], found.start(), found.end())
        for found in _TOKEN.finditer(expression)
        if found.lastgroup not in (None, "space")
    ]  # fmt: skip


def around(tokens: Sequence[Token], place: int) -> tuple[int, int]:
    """Offsets where the comparison of an operator begins and ends: both its operands, brackets included."""
    return _reach(tokens, place, -1), _reach(tokens, place, 1)


def is_key(tokens: Sequence[Token], place: int) -> bool:
    """Whether a literal is the key of an index: `evidence['check.bias']`."""
    if not 2 <= place < len(tokens) - 1:
        return False
    opening, owner = tokens[place - 1], tokens[place - 2]
    indexed = owner.text in (")", "]") or (owner.kind == "name" and owner.text not in ("in", "true", "false"))
    return opening.text == "[" and indexed and tokens[place + 1].text == "]"


def is_prefix(tokens: Sequence[Token], place: int) -> bool:
    """Whether a sign stands before its only operand, as the minus of `-1`."""
    if place == 0:
        return True
    before = tokens[place - 1]
    return before.text == "in" or (before.kind == "sign" and before.text not in _CLOSING)


def _reach(tokens: Sequence[Token], place: int, step: int) -> int:
    inwards, outwards = (_OPENING, _CLOSING) if step > 0 else (_CLOSING, _OPENING)
    depth, last = 0, tokens[place]
    for token in tokens[place + step :: step]:
        if token.text in inwards:
            depth += 1
        elif token.text in outwards:
            depth -= 1
        if depth < 0 or (depth == 0 and token.text in _LOOSE):
            break
        last = token
    return last.end if step > 0 else last.start
