"""Everything that an audit report on one model version states, gathered before any of it is laid out.

Times are aware and in UTC. A ledger entry index of -1, and an empty digest, mean that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from registry.domain.decision import Decision, RuleResult, Verdict
from registry.domain.dossier import SystemFacts
from registry.reports.oversight import (
    ApprovalRecord,
    FindingRecord,
    PersonRecord,
    RiskRecord,
    ServiceRecord,
    SignatureRecord,
    TargetRecord,
    WaiverRecord,
)

# `earlier data`: about a dataset version that the version's own data was made from.
Standing = Literal["current", "superseded", "stale", "expired", "earlier data"]


@dataclass(frozen=True, slots=True)
class ReportSubject:
    """The version that the report is about.

    Attributes:
        digest: Of plan, data, design and artifact together.
        design: The recorded design as flat words.
    """

    ref: str
    stage: str
    digest: str
    artifact: str
    purpose: str
    task: str
    risk_tier: str
    system: SystemFacts
    design: Mapping[str, str]
    criteria_digest: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NextStep:
    """What the gate of one following step says now; explained, not decided.

    Attributes:
        to: The stage that the version may ask for next.
    """

    to: str
    verdict: Verdict

    @property
    def missing(self) -> tuple[RuleResult, ...]:
        """Rules that neither pass nor are waived: those that refuse first."""
        open_rules = [result for result in self.verdict.results if result.outcome not in ("pass", "waived")]
        return tuple(sorted(open_rules, key=lambda result: not result.blocks))

    @property
    def waived(self) -> tuple[RuleResult, ...]:
        """Rules that do not hold, and for which people granted an exception that does."""
        return tuple(result for result in self.verdict.results if result.outcome == "waived")

    @property
    def holding(self) -> tuple[RuleResult, ...]:
        return tuple(result for result in self.verdict.results if result.outcome == "pass")


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One recorded change.

    Attributes:
        action: The event in a word or two.
        text: What happened, as a sentence for people.
        digest: Of what it was about.
        milestone: Whether it is a step of the version or somebody's decision; drawn with more weight.
        waived: Rules that a decision took as waived, each with its waiver.
    """

    at: datetime
    actor: str
    action: str
    text: str
    entry: int
    digest: str = ""
    milestone: bool = False
    waived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A recorded decision, and who asked for it when."""

    decision: Decision
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """One piece of evidence, counted or not.

    Attributes:
        about: Reference of the version or dataset version that `subject` is the digest of.
        role: Role of that dataset for the version; empty for evidence about the version itself.
        standing: Whether gates count it, and if not, why not.
        tables: Named lists of rows, as the plugin gave them.
    """

    id: int
    kind: str
    about: str
    role: str
    subject: str
    standing: Standing
    status: str
    reason: str
    summary: str
    metrics: Mapping[str, float]
    facts: Mapping[str, str]
    coverage: float
    producer: str
    run: str
    actor: str
    created_at: datetime
    valid_until: datetime | None
    criteria_digest: str
    entry: int
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataRecord:
    """One dataset version that the version uses.

    Attributes:
        parents: References of what it was made from, nearest first.
    """

    role: str
    ref: str
    digest: str
    rows: int
    licence: str
    source: str
    parents: tuple[str, ...]
    entry: int


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One execution of a plugin.

    Attributes:
        seconds: How long it took; None while it has not ended.
        inputs: What it read: a name (`train`, `artifact`) and a reference or digest.
        outputs: What it made, likewise.
        curves: Metrics that were logged while it ran: name -> (step, value) in order.
    """

    id: str
    plugin: str
    subject: str
    state: str
    actor: str
    started_at: datetime
    seconds: float | None
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    entry: int
    curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """One place where the version runs or ran."""

    id: int
    target: str
    endpoint: str
    state: str
    artifact: str
    actor: str
    started_at: datetime
    stopped_at: datetime | None
    entry: int


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What verifying the ledger found when the report was made.

    Attributes:
        size: Entries in it.
        root: Root of the Merkle tree over them.
        verified: Whether root and replay agreed with the stored rows.
        checked: Entries that were read to say so.
        problem: What disagreed; empty if nothing did.
    """

    size: int
    root: str
    verified: bool
    checked: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """The whole of it.

    Attributes:
        made_at: When the report was made.
        made_with: Name and version of the program.
        next: The gates of the steps that can follow, onward before back; empty at a final stage.
        targets: Thresholds fixed in the plan, with what current evidence says.
        people: Everybody who had to do with the version.
        risks: The register of its system.
        tier_basis: What the system's risk tier rests on, in words.
        trust: How the registry knows who acts, in words.
    """

    subject: ReportSubject
    made_at: datetime
    made_with: str
    ledger: LedgerState
    next: tuple[NextStep, ...] = ()
    targets: tuple[TargetRecord, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    decisions: tuple[DecisionRecord, ...] = ()
    evidence: tuple[EvidenceRecord, ...] = ()
    data: tuple[DataRecord, ...] = ()
    runs: tuple[RunRecord, ...] = ()
    approvals: tuple[ApprovalRecord, ...] = ()
    people: tuple[PersonRecord, ...] = ()
    waivers: tuple[WaiverRecord, ...] = ()
    findings: tuple[FindingRecord, ...] = ()
    risks: tuple[RiskRecord, ...] = ()
    signatures: tuple[SignatureRecord, ...] = ()
    deployments: tuple[DeploymentRecord, ...] = ()
    service: ServiceRecord = field(default_factory=ServiceRecord)
    tier_basis: str = ""
    trust: str = ""
