"""What becomes of a run when the command that asked for it dies, is interrupted, or cannot start it."""

from __future__ import annotations

import signal
import subprocess
import sys

from cli.command import Phasegate
from faults.counting import (
    LONG,
    LONGER,
    SHORT,
    SUBJECT,
    actions,
    assert_succeeded_once,
    begins,
    command,
    counted,
    end,
    kill_both,
    start,
    state,
)
from faults.watching import plugins, processes, until


def test_a_run_outlives_the_command_that_started_it(bad: Phasegate) -> None:
    with command("run", "counts", SUBJECT, *SHORT) as process:
        until(lambda: counted(bad) >= 2)
        process.kill()
    assert end(bad) == "succeeded"
    assert actions(bad) == ["run-queued", "run-started", "run-ended"]
    assert_succeeded_once(bad, 12)


DIES = """
import os, signal, sys
from registry.runner import folder, supervisor
from registry.usecases import recovery
die = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "before its folder is laid out":
    folder.RunFolder.prepare = die
else:
    recovery.start_supervisor = die
from registry.cli.main import execute
execute(["run", "counts", "words/1", "--set", "steps=3"])
"""


def test_a_command_killed_before_its_run_is_laid_out_leaves_a_lost_run(bad: Phasegate) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, "before its folder is laid out"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert state(bad) == "lost"
    reason = bad("runs", "show", "1", "--json").json["reason"]
    assert reason == "it was never started: the command that asked for it was killed"
    assert "run 1 is not running: it was lost" in bad.refuses("runs", "cancel", "1").err
    assert "the folder of run 1 is not in" in bad.refuses("runs", "resume", "1").err
    bad.verify()


def test_a_command_killed_before_its_supervisor_began_is_made_up_for(bad: Phasegate) -> None:
    subprocess.run([sys.executable, "-c", DIES, "before its supervisor began"], check=False)
    assert end(bad) == "succeeded"
    assert actions(bad) == ["run-queued", "run-taken-over", "run-started", "run-ended"]
    assert_succeeded_once(bad, 3)


def test_ctrl_c_cancels_the_run(bad: Phasegate) -> None:
    with command("run", "counts", SUBJECT, *LONGER) as process:
        until(lambda: counted(bad) >= 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 3, out + err
    assert "Cancelling ..." in out
    assert err == "Error: run 1 was cancelled\n  -> phasegate runs logs 1\n"
    assert state(bad) == "cancelled"
    assert not processes(bad.home, within=5.0)
    bad.verify()


def test_detach_follow_cancel(bad: Phasegate) -> None:
    answer = bad("run", "hangs", SUBJECT, "--detach")
    assert answer.out.endswith(": phasegate runs logs -f 1\n")
    with command("runs", "logs", "-f", "1") as process:
        until(lambda: plugins(bad.home))
        until(lambda: (bad.home / "runs" / "1" / "events.jsonl").exists())
        assert bad("runs", "cancel", "1").out == "Run 1: cancelled.\n"
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert bad("runs", "show", "1", "--json").json["reason"] == "cancelled on request"
    bad.verify()


def test_cancelling_needs_no_supervisor(bad: Phasegate) -> None:
    start(bad, *LONG)
    kill_both(bad)
    assert bad("runs", "cancel", "1").out == "Run 1: cancelled.\n"
    assert begins(bad) == [0]
    bad.verify()


# -- nothing can be started ---------------------------------------------------------------------


def test_a_home_that_cannot_be_written_starts_nothing(bad: Phasegate) -> None:
    (bad.home / "runs").write_text("in the way")
    answer = bad("run", "counts", SUBJECT, expect=3)
    assert "run 1 cannot be started: [Errno" in answer.err
    assert state(bad) == "lost"
    bad.verify()


def test_folders_of_another_databases_runs_are_not_written_to(bad: Phasegate) -> None:
    bad("run", "counts", SUBJECT, "--set", "steps=1")
    spec = (bad.home / "runs" / "1" / "spec.json").read_bytes()
    other = f"sqlite:///{bad.home / 'other.db'}"
    bad("init", "--database", other)
    bad("dataset", "add", "words", bad.home.parent / "words.csv", "--database", other)
    answer = bad("run", "counts", SUBJECT, "--database", other, expect=2)
    assert "which a run of another database has left there" in answer.err
    assert bad("runs", "list", "--json", "--database", other).json == []
    assert (bad.home / "runs" / "1" / "spec.json").read_bytes() == spec
    bad("audit", "verify", "--database", other)
