"""The dossier: everything that a gate sees of a version, and nothing else.

The classes here are also the schema of policy expressions: `policy check` reads
their fields and types, so a field that is not here is an error before publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from registry.domain.evidence import EvidenceFacts


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """The AI system in its use."""

    name: str = ""
    purpose: str = ""
    owner: str = ""
    risk_tier: str = ""
    affected_groups: tuple[str, ...] = ()
    prohibited_uses: tuple[str, ...] = ()
    oversight: str = ""


@dataclass(frozen=True, slots=True)
class SubjectFacts:
    """The version that asks to move.

    Attributes:
        digest: Of plan, data, design and artifact together; approvals are given for it.
        artifact: Digest of the artifact, empty while there is none.
        criteria_digest: Of the targets in force now.
        design: The recorded design as flat words: `architecture`, `hidden_size`, ...
        developers: Actors who planned it, chose its data or design, or trained it.
        runs_active: Runs for this version that have not ended.
    """

    ref: str
    model: str
    number: int
    stage: str
    digest: str
    artifact: str
    criteria_digest: str
    purpose: str
    task: str
    risk_tier: str
    system: SystemFacts
    design: Mapping[str, str]
    developers: tuple[str, ...]
    created_by: str
    created_at: datetime
    runs_active: int = 0


@dataclass(frozen=True, slots=True)
class DataFacts:
    """One dataset version that the version names, by role."""

    ref: str
    role: str
    digest: str
    rows: int
    licence: str
    source: str
    evidence: Mapping[str, EvidenceFacts]


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """One target and what current evidence says of it.

    Attributes:
        measured: Whether evidence about the current artifact has the metric.
        met: Whether the value reaches the threshold; false while not measured.
        criteria_current: Whether the evidence was made under the targets in force now.
    """

    metric: str
    op: str
    threshold: float
    measured: bool
    value: float
    met: bool
    criteria_current: bool


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """One person's word on this transition of this digest.

    Attributes:
        current: Whether it was given for the digest that the version has now.
        independent: Whether that person is not one of the version's developers.
    """

    actor: str
    verdict: str
    to: str
    reason: str
    at: datetime
    current: bool
    independent: bool


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """One place where the version runs or ran."""

    id: int
    target: str
    endpoint: str
    state: str
    artifact: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """All of it, at one moment.

    Attributes:
        to: The stage asked for.
        evidence: Current evidence about the artifact, newest of each kind.
        data: Linked dataset versions by role, each with its own evidence.
        unusable: Why evidence of some kind does not count, for explanations:
            `kind` or `role:kind` -> "stale" or "expired".
    """

    subject: SubjectFacts
    to: str
    now: datetime
    evidence: Mapping[str, EvidenceFacts]
    data: Mapping[str, DataFacts]
    targets: tuple[TargetFacts, ...]
    approvals: tuple[ApprovalFacts, ...]
    deployments: tuple[DeploymentFacts, ...]
    unusable: Mapping[str, str]
