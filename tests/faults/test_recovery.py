"""What becomes of a run when its supervisor, its plugin or both die: adopted, resumed or lost, once."""

from __future__ import annotations

import signal

import pytest
from cli.command import Phasegate
from faults.counting import (
    LONG,
    NO_CHECKPOINTS,
    SHORT,
    SUBJECT,
    actions,
    assert_succeeded_once,
    begins,
    command,
    counted,
    end,
    kill_both,
    recorded_metrics,
    start,
    state,
)
from faults.watching import gone, plugins, supervisors, until

# -- the supervisor dies ------------------------------------------------------------------------


def test_a_plugin_that_outlives_its_supervisor_is_adopted(bad: Phasegate) -> None:
    start(bad, *LONG, *NO_CHECKPOINTS)
    (plugin,) = plugins(bad.home)
    (supervisor,) = supervisors(bad.home)
    supervisor.kill()
    until(lambda: gone(supervisor.pid))
    assert state(bad) == "running"
    assert [process.pid for process in plugins(bad.home)] == [plugin.pid]
    assert len(supervisors(bad.home)) == 1
    assert end(bad) == "succeeded"
    assert actions(bad) == ["run-queued", "run-started", "run-taken-over", "run-started", "run-ended"]
    assert begins(bad) == [0]
    assert_succeeded_once(bad, 60)


def test_a_result_that_nobody_waited_for_is_recorded(bad: Phasegate) -> None:
    start(bad, *SHORT)
    (supervisor,) = supervisors(bad.home)
    supervisor.kill()
    until(lambda: (bad.home / "runs" / "1" / "exit.json").exists())
    assert end(bad) == "succeeded"
    assert begins(bad) == [0]
    assert_succeeded_once(bad, 12)


def test_the_attached_command_finds_another_supervisor_by_itself(bad: Phasegate) -> None:
    with command("run", "counts", SUBJECT, *LONG, *NO_CHECKPOINTS) as process:
        until(lambda: counted(bad) >= 3)
        for supervisor in supervisors(bad.home):
            supervisor.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Run 1 (counts) succeeded" in out
    assert_succeeded_once(bad, 60)


# -- both die -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "shut down"])
def test_a_run_without_a_checkpoint_is_lost_and_can_be_resumed(
    number: signal.Signals, bad: Phasegate
) -> None:
    start(bad, *SHORT, *NO_CHECKPOINTS)
    kill_both(bad, number)
    assert state(bad) == "lost"
    found = bad("runs", "show", "1", "--json").json
    assert found["reason"] == "its process is gone and left no word; phasegate runs resume 1"
    assert found["ended_at"]
    assert len(bad("dataset", "list", "--json").json) == 1
    bad.verify()
    answer = bad("runs", "resume", "1")
    assert "Run 1 (counts) succeeded." in answer.out
    assert begins(bad) == [0, 0]
    assert_succeeded_once(bad, 12)


def test_a_run_with_a_checkpoint_goes_on_from_it(bad: Phasegate) -> None:
    start(bad, *LONG)
    kill_both(bad)
    assert state(bad) == "running"
    assert end(bad) == "succeeded"
    first, second = begins(bad)
    assert first == 0
    assert second >= 5
    assert_succeeded_once(bad, 60)


def test_a_damaged_checkpoint_is_passed_over(bad: Phasegate) -> None:
    bad("run", "counts", SUBJECT, "--detach", *LONG)
    until(lambda: counted(bad) >= 12)
    kill_both(bad)
    folder = bad.home / "runs" / "1"
    newest = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    (newest / "numbers").write_text("1\n2\n3\n")
    assert end(bad) == "succeeded"
    assert begins(bad)[1] == int(newest.name.split("-")[1]) - 5
    assert_succeeded_once(bad, 60)


def test_the_ledger_agrees_while_a_lost_run_runs_again(bad: Phasegate) -> None:
    start(bad, *LONG, *NO_CHECKPOINTS)
    kill_both(bad)
    assert state(bad) == "lost"
    with command("runs", "resume", "1") as process:
        before = recorded_metrics(bad)
        until(lambda: recorded_metrics(bad) > before)
        assert state(bad) == "running"
        bad.verify()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert_succeeded_once(bad, 60)


def test_only_a_lost_run_is_resumed(bad: Phasegate) -> None:
    bad("run", "counts", SUBJECT, "--set", "steps=1")
    assert "run 1 is succeeded: only a lost run can be resumed" in bad.refuses("runs", "resume", "1").err
    assert "run 1 is not running: it has succeeded" in bad.refuses("runs", "cancel", "1").err
    assert "there is no run 7" in bad.refuses("runs", "resume", "7").err


# -- the plugin dies ----------------------------------------------------------------------------


def test_a_killed_plugin_goes_on_from_its_checkpoint_but_not_for_ever(bad: Phasegate) -> None:
    start(bad, *LONG)
    killed: set[int] = set()
    while len(killed) < 3:
        for plugin in plugins(bad.home):
            plugin.kill()
            killed.add(plugin.pid)
    assert end(bad) == "failed"
    assert "its process was killed by SIGKILL" in bad("runs", "show", "1", "--json").json["reason"]
    bad.verify()


def test_a_signal_from_elsewhere_is_no_request_of_ours(bad: Phasegate) -> None:
    start(bad, *LONG, *NO_CHECKPOINTS)
    (plugin,) = plugins(bad.home)
    plugin.terminate()
    assert end(bad) == "failed"
    assert "its process ended with status 143" in bad("runs", "show", "1", "--json").json["reason"]
