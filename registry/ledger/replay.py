"""Replaying entries: whether each is what was hashed, and what all of them say of the rows.

It is written for ledgers of millions. What the header of an honest entry must be is put together from
its columns and compared as bytes; only what does not fit is looked at closely, to be named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from registry.ledger.entries import commitment
from registry.ledger.merkle import leaf_hash

ERASING = "payloads-erased"
# What reading raises where a forger left something of another kind.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
_FEW = 32
_ROWS = b'"rows":{'


class Stored(NamedTuple):
    """An entry as the database has it; `at` is text like `2026-05-01T12:00:00.000000`, in UTC.

    In bulk, entries are plain tuples in this order: making a million of these takes as long as checking them.
    """

    number: int
    at: str
    actor: int
    action: str
    subject: str
    header: bytes
    payload: bytes | None
    salt: bytes | None
    leaf: bytes


RawEntry = tuple[Any, ...]


@dataclass(slots=True)
class Replayed:
    """What entries that follow each other say.

    Attributes:
        leaves: Hash of each header.
        rows: Row key -> the digest that they gave it last; None if they say that it was deleted.
        erased: Entries whose payload is gone, as an erasure leaves them.
        erasures: Entry that tells of an erasure -> the entries that it erased.
        problems: One sentence each.
    """

    leaves: list[bytes] = field(default_factory=list)
    rows: dict[str, str | None] = field(default_factory=dict)
    erased: list[int] = field(default_factory=list)
    erasures: dict[int, list[int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, following: Replayed) -> None:
        """Go on with what the entries after these say."""
        self.leaves += following.leaves
        self.rows.update(following.rows)
        self.erased += following.erased
        self.erasures.update(following.erasures)
        self.problems += following.problems


def replay(entries: Sequence[RawEntry]) -> Replayed:
    """Check entries and gather what they say; they must come in their order."""
    try:
        found = _all_at_once(entries)
    except UNREADABLE:
        found = None
    if found is not None:
        return found
    if len(entries) <= _FEW:
        return _one_by_one(entries)
    # Something is unusual in some of them: the others still go quickly.
    half = len(entries) // 2
    found = replay(entries[:half])
    found.add(replay(entries[half:]))
    return found


def rows_of(payload: bytes) -> dict[str, str | None]:
    """Row key -> digest, as an entry's payload tells; nothing if it cannot be read."""
    try:
        return dict(json.loads(payload)["rows"])
    except UNREADABLE:
        return {}


def event_of(payload: bytes) -> dict[str, Any]:
    """The fields of an entry's event; nothing if they cannot be read."""
    try:
        return dict(json.loads(payload)["event"])
    except UNREADABLE:
        return {}


def problem_of(entry: Stored) -> str:
    """What is wrong with an entry, in words that follow its number; empty if nothing is."""
    try:
        if leaf_hash(entry.header) != entry.leaf:
            return "was edited: its header does not hash to its leaf"
        header = json.loads(entry.header)
        told = (header["actor"], header["action"], header["subject"], _moment(header["at"]))
        promised = header["payload"]
    except UNREADABLE:
        return "was edited: its header is none"
    try:
        stored = (entry.actor, entry.action, entry.subject, _moment(entry.at))
    except UNREADABLE:
        stored = None
    if told != stored:
        return "was edited: its columns do not repeat its header"
    if entry.payload is None and entry.salt is None:
        return ""
    if entry.payload is None or entry.salt is None:
        return "has lost its payload"
    try:
        kept = commitment(entry.salt, entry.payload) == promised
    except TypeError:
        kept = False
    return "" if kept else "was edited: its payload is not the one that its header commits to"


def _all_at_once(entries: Sequence[RawEntry]) -> Replayed | None:
    """The same as one by one, if all are honest and none is erased; else None."""
    if not entries:
        return Replayed()
    _, ats, actors, actions, subjects, headers, payloads, salts, stored = zip(*entries, strict=True)
    leaves = [sha256(b"\x00" + header).digest() for header in headers]
    if leaves != list(stored) or None in payloads or ERASING in actions:
        return None
    bodies = map(bytes.__add__, salts, payloads)
    promised = [sha256(body).hexdigest() for body in bodies]
    # As RFC 8785 writes the header of `make_entry`. Names that need escaping are looked at one by one.
    expected = [
        f'{{"action":"{action}","actor":{actor},"at":"{at}+00:00",'
        f'"payload":"sha256:{payload}","subject":"{subject}","v":1}}'
        for action, actor, at, payload, subject in zip(actions, actors, ats, promised, subjects, strict=True)
    ]
    if expected != list(map(bytes.decode, headers)):
        return None
    # The digests of an entry's rows are the end of its payload: of all entries, they are read in one go.
    ends = [payload[payload.rfind(_ROWS) + len(_ROWS) : -2] for payload in payloads]
    rows = json.loads(b"{" + b",".join(filter(None, ends)) + b"}")
    return Replayed(leaves, rows)


def _one_by_one(entries: Iterable[RawEntry]) -> Replayed:
    found = Replayed()
    for entry in map(Stored._make, entries):
        found.leaves.append(_leaf(entry))
        if problem := problem_of(entry):
            found.problems.append(f"entry {entry.number} {problem}")
        if entry.payload is None:
            if entry.salt is None:
                found.erased.append(entry.number)
            continue
        found.rows.update(rows_of(entry.payload))
        if entry.action == ERASING:
            found.erasures[entry.number] = list(event_of(entry.payload).get("entries", ()))
    return found


def _leaf(entry: Stored) -> bytes:
    try:
        return leaf_hash(entry.header)
    except TypeError:
        return b""


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
