"""Gathering what a report states: the one place where reports meet the registry's rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version as installed_version
from typing import Any

from sqlalchemy.orm import Session

from registry.domain.decision import Action, Decision, Outcome, RuleResult, Verdict
from registry.domain.dossier import Dossier
from registry.domain.references import Ref
from registry.reports.facts import (
    ApprovalRecord,
    DataRecord,
    DecisionRecord,
    DeploymentRecord,
    EvidenceRecord,
    LedgerState,
    NextStep,
    ReportFacts,
    ReportSubject,
    RunRecord,
    Standing,
    TimelineEntry,
)
from registry.storage import find
from registry.storage.dossiers import build_dossier
from registry.storage.lifecycles import current_lifecycle
from registry.usecases import look
from registry.usecases.audit import verify
from registry.usecases.decide import judge
from registry.usecases.log import history
from registry.usecases.views import DatasetView, EntryView, EvidenceView, RunView

# In the ledger, but no news to a reader: that a queued run began.
_DETAILS = ("run-started",)
_MILESTONES = (
    "stage-decided",
    "verdict-given",
    "version-planned",
    "deployment-started",
    "deployment-stopped",
)


def gather(session: Session, ref: Ref, at: datetime) -> ReportFacts:
    """Everything that a report on a version states, from one reading transaction.

    Raises:
        NotFound: No such version.
    """
    row = find.version(session, ref)
    shown = look.version(session, ref)
    dossier = build_dossier(session, row, row.stage, at, actor="", last=current_lifecycle(session).stages[-1])
    entries = history(session, ref)
    index = _Index(entries)
    data = {role: look.dataset(session, Ref.parse(text)) for role, text in shown.data.items()}
    run_ids = [int(entry.subject.partition(":")[2]) for entry in entries if entry.action == "run-queued"]
    runs = [look.run(session, number) for number in run_ids]
    return ReportFacts(
        subject=_subject(dossier, shown.artifact),
        made_at=at,
        made_with=f"Phasegate {installed_version('phasegate')}",
        ledger=_ledger(session),
        next=tuple(NextStep(to, judge(session, ref, to, "").decision.verdict) for to in shown.following),
        targets=dossier.targets,
        timeline=tuple(_moment(entry) for entry in entries if entry.action not in _DETAILS),
        decisions=tuple(_decisions(session, ref)),
        evidence=tuple(_evidence(session, dossier, runs, data, index, str(ref), at)),
        data=tuple(_data(role, found, index) for role, found in data.items()),
        runs=tuple(_run(session, run, index) for run in runs),
        approvals=tuple(_approvals(session, ref, dossier, index)),
        deployments=tuple(
            DeploymentRecord(
                id=found.id,
                target=found.target,
                endpoint=found.endpoint,
                state=found.state,
                artifact=found.artifact,
                actor=index.actor(f"deployment:{found.id}", "deployment-started"),
                started_at=found.created_at,
                stopped_at=found.stopped_at,
                entry=index.of(f"deployment:{found.id}", "deployment-started"),
            )
            for found in look.deployments(session, ref)
        ),
    )


class _Index:
    """Finds the ledger entry of a thing by subject and action."""

    def __init__(self, entries: list[EntryView]) -> None:
        self._entries = {(entry.subject, entry.action): entry for entry in reversed(entries)}
        self._evidence = {
            (entry.payload["run"], entry.payload["about"]): entry.index
            for entry in entries
            if entry.action == "evidence-recorded" and entry.payload
        }
        self._verdicts = {
            (entry.actor, entry.at): entry.index for entry in entries if entry.action == "verdict-given"
        }

    def of(self, subject: str, action: str) -> int:
        """The first such entry's index, -1 if there is none."""
        found = self._entries.get((subject, action))
        return found.index if found else -1

    def actor(self, subject: str, action: str) -> str:
        found = self._entries.get((subject, action))
        return found.actor if found else ""

    def evidence(self, run: int, about: str) -> int:
        return self._evidence.get((run, about), -1)

    def verdict(self, actor: str, at: datetime) -> int:
        return self._verdicts.get((actor, at), -1)


def _subject(dossier: Dossier, artifact: str) -> ReportSubject:
    subject = dossier.subject
    return ReportSubject(
        ref=subject.ref,
        stage=subject.stage,
        digest=subject.digest,
        artifact=artifact,
        purpose=subject.purpose,
        task=subject.task,
        risk_tier=subject.risk_tier,
        system=subject.system,
        design=subject.design,
        criteria_digest=subject.criteria_digest,
        created_by=subject.created_by,
        created_at=subject.created_at,
    )


def _ledger(session: Session) -> LedgerState:
    audit = verify(session)
    return LedgerState(
        size=audit.size,
        root=audit.root,
        verified=audit.ok,
        checked=audit.size,
        problem="; ".join(audit.problems),
    )


def _moment(entry: EntryView) -> TimelineEntry:
    payload = entry.payload
    digest = str(payload.get("digest") or payload.get("about") or payload.get("artifact") or "")
    return TimelineEntry(
        at=entry.at,
        actor=entry.actor,
        action=entry.action.replace("-", " "),
        text=f"{entry.subject.removeprefix('model:').replace(':', ' ')}: {entry.text}",
        entry=entry.index,
        digest=digest if digest.startswith("sha256:") else "",
        milestone=entry.action in _MILESTONES,
    )


def _decisions(session: Session, ref: Ref) -> list[DecisionRecord]:
    entries = {
        entry.payload["decision"]: entry.index
        for entry in history(session, ref)
        if entry.action == "stage-decided" and entry.payload
    }
    return [
        DecisionRecord(
            Decision(
                found.ref,
                found.origin,
                found.to,
                found.digest,
                Verdict(found.allowed, tuple(_result(result) for result in found.results), found.reason),
                id=found.id,
                entry=entries.get(found.id, -1),
            ),
            actor=found.actor,
            at=found.at,
        )
        for found in look.decisions(session, ref)
    ]


def _result(stored: Mapping[str, Any]) -> RuleResult:
    told = {**stored, "outcome": Outcome(stored["outcome"]), "action": Action(stored["action"])}
    return RuleResult(**told)


def _evidence(
    session: Session,
    dossier: Dossier,
    runs: list[RunView],
    data: Mapping[str, DatasetView],
    index: _Index,
    ref: str,
    at: datetime,
) -> list[EvidenceRecord]:
    about = dossier.subject.artifact or dossier.subject.digest
    roles = {found.digest: (role, found.ref) for role, found in data.items()}
    counted = {facts.id for facts in dossier.evidence.values()}
    counted |= {facts.id for found in dossier.data.values() for facts in found.evidence.values()}
    found = {row.id: row for run in runs for row in look.evidence_of_run(session, run.id)}
    found.update({row.id: row for row in look.evidence(session, [about, *roles])})
    records = []
    for row in sorted(found.values(), key=lambda row: row.id):
        role, name = roles.get(row.subject, ("", ref))
        records.append(_record(row, name, role, _standing(row, counted, {about, *roles}, at), index))
    return records


def _standing(row: EvidenceView, counted: set[int], current: set[str], at: datetime) -> Standing:
    if row.id in counted:
        return "current"
    if row.subject not in current:
        return "stale"
    return "expired" if row.valid_until is not None and row.valid_until <= at else "superseded"


def _record(row: EvidenceView, about: str, role: str, standing: Standing, index: _Index) -> EvidenceRecord:
    return EvidenceRecord(
        id=row.id,
        kind=row.kind,
        about=about,
        role=role,
        subject=row.subject,
        standing=standing,
        status=row.status,
        reason=row.reason,
        summary=row.summary,
        metrics=row.metrics,
        facts=row.facts,
        coverage=row.coverage,
        producer=row.producer,
        run=str(row.run),
        actor=row.created_by,
        created_at=row.created_at,
        valid_until=row.valid_until,
        criteria_digest=row.criteria_digest,
        entry=index.evidence(row.run, row.subject),
        tables=row.tables,
    )


def _data(role: str, found: DatasetView, index: _Index) -> DataRecord:
    return DataRecord(
        role=role,
        ref=found.ref,
        digest=found.digest,
        rows=found.rows,
        licence=found.licence,
        source=found.source,
        parents=tuple(found.parents),
        entry=index.of(f"dataset:{found.ref}", "dataset-added"),
    )


def _run(session: Session, run: RunView, index: _Index) -> RunRecord:
    return RunRecord(
        id=str(run.id),
        plugin=f"{run.plugin}@{run.plugin_version}",
        subject=run.about,
        state=run.state,
        actor=run.created_by,
        started_at=run.started_at or run.created_at,
        seconds=run.seconds,
        config=run.config,
        inputs=run.inputs,
        outputs=run.outputs,
        entry=index.of(f"run:{run.id}", "run-queued"),
        curves=look.curves(session, run.id),
    )


def _approvals(session: Session, ref: Ref, dossier: Dossier, index: _Index) -> list[ApprovalRecord]:
    return [
        ApprovalRecord(
            actor=found.actor,
            verdict=found.verdict,
            to=found.to,
            reason=found.reason,
            at=found.at,
            digest=found.digest,
            current=found.digest == dossier.subject.digest,
            independent=found.independent,
            entry=index.verdict(found.actor, found.at),
        )
        for found in look.approvals(session, ref)
    ]
