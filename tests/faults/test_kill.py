"""kill -9 at random moments: whatever is hit, the run comes to an end and the ledger to agree."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence

import psutil
import pytest
from cli.command import EXECUTABLE, Phasegate
from faults.counting import begins
from faults.watching import plugins, supervisors, until

STEPS = 20
ENDED = {"succeeded", "failed", "cancelled", "lost"}
VICTIMS = (
    ("command",),
    ("supervisor",),
    ("plugin",),
    ("supervisor", "plugin"),
    ("command", "supervisor"),
    ("command", "plugin", "supervisor"),
)


def test_whatever_is_killed_the_run_ends(bad: Phasegate) -> None:
    """Each kind of victim once."""
    rounds(bad, random.Random(7), VICTIMS)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thirty_kills(bad: Phasegate) -> None:
    chance = random.Random(30)
    tally = rounds(bad, chance, [chance.choice(VICTIMS) for _ in range(30)])
    for (victims, when, ended), number in sorted(tally.items()):
        sys.stdout.write(f"{number:3} x  {' and '.join(victims):35} {when:10} -> {ended}\n")
    assert sum(tally.values()) == 30


def rounds(
    bad: Phasegate, chance: random.Random, plan: Sequence[tuple[str, ...]]
) -> Counter[tuple[tuple[str, ...], str, str]]:
    """One run and one kill for each entry; counts what was hit, when, and what became of the run."""
    tally: Counter[tuple[tuple[str, ...], str, str]] = Counter()
    for victims in plan:
        before = len(bad("runs", "list", "--json", "-n", "0").json)
        checkpoints = chance.random() < 0.5
        hit, when = strike(bad, victims, chance.uniform(0.2, 3.5), checkpoints=checkpoints)
        runs = bad("runs", "list", "--json").json
        ended = settle(bad, runs[0]["id"]) if len(runs) > before else "never asked for"
        tally[hit, when, ended] += 1
        if len(runs) > before and not checkpoints:
            again = ended == "lost, resumed, succeeded"
            assert begins(bad, runs[0]["id"]) in ([0] * (1 + again), [0] * again), "it ran twice"
        bad.verify()
    made = [row for row in bad("dataset", "list", "--json").json if row["ref"] != "words/1"]
    succeeded = [run for run in bad("runs", "list", "--json", "-n", "0").json if run["state"] == "succeeded"]
    assert len(made) == len(succeeded), "each success is recorded once"
    assert {row["rows"] for row in made} <= {STEPS}
    return tally


def strike(
    bad: Phasegate, victims: Sequence[str], delay: float, *, checkpoints: bool
) -> tuple[tuple[str, ...], str]:
    """Start a run as a person would, and kill after `delay` seconds what there is to kill by then."""
    options = f"steps={STEPS}", "pause=0.04", f"checkpoints={checkpoints}"
    settings = [word for option in options for word in ("--set", option)]
    command = subprocess.Popen(
        [EXECUTABLE, "run", "counts", "words/1", *settings],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(delay)
    found = {"supervisor": supervisors(bad.home), "plugin": plugins(bad.home)}
    running = "starting" if not found["plugin"] else "running"
    if command.poll() is not None:
        running = "ended"
    hit = []
    for victim in victims:
        if victim == "command" and command.poll() is None:
            command.send_signal(signal.SIGKILL)
            hit.append(victim)
        for process in found.get(victim, []):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                hit.append(victim)
    command.wait(timeout=60)
    return tuple(hit) or ("nothing",), running


def settle(bad: Phasegate, number: int) -> str:
    """What the run comes to by itself, and a lost one after it is resumed."""

    def state() -> str:
        return next(run["state"] for run in bad("runs", "list", "--json").json if run["id"] == number)

    until(lambda: state() in ENDED, within=30.0, every=0.3)
    if (ended := state()) != "lost":
        return ended
    if not (bad.home / "runs" / str(number) / "ticket.json").exists():
        assert "never" in bad("runs", "show", number, "--json").json["reason"]
        return "lost, never began"
    bad("runs", "resume", number)
    assert state() == "succeeded"
    return "lost, resumed, succeeded"
