"""What an append, a proof and an audit cost as the ledger grows.

    python benchmarks/ledger.py [--sizes 10000,100000,1000000] [--only sqlite|postgres]

Entries are written by the unit of work, a thousand in a transaction while the ledger is filled; each
accounts for a row of its own. Then, at each size: single-entry transactions are timed, durable as the
registry makes them; proofs of random entries are made, from the query to the text of the proof file, and
verified; and the ledger is audited: its replay alone, in one process and in one for each core, and all of
`audit verify`. CPU is that of our own processes, per entry, without a database server's: it tells what the
wall clock would if nobody else were on the machine. Both databases, in one run.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from servers import database

import registry
from registry.domain.events import AliasMoved
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import Kind, SigningKey
from registry.ledger.proof_file import EntryProof
from registry.ledger.proofs import inclusion_ranges, proves_consistency
from registry.storage.database import Database
from registry.storage.ledger_nodes import consistency_proof, inclusion_proof, read_tree, root_at
from registry.storage.tables import AliasRow, LedgerEntry
from registry.usecases.audit import verify
from registry.usecases.ledger_replay import Replaying

_KEY = SigningKey.generate("bench.example/ledger", Kind.LOG)
_BATCH = 1000


def main() -> None:
    """Print a line per size and database."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sizes", default="10000,100000,1000000")
    arguments.add_argument("--rounds", type=int, default=300)
    arguments.add_argument("--only", choices=["sqlite", "postgres"])
    given = arguments.parse_args()
    sizes = sorted(int(size) for size in given.sizes.split(","))
    print("                         append of one entry, ms     proof of one entry, ms       per proof")
    print("database      entries     p50     p99   commit       p50     p99    max     hashes  nodes  bytes")
    for name in ("sqlite", "postgres"):
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as folder, database(name, Path(folder)) as url:
                measure(name, url, Path(folder), sizes, given.rounds)


def measure(name: str, url: str, folder: Path, sizes: list[int], rounds: int) -> None:
    with registry.open(folder / "home", database=url, actor="bench", create=True) as made:
        made.add_system("credit", purpose="a benchmark", risk_tier="minimal")
        made.plan("loans", system="credit")
    opened = Database(url)
    with opened.ungoverned() as connection:
        connection.exec_driver_sql("CREATE TABLE bare (x INTEGER)")
    with opened.read() as session:
        have = read_tree(session).size
    audited = []
    for size in sizes:
        fill(opened, have, size - rounds)
        appends = sorted(timed(lambda: append(opened, 1)) for _ in range(rounds))
        have = size
        proofs, nodes, length = prove(opened, size, rounds)
        commit = statistics.median(timed(lambda: bare(opened)) for _ in range(50))
        hashes = statistics.mean(len(inclusion_ranges(index, size)) for index in range(0, size, size // 1000))
        audited.append((size, *audit(opened, size)))
        print(
            f"{name:10} {size:10,} {at(appends, 50):7.2f} {at(appends, 99):7.2f} {commit:8.2f}   "
            f"{at(proofs, 50):7.2f} {at(proofs, 99):7.2f} {proofs[-1]:6.2f}   "
            f"{hashes:8.1f} {nodes:6.1f} {length:6.0f}"
        )
    with opened.read() as session:
        old, size = sizes[0], read_tree(session).size
        taken = sorted(timed(lambda: consistency_proof(session, old, size)) for _ in range(rounds))
        proof = consistency_proof(session, old, size)
        assert proves_consistency(old, root_at(session, old), size, root_at(session, size), proof)
    print(
        f"{name:10} consistency proof from {old:,} to {size:,}: {len(proof)} hashes, "
        f"p50 {at(taken, 50):.2f} ms, p99 {at(taken, 99):.2f} ms"
    )
    for size, alone, beside, whole in audited:
        print(f"{name:10} {size:10,} replay {alone}; on all cores {beside}; audit verify {whole}")
    opened.close()


def audit(opened: Database, size: int) -> tuple[str, str, str]:
    """Replay in this process, replay in others beside it, and a whole verification."""

    def replay(beside: Database | None) -> None:
        with opened.read() as session:
            replaying = Replaying(session.connection(), beside)
            found = replaying.finish()
            replaying.stop()
        assert (found.size, found.problems) == (size, [])

    def whole() -> None:
        with opened.read() as session:
            found = verify(session, database=opened)
        assert (found.size, found.problems) == (size, [])
        assert found.rows > size // 2

    calls = (lambda: replay(None), lambda: replay(opened), whole)
    return tuple(entries_per_second(call, size) for call in calls)  # type: ignore[return-value]


def entries_per_second(call: Callable[[], object], size: int) -> str:
    before = sum(os.times()[:4])
    seconds = timed(call) / 1e3
    spent = sum(os.times()[:4]) - before
    return f"{size / seconds:,.0f}/s (CPU {spent / size * 1e6:.1f} us)"


def fill(opened: Database, have: int, size: int) -> None:
    while have < size:
        count = min(_BATCH, size - have)
        append(opened, count)
        have += count


def append(opened: Database, count: int) -> None:
    with opened.write("bench") as work:
        for number in range(count):
            alias, made = f"alias-{number}", {"created_at": work.at, "created_by": work.actor.id}
            work.append(AliasRow(model_id=1, name=alias, version_id=1, **made))
            work.record(AliasMoved("model:loans/1", alias, "loans/1", 0))


def bare(opened: Database) -> None:
    """What the database itself takes for a durable transaction of one row."""
    with opened.ungoverned() as connection:
        connection.exec_driver_sql("INSERT INTO bare VALUES (1)")


def prove(opened: Database, size: int, rounds: int) -> tuple[list[float], float, float]:
    """Milliseconds per proof, sorted; stored hashes read for one, and its bytes, on average."""
    with opened.read() as session:
        tree = read_tree(session)
    assert tree.size == size
    signed = SignedCheckpoint.of(Checkpoint(_KEY.name, tree.size, tree.root).signed(_KEY))
    chosen = random.Random(7).choices(range(size), k=rounds)
    written: list[str] = []

    def make(index: int) -> None:
        with opened.read() as session:
            entry = session.get_one(LedgerEntry, index)
            proof = EntryProof(
                index, entry.header, inclusion_proof(session, index, size), signed, entry.payload, entry.salt
            )
        proof.check()
        written.append(str(proof))

    make(0)
    taken = sorted(timed(lambda index=index: make(index)) for index in chosen)
    read = [sum(1 for part in inclusion_ranges(index, size) for _ in part.subtrees()) for index in chosen]
    return taken, statistics.mean(read), statistics.mean(len(text) for text in written)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def at(values: list[float], percent: int) -> float:
    return values[min(len(values) - 1, len(values) * percent // 100)]


if __name__ == "__main__":
    main()
