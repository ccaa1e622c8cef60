"""What becomes of a run when the processes around it die: adopted, recorded, resumed or lost, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import pytest
from cli.command import EXECUTABLE, Phasegate
from faults.watching import gone, plugins, processes, supervisors, until

import registry
from registry.usecases import recovery

SUBJECT = "words/1"
SHORT = ("--set", "steps=12", "--set", "pause=0.05")
LONG = ("--set", "steps=60", "--set", "pause=0.05")
NO_CHECKPOINTS = ("--set", "checkpoints=false")


def start(bad: Phasegate, *options: str) -> None:
    """Start a run of `counts` and wait until it counts."""
    bad("run", "counts", SUBJECT, "--detach", *options)
    until(lambda: counted(bad) >= 7)


def counted(bad: Phasegate) -> int:
    try:
        return (bad.home / "runs" / "1" / "events.jsonl").read_text().count('"metric"')
    except FileNotFoundError:
        return 0


def state(bad: Phasegate) -> str:
    """State of run 1, after whatever recovery it needed."""
    return bad("runs", "list", "--json").json[0]["state"]


def actions(bad: Phasegate) -> list[str]:
    return [entry["action"] for entry in bad("audit", "log", "--subject", "run:1", "--json").json]


def begins(bad: Phasegate) -> list[int]:
    """Where the plugin began, each time that it did."""
    lines = (bad.home / "runs" / "1" / "events.jsonl").read_text().splitlines()
    texts = [json.loads(line).get("text", "") for line in lines]
    return [int(text.split()[2]) for text in texts if text.startswith("begins at")]


def end(bad: Phasegate) -> str:
    """Wait for the end of run 1; returns its state."""
    until(lambda: state(bad) not in ("queued", "running"))
    return state(bad)


def assert_succeeded_once(bad: Phasegate, steps: int) -> None:
    """One dataset, of every number once; one end; one piece of evidence."""
    assert state(bad) == "succeeded"
    made = bad("dataset", "show", "words-counted/1", "--json").json
    assert made["rows"] == steps
    assert len(made["evidence"]) == 1
    assert made["evidence"][0]["metrics"] == {"steps": steps}
    assert len(bad("dataset", "list", "--json").json) == 2
    assert actions(bad).count("run-ended") - actions(bad).count("run-taken-over") <= 1
    bad.verify()


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
    with command(bad, "run", "counts", SUBJECT, *LONG, *NO_CHECKPOINTS) as process:
        until(lambda: counted(bad) >= 3)
        for supervisor in supervisors(bad.home):
            supervisor.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Run 1 (counts) succeeded" in out
    assert_succeeded_once(bad, 60)


# -- both die -----------------------------------------------------------------------------------


def kill_both(bad: Phasegate, number: signal.Signals = signal.SIGKILL) -> None:
    """Supervisor first, so that it sees nothing."""
    victims = [*supervisors(bad.home), *plugins(bad.home)]
    assert len(victims) == 2
    for process in victims:
        process.send_signal(number)
    until(lambda: all(gone(process.pid) for process in victims))


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
    with command(bad, "runs", "resume", "1") as process:
        before = metrics(bad)
        until(lambda: metrics(bad) > before)
        assert state(bad) == "running"
        bad.verify()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert_succeeded_once(bad, 60)


def metrics(bad: Phasegate) -> int:
    import sqlite3

    connection = sqlite3.connect(bad.home / "registry.db")
    (number,) = connection.execute("SELECT count(*) FROM run_metrics").fetchone()
    connection.close()
    return int(number)


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


# -- the command dies ---------------------------------------------------------------------------


class command:  # noqa: N801
    """`phasegate ARGUMENTS` as a process, killed at the end if it still runs."""

    def __init__(self, bad: Phasegate, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [EXECUTABLE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def test_a_run_outlives_the_command_that_started_it(bad: Phasegate) -> None:
    with command(bad, "run", "counts", SUBJECT, *SHORT) as process:
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
    with command(bad, "run", "counts", SUBJECT, *LONG) as process:
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
    with command(bad, "runs", "logs", "-f", "1") as process:
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


# -- two at once --------------------------------------------------------------------------------


def test_of_many_who_recover_one_does(bad: Phasegate) -> None:
    start(bad, *LONG, *NO_CHECKPOINTS)
    (supervisor,) = supervisors(bad.home)
    supervisor.kill()
    until(lambda: gone(supervisor.pid))
    barrier = threading.Barrier(4)

    def recover() -> None:
        with registry.open(bad.home) as opened:
            barrier.wait()
            opened.recover()

    threads = [threading.Thread(target=recover) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert actions(bad).count("run-taken-over") == 1
    assert end(bad) == "succeeded"
    assert_succeeded_once(bad, 60)


def test_a_run_that_ends_while_it_is_looked_at_is_left_alone(
    bad: Phasegate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen as running, then ended and its supervisor gone: there is nothing to recover."""
    start(bad, *SHORT)
    really_held = recovery.held

    def held_until_it_ended(session, run: int) -> bool:
        monkeypatch.setattr(recovery, "held", really_held)
        until(lambda: not processes(bad.home))
        return False

    monkeypatch.setattr(recovery, "held", held_until_it_ended)
    with registry.open(bad.home) as opened:
        assert opened.recover() == []
    assert actions(bad) == ["run-queued", "run-started", "run-ended"]
    assert_succeeded_once(bad, 12)


def test_a_supervisor_that_was_thought_dead_cannot_record(bad: Phasegate) -> None:
    """Another host's lease that ran out, as it looks from here: the run is taken over, its plugin adopted."""
    import sqlite3

    start(bad, *LONG, *NO_CHECKPOINTS)
    (first,) = supervisors(bad.home)
    first.suspend()
    connection = sqlite3.connect(bad.home / "registry.db", isolation_level=None)
    connection.execute(
        "UPDATE run_leases SET host = 'elsewhere', heartbeat_at = '2026-01-01 00:00:00.000000'"
    )
    connection.close()
    assert state(bad) == "running"
    assert len(supervisors(bad.home)) == 2
    first.resume()
    until(lambda: gone(first.pid))
    assert len(plugins(bad.home)) == 1, "the stale supervisor has ended what is no longer its own"
    assert end(bad) == "succeeded"
    assert actions(bad) == ["run-queued", "run-started", "run-taken-over", "run-started", "run-ended"]
    assert_succeeded_once(bad, 60)


def test_a_late_supervisor_finds_its_token_stale(bad: Phasegate) -> None:
    """Started, and overtaken before it came to read anything: it must not pick up its successor's token."""
    from registry.runner.supervisor import start_supervisor

    start(bad, *SHORT)
    assert end(bad) == "succeeded"
    from registry.runner.folder import RunFolder

    before = actions(bad)
    late = start_supervisor(RunFolder(bad.home / "runs" / "1"), 0, f"sqlite:///{bad.home / 'registry.db'}")
    until(lambda: gone(late.pid))
    assert actions(bad) == before
    bad.verify()


def test_a_plugin_begins_only_once_it_is_on_record(bad: Phasegate) -> None:
    """A supervisor killed between starting a process and noting it leaves one that ends by itself."""
    start(bad, *SHORT)
    end(bad)
    folder = bad.home / "runs" / "1"
    before = (folder / "events.jsonl").read_bytes()
    process = subprocess.run(
        [sys.executable, "-P", "-m", "registry.runner.child", str(folder)],
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert process.returncode == 3
    assert (folder / "events.jsonl").read_bytes() == before
