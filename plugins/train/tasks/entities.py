"""Spans of words in IOB2 tags (Ratnaparkhi 1998), and how many of them are found."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[str, int, int]


def is_iob(tags: Sequence[str]) -> bool:
    """Whether the tags are `O`, `B-...` and `I-...`."""
    return "O" in tags and all(tag == "O" or tag[:2] in ("B-", "I-") for tag in tags)


def spans(tags: Sequence[str]) -> set[Span]:
    """Kind, first word and word after the last of each entity.

    As in the scorer of CoNLL-2000, an `I-` that continues nothing begins an entity.
    """
    found: set[Span] = set()
    kind, start = "", 0
    for place, tag in enumerate([*tags, "O"]):
        mark, _, named = tag.partition("-")
        if kind and (mark != "I" or named != kind):
            found.add((kind, start, place))
            kind = ""
        if mark != "O" and not kind:
            kind, start = named, place
    return found


def entity_scores(said: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> dict[str, float]:
    """Precision, recall and F1 of whole entities: kind and both ends must be right.

    Tjong Kim Sang and De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task", section 3.
    """
    right = found = there = 0
    for ours, theirs in zip(said, wanted, strict=True):
        one, other = spans(ours), spans(theirs)
        right, found, there = right + len(one & other), found + len(one), there + len(other)
    return {
        "entity_precision": right / found if found else 0.0,
        "entity_recall": right / there if there else 0.0,
        "entity_f1": 2 * right / (found + there) if found + there else 0.0,
    }
