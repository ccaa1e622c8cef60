"""Plugins that misbehave: what the command says, what the registry keeps, and what is left running."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest
from cli.command import Answer, Phasegate
from faults.watching import gone, plugins, processes, until

SUBJECT = "words/1"


def fails(bad: Phasegate, plugin: str, *options: object) -> tuple[Answer, str]:
    """Run a plugin that must fail: nothing of it may count. Returns the answer and the recorded reason."""
    before = bad("dataset", "list", "--json").json
    answer = bad("run", plugin, SUBJECT, *options, expect=3)
    assert "Traceback" not in answer.err
    assert answer.err.startswith(f"Error: run 1 ({plugin}) failed: ")
    assert answer.err.endswith("\n  -> phasegate runs logs 1\n")
    run = bad("runs", "show", "1", "--json").json
    assert (run["state"], run["outputs"]) == ("failed", {})
    assert run["reason"] in answer.err
    assert run["ended_at"]
    assert bad("dataset", "list", "--json").json == before
    assert bad("dataset", "show", SUBJECT, "--json").json["evidence"] == []
    assert actions(bad) == ["run-queued", "run-started", "run-ended"]
    bad.verify()
    return answer, run["reason"]


def actions(bad: Phasegate, run: int = 1) -> list[str]:
    return [entry["action"] for entry in bad("audit", "log", "--subject", f"run:{run}", "--json").json]


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        ("declines", "this dataset is too small to be checked; add rows"),
        ("kills-itself", "its process was killed by SIGKILL; phasegate runs logs 1"),
        ("leaves-quietly", "its process ended with status 0; phasegate runs logs 1"),
        ("nan-metric", "metric 'loss' is nan at step 2; look at the data and the learning rate"),
        ("nan-evidence", "metrics: metric 'share' is inf: only finite numbers can be evidence"),
        ("impossible-coverage", "coverage: Input should be less than or equal to 1"),
        ("wrong-type", "plugin 'wrong-type' returned dict, not Evidence"),
        ("evidence-elsewhere", "its result was not recorded: /etc/hostname is outside the run's folder"),
    ],
)
def test_what_a_failure_says(plugin: str, reason: str, bad: Phasegate) -> None:
    assert fails(bad, plugin)[1] == reason


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        ("dataset-elsewhere", "is outside the run's folder"),
        ("dataset-behind-a-link", "is a link or a special file: only plain files can be stored"),
        ("damaged-dataset", "its result was not recorded: ArrowInvalid"),
        ("empty-folder", "its result was not recorded"),
    ],
)
def test_a_result_that_cannot_be_recorded(plugin: str, words: str, bad: Phasegate) -> None:
    assert words in fails(bad, plugin)[1]


def test_an_exception_is_named_cut_and_cleaned(bad: Phasegate) -> None:
    answer, reason = fails(bad, "raises")
    assert reason.startswith("ZeroDivisionError: divided\ufffd[31m by zero again and again")
    assert len(reason) == 2000
    assert "\x1b" not in answer.err
    shown = bad("runs", "logs", "1").out
    assert 'raise ZeroDivisionError("divided' in shown
    assert "\x1b" not in shown


def test_metrics_from_before_the_failure_are_kept(bad: Phasegate) -> None:
    fails(bad, "nan-metric")
    assert bad("runs", "show", "1", "--json").json["metrics"] == {"loss": 0.5}


# -- too long, too much -------------------------------------------------------------------------


def test_a_hanging_plugin_meets_its_time_limit(bad: Phasegate) -> None:
    _, reason = fails(bad, "hangs", "--timeout", "1")
    assert reason == "stopped after 1 seconds, its time limit; allow more with --timeout SECONDS"


def test_a_plugin_that_ignores_sigterm_is_killed(bad: Phasegate) -> None:
    began = time.monotonic()
    fails(bad, "hangs", "--timeout", "2", "--set", "stubborn=true")
    assert 10 < time.monotonic() - began < 30
    assert bad("runs", "logs", "1").out == "not listening\n"


def test_a_quota_is_kept(bad: Phasegate) -> None:
    _, reason = fails(bad, "fills-the-disk", "--quota", "1000000")
    assert reason == "its folder grew over its quota of 1,000,000 bytes; allow more with --quota BYTES"
    size = (bad.home / "runs" / "1" / "big").stat().st_size
    assert 1_000_000 < size < 100_000_000


def test_a_quota_is_kept_by_those_who_are_quick(bad: Phasegate) -> None:
    assert "over its quota of 1,000,000 bytes" in fails(bad, "fills-and-leaves", "--quota", "1000000")[1]


def test_a_flood_of_output_reaches_no_terminal(bad: Phasegate) -> None:
    answer = bad("run", "floods", SUBJECT)
    assert len(answer.out) < 1000
    assert "a bell , and a title" in answer.out
    assert not {"\x07", "\x1b"} & set(answer.out)
    shown = bad("runs", "logs", "1").out
    assert shown.startswith("... the last 256 KiB of ")
    assert shown.endswith(" 10%\n 20%\nthe last line\n")
    assert len(shown) < 300_000
    assert not {"\x07", "\x1b"} & set(shown)
    whole = bad("runs", "logs", "1", "--all").out
    assert whole.count("\n") == 300_003
    bad.verify()


def test_measuring_does_not_trip_over_what_vanishes(bad: Phasegate) -> None:
    bad("run", "churns", SUBJECT)
    assert actions(bad) == ["run-queued", "run-started", "run-ended"]


def test_lines_that_are_no_events_are_passed_over(bad: Phasegate) -> None:
    bad("run", "scribbles", SUBJECT)
    assert bad("runs", "show", "1", "--json").json["metrics"] == {"loss": 0.25}
    assert actions(bad) == ["run-queued", "run-started", "run-ended"]
    bad.verify()


# -- what is left running -----------------------------------------------------------------------


def test_a_thread_that_lingers_does_not_hold_the_run_up(bad: Phasegate) -> None:
    answer = bad("run", "lingers", SUBJECT)
    assert "Run 1 (lingers) succeeded" in answer.out
    assert not processes(bad.home, within=5.0)


def test_what_a_plugin_held_is_let_go_before_the_interpreter_ends(bad: Phasegate) -> None:
    """Torch's process groups are held in cycles, and their threads abort a process that ends around them."""
    bad("run", "holds", SUBJECT)
    assert "let go, the interpreter ends: False" in bad("runs", "logs", "1").out


def test_a_worker_left_behind_is_ended(bad: Phasegate) -> None:
    bad("run", "breeds", SUBJECT, "--set", "returns=true")
    until(lambda: gone(worker(bad)))


def test_workers_of_a_cancelled_run_are_ended(bad: Phasegate) -> None:
    bad("run", "breeds", SUBJECT, "--detach")
    until(lambda: (bad.home / "runs" / "1" / "worker").exists())
    bred = worker(bad)
    assert psutil.pid_exists(bred)
    assert bad("runs", "cancel", "1").out == "Run 1: cancelled.\n"
    until(lambda: gone(bred))
    bad.verify()


def test_workers_of_a_killed_plugin_are_ended(bad: Phasegate) -> None:
    bad("run", "breeds", SUBJECT, "--detach")
    until(lambda: (bad.home / "runs" / "1" / "worker").exists())
    plugin = psutil.Process(worker(bad)).parent()
    plugin.kill()
    until(lambda: bad("runs", "show", "1", "--json").json["state"] == "failed")
    until(lambda: gone(worker(bad)))


def worker(bad: Phasegate) -> int:
    return int((bad.home / "runs" / "1" / "worker").read_text())


# -- odd, but right -----------------------------------------------------------------------------


def test_a_relative_path_is_one_in_the_runs_folder(bad: Phasegate) -> None:
    here = Path.cwd()
    bad("run", "goes-elsewhere", SUBJECT)
    assert Path.cwd() == here
    made = bad("dataset", "show", "words/2", "--json").json
    assert (made["rows"], made["parents"]) == (4, [SUBJECT])
    bad.verify()


def test_a_nan_in_a_table_for_reports_is_a_blank(bad: Phasegate) -> None:
    bad("run", "nan-table", SUBJECT)
    (found,) = bad("dataset", "show", SUBJECT, "--json").json["evidence"]
    assert found["tables"] == {"groups": [{"group": "f", "rate": None}]}
    bad.verify()


def test_a_folder_called_evidence_is_not_swept_away(bad: Phasegate) -> None:
    bad("run", "own-evidence-folder", SUBJECT)
    assert (bad.home / "runs" / "1" / "evidence" / "rows.txt").read_text() == "1\n2\n"
    assert len(bad("dataset", "show", SUBJECT, "--json").json["evidence"]) == 1
    bad.verify()


def test_modules_of_the_folder_where_one_works_are_not_imported(
    bad: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People run `phasegate` in folders that hold a `random.py` or a `registry/` of their own."""
    work = tmp_path / "work"
    (work / "registry").mkdir(parents=True)
    for name in ("random.py", "json.py", "registry/__init__.py"):
        (work / name).write_text("raise SystemExit('this is not the module that was meant')\n")
    monkeypatch.chdir(work)
    bad("run", "profile", SUBJECT)


# -- refused before anything is started ---------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin", "message", "hint"),
    [
        ("broken", "plugin 'broken' cannot be loaded: ModuleNotFoundError: No module named", ""),
        ("another-name", "bad_plugins.ending:Raises calls itself 'raises'", ""),
        ("no-plugin", "bad_plugins.dist:install is no Plugin class", ""),
        (
            "needs-more",
            "plugin 'needs-more' needs no_such_package_anywhere",
            "pip install 'phasegate[imaginary]'",
        ),
        ("fluds", "there is no plugin 'fluds'", "did you mean 'floods'?"),
    ],
)
def test_a_plugin_that_cannot_run_here(plugin: str, message: str, hint: str, bad: Phasegate) -> None:
    answer = bad.refuses("run", plugin, SUBJECT)
    assert message in answer.err
    assert hint in answer.err
    assert bad("runs", "list", "--json").json == []


def test_the_list_of_plugins_says_what_is_wrong_with_each(bad: Phasegate) -> None:
    listed = {row["name"]: row for row in bad("plugin", "list", "--json").json}
    assert listed["counts"]["problem"] == ""
    assert listed["counts"]["distribution"] == "bad-plugins"
    assert "No module named" in listed["broken"]["problem"]
    assert "calls itself 'raises'" in listed["another-name"]["problem"]
    assert listed["needs-more"]["problem"] == (
        "needs no_such_package_anywhere: pip install 'phasegate[imaginary]'"
    )


def test_secrets_of_the_registry_do_not_reach_a_plugin(bad: Phasegate) -> None:
    bad("run", "hangs", SUBJECT, "--detach", "--database", f"sqlite:///{bad.home}/registry.db")
    until(lambda: (bad.home / "runs" / "1" / "events.jsonl").exists())
    (plugin,) = plugins(bad.home)
    assert not {name for name in plugin.environ() if name in ("PHASEGATE_DATABASE", "PHASEGATE_SUPERVISED")}
    assert os.environ["PHASEGATE_HOME"]
    bad("runs", "cancel", "1")
