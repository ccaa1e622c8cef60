"""The whole ledger replayed: every entry, every stored hash, and what it says of every row.

A part of it is one full range of entries after the other, so that parts can be replayed beside each
other. Of a long ledger, other processes replay parts, one for each core; they only save time: whatever they
find unusual is looked at again here, in the transaction that all of an audit sees.
"""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Connection, select

from registry.ledger.merkle import Tree, levels_over
from registry.ledger.replay import Replayed, replay
from registry.storage.database import Database
from registry.storage.ledger_reading import (
    BATCH,
    BATCH_LEVEL,
    batches,
    batches_with_gaps,
    erased_between,
    extent,
    node_counts,
    nodes_are,
)
from registry.storage.tables import LedgerHead

# Entries from which on other processes are worth their start, and how many of them at most.
_LONG = 100_000
_MOST_WORKERS = 8
_ROOT_WRONG = "the ledger's root is not the one that its entries give"


@dataclass(slots=True)
class Part:
    """What entries that follow each other say, the first of them at a multiple of the batch's size.

    Attributes:
        rows: Row key -> the digest that they gave it last; None if they say that it was deleted.
        erased: Entries whose payload is gone, as an erasure leaves them.
        erasures: Entry that tells of an erasure -> the entries that it erased.
        problems: One sentence each.
        roots: Of each full batch.
        frontier: Roots of the full subtrees of a last batch that is not full; level -> hash.
        levels: Whose stored nodes are not those that the entries give.
    """

    rows: dict[str, str | None] = field(default_factory=dict)
    erased: list[int] = field(default_factory=list)
    erasures: dict[int, list[int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    roots: list[bytes] = field(default_factory=list)
    frontier: dict[int, bytes] = field(default_factory=dict)
    levels: list[int] = field(default_factory=list)

    def add(self, following: Part | Replayed) -> None:
        """Go on with what comes after."""
        self.rows.update(following.rows)
        self.erased += following.erased
        self.erasures.update(following.erasures)
        self.problems += following.problems
        if isinstance(following, Part):
            self.roots += following.roots
            self.frontier = following.frontier
            self.levels += following.levels

    def plain(self) -> tuple[Any, ...]:
        """Its attributes, for a process to tell another."""
        return tuple(getattr(self, each.name) for each in fields(self))


@dataclass(slots=True)
class Ledger:
    """What the ledger says.

    Attributes:
        size: Entries.
        root: Hex; empty if entries are missing.
        rows: Row key -> digest; a row that it says was deleted is left out.
        erased: Entries whose payload was erased.
        problems: One sentence each.
    """

    size: int
    root: str
    rows: dict[str, str]
    erased: int
    problems: list[str]


class Replaying:
    """A replay that has begun: other processes may be at it already."""

    def __init__(self, connection: Connection, database: Database | None = None) -> None:
        """Begin.

        Args:
            connection: One reading transaction.
            database: Where other processes may read the same; without it, none are started.
        """
        self._connection = connection
        self._count, self._lowest, self._highest = extent(connection)
        self._whole = self._lowest == 0 and self._highest == self._count - 1
        self._workers: list[tuple[int, int, subprocess.Popen[bytes]]] = []
        if database is not None and self._whole and self._count >= _LONG:
            ranges = _ranges(self._count, min(os.cpu_count() or 1, _MOST_WORKERS))
            self._workers = [(*part, _start(database, *part)) for part in ranges]

    def finish(self) -> Ledger:
        """The replay's end."""
        part = self._parts() if self._whole else self._with_gaps()
        tree = _tree(self._count, part)
        problems = [*part.problems, *_unexplained(part)]
        head = self._connection.execute(select(LedgerHead.size, LedgerHead.frontier)).one_or_none()
        counted = self._highest + 1
        if head is None:
            problems.append("the ledger's head is gone")
        elif head.size != counted:
            how = "cut" if head.size > counted else "added to"
            problems.append(f"the ledger was {how}: its head counts {head.size} entries, {counted} are there")
        elif not self._whole or head.frontier != b"".join(tree.frontier):
            problems.append(_ROOT_WRONG)
        if self._whole:
            problems += [
                f"inner nodes of level {level} are not those that the entries give"
                for level in sorted({*part.levels, *_upper_levels(self._connection, self._count, part)})
            ]
        rows = {key: digest for key, digest in part.rows.items() if digest is not None}
        root = tree.root.hex() if self._whole else ""
        return Ledger(self._count, root, rows, len(part.erased), problems)

    def stop(self) -> None:
        """End what was started and is not needed any more."""
        for _, _, worker in self._workers:
            if worker.stdout is not None:
                worker.stdout.close()
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    def _parts(self) -> Part:
        if not self._workers:
            return replay_part(self._connection, 0, self._count)
        found = Part()
        for first, end, worker in self._workers:
            part = _result(worker)
            if part is None or not self._agrees(part, first, end):
                part = replay_part(self._connection, first, end)
            found.add(part)
        return found

    def _agrees(self, part: Part, first: int, end: int) -> bool:
        """Whether a worker found nothing that this transaction does not see, too.

        It began later: meanwhile entries may have been added, which it was not asked for, and erased.
        """
        if part.problems or part.levels:
            return False
        return not part.erased or part.erased == erased_between(self._connection, first, end)

    def _with_gaps(self) -> Part:
        found, following = Part(), 0
        for batch in batches_with_gaps(self._connection, self._lowest):
            for index, *_ in batch:
                if index != following:
                    found.problems.append(f"entry {following} is missing: entry {index} comes instead")
                following = index + 1
            found.add(replay(batch))
        return found


def replay_part(connection: Connection, first: int, end: int) -> Part:
    """Replay the entries from `first`, a multiple of the batch's size, up to, not including, `end`."""
    part = Part()
    for start, batch in zip(range(first, end, BATCH), batches(connection, first, end), strict=True):
        found = replay(batch)
        part.add(found)
        levels = levels_over(found.leaves)
        for level, hashes in enumerate(levels[1:], 1):
            if not nodes_are(connection, level, start >> level, hashes):
                part.levels.append(level)
        if len(found.leaves) == BATCH:
            part.roots += levels[BATCH_LEVEL]
        else:
            part.frontier = {level: hashes[-1] for level, hashes in enumerate(levels) if hashes}
    return part


def _tree(size: int, part: Part) -> Tree:
    """The tree as its entries give it."""
    if not size or not (part.roots or part.frontier):
        return Tree()
    upper = levels_over(part.roots)
    frontier = []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            below = level < BATCH_LEVEL
            frontier.append(
                part.frontier[level] if below else upper[level - BATCH_LEVEL][(size >> level) - 1]
            )
    return Tree(size, tuple(frontier))


def _upper_levels(connection: Connection, size: int, part: Part) -> Iterator[int]:
    """Levels whose nodes are wrong: those above the batches, and any that has more or fewer than it must."""
    for above, hashes in enumerate(levels_over(part.roots)[1:], 1):
        if not nodes_are(connection, BATCH_LEVEL + above, 0, hashes):
            yield BATCH_LEVEL + above
    expected = {level: size >> level for level in range(1, size.bit_length())}
    stored = node_counts(connection)
    for level in expected.keys() | stored.keys():
        if expected.get(level, 0) != stored.get(level, 0):
            yield level


def _unexplained(part: Part) -> Iterator[str]:
    """Payloads that are gone, and no later entry tells that they were erased."""
    explained = {index: teller for teller, entries in sorted(part.erasures.items()) for index in entries}
    for index in part.erased:
        if explained.get(index, -1) <= index:
            yield f"entry {index} has lost its payload"


def _ranges(size: int, parts: int) -> list[tuple[int, int]]:
    length = -(-size // (parts * BATCH)) * BATCH
    return [(first, min(first + length, size)) for first in range(0, size, length)]


def _start(database: Database, first: int, end: int) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "registry.usecases.ledger_replay_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert worker.stdin is not None
    # Not as an argument: the URL may hold a password.
    url = database.url.render_as_string(hide_password=False)
    with suppress(BrokenPipeError), worker.stdin as told:
        told.write(json.dumps([url, first, end]).encode())
    return worker


def _result(worker: subprocess.Popen[bytes]) -> Part | None:
    """What a worker found; None if it came to harm."""
    assert worker.stdout is not None
    said = worker.stdout.read()
    if worker.wait() != 0:
        return None
    return Part(*marshal.loads(said))
