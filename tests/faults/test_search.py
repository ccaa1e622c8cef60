"""Searches of a quick training: what is chosen and kept, and what kills, cancels and faults do to it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from cli.command import EXECUTABLE, Phasegate
from faults.watching import plugins, processes, supervisors, until

REF = "moods/1"
SPACE = {"rate": {"low": 0.05, "high": 1.0}, "depth": [1, 2, 3]}


@pytest.fixture
def searched(bad: Phasegate, tmp_path: Path) -> Phasegate:
    """A planned version with 40 rows to train on and 4 to judge by."""
    rows = [f"text {n},{'yes' if n % 4 else 'no'},person {n // 4}" for n in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label,author", *rows]) + "\n")
    bad("dataset", "add", "moods-train", tmp_path / "train.csv", "--text", "text", "--label", "label")
    bad("system", "add", "mood", "--purpose", "sort texts", "--risk-tier", "minimal")
    data = ("--data", "train=moods-train/1", "--data", "validation=words/1")
    bad("model", "plan", "moods", "--system", "mood", *data)
    return bad


def options(folder: Path, **changes: Any) -> Path:
    """A file of a search's options."""
    path = folder / "search.yaml"
    path.write_text(yaml.safe_dump({"plugin": "descends", "space": SPACE, "trials": 6, **changes}))
    return path


def search(on: Phasegate, folder: Path, *words: object, expect: int = 0, **changes: Any) -> dict[str, Any]:
    """Run a search to its end; its run and evidence."""
    answer = on("run", "search", REF, "--config", options(folder, **changes), "--json", *words, expect=expect)
    return answer.json[0] if not expect else answer.error


def folder_of(on: Phasegate, run: int) -> Path:
    return on.home / "runs" / str(run)


def trials(on: Phasegate, run: int) -> list[list[str]]:
    """The table of trials, without how long they took."""
    with (folder_of(on, run) / "trials.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [[value for name, value in row.items() if name != "seconds"] for row in rows]


def design(on: Phasegate) -> dict[str, Any]:
    return on("model", "show", REF, "--json").json["design"]


def evidence(found: dict[str, Any]) -> dict[str, Any]:
    (row,) = found["evidence"]
    return row


class TestWhatItFinds:
    def test_a_grid_is_tried_whole_and_its_best_is_the_design(
        self, searched: Phasegate, tmp_path: Path
    ) -> None:
        space = {"rate": {"low": 0.5, "high": 1.5, "step": 0.5}, "depth": [1, 3]}
        searched("model", "design", REF, "--set", "architecture=curve", "--set", "depth=2")
        found = search(
            searched, tmp_path, space=space, method="grid", trials=0, fixed={"evaluations": 3}, parallel=2
        )
        run = found["run"]["id"]
        assert len(trials(searched, run)) == 6
        assert design(searched) == {
            "plugin": "descends", "architecture": "curve", "depth": 3, "evaluations": 3, "rate": 1.5
        }  # fmt: skip
        row = evidence(found)
        shown = searched("model", "show", REF, "--json").json
        assert (row["kind"], row["subject"]) == ("run.search", shown["digest"])
        assert [each["kind"] for each in shown["evidence"]] == ["run.search"]
        assert (row["metrics"]["trials"], row["metrics"]["trials.complete"]) == (6, 6)
        assert row["metrics"]["best_score"] == pytest.approx(1 / 3 + 2.718281828459045 ** (-1.5 * 3))
        assert row["facts"]["sampler"] == "GridSampler"
        assert row["facts"]["folds"] == "none: judged on the validation data"
        assert row["facts"]["data.train"].startswith("sha256:")
        assert {each["option"] for each in row["tables"]["importance"]} == {"rate", "depth"}
        assert sum(each["share"] for each in row["tables"]["importance"]) == pytest.approx(1)
        assert searched("runs", "show", run, "--json").json["outputs"] == {"design": REF}
        told = searched("model", "history", REF).out
        assert all(word in told for word in ("depth=3", "evaluations=3", "rate=1.5"))
        searched.verify()

        # Metrics and options of each trial are kept, weights are not.
        folder = folder_of(searched, run)
        for trial in sorted((folder / "trials").iterdir()):
            names = {path.name for path in trial.iterdir()}
            assert {"spec.json", "events.jsonl", "result.json", "trial.json", "log.txt"} <= names
            assert not names & {"outputs", "training", "checkpoints"}
        assert (folder / "importance.png").read_bytes()[:4] == b"\x89PNG"
        for name in ("importance.svg", "history.svg"):
            assert "<svg" in (folder / name).read_text()

        # The training takes all of it from there.
        trained = searched("run", "descends", REF, "--json", expect=2)
        assert "train is done while" in trained.error["message"]

    def test_each_fold_is_held_out_once(self, searched: Phasegate, tmp_path: Path) -> None:
        found = search(searched, tmp_path, space={"depth": [1, 2]}, method="grid", folds=5, trials=0)
        run = folder_of(searched, found["run"]["id"])
        import pyarrow.parquet as pq

        held_out = []
        for number in range(1, 6):
            kept = pq.read_table(run / "folds" / str(number) / "train" / "data.parquet").to_pylist()
            out = pq.read_table(run / "folds" / str(number) / "validation" / "data.parquet").to_pylist()
            assert (len(kept), len(out)) == (32, 8)
            assert [row["label"] for row in out].count("no") == 2, "classes are spread evenly"
            held_out += [row["text"] for row in out]
        assert sorted(held_out) == sorted(f"text {n}" for n in range(40))
        row = evidence(found)
        assert row["facts"]["folds"] == "5 (StratifiedKFold, stratified by label)"
        assert [each["std"] for each in row["tables"]["trials"]] == [0.0, 0.0]
        assert [each["steps"] for each in row["tables"]["trials"]] == [20, 20]
        result = json.loads((run / "trials" / "0000" / "fold-3" / "result.json").read_text())
        assert result["evidence"]["metrics"]["train_rows"] == 32
        assert result["evidence"]["metrics"]["validation_rows"] == 8
        spec = json.loads((run / "trials" / "0000" / "fold-3" / "spec.json").read_text())
        assert spec["data"]["train"]["ref"] == "moods-train/1#fold-3"

    def test_groups_stay_together(self, searched: Phasegate, tmp_path: Path) -> None:
        found = search(
            searched, tmp_path, space={"depth": [1]}, method="grid", folds=2, trials=0, group_by="author"
        )
        run = folder_of(searched, found["run"]["id"])
        import pyarrow.parquet as pq

        one, two = (
            set(pq.read_table(run / "folds" / number / "validation" / "data.parquet")["author"].to_pylist())
            for number in "12"
        )
        assert one.isdisjoint(two)
        assert len(one | two) == 10
        assert evidence(found)["facts"]["folds"] == (
            "2 (StratifiedGroupKFold, stratified by label, grouped by author)"
        )

    def test_hyperband_stops_what_falls_behind(self, searched: Phasegate, tmp_path: Path) -> None:
        found = search(
            searched,
            tmp_path,
            space={"depth": [9, 8, 7, 6, 5, 4, 3, 2, 1]},
            fixed={"evaluations": 9, "pause": 0.02},
            method="grid",
            trials=0,
            pruning="hyperband",
        )
        row = evidence(found)
        states = [each["state"] for each in row["tables"]["trials"]]
        assert states.count("pruned") == row["metrics"]["trials.pruned"] > 0
        pruned = [each for each in row["tables"]["trials"] if each["state"] == "pruned"]
        assert all(each["score"] is None and each["steps"] < 9 for each in pruned)
        assert design(searched)["depth"] > 4

    @pytest.mark.parametrize(("direction", "depth"), [("maximize", 3), ("minimize", 1)])
    def test_a_metric_is_sought_in_its_direction(
        self, direction: str, depth: int, searched: Phasegate, tmp_path: Path
    ) -> None:
        changes = {"space": {"depth": [1, 2, 3]}, "method": "grid", "trials": 0, "parallel": 3}
        search(searched, tmp_path, metric="depth", direction=direction, **changes)
        assert design(searched) == {"plugin": "descends", "architecture": "descends", "depth": depth}


class TestWhatGoesWrong:
    def test_a_trial_that_fails_is_one_that_failed(self, searched: Phasegate, tmp_path: Path) -> None:
        found = search(
            searched, tmp_path, space={"depth": [1, 2, 3]}, method="grid", trials=0, fixed={"breaks_at": 3}
        )
        states = {each["settings"]: each["state"] for each in evidence(found)["tables"]["trials"]}
        assert states == {"depth=1": "complete", "depth=2": "complete", "depth=3": "failed"}
        (row,) = [each for each in evidence(found)["tables"]["trials"] if each["state"] == "failed"]
        assert "validation_loss' is nan" in row["reason"]
        assert evidence(found)["facts"]["importance"].startswith("not told: 2 trials were judged")
        assert design(searched)["depth"] == 2

    def test_all_that_fail_are_a_failure(self, searched: Phasegate, tmp_path: Path) -> None:
        changes = {"space": {"depth": [3]}, "method": "grid", "trials": 0, "fixed": {"breaks_at": 3}}
        told = search(searched, tmp_path, **changes, expect=3)
        assert "no trial was judged: metric 'validation_loss' is nan at step 1" in told["message"]
        assert "(trial 0)" in told["message"]
        assert design(searched) == {}

    def test_a_metric_that_nobody_measures(self, searched: Phasegate, tmp_path: Path) -> None:
        told = search(searched, tmp_path, metric="validation_los", direction="minimize", expect=3)
        assert (
            "descends measured no 'validation_los'; it measured depth, steps, train_rows" in told["message"]
        )
        assert "did you mean 'validation_loss'?" in told["message"]

    def test_nothing_to_judge_by(self, searched: Phasegate, tmp_path: Path) -> None:
        searched("model", "data", REF, "validation=")
        told = search(searched, tmp_path, expect=3)
        assert f"{REF} names no validation data to judge trials by; add --set folds=5" in told["message"]

    def test_cancelled_all_of_it_ends(self, searched: Phasegate, tmp_path: Path) -> None:
        start(searched, options(tmp_path, fixed={"pause": 0.5, "evaluations": 50}, parallel=2))
        until(lambda: len(plugins(searched.home)) == 3)
        searched("runs", "cancel", 1)
        until(lambda: state(searched) == "cancelled")
        assert processes(searched.home, within=5.0) == []
        assert design(searched) == {}


def start(on: Phasegate, config: Path) -> None:
    command = [EXECUTABLE, "run", "search", REF, "--config", config, "--detach"]
    subprocess.run(command, check=True, capture_output=True)


def state(on: Phasegate) -> str:
    return on("runs", "show", 1, "--json").json["state"]


@pytest.mark.parametrize("victim", ["search", "trial", "supervisor and search"])
def test_killed_it_goes_on_and_finds_the_same(victim: str, searched: Phasegate, tmp_path: Path) -> None:
    """Kill -9 in the middle of a search by TPE with pruning: the same trials, the same best."""
    changes: dict[str, Any] = {
        "method": "tpe",
        "pruning": "hyperband",
        "fixed": {"evaluations": 8, "pause": 0.08},
        "trials": 5,
    }
    home = searched.home
    start(searched, options(tmp_path, **changes))
    folder = folder_of(searched, 1)
    until(lambda: list((folder / "trials" / "0002" / "checkpoints").glob("*.json")), within=60)
    first = trials_at_work(home)
    if victim == "trial":
        first[-1].kill()
    else:
        if "supervisor" in victim:
            supervisors(home)[0].kill()
        os.kill(json.loads((folder / "child.json").read_text())["pid"], signal.SIGKILL)
    if victim == "supervisor and search":
        until(lambda: state(searched) in ("lost", "running", "succeeded"), within=30)
        if state(searched) == "lost":
            searched("runs", "resume", 1)
    until(lambda: state(searched) == "succeeded", within=90, every=0.5)
    asked = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert sum("ask" in line for line in asked) == 5, "no trial was asked for twice"
    begun = (folder / "trials" / "0000" / "events.jsonl").read_text().count("begins at step")
    assert begun == 1, "what was done is not done again"
    killed, chosen = trials(searched, 1), design(searched)

    search(searched, tmp_path, **changes)
    assert trials(searched, 2) == killed
    assert design(searched) == chosen
    searched.verify()


def trials_at_work(home: Path) -> list[psutil.Process]:
    """Processes of trials, the newest last."""
    found = [each for each in plugins(home) if "trials" in each.cmdline()[-1]]
    return sorted(found, key=lambda each: each.create_time())
