"""The dossier: everything that a gate sees of a version, and nothing else.

The classes here are also the schema of policy expressions: `policy check` reads
their fields and types, so a field that is not here is an error before publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActorFacts:
    """Who asks.

    Attributes:
        roles: Held now, by grant or delegation: `developer`, `approver`, ...
    """

    name: str = ""
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


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
        tags: Of the version's plan and of its system.
        aliases: That point to it now.
        budget_hours: Hours of computing that the plan allows; 0 if it sets none.
        hours_used: Hours that its ended runs took, by the clock.
        trained_by: Who ran what made its artifact.
        evaluated_by: Who ran the evaluations of its current artifact.
        rollback_targets: Other versions of the model that were deployed once and are not retired.
        base: The base model that its artifact was tuned from, empty if it was trained from scratch.
        base_digest: Of the base's files.
        replayed: Digest of the old data that was mixed into its training, empty if none was.
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
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    budget_hours: float = 0.0
    hours_used: float = 0.0
    trained_by: tuple[str, ...] = ()
    evaluated_by: tuple[str, ...] = ()
    rollback_targets: tuple[str, ...] = ()
    base: str = ""
    base_digest: str = ""
    replayed: str = ""


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
        current: Whether plan, design, data, artifact and evidence are what that person saw.
        independent: Whether neither that person nor the one they stand in for is a developer of the version.
        roles: That the person holds now, by grant or delegation.
        groups: That the person is in now.
        on_behalf_of: Whom the person stands in for as approver; empty if for nobody.
        changed: What is no longer what that person saw: `artifact`, `data train`, `evidence check.bias`.
    """

    actor: str
    verdict: str
    to: str
    reason: str
    at: datetime
    current: bool
    independent: bool
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    on_behalf_of: str = ""
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """One place where the version runs or ran."""

    id: int
    target: str
    endpoint: str
    state: str
    artifact: str


@dataclass(frozen=True, slots=True)
class WaiverFacts:
    """An exception to one rule that somebody asked for.

    Attributes:
        rule: `policy/validation`, or `policy/validation[item]`.
        policy: Digest of the policy for which it was granted; another version of it is another rule.
        holds: Whether it is granted, not revoked, not over, and about the version as it is now.
        why_not: Why it does not hold; empty if it does.
    """

    id: int
    rule: str
    policy: str
    reason: str
    control: str
    requested_by: str
    approved_by: str
    until: datetime
    holds: bool
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class FindingFacts:
    """A reviewer's challenge to the version or its system.

    Attributes:
        severity: `low`, `medium`, `high` or `critical`.
    """

    id: int
    title: str
    severity: str
    owner: str
    raised_by: str
    raised_at: datetime
    due: datetime
    open: bool


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """A row of the system's risk register.

    Attributes:
        score: Likelihood times severity, 1 to 25, before controls.
        residual: The same with the controls in place.
        state: `open`, `accepted` or `closed`. Only the residual that was accepted stays accepted.
    """

    id: int
    category: str
    title: str
    score: int
    residual: int
    controls: str
    owner: str
    state: str
    accepted_by: str
    review_by: datetime


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """A signature over a statement about what the version is now.

    Attributes:
        about: `artifact`, `provenance`, the kind of evidence (of data with its role: `train:check.pii`),
            or `approval` and `rejection` of the step asked for, which only who gave them can sign.
        signer: Owner of the key; empty if nobody here knows the key.
        valid: Whether the signature fits the statement, and the statement the digest and the row.
        trusted: Whether the key is trusted now.
    """

    about: str
    signer: str
    keyid: str
    valid: bool
    trusted: bool


@dataclass(frozen=True, slots=True)
class ChampionFacts:
    """The version that `@champion` of this model points to.

    Attributes:
        exists: Whether there is one, other than the version itself.
        same_data: Whether it was evaluated on the test data that the version names.
        metrics: Of its newest evaluation.
    """

    exists: bool = False
    ref: str = ""
    same_data: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dossier:
    """All of it, at one moment.

    Attributes:
        to: The stage asked for.
        evidence: Current evidence about the artifact, newest of each kind.
        data: Linked dataset versions by role, each with its own evidence.
        unusable: Why evidence of some kind does not count, for explanations:
            `kind` or `role:kind` -> "stale" or "expired".
        dependants: What would miss the version: aliases, versions tuned from it, deployments.
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
    actor: ActorFacts = ActorFacts()
    waivers: tuple[WaiverFacts, ...] = ()
    findings: tuple[FindingFacts, ...] = ()
    risks: tuple[RiskFacts, ...] = ()
    signatures: tuple[SignatureFacts, ...] = ()
    champion: ChampionFacts = ChampionFacts()
    dependants: tuple[str, ...] = ()
