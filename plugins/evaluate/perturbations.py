"""Small changes to a text that change nothing about what it says."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

_WORD = re.compile(r"[^\W\d_]{2,}")
_GAP = re.compile(r"\s+")
_MARK = re.compile(r"[^\w\s]")
_BLANKS = ("  ", "\t", "\n", "\u00a0")
_MARKS = (",", ".", "!", "?", ";", "...")
# Keys that lie beside each other on a QWERTY keyboard.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: row[max(place - 1, 0) : place + 2].replace(key, "") for row in _ROWS for place, key in enumerate(row)
}

Perturb = Callable[[str, random.Random, float], str]


def typos(text: str, dice: random.Random, strength: float) -> str:
    """In some words two letters change places, one is lost, doubled, or the key beside it was hit."""
    return _at_some(text, list(_WORD.finditer(text)), dice, strength, _mistype)


def case(text: str, dice: random.Random, strength: float) -> str:
    """The whole text in capitals, in small letters, or with every word capitalised."""
    changed = [new for new in (text.upper(), text.lower(), text.title()) if new != text]
    return dice.choice(changed) if changed else text


def whitespace(text: str, dice: random.Random, strength: float) -> str:
    """Some gaps become two spaces, a tab, a new line or a hard space; another one follows the end."""
    gaps = list(_GAP.finditer(text))
    return _at_some(text, gaps, dice, strength, lambda _, dice: dice.choice(_BLANKS)) + dice.choice(_BLANKS)


def punctuation(text: str, dice: random.Random, strength: float) -> str:
    """Some marks are lost, and some words get one."""
    lost = _at_some(text, list(_MARK.finditer(text)), dice, strength, lambda _, dice: "")
    words = list(_WORD.finditer(lost))
    return _at_some(lost, words, dice, strength, lambda word, dice: word + dice.choice(_MARKS))


PERTURBATIONS: Mapping[str, Perturb] = {
    "typos": typos,
    "case": case,
    "whitespace": whitespace,
    "punctuation": punctuation,
}


def perturb(texts: list[str], name: str, strength: float, seed: int) -> list[str]:
    """Every text changed in one way. What becomes of a text depends on itself, its place and the seed only.

    Args:
        texts: What to change.
        name: One of `PERTURBATIONS`.
        strength: Share of a text's words, gaps or marks that change; one at least.
        seed: Of all choices.
    """
    change = PERTURBATIONS[name]
    return [
        change(text, random.Random(f"{seed} {name} {place}"), strength) for place, text in enumerate(texts)
    ]


def _at_some(
    text: str,
    places: list[re.Match[str]],
    dice: random.Random,
    strength: float,
    change: Callable[[str, random.Random], str],
) -> str:
    if not places:
        return text
    chosen = dice.sample(places, max(1, round(strength * len(places))))
    for place in sorted(chosen, key=lambda match: match.start(), reverse=True):
        text = text[: place.start()] + change(place[0], dice) + text[place.end() :]
    return text


def _mistype(word: str, dice: random.Random) -> str:
    place = dice.randrange(len(word) - 1)
    first, letter, after, rest = word[:place], word[place], word[place + 1], word[place + 2 :]
    beside = dice.choice(_BESIDE.get(letter.lower(), letter))
    typed = (
        first + after + letter + rest,
        first + after + rest,
        first + letter + letter + after + rest,
        first + (beside.upper() if letter.isupper() else beside) + after + rest,
    )
    # Two letters that are alike can change places unseen.
    return dice.choice([each for each in typed if each != word])
