"""Promotions a second by many writers at once, each its own durable transaction with its ledger entry.

    python benchmarks/promotions.py [--writers 8] [--each 100] [--rounds 5] [--only sqlite|postgres]

Every writer is a process of its own, and promotes versions of a model of its own from `planned` to
`retired`, a step that the default policies govern. Both databases are durable: synchronous=FULL in SQLite,
fsync and synchronous_commit in PostgreSQL. The peers, in the same rounds: one writer alone, and bare durable
commits of one row by as many writers. Afterwards the ledger must be whole, with one entry for every
promotion.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from servers import database

import registry

Work = Callable[[str, str, list[str]], None]


def main() -> None:
    """Print one line per figure: median, and the spread over rounds."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--writers", type=int, default=8)
    arguments.add_argument("--each", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--only", choices=["sqlite", "postgres"])
    given = arguments.parse_args()
    for name in ("sqlite", "postgres"):
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as folder, database(name, Path(folder)) as url:
                measure(name, url, Path(folder), given)


def measure(name: str, url: str, folder: Path, given: argparse.Namespace) -> None:
    """One database: rounds of many writers, of one, and of bare commits."""
    home = str(folder / "home")
    reg = registry.open(home, database=url, actor="bench", create=True)
    reg.add_system("bench", purpose="measure", risk_tier="minimal")
    before, entries = len(reg.log(action="stage-decided")), 0
    many, alone, bare = [], [], []
    for _ in range(given.rounds):
        shares = [plans(reg, given.each, writer) for writer in range(given.writers)]
        many.append(race(promote, url, home, shares))
        one = plans(reg, given.each, 0)
        alone.append(race(promote, url, home, [one]))
        entries += sum(map(len, shares)) + len(one)
        bare.append(race(bare_commits, url, home, shares))
    audit = reg.verify()
    recorded = len(reg.log(action="stage-decided")) - before
    print(f"{name}: {given.writers} writers x {given.each} promotions x {given.rounds} rounds")
    report(f"  promotions a second, {given.writers} writers", [rate for rate, _ in many])
    report("  promotions a second, one writer", [rate for rate, _ in alone])
    report("  CPU of the writers per promotion, ms", [cpu * 1000 for _, cpu in many])
    report("  bare durable commits a second", [rate for rate, _ in bare])
    print(f"  lost: {entries - recorded} of {entries}; forks and other problems: {len(audit.problems)}")
    assert audit.ok, audit.problems[:3]
    assert recorded == entries


def plans(reg: registry.api.Registry, count: int, writer: int) -> list[str]:
    """Versions of a writer's own model, to promote."""
    return [reg.plan(f"bench-{writer}", system="bench").ref for _ in range(count)]


def race(work: Work, url: str, home: str, shares: list[list[str]]) -> tuple[float, float]:
    """Things done a second by as many processes as there are shares, and seconds of CPU for each."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(len(shares) + 1), context.SimpleQueue()
    writers = [
        context.Process(target=run, args=(work, url, home, share, barrier, results)) for share in shares
    ]
    for writer in writers:
        writer.start()
    barrier.wait()
    began = time.perf_counter()
    cpu = sum(results.get() for _ in writers)
    seconds = time.perf_counter() - began
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    done = sum(map(len, shares))
    return done / seconds, cpu / done


def run(work: Work, url: str, home: str, share: list[str], barrier: Barrier, results: Any) -> None:
    """One writer: ready, wait for the others, work, say how much CPU it took."""
    work(url, home, [])
    barrier.wait()
    before = resource.getrusage(resource.RUSAGE_SELF)
    work(url, home, share)
    after = resource.getrusage(resource.RUSAGE_SELF)
    results.put(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def promote(url: str, home: str, refs: list[str]) -> None:
    """Retire versions that were only planned; without any, warm up."""
    reg = _opened.setdefault(url, registry.open(home, database=url, actor="bench"))
    if not refs:
        warm = reg.plan("bench", system="bench").ref
        reg.explain(warm, "retired")
    for ref in refs:
        assert reg.promote(ref, "retired").allowed


_opened: dict[str, Any] = {}


def bare_commits(url: str, home: str, refs: list[str]) -> None:
    """One-row transactions, as durable as the registry's."""
    if url.startswith("sqlite"):
        connection: Any = sqlite3.connect(Path(home).parent / "bare.db", isolation_level=None, timeout=60)
        connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t (x)"
        )
        begin, add = "BEGIN IMMEDIATE", "INSERT INTO t VALUES (?)"
    else:
        import psycopg

        connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute("CREATE TABLE IF NOT EXISTS bare (x text)")
        connection.execute("SELECT pg_advisory_unlock(1)")
        begin, add = "BEGIN", "INSERT INTO bare VALUES (%s)"
    for ref in refs:
        connection.execute(begin)
        connection.execute(add, (ref,))
        connection.execute("COMMIT")
    connection.close()


def report(name: str, values: list[float]) -> None:
    print(f"{name:45} {statistics.median(values):10.2f}   [{min(values):.2f}, {max(values):.2f}]")


if __name__ == "__main__":
    main()
