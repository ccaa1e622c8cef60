"""Hashed n-grams of many texts, and which text of another lot shares them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Scripts without spaces between words: each character is a token. Han, Hiragana, Katakana.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# One word, or one character of those scripts.
TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
# Any odd number of 64 bits with no pattern in it.
_FACTOR = 0x9E3779B97F4A7C15
# Texts that are compared with one text in full: where it shares words with more, a few of them tell as much.
_CANDIDATES = 200


class TokenizedTexts:
    """Texts as runs of token hashes, case and Unicode form left out.

    Attributes:
        tokens: All texts' token hashes, one after the other, uint64.
        starts: Where each text begins in `tokens`, and where the last one ends: shape (texts + 1,).
    """

    def __init__(self, texts: Iterable[str]) -> None:
        import numpy as np

        known: dict[str, int] = {}
        numbers: list[int] = []
        starts = [0]
        for text in texts:
            for word in TOKEN.findall(unicodedata.normalize("NFKC", text).casefold()):
                number = known.get(word)
                if number is None:
                    number = known[word] = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
                numbers.append(number)
            starts.append(len(numbers))
        self.tokens = np.array(numbers, dtype=np.uint64)
        self.starts = np.array(starts, dtype=np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text."""
        import numpy as np

        return np.diff(self.starts)

    def grams(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of all n-grams in order, uint64, and where each text's begin: shape (texts + 1,).

        A text of fewer than n tokens has none.
        """
        import numpy as np

        count = max(len(self.tokens) - n + 1, 0)
        hashes = np.zeros(count, dtype=np.uint64)
        for shift in range(n):
            hashes = hashes * np.uint64(_FACTOR) + self.tokens[shift : shift + count]
        of_text = np.repeat(np.arange(len(self.lengths)), self.lengths)
        whole = of_text[:count] == of_text[n - 1 :] if count else np.zeros(0, dtype=bool)
        starts = np.concatenate([[0], np.cumsum(np.maximum(self.lengths - n + 1, 0))])
        return hashes[whole], starts


class GramIndex:
    """The n-grams of many texts as one sorted array, to look others up in."""

    def __init__(self, texts: TokenizedTexts, n: int) -> None:
        import numpy as np

        self._grams, self._starts = texts.grams(n)
        order = np.argsort(self._grams, kind="stable")
        self._sorted = self._grams[order]
        self._owner = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))[order]

    def first_owner(self, grams: np.ndarray) -> int | None:
        """A text that holds one of these n-grams."""
        import numpy as np

        places = np.searchsorted(self._sorted, grams)
        inside = places < len(self._sorted)
        hits = places[inside][self._sorted[places[inside]] == grams[inside]]
        return int(self._owner[hits[0]]) if len(hits) else None

    def most_alike(self, grams: np.ndarray, least: float) -> tuple[int, float] | None:
        """The text that holds most of these n-grams, and which share; None if none holds the share `least`.

        A text with that share of them has one of the rarest too, so only owners of those are compared.
        """
        import numpy as np

        grams = np.unique(grams)
        if not len(grams):
            return None
        low = np.searchsorted(self._sorted, grams, side="left")
        high = np.searchsorted(self._sorted, grams, side="right")
        if (high > low).mean() < least:
            return None
        needed = int(np.ceil(least * len(grams)))
        candidates: dict[int, None] = {}
        for place in np.argsort(high - low, kind="stable")[: len(grams) - needed + 1]:
            owners = self._owner[low[place] : high[place]][:_CANDIDATES]
            candidates |= dict.fromkeys(owners.tolist())
            if len(candidates) >= _CANDIDATES:
                break
        best = (-1, 0.0)
        for owner in candidates:
            theirs = self._grams[self._starts[owner] : self._starts[owner + 1]]
            share = float(np.isin(grams, theirs).mean())
            if share > best[1]:
                best = (owner, share)
        return best if best[1] >= least else None
