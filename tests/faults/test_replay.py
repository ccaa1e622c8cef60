"""Replays: what comes again, what does not, and what cannot be done again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import closing
from sqlite3 import connect
from typing import Any

import pytest
from cli.command import EXECUTABLE, Answer, Phasegate, environment
from faults.bad_plugins.wavering import HOW, MACHINE, OFF
from faults.watching import processes

VERSION = "moods/1"


def replay(phasegate: Phasegate, *more: object, run: int = 1, expect: int = 0) -> dict[str, Any]:
    answer = phasegate("runs", "replay", run, *more, "--json", expect=expect)
    assert not list((phasegate.home / "runs").glob(".replay-*"))
    found: dict[str, Any] = answer.json
    return found


def evidence(phasegate: Phasegate) -> dict[str, Any]:
    found = phasegate("model", "show", VERSION, "--json").json["evidence"]
    (row,) = (row for row in found if row["kind"] == "run.replay")
    return dict(row)


def edit(phasegate: Phasegate, statement: str) -> None:
    with closing(connect(phasegate.home / "registry.db")) as connection, connection:
        connection.execute(statement)


def test_what_comes_again_is_said_and_recorded(ran: Phasegate) -> None:
    found = replay(ran, "--steps", "9")
    assert (found["verdict"], found["repeats"], found["claim"]) == ("identical", True, "bitwise")
    assert (found["steps"], found["compared"]) == (9, 9 + 4)
    assert (found["environment"], found["differences"]) == ({}, [])
    last = ran("audit", "log", "--json").json[-2:]
    assert [entry["action"] for entry in last] == ["evidence-recorded", "run-replayed"]
    assert last[1]["text"] == "its first 9 steps were done again: identical"
    assert last[1]["subject"] == "run:1"
    artifact = ran("model", "show", VERSION, "--json").json["artifact"]
    assert evidence(ran)["subject"] == artifact
    assert evidence(ran)["metrics"]["repeats"] == evidence(ran)["metrics"]["identical"] == 1
    assert len(ran("runs", "list", "--json").json) == 1  # a replay is no run
    ran.verify()


def test_more_steps_than_there_were_are_all_of_them(ran: Phasegate) -> None:
    assert replay(ran, "--steps", "1000")["steps"] == 20


def test_a_number_that_differs_breaks_a_claim_of_bits(
    ran: Phasegate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFF, "1e-12")
    found = replay(ran, expect=1)
    assert (found["verdict"], found["repeats"], found["tolerance"]) == ("different", False, 0)
    assert [(row["metric"], row["step"]) for row in found["differences"]] == [
        ("loss", step) for step in range(6, 11)
    ]
    row = evidence(ran)
    assert row["metrics"]["repeats"] == 0
    assert row["metrics"]["first_different_step"] == 6
    assert row["metrics"]["max_difference"] == pytest.approx(1e-12, rel=1e-3)
    told = ran("runs", "replay", "1", expect=1).out
    assert "Run 1 does not repeat: different. It claims: bitwise." in told
    assert "first loss at step 6" in told
    assert ran("audit", "log").out.rstrip().endswith("different, which is not what it claims")
    ran.verify()


def test_elsewhere_it_may_differ_a_little_and_is_told_so_first(
    ran: Phasegate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MACHINE, "yours")
    monkeypatch.setenv(OFF, "1e-6")
    said = ran("runs", "replay", "1").out.splitlines()
    place = said.index("  not as it was: machine mine -> yours")
    assert said[place + 1].startswith("Run 1 repeats: within tolerance.")
    monkeypatch.setenv(OFF, "1e-3")
    found = replay(ran, expect=1)
    assert found["environment"] == {"machine": ["mine", "yours"]}
    assert (found["verdict"], found["tolerance"]) == ("different", 1e-4)


def test_what_claims_no_more_may_differ_more(ran: Phasegate, monkeypatch: pytest.MonkeyPatch) -> None:
    ran("run", "wavers", VERSION, "--set", "claim=statistical")
    monkeypatch.setenv(OFF, "1e-3")
    assert replay(ran, run=2)["verdict"] == "within tolerance"
    monkeypatch.setenv(OFF, "0.1")
    assert replay(ran, run=2, expect=1)["verdict"] == "different"


def test_numbers_that_do_not_come_are_different(ran: Phasegate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOW, "short")
    found = replay(ran, expect=1)
    assert found["max_difference"] == 1
    assert found["differences"][0] == {"metric": "loss", "step": 5, "recorded": 7 / 5, "again": None}
    assert "nothing came" in ran("runs", "replay", "1", expect=1).out


def test_of_a_step_that_was_done_twice_the_last_counts(ran: Phasegate) -> None:
    ran("run", "wavers", VERSION, "--set", "resumed=true")
    assert replay(ran, run=2)["verdict"] == "identical"


def test_by_the_design_of_then(ran: Phasegate) -> None:
    ran("model", "design", VERSION, "--set", "layers=4")
    assert replay(ran)["environment"] == {}


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("fails", 3, "the replay failed: it cannot be done here"),
        ("dies", 3, "its process left no word: so long"),
        ("goes-on", 3, "returned Trained, not Replayed"),
    ],
)
def test_what_cannot_be_done_again_records_nothing(
    how: str, code: int, words: str, ran: Phasegate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOW, how)
    assert words in ran.refuses("runs", "replay", "1", "--json", code=code).error["message"]


def refused(phasegate: Phasegate, run: int, code: int = 2) -> Answer:
    return phasegate.refuses("runs", "replay", run, code=code)


def test_bad_requests(ran: Phasegate) -> None:
    assert "there is no run 9" in refused(ran, 9).err
    assert "--steps" in ran.refuses("runs", "replay", "1", "--steps", "0").err
    ran("run", "trains", VERSION)
    assert (
        "run 2 cannot be replayed: trains does not say which of its numbers come again" in refused(ran, 2).err
    )
    ran("run", "wavers", VERSION, "--set", "steps=0")
    assert "run 3 has recorded no steps" in refused(ran, 3).err


def test_numbers_that_were_changed_are_not_compared_with(ran: Phasegate) -> None:
    edit(ran, "UPDATE run_metrics SET value = 1 WHERE name = 'loss' AND step = 3")
    assert "the numbers of run 1 are not those that it recorded" in refused(ran, 1, 4).err


def test_data_that_is_gone_or_changed(ran: Phasegate) -> None:
    shutil.rmtree(ran.home / "cache")
    digest = ran("dataset", "show", "words/1", "--json").json["digest"]
    kept = [path for path in (ran.home / "artifacts").rglob("*") if path.is_file()]
    table = max(kept, key=lambda path: path.stat().st_size)
    assert digest
    table.chmod(0o644)
    table.write_bytes(table.read_bytes() + b"more")
    assert "the store holds other bytes" in ran("runs", "replay", "1", expect=4).err
    table.unlink()
    assert "has lost" in ran("runs", "replay", "1", expect=4).err


def test_a_run_that_made_nothing_leaves_the_event_alone(ran: Phasegate) -> None:
    """A failed training can be looked into, too: its numbers are there."""
    edit(ran, "CREATE TRIGGER no BEFORE INSERT ON run_outputs BEGIN SELECT RAISE(ABORT, 'no'); END")
    ran("run", "wavers", VERSION, expect=3)
    edit(ran, "DROP TRIGGER no")
    found = replay(ran, run=2)
    assert (found["verdict"], found["evidence"]) == ("identical", None)
    assert ran("audit", "log", "--json").json[-1]["action"] == "run-replayed"


def test_interrupted_it_leaves_nothing(ran: Phasegate, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = len(ran("audit", "log", "--json").json)
    started = subprocess.Popen(
        [EXECUTABLE, "runs", "replay", "1"],
        env=environment(ran.home) | {"PHASEGATE_HOME": str(ran.home), "PYTHONPATH": os.environ["PYTHONPATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list((ran.home / "runs").glob(".replay-*/run/child.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode in (3, 130), said
    assert not list((ran.home / "runs").glob(".replay-*"))
    assert not processes(ran.home, within=5.0)
    assert len(ran("audit", "log", "--json").json) == entries


def test_a_policy_can_demand_it(ran: Phasegate, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ran.home.parent / "replayed.yaml"
    file.write_text(POLICY)
    ran("policy", "publish", file)
    assert "no evidence   replayed/repeats" in ran("gate", "explain", VERSION, "prepared", expect=1).out
    replay(ran)
    assert "holds         replayed/repeats" in ran("gate", "explain", VERSION, "prepared", expect=1).out
    monkeypatch.setenv(OFF, "0.5")
    replay(ran, expect=1)
    assert "fails         replayed/repeats" in ran("gate", "explain", VERSION, "prepared", expect=1).out


POLICY = """
kind: GatePolicy
metadata:
  name: replayed
  title: The training comes again
  description: The first steps of the training were done again, and its numbers came again as it claims.
match: {to: [prepared]}
validations:
  - id: repeats
    expression: evidence['run.replay'].metrics['repeats'] == 1.0
    message: the training did not come again
    value: evidence['run.replay'].facts['verdict']
    limit: evidence['run.replay'].facts['claim']
    remedy: phasegate runs list --about {version}
---
kind: GateBinding
metadata: {name: replayed}
policy: replayed
action: deny
"""
