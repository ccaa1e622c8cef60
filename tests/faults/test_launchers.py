"""Launchers with real processes: what happens when any of them dies, is told to end, or fails."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from cli.command import Phasegate
from faults.counting import begins, end
from faults.watching import gone, processes, until

from registry.runner.folder import Ended, RunFolder
from registry.runner.launchers.settling import settle
from registry.runner.processes import end_marked
from registry.runner.starting import MARK

STEPS = 60
TRIPS = ("--set", "trips=1")


def run(bad: Phasegate, engine: str, *options: str, steps: int = STEPS, processes: int = 2) -> None:
    """Start `adds-up` and wait until it adds."""
    settings = [word for option in (f"steps={steps}", "pause=0.1", *options) for word in ("--set", option)]
    how = ("--engine", *engine.split(), "--processes", str(processes), "--detach")
    bad("run", "adds-up", "words/1", *how, *settings)
    until(lambda: begins(bad) or state(bad) not in ("queued", "running"), within=60.0)


def state(bad: Phasegate) -> str:
    return bad("runs", "show", "1", "--json").json["state"]


def steps(bad: Phasegate) -> int:
    events = bad.home / "runs" / "1" / "events.jsonl"
    return events.read_text().count('"metric"') if events.exists() else 0


def strike(bad: Phasegate, victim: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Hit a process after a checkpoint was made, and wait until the run has begun again."""
    before = len(begins(bad))
    os.kill(victim, number)
    until(lambda: len(begins(bad)) > before or state(bad) not in ("queued", "running"), within=60.0)


def work_on(bad: Phasegate) -> None:
    """Wait until it is a checkpoint further."""
    seen = steps(bad)
    until(lambda: steps(bad) >= seen + 6, within=60.0)


def rank(bad: Phasegate, number: int) -> int:
    return int((bad.home / "runs" / "1" / f"pid-{number}").read_text())


def agent(bad: Phasegate) -> int:
    return int(json.loads((bad.home / "runs" / "1" / "child.json").read_text())["pid"])


def assert_added_up(bad: Phasegate, processes: int = 2, steps: int = STEPS) -> None:
    """Every step of every process once, whatever happened."""
    assert end(bad) == "succeeded", bad("runs", "show", "1").out
    metrics = bad("dataset", "show", "words/1", "--json").json["evidence"][0]["metrics"]
    total = sum(step * (rank + 1) for step in range(1, steps + 1) for rank in range(processes))
    assert metrics == {"sum": total, "processes": processes}
    bad.verify()


class TestTorchrun:
    def test_whatever_is_hit_no_step_is_lost_or_done_twice(self, bad: Phasegate) -> None:
        run(bad, "torchrun")
        work_on(bad)
        strike(bad, rank(bad, 1))
        work_on(bad)
        orphans = [rank(bad, 0), rank(bad, 1)]
        assert len({os.getsid(pid) for pid in (agent(bad), *orphans)}) == 3, "each has its own session"
        strike(bad, agent(bad))
        assert all(gone(pid) for pid in orphans), "an old set writes beside the new one"
        work_on(bad)
        # The third time, more than silent deaths are made up for; but this one was told to end.
        strike(bad, rank(bad, 1), signal.SIGUSR1)
        assert_added_up(bad)
        assert sorted(begins(bad)) == begins(bad), "it went on from the newest checkpoint"

    def test_the_one_that_was_killed_is_named(self, bad: Phasegate) -> None:
        """Without a checkpoint it cannot go on."""
        run(bad, "torchrun", "checkpoints=false")
        until(lambda: steps(bad) >= 2)
        os.kill(rank(bad, 1), signal.SIGKILL)
        assert end(bad) == "failed"
        reason = bad("runs", "show", "1", "--json").json["reason"]
        assert reason == "process 1 was killed by SIGKILL; phasegate runs logs 1"

    def test_a_fault_of_one_is_not_covered_by_its_echo_in_the_other(self, bad: Phasegate) -> None:
        bad(
            "run",
            "adds-up",
            "words/1",
            "--engine",
            "torchrun",
            "--processes",
            "2",
            "--set",
            "trips=1",
            expect=3,
        )
        reason = bad("runs", "show", "1", "--json").json["reason"]
        assert reason == "process 1: ZeroDivisionError: a fault of its own"


def test_ray_starts_again_what_was_killed(bad: Phasegate) -> None:
    """Two workers on a cluster of this test's own; half a minute."""
    run(bad, "ray", steps=30)
    work_on(bad)
    supervised = agent(bad)
    strike(bad, rank(bad, 1))
    assert agent(bad) == supervised, "Ray did it, not the supervisor"
    assert_added_up(bad, steps=30)
    first, second = begins(bad)
    assert first == 0 < second


# -- clusters that this machine only plays -------------------------------------------------------

SBATCH = """#!/bin/bash
# One job at a time: its script runs here, in the background, as on a node.
cp "$1" {place}/script
export SLURM_JOB_ID=4242 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_NTASKS={tasks}
setsid bash "$1" </dev/null >/dev/null 2>&1 &
echo $! > {place}/pid
echo "Submitted batch job 4242"
"""
SRUN = """#!/bin/bash
# The command comes after options, each a word, those before it with a value of their own.
while [[ "$1" == --* ]]; do case "$1" in --output|--error) shift;; esac; shift; done
for ((i = 0; i < SLURM_NTASKS; i++)); do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & done
wait
"""
SACCT = """#!/bin/bash
kill -0 $(cat {place}/pid) 2>/dev/null && state=RUNNING || state=COMPLETED
echo "JobID|State|NodeList"; echo "4242|$state|here"
"""
SCANCEL = """#!/bin/bash
echo "$@" >> {place}/cancelled
kill -9 -- -$(cat {place}/pid)
"""
KUBECTL = """#!{python}
# Applies by running the containers of the Job here; the cluster's names stand for this machine.
import json, os, signal, subprocess, sys, yaml
place, words = "{place}", sys.argv[1:]
pids = json.load(open(place + "/pods")) if os.path.exists(place + "/pods") else []
open(place + "/said", "a").write(" ".join(words[:2]) + "\\n")
def job():
    return list(yaml.safe_load_all(open(words[words.index("-f") + 1])))[1]
def status(rank):
    return open(f"{{place}}/pod-{{rank}}").read().strip() if os.path.exists(f"{{place}}/pod-{{rank}}") else ""
if words[0] == "apply":
    made = job()
    for rank in range(made["spec"]["completions"]):
        container = made["spec"]["template"]["spec"]["containers"][0]
        env = {{each["name"]: each.get("value", str(rank)) for each in container["env"]}}
        env["MASTER_ADDR"] = "127.0.0.1"
        command = subprocess.list2cmdline(container["command"]) + f"; echo $? > {{place}}/pod-{{rank}}"
        pids.append(subprocess.Popen(
            ["bash", "-c", command], env={{**os.environ, **env}}, start_new_session=True,
            stdout=open(f"{{place}}/log-{{rank}}", "w"), stderr=subprocess.STDOUT).pid)
    json.dump(pids, open(place + "/pods", "w"))
elif words[0] == "get" and words[1] == "pods":
    print(json.dumps({{"items": [
        {{"metadata": {{"annotations": {{"batch.kubernetes.io/job-completion-index": str(rank)}}}},
          "status": {{"containerStatuses": [
              {{"state": {{"terminated": {{"exitCode": int(status(rank))}}}}}}]}}}}
        for rank in range(len(pids)) if status(rank)]}}))
elif words[0] == "get":
    made = job()
    ended = [status(rank) for rank in range(made["spec"]["completions"])]
    failed = any(code not in ("", "0") for code in ended)
    made["status"] = {{"conditions": [{{"type": "Failed" if failed else "Complete", "status": "True"}}]
                      if failed or all(ended) else []}}
    print(json.dumps({{"kind": "List", "items": [made]}}))
elif words[0] == "delete":
    for rank, pid in enumerate(pids):
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if os.path.exists(f"{{place}}/pod-{{rank}}"):
            os.unlink(f"{{place}}/pod-{{rank}}")
    json.dump([], open(place + "/pods", "w"))
"""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put programs on the PATH; returns the folder where they leave what they were asked."""
    place = tmp_path / "cluster"
    place.mkdir()

    def put(**programs: str) -> Path:
        for name, text in programs.items():
            path = place / name
            path.write_text(text.format(place=place, python=sys.executable, tasks=1))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
        return place

    return put


class TestSlurm:
    def test_pre_empted_and_killed_it_goes_on_in_another_job(self, bad: Phasegate) -> None:
        run(bad, "slurm --engine-set cluster=local")
        work_on(bad)
        strike(bad, rank(bad, 1), signal.SIGUSR2)
        work_on(bad)
        strike(bad, rank(bad, 0))
        assert_added_up(bad)
        assert (
            len({path.name.split("_")[0] for path in (bad.home / "runs/1/slurm").glob("*_submitted.pkl")})
            == 3
        )

    def test_a_job_as_it_is_submitted(self, bad: Phasegate, play: Callable[..., Path]) -> None:
        place = play(sbatch=SBATCH, srun=SRUN, sacct=SACCT, scancel=SCANCEL)
        options = ("partition=short", "account=lab", "time=30", "gpus=2", "memory=8", "grace=45")
        settings = " ".join(f"--engine-set {option}" for option in options)
        run(bad, f"slurm {settings}", steps=10, processes=1)
        assert_added_up(bad, processes=1, steps=10)
        script = (place / "script").read_text()
        for flag in (
            "partition=short", "account=lab", "time=30", "gpus-per-node=2", "mem=8GB", "signal=USR2@45",
            "nodes=1", "ntasks-per-node=1", "no-requeue", "job-name=phasegate-run-1",
        ):  # fmt: skip
            assert f"#SBATCH --{flag}\n" in script
        assert "--kill-on-bad-exit=1" in script
        assert json.loads((bad.home / "runs/1/slurm/job.json").read_text())["id"] == "4242"

    def test_cancelling_the_run_cancels_the_job(self, bad: Phasegate, play: Callable[..., Path]) -> None:
        place = play(sbatch=SBATCH, srun=SRUN, sacct=SACCT, scancel=SCANCEL)
        run(bad, "slurm", steps=600, processes=1)
        bad("runs", "cancel", "1")
        assert state(bad) == "cancelled"
        assert (place / "cancelled").read_text() == "4242\n"


class TestKubernetes:
    def test_pods_work_together_and_a_killed_one_is_made_up_for(
        self, bad: Phasegate, play: Callable[..., Path]
    ) -> None:
        place = play(kubectl=KUBECTL)
        run(bad, f"kubernetes --engine-set image=here --engine-set python={sys.executable}")
        work_on(bad)
        strike(bad, rank(bad, 1))
        assert_added_up(bad)
        said = (place / "said").read_text().splitlines()
        assert [word.split()[0] for word in said if word.split()[0] in ("apply", "delete")] == [
            "apply", "delete", "apply", "delete",
        ]  # fmt: skip

    def test_a_cluster_that_refuses_is_quoted(self, bad: Phasegate, play: Callable[..., Path]) -> None:
        play(kubectl="#!/bin/bash\necho 'error: you must be logged in to the server' >&2; exit 1\n")
        bad("run", "adds-up", "words/1", "--engine", "kubernetes", "--engine-set", "image=here", expect=3)
        reason = bad("runs", "show", "1", "--json").json["reason"]
        assert "kubectl apply failed: error: you must be logged in to the server" in reason


# -- the words that processes leave --------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_the_first_word_stands(folder: RunFolder) -> None:
    barrier = threading.Barrier(8)

    def speak(number: int) -> None:
        barrier.wait()
        folder.leave_word(Ended("failed", f"process {number}"))
        said.append(folder.ended)

    said: list[Ended | None] = []
    threads = [threading.Thread(target=speak, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(said)) == 1
    assert [path.name for path in folder.path.iterdir()] == ["exit.json"]


@pytest.mark.parametrize(
    ("statuses", "state", "reason"),
    [
        ({0: 3, 1: -9}, "died", "process 1 was killed by SIGKILL"),
        ({0: 3, 2: None}, "died", "process 2 is gone and left no word"),
        ({0: -65}, "died", "process 0 was killed by signal 65"),
        ({0: 3, 1: 3}, "failed", "process 1: late"),
        ({1: 3}, "failed", "process 1: late"),
    ],
)
def test_a_kill_is_the_cause_whatever_the_others_say(
    statuses: dict[int, int | None], state: str, reason: str, folder: RunFolder
) -> None:
    folder.write_fault(1, Ended("failed", "process 1: late"))
    assert settle(folder, statuses) == 3
    assert folder.ended == Ended(state, reason)


def test_the_earliest_fault_is_told(folder: RunFolder) -> None:
    for number in (1, 0):
        folder.write_fault(number, Ended("failed", f"process {number}"))
        time.sleep(0.02)
    settle(folder, {0: 3, 1: 3})
    assert folder.ended == Ended("failed", "process 1")


def test_an_end_without_any_word_is_told_by_its_status(folder: RunFolder) -> None:
    settle(folder, {1: 7})
    assert folder.ended == Ended("died", "process 1 ended with status 7")


def test_what_a_process_said_on_purpose_is_not_overruled(folder: RunFolder) -> None:
    folder.leave_word(Ended("failed", "labels out of range", "look at row 7"))
    settle(folder, {0: -9})
    assert folder.ended == Ended("failed", "labels out of range", "look at row 7")


def test_marked_processes_are_ended_wherever_they_are(tmp_path: Path) -> None:
    """In sessions of their own, deaf to SIGTERM; others, and this one, are left alone."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    marks = (str(tmp_path), str(tmp_path), str(tmp_path / "other"))
    found = [
        psutil.Popen([sys.executable, "-c", deaf], env={**os.environ, MARK: mark}, start_new_session=True)
        for mark in marks
    ]
    try:
        end_marked(MARK, str(tmp_path))
        assert [gone(process.pid) for process in found] == [True, True, False]
    finally:
        for process in found:
            process.kill()
            process.wait()


def test_nothing_is_left_when_torchrun_is_cancelled(bad: Phasegate) -> None:
    run(bad, "torchrun", steps=600)
    bad("runs", "cancel", "1")
    assert state(bad) == "cancelled"
    assert not processes(bad.home, within=5.0)
