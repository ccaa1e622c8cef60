"""Replaying a run: its first steps are done again, and every number that should come again is compared."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.events import EvidenceRecorded, RunReplayed
from registry.domain.replays import IDENTICAL, Points, Replay, judge, summary
from registry.errors import BadInput, Cancelled, IntegrityViolated, RunFailed
from registry.extension.discovery import AnyPlugin, check_requirements, load_plugin, read_config
from registry.extension.inputs import RunSpec
from registry.runner.folder import Ended, RunFolder, Ticket
from registry.runner.lease import OPEN
from registry.runner.recording import metrics_digest
from registry.runner.starting import start_child
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.tables import Artifact, EvidenceRow, Run, RunMetric, RunOutput
from registry.usecases.run_inputs import recorded_inputs

KIND = "run.replay"
_PACKAGES = "packages.txt"
_TICK, _GRACE = 0.05, 8.0
_TAIL = 2000


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A run as it was recorded: what to do again, and what it gave."""

    spec: RunSpec
    engine: str
    engine_options: dict[str, Any]
    points: Points
    facts: Mapping[str, str]
    packages: str


def replay_run(
    database: Database,
    store: ArtifactStore,
    home: Home,
    actor: str,
    number: int,
    steps: int,
    *,
    hear: Callable[[dict[str, Any]], None] | None = None,
) -> Replay:
    """Do the first steps of a run again, and compare what it says with what was recorded.

    The same plugin, options, seed, data, base and design, in a folder that is thrown away. What came of it is
    recorded in one transaction: in the ledger, and as evidence about what the run made.

    Args:
        database: Of the registry.
        store: Where data and base are.
        home: Where the folder may be.
        actor: Who asks.
        number: Of the run.
        steps: How many; if it did fewer, those.
        hear: Is told every event as it comes.

    Raises:
        NotFound: No such run, or plugin.
        BadInput: The run goes on, has recorded no steps, or is of a plugin that cannot do it again.
        MissingExtra: The plugin's packages are not installed.
        IntegrityViolated: Data, base or recorded numbers are gone or not what they were.
        RunFailed: It cannot be done again; says why.
        Cancelled: Somebody interrupted it.
    """
    with database.read() as session:
        run = find.run(session, number)
        plugin = _check(run)
        recorded = _recorded(session, store, plugin, run, steps)
    home.runs.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=home.runs, prefix=".replay-"))
    try:
        folder = RunFolder(scratch / "run")
        folder.prepare(recorded.spec, _ticket(recorded, home))
        points = _do_again(folder, recorded.engine, plugin.repeats, hear)
        again: dict[str, str] = folder.result["facts"]
        packages = _read(folder.path / _PACKAGES)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    found = judge(
        number,
        recorded.spec.stop_after,
        recorded=recorded.points,
        again=points,
        before=recorded.facts,
        now=again,
        packages=(recorded.packages, packages),
    )
    return _record(database, actor, found)


def _check(run: Run) -> AnyPlugin:
    if run.state in OPEN:
        raise BadInput(f"run {run.id} is {run.state}: it can be replayed when it has ended")
    plugin = load_plugin(run.plugin)
    if not plugin.repeats or run.version_id is None:
        raise BadInput(
            f"run {run.id} cannot be replayed: {run.plugin} does not say which of its numbers come again",
            hint="trainings with torch can be replayed: phasegate runs list",
        )
    check_requirements(plugin)
    read_config(plugin, run.config)
    return plugin


def _recorded(session: Session, store: ArtifactStore, plugin: AnyPlugin, run: Run, steps: int) -> _Recorded:
    if run.metrics_digest and metrics_digest(session.connection(), run.id) != run.metrics_digest:
        raise IntegrityViolated(
            f"the numbers of run {run.id} are not those that it recorded", hint="phasegate audit verify"
        )
    rows = session.execute(
        select(RunMetric.name, RunMetric.step, RunMetric.value)
        .where(RunMetric.run_id == run.id, RunMetric.name.in_(plugin.repeats))
        .order_by(RunMetric.seq)
    )
    # A run that was resumed did some steps twice: what it did last is what it went on with.
    points = {(name, step): value for name, step, value in rows}
    if not points:
        raise BadInput(f"run {run.id} has recorded no steps: there is nothing to compare with")
    last = min(steps, max(step for _, step in points))
    inputs = recorded_inputs(session, store, run)
    told = session.scalar(
        select(EvidenceRow)
        .where(EvidenceRow.run_id == run.id, EvidenceRow.kind == plugin.evidence)
        .order_by(EvidenceRow.id)
    )
    packages = ""
    if told is not None and told.files_digest:
        manifest = session.get_one(Artifact, told.files_digest).manifest
        packages = _read(store.fetch(told.files_digest, manifest) / _PACKAGES)
    spec = RunSpec(
        run=str(run.id),
        plugin=run.plugin,
        subject=inputs.model.ref,
        config=run.config,
        seed=run.seed,
        device=run.environment.get("device", "cpu"),
        processes=run.processes,
        data=inputs.data,
        base=inputs.base,
        model=inputs.model,
        stop_after=last,
    )
    kept = {point: value for point, value in points.items() if point[1] <= last}
    facts = told.facts if told is not None else {}
    return _Recorded(spec, run.engine, run.engine_options, kept, facts, packages)


def _ticket(recorded: _Recorded, home: Home) -> Ticket:
    """No supervisor reads it: nothing of a replay but its numbers is recorded."""
    return Ticket(
        run=int(recorded.spec.run),
        token=0,
        engine=recorded.engine,
        engine_options=recorded.engine_options,
        evidence="",
        valid_days=None,
        home=str(home.root),
        artifacts=home.artifacts,
        max_seconds=0.0,
        max_bytes=0,
    )


def _do_again(
    folder: RunFolder, engine: str, names: Iterable[str], hear: Callable[[dict[str, Any]], None] | None
) -> Points:
    points: dict[tuple[str, int], float] = {}

    def listen() -> None:
        for event in folder.events():
            if event["type"] == "metric" and event["name"] in names:
                points[event["name"], event["step"]] = event["value"]
            if hear is not None:
                hear(event)

    child = start_child(folder)
    try:
        while child.alive and folder.ended is None:
            listen()
            time.sleep(_TICK)
    except KeyboardInterrupt:
        folder.ask_to_cancel()
        raise Cancelled("the replay was interrupted; nothing was recorded") from None
    finally:
        child.end_group(_GRACE)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child.pid, os.WNOHANG)
    listen()
    ended = folder.ended or Ended("failed", f"its process left no word: {_read(folder.log)[-_TAIL:].strip()}")
    if ended.state != "succeeded":
        raise RunFailed(f"the replay {ended.state}: {ended.reason}", hint=ended.hint)
    return points


def _record(database: Database, actor: str, found: Replay) -> Replay:
    """One transaction: evidence about what the run made, if it made something, and the event."""
    with database.write(actor) as work:
        run = find.run(work.session, found.run)
        number = None
        output = work.session.scalar(
            select(RunOutput).where(RunOutput.run_id == run.id, RunOutput.name == "artifact")
        )
        if output is not None:
            first = found.differences[0].step if found.differences else 0
            row = EvidenceRow(
                kind=KIND,
                subject=output.digest,
                version_id=run.version_id,
                run_id=run.id,
                status="complete",
                reason="",
                metrics={
                    "repeats": float(found.repeats),
                    "identical": float(found.verdict == IDENTICAL),
                    "max_difference": found.max_difference,
                    "tolerance": found.tolerance,
                    "steps": float(found.steps),
                    "compared": float(found.compared),
                    "different": float(len(found.differences)),
                    "first_different_step": float(first),
                    "environment_differs": float(len(found.environment)),
                },
                facts={
                    "verdict": found.verdict,
                    "claim": found.claim,
                    "environment": ", ".join(found.environment) or "the same",
                },
                coverage=1.0,
                summary=summary(found),
                tables={
                    "environment": [
                        {"name": name, "recorded": before, "now": now}
                        for name, (before, now) in {**found.environment, **found.packages}.items()
                    ],
                    "differences": [
                        {"metric": one.metric, "step": one.step, "recorded": one.recorded, "again": one.again}
                        for one in found.differences[:50]
                    ],
                },
                producer=f"replay@{installed_version('phasegate')}",
                criteria_digest=run.criteria_digest,
                created_at=work.at,
                created_by=work.actor.id,
            )
            work.session.add(row)
            work.session.flush()
            number = row.id
            work.record(
                EvidenceRecorded(
                    f"model:{output.ref}", KIND, row.subject, run.id, row.status, run.criteria_digest
                )
            )
        work.record(
            RunReplayed(f"run:{run.id}", found.steps, found.verdict, found.repeats, found.max_difference)
        )
    return replace(found, evidence=number)


def _read(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.exists() else ""
