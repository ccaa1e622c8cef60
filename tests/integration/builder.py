"""Makes what plugins would make, without running them: real rows, real files, real ledger entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from sqlalchemy import insert

from registry.api import Registry
from registry.domain.digests import digest_of
from registry.domain.events import (
    ArtifactProduced,
    DeploymentStarted,
    DeploymentStopped,
    EvidenceRecorded,
    RunEnded,
    RunQueued,
)
from registry.domain.people import APPROVER
from registry.domain.references import Ref
from registry.domain.targets import Target, criteria_digest
from registry.runner.lease import put_lease
from registry.runner.processes import ProcessId
from registry.runner.recording import metrics_digest
from registry.storage import find
from registry.storage.artifacts import ArtifactStore, Stored
from registry.storage.database import Database
from registry.storage.dossiers import content_digest, targets_of
from registry.storage.home import Home
from registry.storage.people import standings
from registry.storage.register import register_artifact, register_dataset
from registry.storage.tables import (
    DatasetVersion,
    Deployment,
    EvidenceRow,
    Run,
    RunInput,
    RunMetric,
    RunOutput,
    Version,
)
from registry.storage.tables.base import now
from registry.storage.unit_of_work import UnitOfWork

SCHEMA = {"text": "string", "label": "string", "sex": "string"}
ROLES = {"text": "text", "label": "label", "sensitive": ["sex"]}


@dataclass(frozen=True)
class Finding:
    """Evidence to be recorded: what a check plugin would have returned."""

    kind: str
    metrics: Mapping[str, float]
    status: str = "complete"
    coverage: float = 1.0
    valid_for: timedelta | None = None
    files: Mapping[str, bytes] | None = None


# What satisfies the shipped policies, by what it is about.
GOOD_DATA = (
    Finding("data.quality", {"rows": 500, "completeness": 1, "duplicate_share": 0}),
    Finding("check.pii", {"findings": 0}, files={"findings.txt": b"nobody\n"}),
    Finding("data.split", {"rows": 500, "leaked_rows": 0}),
)
GOOD_TRAINING = Finding(
    "run.train", {"converged": 1, "train_loss": 0.1, "first_loss": 0.7, "truncated_share": 0}
)
GOOD_EVALUATION = Finding("eval.performance", {"f1": 0.93, "rows": 400, "leaked_rows": 0, "ece": 0.02})
FAIR = Finding(
    "check.bias",
    {
        f"{name}_difference{end}": value
        for name in ("demographic_parity", "equal_opportunity")
        for end, value in {"": 0.03, ".lower": 0.01, ".upper": 0.05}.items()
    },
)
SAFE = Finding("eval.security", {"files": 1, "unsafe_files": 0, "unknown_files": 0})
HEALTHY = Finding("deploy.health", {"healthy": 1, "parity.agreement": 1})
QUIET_WINDOW = Finding("monitor.window", {"rows": 200, "drifted": 0, "psi.max": 0.02})
RETIREMENT = Finding("retirement", {"deployments_running": 0})


class Builder:
    """Works on one registry's database and store, under whichever name is asked for."""

    def __init__(self, home: Path, database: str) -> None:
        self.home = Home.at(home, database=database)
        self.database = Database(database, lock_timeout=5)
        self.store = ArtifactStore(self.home.artifacts, self.home.cache)
        self._opened: dict[str, Registry] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.database.close()

    def acting(self, actor: str) -> Registry:
        """The registry, open for somebody."""
        if actor not in self._opened:
            registry = self._opened[actor] = Registry(self.home, actor)
            # One cache of compiled statements for everybody: a test has no time to warm up several.
            registry._database = registry._opened.database = self.database
        return self._opened[actor]

    def approver(self, actor: str) -> Registry:
        """The registry, open for somebody who may approve."""
        with self.database.read() as session:
            known = standings(session.connection(), [actor], now())[actor]
        if APPROVER not in known.granted:
            self.acting("root").people.grant(actor, APPROVER)
        return self.acting(actor)

    # -- what people and plugins do ----------------------------------------------

    def plan(
        self, model: str = "loans", *, system: str = "credit", tier: str = "limited", actor: str = "alice"
    ) -> str:
        """A planned version with one target, whose train and test data satisfy the shipped policies."""
        registry = self.acting(actor)
        if system not in {found.name for found in registry.systems()}:
            registry.add_system(system, purpose="decides about loans", risk_tier=tier)
        data = {role: self.dataset(f"{model}-{role}") for role in ("train", "test")}
        for ref in data.values():
            self.judge_data(ref, GOOD_DATA)
        return registry.plan(model, system=system, targets=["f1>=0.9"], data=data).ref

    def dataset(self, name: str, *, rows: int = 500, parent: str = "", actor: str = "alice") -> str:
        """The next version of a dataset."""
        number = len([found for found in self.acting(actor).datasets() if found.ref.startswith(f"{name}/")])
        stored = self.put({"data.txt": f"{name} {number} {rows}".encode()})
        with self.database.write(actor) as work:
            parents = [find.dataset(work.session, Ref.parse(parent))] if parent else []
            row = register_dataset(
                work,
                name,
                stored,
                rows=rows,
                columns=ROLES,
                schema=SCHEMA,
                source="made.csv",
                licence="CC0",
                note="",
                parents=parents,
            )
            return find.ref_of(row)

    def judge_data(self, ref: str, findings: Iterable[Finding], *, actor: str = "alice") -> list[int]:
        """Evidence about a dataset version; returns the runs that made it."""
        runs = []
        for finding in findings:
            with self.database.write(actor) as work:
                row = find.dataset(work.session, Ref.parse(ref))
                run = self._run(work, finding.kind, "check", dataset=row, about=f"dataset:{ref}")
                self._record(work, run, finding, row.digest, f"dataset:{ref}", None)
                runs.append(self._end(work, run, {}))
        return runs

    def judge(
        self,
        ref: str,
        *findings: Finding,
        actor: str = "alice",
        kind: str = "check",
        targets: Sequence[str] | None = None,
    ) -> list[int]:
        """Evidence about what a version is now, under other targets than its own if asked.

        Returns the runs that made it.
        """
        runs = []
        for finding in findings:
            with self.database.write(actor) as work:
                version = find.version(work.session, Ref.parse(ref), lock=True)
                run = self._run(work, finding.kind, kind, version=version, about=f"model:{ref}")
                if targets is not None:
                    run.criteria_digest = criteria_digest([Target.parse(target) for target in targets])
                about = version.artifact_digest or version.digest
                self._record(work, run, finding, about, f"model:{ref}", version)
                runs.append(self._end(work, run, {}))
        return runs

    def train(
        self, ref: str, weights: bytes = b"weights", *, finding: Finding = GOOD_TRAINING, actor: str = "alice"
    ) -> str:
        """Give a version an artifact, as a training run does; returns the artifact's digest."""
        stored = self.put({"model.safetensors": weights, "phasegate.json": b"{}"})
        with self.database.write(actor) as work:
            version = find.version(work.session, Ref.parse(ref), lock=True)
            run = self._run(work, "train-classifier", "train", version=version, about=f"model:{ref}")
            register_artifact(work, stored)
            version.artifact_digest = stored.digest
            version.digest = content_digest(version, find.data_of(work.session, version.id))
            work.record(ArtifactProduced(f"model:{ref}", stored.digest, run.id, version.digest))
            self._record(work, run, finding, stored.digest, f"model:{ref}", version)
            self._end(work, run, {"artifact": (ref, stored.digest)})
        return stored.digest

    def deploy(self, ref: str, *, actor: str = "alice") -> int:
        """A deployment of a version's current artifact, with good health; returns its number."""
        with self.database.write(actor) as work:
            version = find.version(work.session, Ref.parse(ref), lock=True)
            run = self._run(work, "deploy-local", "deploy", version=version, about=f"model:{ref}")
            assert version.artifact_digest is not None
            row = Deployment(
                version_id=version.id,
                run_id=run.id,
                plugin="deploy-local",
                target="local",
                endpoint="http://127.0.0.1:9",
                artifact_digest=version.artifact_digest,
                details={"pid": 0},
                state="active",
                created_at=work.at,
            )
            work.session.add(row)
            work.session.flush()
            work.record(
                DeploymentStarted(f"deployment:{row.id}", ref, row.target, row.endpoint, row.artifact_digest)
            )
            self._record(work, run, HEALTHY, row.artifact_digest, f"model:{ref}", version)
            self._end(work, run, {"deployment": (str(row.id), row.artifact_digest)})
            return row.id

    def undeploy(self, number: int, ref: str, *, actor: str = "alice") -> None:
        """Write down that a deployment was stopped."""
        with self.database.write(actor) as work:
            row = work.session.get_one(Deployment, number)
            row.state = "stopped"
            row.stopped_at = work.at
            work.record(DeploymentStopped(f"deployment:{number}", ref, "retired"))

    def queue(self, ref: str, *, actor: str = "alice", seed: int = 0) -> int:
        """A run that is waiting for its supervisor, with a lease."""
        with self.database.write(actor) as work:
            version = find.version(work.session, Ref.parse(ref), lock=True)
            about = f"model:{ref}"
            run = self._run(work, "bias", "check", version=version, about=about, state="queued", seed=seed)
            put_lease(work.session.connection(), run.id, run.token, ProcessId.of())
            return run.id

    def put(self, files: Mapping[str, bytes]) -> Stored:
        """Store files."""
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            return self.store.put(Path(folder))

    # -- a whole life ------------------------------------------------------------

    def supply(self, ref: str, stage: str, *, reviewers: Sequence[str] = ("rita",)) -> None:
        """Whatever the shipped policies ask for before a version may enter a stage; it is bob who trains."""
        registry = self.acting("alice")
        if stage == "designed":
            registry.design(ref, {"architecture": "encoder", "layers": "2"})
        elif stage == "trained":
            self.train(ref, actor="bob")
        elif stage == "evaluated":
            self.judge(ref, GOOD_EVALUATION, kind="evaluate")
        elif stage == "deployed":
            self.judge(ref, FAIR, SAFE)
            for reviewer in reviewers:
                self.approver(reviewer).approve(ref, "deployed")
        elif stage == "monitored":
            self.deploy(ref)
            self.judge(ref, QUIET_WINDOW, kind="monitor")
        elif stage == "retired":
            for deployment in registry.deployments(ref):
                self.undeploy(deployment.id, ref)
            self.judge(ref, RETIREMENT, kind="retire")

    def bring(self, ref: str, stage: str) -> None:
        """Walk a version on, gate by gate, until it is at a stage."""
        registry = self.acting("alice")
        road = ("planned", "prepared", "designed", "trained", "evaluated", "deployed", "monitored", "retired")
        here = registry.version(ref).stage
        for step in road[road.index(here) + 1 : road.index(stage) + 1]:
            self.supply(ref, step)
            decision = registry.promote(ref, step)
            assert decision.allowed, decision.verdict.blocking

    # -- rows --------------------------------------------------------------------

    def _run(
        self,
        work: UnitOfWork,
        plugin: str,
        kind: str,
        *,
        about: str,
        version: Version | None = None,
        dataset: DatasetVersion | None = None,
        state: str = "running",
        seed: int = 0,
    ) -> Run:
        run = Run(
            plugin=plugin,
            plugin_version="1",
            kind=kind,
            version_id=version.id if version else None,
            dataset_version_id=dataset.id if dataset else None,
            config={},
            seed=seed,
            engine="local",
            environment={},
            criteria_digest=criteria_digest(targets_of(version)) if version else "",
            state=state,
            reason="",
            token=1,
            metrics_digest="",
            created_at=work.at,
            started_at=work.at,
            created_by=work.actor.id,
        )
        work.session.add(run)
        work.session.flush()
        read = dataset.digest if dataset else (version.digest if version else "")
        work.session.add(
            RunInput(run_id=run.id, role="subject", ref=about.partition(":")[2], digest=digest_of(read))
        )
        work.record(RunQueued(f"run:{run.id}", plugin, about, {}, seed, run.criteria_digest))
        return run

    def _record(
        self, work: UnitOfWork, run: Run, finding: Finding, about: str, subject: str, version: Version | None
    ) -> None:
        files = self.put(finding.files) if finding.files else None
        if files is not None:
            register_artifact(work, files)
        row = EvidenceRow(
            kind=finding.kind,
            subject=about,
            version_id=version.id if version else None,
            run_id=run.id,
            status=finding.status,
            reason="" if finding.status == "complete" else "too little to judge by",
            metrics=dict(finding.metrics),
            facts={},
            coverage=finding.coverage,
            summary="",
            tables={},
            files_digest=files.digest if files else None,
            producer=f"{run.plugin}@1",
            criteria_digest=run.criteria_digest,
            created_at=work.at,
            created_by=work.actor.id,
            valid_until=work.at + finding.valid_for if finding.valid_for is not None else None,
        )
        work.session.add(row)
        work.session.flush()
        work.record(EvidenceRecorded(subject, row.kind, about, run.id, row.status, row.criteria_digest))

    def _end(self, work: UnitOfWork, run: Run, outputs: Mapping[str, tuple[str, str]]) -> int:
        connection = work.session.connection()
        connection.execute(
            insert(RunMetric).values(run_id=run.id, seq=1, name="loss", step=1, value=1 / run.id)
        )
        for name, (ref, digest) in outputs.items():
            work.session.add(RunOutput(run_id=run.id, name=name, ref=ref, digest=digest))
        run.state = "succeeded"
        run.ended_at = work.at
        run.metrics_digest = metrics_digest(connection, run.id)
        made = {name: ref for name, (ref, _) in outputs.items()}
        work.record(RunEnded(f"run:{run.id}", run.state, "", made, run.metrics_digest))
        return run.id
