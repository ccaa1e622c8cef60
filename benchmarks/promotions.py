"""Register and promote from Python, each its own durable transaction with its ledger entry.

    python benchmarks/promotions.py [--pairs 500] [--rounds 5] [--database URL]

A version is planned and promoted from `planned` to `retired`, which the default policies govern.
The peer is what the disk allows: the same number of bare durable commits to the same file system.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import registry


def main() -> None:
    """Print one line per figure: median, and the spread over rounds."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, default=500)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--database", default=None)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reg = registry.open(Path(folder) / "home", database=given.database, actor="bench", create=True)
        reg.add_system("bench", purpose="measure", risk_tier="minimal")
        round_trip(reg, 50)
        rounds = [
            (round_trip(reg, given.pairs), bare_commits(Path(folder), given.pairs))
            for _ in range(given.rounds)
        ]
        assert reg.verify().ok
        print(f"database {reg.database.split('/')[0]}, {given.pairs} pairs x {given.rounds} rounds")
    report("register + promote pairs per second", [pair for (pair, _, _), _ in rounds])
    report("promotions alone per second", [alone for (_, alone, _), _ in rounds])
    report("promotions per second of CPU time", [cpu for (_, _, cpu), _ in rounds])
    report("bare durable SQLite commits per second", [bare for _, bare in rounds])
    report("promotions / bare commits", [alone / bare for (_, alone, _), bare in rounds])


def round_trip(reg: registry.api.Registry, pairs: int) -> tuple[float, float, float]:
    """Pairs per second, promotions per second without the registering, and those per second of CPU."""
    began, promoting, working = time.perf_counter(), 0.0, 0.0
    for _ in range(pairs):
        ref = reg.plan("bench", system="bench").ref
        start, busy = time.perf_counter(), time.process_time()
        assert reg.promote(ref, "retired").allowed
        promoting += time.perf_counter() - start
        working += time.process_time() - busy
    return pairs / (time.perf_counter() - began), pairs / promoting, pairs / working


def bare_commits(folder: Path, count: int) -> float:
    """One-row transactions per second, WAL and synchronous=FULL as the registry has it."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t (x)"
    )
    start = time.perf_counter()
    for number in range(count):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (?)", (number,))
        connection.execute("COMMIT")
    seconds = time.perf_counter() - start
    connection.close()
    return count / seconds


def report(name: str, values: list[float]) -> None:
    print(f"{name:45} {statistics.median(values):10.2f}   [{min(values):.2f}, {max(values):.2f}]")


if __name__ == "__main__":
    main()
