"""How far a generated text is the one that was wanted."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A word, or a single character of the scripts that put no blanks between words.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def words(text: str) -> list[str]:
    """Words of a text in lower case; of Chinese, Japanese and Korean, characters."""
    return _WORD.findall(text.lower())


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    A row of the table is the bits of one integer (Hyyro 2004, "Bit-parallel LCS-length computation
    revisited"): a bit that is 0 is a step up.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(one)) - 1
    row = full
    for word in other:
        matches = row & places.get(word, 0)
        row = (row + matches | row - matches) & full
    return len(one) - row.bit_count()


def rouge_l(generated: str, wanted: str) -> float:
    """F1 of ROUGE-L: `2 L / (words of both)`, L their longest common subsequence.

    Lin (2004), "ROUGE: A Package for Automatic Evaluation of Summaries", section 3, with beta 1.
    """
    one, other = words(generated), words(wanted)
    if not one or not other:
        return float(one == other)
    return 2 * longest_common(one, other) / (len(one) + len(other))
