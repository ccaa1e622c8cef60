"""A run's numbers: while it runs, at a glance, and as files."""

from __future__ import annotations

import csv
import importlib.util
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cli.command import EXECUTABLE, Phasegate, environment
from faults.conftest import bad, plugin_path, ran, ran_home
from hypothesis import given
from hypothesis import strategies as st

from registry.cli import follow
from registry.cli.runs_curves import glance, sparkline

__all__ = ["bad", "plugin_path", "ran", "ran_home"]


def test_show_tells_each_curve_at_a_glance(ran: Phasegate) -> None:
    lines = ran("runs", "show", "1").out.splitlines()
    (loss,) = (line.split("\t") for line in lines if line.startswith("loss\t"))
    assert loss[1:6] == ["20", "7", "0.35", "7", "0.35"]
    assert loss[6][0] == "█"
    assert loss[6][-1] == "▁"
    assert any(line.startswith("gradient_norm\t10\t") for line in lines)


def test_show_of_a_run_without_numbers(ran: Phasegate) -> None:
    ran("run", "profile", "words/1")
    assert "points" not in ran("runs", "show", "2").out


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=300))
def test_a_sparkline_is_short_and_lowest_where_the_curve_is(values: list[float]) -> None:
    line = sparkline(values)
    assert len(line) == min(len(values), 30)
    if len(values) <= 30 and max(values) > min(values):
        assert line[values.index(min(values))] == "▁"
        assert line[values.index(max(values))] == "█"
    ((name, points, first, lowest, highest, last, _),) = glance({"loss": list(enumerate(values))})
    assert (name, points, first, last) == ("loss", len(values), values[0], values[-1])
    assert lowest <= first <= highest


def test_csv_holds_every_number_as_it_was(ran: Phasegate, tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.csv"
    assert ran("runs", "export", "1", "--csv", file).out == f"Wrote {file}.\n"
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    losses = [(int(row["step"]), float(row["value"])) for row in rows if row["metric"] == "loss"]
    assert losses == [(step, 7 / step) for step in range(1, 21)]


def test_tensorboard_reads_what_was_written(ran: Phasegate, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    answer = ran("runs", "export", "1", "--tensorboard", tmp_path / "logs", "--json").json
    assert answer == {"run": 1, "written": [str(tmp_path / "logs" / "run-1")]}
    read = EventAccumulator(str(tmp_path / "logs" / "run-1")).Reload()
    assert set(read.Tags()["scalars"]) == {"loss", "gradient_norm", "speed", "validation_loss"}
    scalars = read.Scalars("loss")
    assert [scalar.step for scalar in scalars] == list(range(1, 21))
    assert [scalar.value for scalar in scalars] == pytest.approx([7 / step for step in range(1, 21)])
    # Twice into one folder would show every point twice.
    again = ran("runs", "export", "1", "--tensorboard", tmp_path / "logs", expect=2)
    assert "run-1 holds files already" in again.err


def test_what_cannot_be_exported(ran: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--tensorboard DIR or --csv FILE" in ran.refuses("runs", "export", "1").err
    assert "there is no run 9" in ran.refuses("runs", "export", "9", "--csv", tmp_path / "x").err
    (tmp_path / "file").write_text("")
    for option in ("--csv", "--tensorboard"):
        said = ran.refuses("runs", "export", "1", option, tmp_path / "file" / "below")
        assert f"{tmp_path / 'file' / 'below'}" in said.err
        assert "cannot be written: " in said.err
    ran("run", "profile", "words/1")
    assert "run 2 has recorded no metrics" in ran.refuses("runs", "export", "2", "--csv", tmp_path / "x").err
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "tensorboard" else find(name, *more)
    )
    said = ran.refuses("runs", "export", "1", "--tensorboard", tmp_path / "logs")
    assert "pip install 'phasegate[tensorboard]'" in said.err


def test_a_pipe_gets_lines_with_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 100.1, 110.0, 130.0, 140.0])
    monkeypatch.setattr(follow.time, "monotonic", lambda: next(clock))
    events: list[dict[str, Any]] = [
        {"type": "progress", "done": done, "total": 100, "message": "loss 0.5000, 900 tokens/s"}
        for done in (1, 2, 26, 76, 100)
    ]
    events.insert(3, {"type": "metric", "name": "validation_loss", "value": 0.25, "step": 26})
    with follow.screen_for("train-classifier", quiet=False) as screen:
        for event in events:
            follow.show(event, screen)
    assert capsys.readouterr().out.splitlines() == [
        "    1%, loss 0.5000, 900 tokens/s",
        "   26%, loss 0.5000, 900 tokens/s, 0:00:30 left",
        "  validation loss 0.2500 at step 26",
        "   76%, loss 0.5000, 900 tokens/s, 0:00:10 left",
        "  100%, loss 0.5000, 900 tokens/s",
    ]


def test_a_terminal_gets_a_bar_with_loss_and_what_is_left(ran: Phasegate) -> None:
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm", "COLUMNS": "120", "PYTHONPATH": os.environ["PYTHONPATH"]}
    started = subprocess.Popen(
        [EXECUTABLE, "run", "wavers", "moods/1"],
        env=environment(ran.home) | terminal,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # nobody writes to it any more
            break
        said += part
    os.close(ours)
    assert started.wait(30) == 0
    text = said.decode()
    assert "tokens/s" in text
    assert "left" in text
    assert "validation loss 0.5000 at step 10" in text
