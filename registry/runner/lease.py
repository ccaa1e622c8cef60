"""Leases: one supervisor at a time looks after a run, and everybody can see whether it still does."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.orm import Session

from registry.domain.events import RunStarted
from registry.runner.folder import Ticket
from registry.runner.processes import ProcessId
from registry.storage import find
from registry.storage.database import Database
from registry.storage.tables import RunLease
from registry.storage.tables.base import now
from registry.storage.tables.people import ActorRow

# States of a run that somebody has to look after.
OPEN = ("queued", "running")

# Of a supervisor on another host, which cannot be looked at. It beats every two seconds.
EXPIRES = timedelta(seconds=60)


def take_lease(database: Database, ticket: Ticket) -> bool:
    """Take a run over, if its fencing token is still ours; the run is `running` from then on."""
    me = ProcessId.of()
    with database.read() as session:
        actor = session.get_one(ActorRow, find.run(session, ticket.run).created_by).name
    with database.write(actor) as work:
        run = find.run(work.session, ticket.run, lock=True)
        if run.token != ticket.token or run.state not in OPEN:
            return False
        run.state = "running"
        run.reason = ""
        run.started_at = run.started_at or work.at
        work.record(RunStarted(f"run:{run.id}", ticket.token))
        put_lease(work.session.connection(), ticket.run, ticket.token, me)
    return True


def put_lease(connection: Connection, run: int, token: int, holder: ProcessId) -> None:
    """Write who looks after a run."""
    values = {
        "token": token,
        "host": holder.host,
        "pid": holder.pid,
        "started": holder.started,
        "heartbeat_at": now(),
    }
    # Not deleted and inserted anew: two who did that at once would both insert.
    done = connection.execute(update(RunLease).where(RunLease.run_id == run).values(values))
    if not done.rowcount:
        connection.execute(insert(RunLease).values(run_id=run, **values))


def beat(connection: Connection, ticket: Ticket) -> bool:
    """Say that we are alive; False if somebody else has taken the run over.

    Until the transaction ends nobody can take it over: what is written in it is fenced.
    """
    done = connection.execute(
        update(RunLease)
        .where(RunLease.run_id == ticket.run, RunLease.token == ticket.token)
        .values(heartbeat_at=now())
    )
    return done.rowcount == 1


def held(session: Session, run: int) -> bool:
    """Whether somebody who is alive looks after a run."""
    lease = session.scalar(select(RunLease).where(RunLease.run_id == run))
    if lease is None:
        return False
    holder = ProcessId(lease.pid, lease.started, lease.host)
    return holder.alive if holder.here else now() - lease.heartbeat_at < EXPIRES


def lost_to_here(database: Database, ticket: Ticket) -> bool:
    """Whether the supervisor that took the run over from us is on this host, and adopts its process."""
    with database.read() as session:
        lease = session.get_one(RunLease, ticket.run)
        return ProcessId(lease.pid, lease.started, lease.host).here
