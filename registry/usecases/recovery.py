"""Cancelling, resuming and recovering runs: what becomes of those that nobody looks after."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from sqlalchemy import select

from registry.domain.events import RunEnded, RunTakenOver
from registry.errors import BadInput, NotFound, RunFailed
from registry.runner.folder import RunFolder
from registry.runner.lease import OPEN, held, put_lease
from registry.runner.processes import ProcessId
from registry.runner.supervisor import start_supervisor
from registry.storage import find
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.tables import (
    Run,
    RunLease,
)


def cancel_run(database: Database, home: Home, number: int) -> None:
    """Ask a run to stop; its supervisor ends it within seconds.

    Raises:
        NotFound: No such run.
        BadInput: It has ended.
    """
    with database.read() as session:
        run = find.run(session, number)
        if run.state in _ENDED:
            raise BadInput(f"run {number} is not running: it {_ENDED[run.state]}")
        attended = held(session, number)
    if attended or RunFolder(home.runs / str(number)).prepared:
        open_folder(home, number).ask_to_cancel()
    recover_runs(database, home)


def resume_run(database: Database, home: Home, actor: str, number: int) -> None:
    """Start a lost run again, from its last verified checkpoint if it made one.

    Raises:
        NotFound: No such run, or its folder is not on this machine.
        BadInput: It is not lost, or never began.
        RunFailed: Its disk is full still.
    """
    with database.read() as session:
        _check_lost(find.run(session, number))
    folder = open_folder(home, number)
    if not folder.prepared:
        raise BadInput(f"run {number} never began", hint="start it anew: phasegate run PLUGIN REF")
    try:
        folder.take_back_cancel()
        folder.take_back_word()
        folder.write_ticket(replace(folder.ticket, resume=True))
    except OSError as cause:
        raise RunFailed(f"run {number} cannot be resumed: {cause}", hint="phasegate doctor") from cause
    _take_over(database, folder, actor, number, resume=True)


def recover_runs(database: Database, home: Home) -> list[int]:
    """Find runs that nobody looks after any more, and give each a new supervisor.

    It adopts the plugin's process if that is alive, records the end if that left word,
    resumes from a verified checkpoint, or marks the run lost. Returns the runs concerned.
    """
    with database.read() as session:
        rows = session.execute(select(Run.id, Run.created_by).where(Run.state.in_(OPEN)))
        names = find.actor_names(session)
        unattended = {number: names[actor] for number, actor in rows if not held(session, number)}
    concerned = []
    for number, actor in unattended.items():
        folder = RunFolder(home.runs / str(number))
        if folder.prepared:
            taken = _take_over(database, folder, actor, number, resume=False)
        else:
            reason = "it was never started: the command that asked for it was killed"
            taken = mark_lost(database, actor, number, reason)
        if taken:
            concerned.append(number)
    for number in concerned:
        _settle(database, RunFolder(home.runs / str(number)), number)
    return concerned


_ENDED = {
    "succeeded": "has succeeded",
    "failed": "has failed",
    "cancelled": "was cancelled",
    "lost": "was lost",
}


def _check_lost(run: Run) -> None:
    if run.state != "lost":
        raise BadInput(f"run {run.id} is {run.state}: only a lost run can be resumed")


def _take_over(database: Database, folder: RunFolder, actor: str, number: int, *, resume: bool) -> bool:
    """Give a run a new supervisor; False if it has ended or found another one by now."""
    with database.write(actor) as work:
        run = find.run(work.session, number, lock=True)
        if resume:
            _check_lost(run)
            # How it ended stands in the ledger; it has not ended any more.
            run.state, run.reason, run.ended_at, run.metrics_digest = "queued", "", None, ""
        elif run.state not in OPEN or held(work.session, number):
            return False
        run.token += 1
        token = run.token
        put_lease(work.session.connection(), number, token, ProcessId.of())
        work.record(RunTakenOver(f"run:{number}", token))
    if not resume and folder.ticket.resume:
        # It was asked for once. That a full disk keeps the old word is no harm: nobody else looks after it.
        with contextlib.suppress(OSError):
            folder.write_ticket(replace(folder.ticket, resume=False))
    hand_over(database, folder, number, token)
    return True


def hand_over(database: Database, folder: RunFolder, number: int, token: int) -> None:
    supervisor = start_supervisor(folder, token, database.url.render_as_string(hide_password=False))
    with database.ungoverned() as connection:
        current = connection.scalar(select(RunLease.token).where(RunLease.run_id == number))
        if current == token:
            put_lease(connection, number, token, supervisor)


def mark_lost(database: Database, actor: str, number: int, reason: str) -> bool:
    """Write that a run was never started; False if it was."""
    with database.write(actor) as work:
        run = find.run(work.session, number, lock=True)
        if run.state != "queued":
            return False
        run.state = "lost"
        run.reason = reason
        run.ended_at = work.at
        work.record(RunEnded(f"run:{number}", run.state, run.reason, {}, run.metrics_digest))
    return True


def _settle(database: Database, folder: RunFolder, number: int, seconds: float = 10.0) -> None:
    """Give a new supervisor a moment to say what became of the run."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.read() as session:
            if find.run(session, number).state not in OPEN:
                return
        child = folder.child
        if child is not None and child.alive:
            return
        time.sleep(0.1)


def open_folder(home: Home, number: int) -> RunFolder:
    """The folder of a run.

    Raises:
        NotFound: It is not on this machine.
    """
    folder = RunFolder(home.runs / str(number))
    if not folder.path.exists():
        raise NotFound(f"the folder of run {number} is not in {home.runs}")
    return folder
