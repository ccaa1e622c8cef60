"""A training that is hit at random steps ends as the undisturbed one does: same losses, same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from cli.command import ACTOR, Phasegate
from faults.watching import gone, processes, supervisors, until

import registry
from registry.api import Registry
from registry.storage.home import Home
from registry.usecases.runs import RunOptions

STEPS, EVERY = 40, 5
OPTIONS = {
    "steps": STEPS, "checkpoint_every": EVERY, "evaluate_every": 20, "batch_size": 32, "threads": 1,
    "hidden_size": 64, "layers": 2, "heads": 2, "vocab_size": 300, "max_length": 48,
}  # fmt: skip
BLOWS = ("plugin", "supervisor", "both", "pre-empted", "full disk")


@pytest.fixture(scope="session")
def designed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry with a version that is ready to be trained; copied, never written to."""
    home = tmp_path_factory.mktemp("template") / "designed"
    lifecycle = (files("registry.policies") / "lifecycle.yaml").read_text("utf-8")
    assert "  train: [" in lifecycle
    file = home.parent / "lifecycle.yaml"
    file.write_text(lifecycle.replace("  train: [", "  train: [planned, "))
    with contextlib.closing(Registry(Home.at(home), ACTOR)) as new:
        new.initialise(file)
    chance = random.Random(0)
    words = ("good", "fine", "great"), ("bad", "poor", "awful")
    filler = [chance.choice("abcdefgh") * 3 for _ in range(40)]
    for name, rows in (("reviews", 160), ("held-out", 20)):
        lines = ["text,label"]
        for row in range(rows):
            text = " ".join([chance.choice(words[row % 2]), *chance.sample(filler, 8)])
            lines.append(f"{text},{'yes' if row % 2 else 'no'}")
        (home.parent / f"{name}.csv").write_text("\n".join(lines))
    with registry.open(home, actor=ACTOR) as opened:
        for name in ("reviews", "held-out"):
            opened.add_dataset(name, home.parent / f"{name}.csv")
        opened.add_system("mood", purpose="sort texts", risk_tier="limited")
        opened.plan(
            "moods",
            system="mood",
            targets=["f1>=0.5"],
            data={"train": "reviews/1", "validation": "held-out/1"},
        )
    return home


class Training:
    """Run 1 of a home, trained by one process or several."""

    def __init__(self, phasegate: Phasegate, engine: str = "local", processes: int = 1) -> None:
        self.phasegate = phasegate
        self.folder = phasegate.home / "runs" / "1"
        settings = [word for key, value in OPTIONS.items() for word in ("--set", f"{key}={value}")]
        how = ("--engine", engine, "--processes", processes, "--detach")
        phasegate("run", "train-classifier", "moods/1", *settings, *how)

    @property
    def losses(self) -> list[tuple[int, float]]:
        """Of every step that was done, those that were done again included."""
        events = self.folder / "events.jsonl"
        lines = events.read_bytes().split(b"\n")[:-1] if events.exists() else []
        found = [event for event in map(json.loads, lines) if event.get("name") == "loss"]
        return [(event["step"], event["value"]) for event in found]

    @property
    def state(self) -> str:
        return self.phasegate("runs", "show", "1", "--json").json["state"]

    def reach(self, step: int) -> None:
        """Wait until so many steps are done, since it was last started."""
        until(lambda: (self.losses or [(0, 0.0)])[-1][0] >= step, within=90.0, every=0.003)

    def end(self) -> dict[str, Any]:
        """What it came to, once it has ended well."""
        until(lambda: self.state not in ("queued", "running"), within=120.0, every=0.3)
        assert self.state == "succeeded", self.phasegate("runs", "show", "1").out
        with registry.open(self.phasegate.home, actor=ACTOR) as opened:
            return outcome(opened)

    def repeated(self) -> list[int]:
        """How many steps were done again after each blow."""
        steps = [step for step, _ in self.losses]
        return [a - b + 1 for a, b in pairwise(steps) if b <= a]


def outcome(opened: Registry) -> dict[str, Any]:
    """What must not depend on what happened: the bytes that were made, and how good they are."""
    (evidence,) = opened.runs.evidence(1)
    kept = {name: evidence.metrics[name] for name in ("train_loss", "validation_loss", "steps")}
    return {"artifact": opened.version("moods/1").artifact, **kept}


def of_the_plugin(training: Training) -> list[psutil.Process]:
    """Its processes: one, or the agent and those that it started."""
    others = {process.pid for process in supervisors(training.phasegate.home)}
    return [process for process in processes(training.phasegate.home) if process.pid not in others]


def first(training: Training) -> psutil.Process:
    return psutil.Process(json.loads((training.folder / "child.json").read_text())["pid"])


def rank(training: Training, number: int) -> psutil.Process:
    """One of its processes; there is none for a moment while a new supervisor starts it again."""

    def found() -> psutil.Process | None:
        for process in of_the_plugin(training):
            with contextlib.suppress(psutil.Error):
                if process.environ().get("RANK") == str(number):
                    return process
        return None

    return until(found)


def kill(*victims: psutil.Process) -> None:
    for victim in victims:
        victim.kill()
    until(lambda: all(gone(victim.pid) for victim in victims))


def strike(training: Training, blow: str) -> None:
    """One blow, and what a person does then, if anything."""
    home = training.phasegate.home
    if blow == "full disk":
        with full(training):
            until(lambda: training.state == "lost", within=60.0, every=0.3)
        reason = training.phasegate("runs", "show", "1", "--json").json["reason"]
        assert "its disk is full" in reason
        assert reason.endswith("make room, then: phasegate runs resume 1")
        with registry.open(home, actor=ACTOR) as opened:
            opened.runs.resume(1)
    elif blow == "pre-empted":
        first(training).terminate()
    elif blow == "plugin":
        kill(first(training))
    elif blow in ("supervisor", "both"):
        kill(*supervisors(home), *([first(training)] if blow == "both" else []))
        assert training.state == "running", "looking at it gives it another supervisor"
    elif blow == "power":
        kill(*processes(home))
        assert training.state == "running", "looking at it starts it again"
    elif blow == "a rank":
        kill(rank(training, 1))


@contextlib.contextmanager
def full(training: Training) -> Iterator[None]:
    """No room for the run: its disk is filled, or where none could be mounted, its files are kept small."""
    runs = training.phasegate.home / "runs"
    if os.path.ismount(runs):
        filler = runs / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(1 << 16))
        try:
            yield
        finally:
            filler.unlink()
    else:
        for process in of_the_plugin(training):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        yield


@pytest.fixture
def begin(
    designed_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Training]]:
    """Starts a training in a home of its own, whose runs have a small disk where one can be mounted."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PHASEGATE_ACTOR", ACTOR)
    home = tmp_path / "home"
    shutil.copytree(designed_home, home)
    monkeypatch.setenv("PHASEGATE_HOME", str(home))
    runs = home / "runs"
    runs.mkdir(exist_ok=True)
    small = ["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(runs)]
    mounted = subprocess.run(small, capture_output=True, check=False).returncode == 0
    try:
        yield lambda engine="local", processes=1: Training(Phasegate(home), engine, processes)
    finally:
        left = processes(home, within=5.0)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if mounted:
            time.sleep(0.2)
            subprocess.run(["umount", "-l", str(runs)], check=True)
    assert left == [], "processes were left"


@pytest.fixture(scope="session")
def undisturbed(designed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the training comes to when nothing happens."""
    return come_to(designed_home, tmp_path_factory.mktemp("undisturbed") / "home", RunOptions())


@pytest.fixture(scope="session")
def undisturbed_together(designed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same on two processes, which drop out other units than one does."""
    options = RunOptions(engine="torchrun", processes=2)
    return come_to(designed_home, tmp_path_factory.mktemp("together") / "home", options)


def come_to(template: Path, home: Path, options: RunOptions) -> dict[str, Any]:
    shutil.copytree(template, home)
    with registry.open(home, actor=ACTOR) as opened:
        opened.run("train-classifier", "moods/1", config=OPTIONS, options=options)
        return outcome(opened)


def survive(begin: Callable[..., Training], blows: Sequence[str], seed: int, **how: Any) -> Training:
    """Hit a training at random steps, one blow after the other."""
    chance = random.Random(seed)
    training = begin(**how)
    width = (STEPS - 8) // len(blows)
    for number, blow in enumerate(blows):
        training.reach(2 + number * width + chance.randrange(width))
        strike(training, blow)
    return training


PLANS = [("supervisor", "plugin", "pre-empted", "both", "full disk")]
MORE = [tuple(random.Random(seed).choices(BLOWS, k=2)) for seed in range(10)]


@pytest.mark.parametrize(
    ("seed", "blows"),
    [
        *enumerate(PLANS),
        *(pytest.param(100 + n, plan, marks=pytest.mark.slow) for n, plan in enumerate(MORE)),
    ],
)
def test_it_ends_as_if_nothing_had_happened(
    seed: int, blows: tuple[str, ...], begin: Callable[..., Training], undisturbed: dict[str, Any]
) -> None:
    training = survive(begin, blows, seed)
    assert training.end() == undisturbed
    repeated = training.repeated()
    # A process that finds its disk full may die without a word, and is tried again.
    assert len(repeated) <= sum(3 if blow == "full disk" else 1 for blow in blows)
    assert all(number <= EVERY for number in repeated), "more than an interval was lost"
    assert dict(training.losses).keys() == set(range(1, STEPS + 1))
    training.phasegate.verify()


@pytest.mark.parametrize(
    "blows",
    [
        ("a rank", "plugin"),
        *(
            pytest.param(plan, marks=pytest.mark.slow)
            for plan in [("pre-empted", "full disk"), ("power", "a rank")]
        ),
    ],
)
def test_two_processes_end_as_if_nothing_had_happened(
    blows: tuple[str, ...], begin: Callable[..., Training], undisturbed_together: dict[str, Any]
) -> None:
    """`plugin` is the agent here."""
    training = survive(begin, blows, 1, engine="torchrun", processes=2)
    assert training.end() == undisturbed_together
    assert all(number <= EVERY for number in training.repeated())
    training.phasegate.verify()
