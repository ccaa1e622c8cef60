"""Gathering what a report states: the one place where reports meet the registry's rows."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version as installed_version

from sqlalchemy.orm import Session

from registry.domain.dossier import Dossier
from registry.domain.people import EMBEDDED_TRUST
from registry.domain.references import Ref
from registry.reports.entries import Entries, entries_of
from registry.reports.facts import LedgerState, ReportFacts, ReportSubject
from registry.reports.gather_exceptions import findings_of, risks_of, service_of, signatures_of, waivers_of
from registry.reports.gather_people import approvals_of, people_of
from registry.reports.gather_steps import decisions_on, next_steps, targets_of, timeline_of
from registry.reports.gather_work import data_of, deployments_of, evidence_of, run_record, runs_of
from registry.storage import find
from registry.storage.dossiers import build_dossier
from registry.storage.lifecycles import current_lifecycle
from registry.usecases import look
from registry.usecases.audit import verify


def gather(session: Session, ref: Ref, at: datetime) -> ReportFacts:
    """Everything that a report on a version states, from one reading transaction.

    Raises:
        NotFound: No such version.
    """
    row = find.version(session, ref)
    shown = look.version(session, ref)
    dossier = build_dossier(session, row, row.stage, at, actor="", last=current_lifecycle(session).stages[-1])
    happened = entries_of(session, ref, shown.system)
    entries = Entries(happened)
    data = {role: look.dataset(session, Ref.parse(text)) for role, text in shown.data.items()}
    runs = runs_of(session, happened)
    decisions = decisions_on(session, ref, entries)
    approvals = approvals_of(session, row, str(ref), entries, at)
    waivers = waivers_of(session, ref, entries)
    risks = risks_of(session, shown.system, entries)
    deployments = deployments_of(session, ref, entries)
    return ReportFacts(
        subject=_subject(dossier, shown.artifact),
        made_at=at,
        made_with=f"Phasegate {installed_version('phasegate')}",
        ledger=_ledger(session),
        next=next_steps(session, ref, shown.stage, shown.following),
        targets=targets_of(dossier, entries),
        timeline=timeline_of(happened, decisions),
        decisions=decisions,
        evidence=evidence_of(session, dossier, runs, data, entries),
        data=data_of(data, entries),
        runs=tuple(run_record(session, run, entries) for run in runs),
        approvals=approvals,
        people=people_of(
            session,
            dossier.subject,
            at,
            approvals=approvals,
            waivers=waivers,
            risks=risks,
            decisions=decisions,
            deployments=deployments,
        ),
        waivers=waivers,
        findings=findings_of(session, ref, entries),
        risks=risks,
        signatures=signatures_of(session, ref, entries),
        deployments=deployments,
        service=service_of(session, ref, dossier, entries),
        tier_basis=look.systems(session, shown.system)[0].tier_basis,
        trust=EMBEDDED_TRUST,
    )


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
