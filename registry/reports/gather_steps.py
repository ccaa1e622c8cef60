"""Gathering what the gates say and said, and by which targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from registry.domain.decision import Action, Decision, Outcome, RuleResult, Verdict
from registry.domain.dossier import Dossier, TargetFacts
from registry.domain.references import Ref
from registry.reports.entries import NONE, Entries
from registry.reports.facts import DecisionRecord, NextStep, TimelineEntry
from registry.reports.oversight import Registration, TargetRecord
from registry.storage.dossiers import measured_by
from registry.storage.lifecycles import current_lifecycle
from registry.usecases import look_decisions
from registry.usecases.decide import judge
from registry.usecases.views import EntryView

# In the ledger, but no news to a reader: that a queued run began.
_DETAILS = ("run-started",)
_MILESTONES = (
    "alias-moved",
    "deployment-started",
    "deployment-stopped",
    "finding-closed",
    "finding-raised",
    "risk-accepted",
    "stage-decided",
    "tier-decided",
    "verdict-given",
    "version-planned",
    "waiver-decided",
    "waiver-revoked",
)


def next_steps(session: Session, ref: Ref, stage: str, following: Sequence[str]) -> tuple[NextStep, ...]:
    """What the gate of each step says now, to nobody in particular: steps onward before steps back."""
    order = current_lifecycle(session).stages.index
    onward = sorted(following, key=lambda to: (order(to) < order(stage), order(to)))
    return tuple(NextStep(to, judge(session, ref, to, "").decision.verdict) for to in onward)


def decisions_on(session: Session, ref: Ref, entries: Entries) -> tuple[DecisionRecord, ...]:
    """Every recorded decision, with every rule's result as it was then."""
    return tuple(
        DecisionRecord(
            Decision(
                found.ref,
                found.origin,
                found.to,
                found.digest,
                Verdict(found.allowed, tuple(_result(result) for result in found.results), found.reason),
                id=found.id,
                entry=entries.holding("decision", found.id, "stage-decided"),
            ),
            actor=found.actor,
            at=found.at,
        )
        for found in look_decisions.decisions(session, ref)
    )


def _result(stored: Mapping[str, object]) -> RuleResult:
    odd = ("outcome", "action", "waiver", "late")
    return RuleResult(
        **{key: str(value) for key, value in stored.items() if key not in odd},
        outcome=Outcome(str(stored["outcome"])),
        action=Action(str(stored["action"])),
        waiver=int(str(stored.get("waiver", 0))),
        late=bool(stored.get("late")),
    )


def timeline_of(
    entries: Sequence[EntryView], decisions: Sequence[DecisionRecord]
) -> tuple[TimelineEntry, ...]:
    """What happened, in order; a decision with the rules that it took as waived."""
    waived = {
        record.decision.entry: tuple(
            f"{result.rule} (waiver {result.waiver})"
            for result in record.decision.verdict.results
            if result.outcome is Outcome.WAIVED
        )
        for record in decisions
    }
    return tuple(
        _moment(entry, waived.get(entry.index, ())) for entry in entries if entry.action not in _DETAILS
    )


def _moment(entry: EntryView, waived: tuple[str, ...]) -> TimelineEntry:
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
        waived=waived,
    )


def targets_of(dossier: Dossier, entries: Entries) -> tuple[TargetRecord, ...]:
    """Every target with what the gate sees of it, and what the ledger knows of the order of things."""
    return tuple(_target(target, dossier, entries) for target in dossier.targets)


def _target(target: TargetFacts, dossier: Dossier, entries: Entries) -> TargetRecord:
    subject = dossier.subject
    fixed = entries.fixing(f"model:{subject.ref}", subject.criteria_digest)
    judge = measured_by(target.metric, dossier.evidence)
    asked = entries.first(f"run:{judge.run}", "run-queued") if judge else None
    return TargetRecord(
        metric=target.metric,
        op=target.op,
        threshold=target.threshold,
        measured=target.measured,
        value=target.value,
        met=target.met,
        criteria_current=target.criteria_current,
        fixed_entry=fixed.index if fixed else NONE,
        fixed_at=fixed.at if fixed else None,
        fixed_by=fixed.actor if fixed else "",
        evidence=judge.id if judge else 0,
        run=judge.run if judge else "",
        run_entry=asked.index if asked else NONE,
        run_at=asked.at if asked else None,
        registration=_registration(target, fixed, asked),
    )


def _registration(target: TargetFacts, fixed: EntryView | None, asked: EntryView | None) -> Registration:
    if not target.measured:
        return "not judged"
    if not target.criteria_current:
        return "other targets"
    if fixed is None or asked is None:
        return "unknown"
    return "before" if fixed.index < asked.index else "after"
