"""Makes what plugins would make, without running them: real rows, real files, real ledger entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from types import TracebackType
from typing import Self

from integration.found import (
    DATASHEET,
    FAIR,
    GOOD_DATA,
    GOOD_EVALUATION,
    GOOD_TRAINING,
    HEALTHY,
    OF_TIER,
    QUIET_WINDOW,
    REPRESENTATIVE,
    RETIREMENT,
    SAFE,
    TUNED,
    UNSEEN,
    Finding,
)
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
from registry.domain.people import APPROVER, DEPLOYER
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


__all__ = [
    "FAIR",
    "GOOD_DATA",
    "GOOD_EVALUATION",
    "GOOD_TRAINING",
    "HEALTHY",
    "QUIET_WINDOW",
    "RETIREMENT",
    "SAFE",
    "TUNED",
    "Builder",
    "Finding",
]


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
            registry._opened.database = self.database
        return self._opened[actor]

    def approver(self, actor: str) -> Registry:
        """The registry, open for somebody who may approve."""
        return self.holding(APPROVER, actor)

    def holding(self, role: str, actor: str) -> Registry:
        """The registry, open for somebody with a role, which root grants if need be."""
        with self.database.read() as session:
            known = standings(session.connection(), [actor], now())[actor]
        if role not in known.granted:
            self.acting("root").people.grant(actor, role)
        return self.acting(actor)

    # -- what people and plugins do ----------------------------------------------

    def plan(
        self, model: str = "loans", *, system: str = "credit", tier: str = "limited", actor: str = "alice"
    ) -> str:
        """A planned version with one target, whose train and test data satisfy the shipped policies."""
        registry = self.acting(actor)
        if system not in {found.name for found in registry.systems()}:
            registry.add_system(
                system,
                purpose="decides about loans",
                risk_tier=tier,
                affected_groups=["women", "men"],
                prohibited_uses=["to set interest rates"],
                oversight="a clerk decides",
            )
        data = {role: self.dataset(f"{model}-{role}") for role in ("train", "test")}
        for ref in data.values():
            self.judge_data(ref, GOOD_DATA)
        self.judge_for_tier(data, registry.system(system).risk_tier)
        return registry.plan(model, system=system, targets=["f1>=0.9"], data=data, budget_hours=10).ref

    def judge_for_tier(self, data: Mapping[str, str], tier: str) -> None:
        """What a risk tier asks of data beyond what every tier does."""
        if tier == "minimal":
            return
        train = self.acting("alice").dataset(data["train"])
        found = {"train": train.ref, "train.digest": train.digest}
        self.judge_data(data["test"], [replace(UNSEEN, facts=found)])
        if tier == "high":
            for ref in data.values():
                self.judge_data(ref, [DATASHEET])
            self.judge_data(data["train"], [REPRESENTATIVE])

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
        self,
        ref: str,
        weights: bytes = b"weights",
        *,
        finding: Finding = GOOD_TRAINING,
        base: str = "",
        replay: str = "",
        actor: str = "alice",
    ) -> str:
        """Give a version an artifact, as a training run does; returns the artifact's digest.

        With `base` it is tuned from that version, and `finding` says so.
        """
        stored = self.put({"model.safetensors": weights, "phasegate.json": b"{}"})
        with self.database.write(actor) as work:
            version = find.version(work.session, Ref.parse(ref), lock=True)
            run = self._run(work, "train-classifier", "train", version=version, about=f"model:{ref}")
            if base:
                digest = find.version(work.session, Ref.parse(base)).artifact_digest or ""
                work.session.add(RunInput(run_id=run.id, role="base", ref=base, digest=digest))
                finding = replace(finding, facts={**finding.facts, "base.digest": digest})
            if replay:
                old = find.dataset(work.session, Ref.parse(replay))
                work.session.add(RunInput(run_id=run.id, role="replay", ref=replay, digest=old.digest))
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

    def wait(self, time: timedelta) -> None:
        """Let time pass, by everybody's clock."""
        sleep(time.total_seconds() + 0.02)

    def put(self, files: Mapping[str, bytes]) -> Stored:
        """Store files."""
        with TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            return self.store.put(Path(folder))

    # -- a whole life ------------------------------------------------------------

    def supply(self, ref: str, stage: str, *, reviewers: Sequence[str] | None = None) -> None:
        """Whatever the shipped policies ask for before a version may enter a stage.

        It is alice who designs, bob who trains, erik who evaluates; rita approves, and ravi, if need be.
        """
        registry = self.acting("alice")
        tier = registry.version(ref).risk_tier
        asked = OF_TIER[tier].get(stage, ())
        if stage == "designed":
            registry.design(ref, {"architecture": "encoder", "layers": "2"})
            self.judge(ref, *asked)
            if tier == "high":
                self.approver("rita").approve(ref, "designed")
        elif stage == "trained":
            self.train(ref, actor="bob")
            if tier == "high":
                self.sign(ref)
        elif stage == "tuned":
            self.train(ref, b"tuned weights", finding=TUNED, base=self.base(), actor="bob")
            self.judge(ref, *asked)
            if tier == "high":
                self.sign(ref)
        elif stage == "evaluated":
            self.judge(ref, GOOD_EVALUATION, *asked, kind="evaluate", actor="erik")
        elif stage == "deployed":
            self.judge(ref, *asked, actor="erik")
            if tier == "high":
                self.accept_a_risk(registry.version(ref).system)
            enough = {"minimal": (), "limited": ("rita",), "high": ("rita", "ravi")}[tier]
            for reviewer in enough if reviewers is None else reviewers:
                self.approver(reviewer).approve(ref, "deployed")
        elif stage == "monitored":
            self.deploy(ref)
            self.judge(ref, QUIET_WINDOW, kind="monitor")
        elif stage == "retired":
            for deployment in registry.deployments.all(ref):
                self.undeploy(deployment.id, ref)
            self.judge(ref, RETIREMENT, kind="retire")

    def base(self) -> str:
        """A version to begin with, minilm/1."""
        if not self.acting("alice").versions(model="minilm"):
            self.train(self.plan("minilm", system="languages", tier="minimal"), b"base weights")
        return "minilm/1"

    def sign(self, ref: str) -> None:
        """Sign a version with a new key that is trusted as bob's."""
        with TemporaryDirectory() as folder:
            key = Path(folder, "bob.key")
            self.acting("root").keys.make(key, owner="bob")
            self.acting("bob").keys.sign(ref, str(key))

    def accept_a_risk(self, system: str) -> None:
        """A grave risk in a system's register, that rita accepts."""
        made = self.acting("alice").risks.add(
            system,
            category="training/bias",
            title="women are refused more often",
            likelihood=3,
            severity=4,
            controls="a clerk looks at every refusal",
            residual="2x3",
            owner="alice",
            review_by=datetime.now(UTC) + timedelta(days=180),
        )
        self.approver("rita").risks.accept(made.id, "the clerk is there")

    def mover(self, ref: str, stage: str) -> Registry:
        """The registry, open for whoever may take a version to a stage."""
        registry = self.acting("alice")
        if stage == "deployed" and registry.version(ref).risk_tier == "high":
            return self.holding(DEPLOYER, "dora")
        return registry

    def bring(self, ref: str, stage: str) -> None:
        """Walk a version on, gate by gate, until it is at a stage."""
        road = ("planned", "prepared", "designed", "trained", "evaluated", "deployed", "monitored", "retired")
        here = self.acting("alice").version(ref).stage
        for step in road[road.index(here) + 1 : road.index(stage) + 1]:
            self.supply(ref, step)
            decision = self.mover(ref, step).promote(ref, step)
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
            processes=1,
            engine_options={},
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
        work.record(RunQueued(f"run:{run.id}", plugin, about, {}, seed, run.criteria_digest, "local", 1, {}))
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
            facts=self._facts(work, finding, version),
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

    def _facts(self, work: UnitOfWork, finding: Finding, version: Version | None) -> dict[str, str]:
        """Facts of a finding, with the data that was read, as plugins tell it."""
        data = find.data_of(work.session, version.id) if version is not None else {}
        read = {role: row for role, row in data.items() if role in ("train", "test")}
        return {
            **{role: find.ref_of(row) for role, row in read.items()},
            **{f"{role}.digest": row.digest for role, row in read.items()},
            **finding.facts,
        }

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
