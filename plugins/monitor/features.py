"""What is compared of a text: a few numbers that need no model, the same for training and live texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

# A Chinese or Japanese character is a word of its own: those scripts put no spaces between words.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")


class Vocabulary:
    """The words of the training texts, by the number of texts that hold them."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts: Counter[str] = Counter()
        for text in texts:
            self._texts.update(set(words_of(text)))

    def unknown_share(self, text: str, *, trained_on: bool) -> float:
        """Share of a text's words that no training text holds; 0 for a text without words.

        A training text is judged against the other training texts: against itself
        every word would be known, and every live text would look strange beside it.
        """
        words = words_of(text)
        own = 1 if trained_on else 0
        return sum(self._texts[word] <= own for word in words) / len(words) if words else 0.0


def words_of(text: str) -> list[str]:
    """Lower-case words, without punctuation."""
    return _WORD.findall(text.lower())


def _share(holds: Callable[[str], bool]) -> Callable[[str], float]:
    return lambda text: sum(map(holds, text)) / len(text) if text else 0.0


def _word_length(text: str) -> float:
    words = text.split()
    return sum(map(len, words)) / len(words) if words else 0.0


LENGTHS: dict[str, Callable[[str], float]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
}
"""Features that the traffic log has even without the texts."""

SHAPES: dict[str, Callable[[str], float]] = {
    "digits": _share(str.isdigit),
    "upper_case": _share(str.isupper),
    "word_length": _word_length,
}

UNKNOWN_WORDS = "unknown_words"
SCORE = "score"

MEANING: Mapping[str, str] = {
    "characters": "characters in a text",
    "words": "words in a text",
    "digits": "share of digits",
    "upper_case": "share of upper-case letters",
    "word_length": "mean length of a word",
    UNKNOWN_WORDS: "share of words that the training data do not hold",
    SCORE: "the model's score for its positive label",
}
"""Every feature, in words for people."""
