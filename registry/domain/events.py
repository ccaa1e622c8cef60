"""What can happen, in the past tense. Each becomes one ledger entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        subject: What it happened to: `model:loans/1`, `dataset:loans/2`, `run:7`.
    """

    subject: str

    @property
    def action(self) -> str:
        """`StageDecided` -> `stage-decided`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def payload(self) -> dict[str, Any]:
        """Its fields as JSON, without the subject."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "subject"}


@dataclass(frozen=True, slots=True)
class RegistryCreated(Event):
    release: str


@dataclass(frozen=True, slots=True)
class ActorAdded(Event):
    name: str


@dataclass(frozen=True, slots=True)
class LifecyclePublished(Event):
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class PolicyPublished(Event):
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class PolicyBound(Event):
    policy: str
    digest: str
    action_on_failure: str
    params: Mapping[str, Any]
    scope: Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class PolicyUnbound(Event):
    policy: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SystemAdded(Event):
    risk_tier: str
    owner: str


@dataclass(frozen=True, slots=True)
class SystemChanged(Event):
    """What is said of a system is said otherwise; `changed` names what."""

    changed: list[str]


@dataclass(frozen=True, slots=True)
class DatasetAdded(Event):
    digest: str
    rows: int
    source: str
    parents: list[str]


@dataclass(frozen=True, slots=True)
class VersionPlanned(Event):
    system: str
    targets: list[str]
    criteria_digest: str
    data: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataLinked(Event):
    data: Mapping[str, str]
    digest: str


@dataclass(frozen=True, slots=True)
class DesignRecorded(Event):
    design: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class RunQueued(Event):
    """A run was asked for; `base` is what its training begins with, and its digest."""

    plugin: str
    about: str
    config: Mapping[str, Any]
    seed: int
    criteria_digest: str
    engine: str
    processes: int
    engine_options: Mapping[str, Any]
    base: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    token: int


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    state: str
    reason: str
    outputs: Mapping[str, str]
    metrics_digest: str


@dataclass(frozen=True, slots=True)
class RunReplayed(Event):
    """The first steps of a run were done again, and its numbers compared with those recorded.

    Attributes:
        repeats: Whether they came again as exactly as the run claims.
        max_difference: Largest relative difference of a number.
    """

    steps: int
    verdict: str
    repeats: bool
    max_difference: float


@dataclass(frozen=True, slots=True)
class EvidenceRecorded(Event):
    kind: str
    about: str
    run: int
    status: str
    criteria_digest: str


@dataclass(frozen=True, slots=True)
class ArtifactProduced(Event):
    artifact: str
    run: int
    digest: str


@dataclass(frozen=True, slots=True)
class StageDecided(Event):
    decision: int
    origin: str
    to: str
    allowed: bool
    digest: str
    blocking: list[str]


@dataclass(frozen=True, slots=True)
class VerdictGiven(Event):
    """A person approved or rejected a transition."""

    to: str
    verdict: str
    digest: str


@dataclass(frozen=True, slots=True)
class DeploymentStarted(Event):
    version: str
    target: str
    endpoint: str
    artifact: str


@dataclass(frozen=True, slots=True)
class DeploymentStopped(Event):
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunTakenOver(Event):
    """A run whose supervisor is gone got another one."""

    token: int


# -- the ledger's own key, and what was forgotten -----------------------------


@dataclass(frozen=True, slots=True)
class LedgerKeyMade(Event):
    verifier: str


@dataclass(frozen=True, slots=True)
class LedgerKeyRotated(Event):
    """A new key signs the ledger; `statement` is the old one's signature for it, empty if that was lost."""

    verifier: str
    replaces: str
    reason: str
    statement: str


@dataclass(frozen=True, slots=True)
class PayloadsErased(Event):
    """What entries committed to was forgotten for somebody's sake; the entries still prove."""

    entries: list[int]
    reason: str


# -- people -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoleGranted(Event):
    role: str


@dataclass(frozen=True, slots=True)
class RoleRevoked(Event):
    role: str


@dataclass(frozen=True, slots=True)
class GroupAdded(Event):
    name: str


@dataclass(frozen=True, slots=True)
class MemberAdded(Event):
    member: int


@dataclass(frozen=True, slots=True)
class MemberRemoved(Event):
    member: int


@dataclass(frozen=True, slots=True)
class RoleDelegated(Event):
    role: str
    to: int
    until: str


@dataclass(frozen=True, slots=True)
class DelegationEnded(Event):
    role: str
    to: int


# -- what stands against a version, and what is accepted all the same ---------


@dataclass(frozen=True, slots=True)
class AliasMoved(Event):
    """An alias points to a version now; to none if `version` is empty. It pointed to `before`.

    What it is taken away from hears of it in an entry of its own.
    """

    alias: str
    version: str
    decision: int
    before: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WaiverRequested(Event):
    waiver: int
    rule: str
    until: str


@dataclass(frozen=True, slots=True)
class WaiverDecided(Event):
    waiver: int
    rule: str
    state: str


@dataclass(frozen=True, slots=True)
class WaiverRevoked(Event):
    waiver: int
    rule: str


@dataclass(frozen=True, slots=True)
class FindingRaised(Event):
    finding: int
    severity: str
    due: str


@dataclass(frozen=True, slots=True)
class FindingClosed(Event):
    finding: int
    severity: str


@dataclass(frozen=True, slots=True)
class RiskAdded(Event):
    risk: int
    category: str
    residual: int


@dataclass(frozen=True, slots=True)
class RiskChanged(Event):
    """A risk was judged anew; what was accepted before must be accepted again."""

    risk: int
    category: str
    residual: int


@dataclass(frozen=True, slots=True)
class RiskAccepted(Event):
    risk: int
    category: str
    residual: int


@dataclass(frozen=True, slots=True)
class RiskClosed(Event):
    risk: int
    category: str


@dataclass(frozen=True, slots=True)
class TierAssessed(Event):
    assessment: int
    computed: str
    tier: str
    state: str


@dataclass(frozen=True, slots=True)
class TierDecided(Event):
    assessment: int
    tier: str
    state: str


# -- signatures ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyTrusted(Event):
    keyid: str
    owner: int


@dataclass(frozen=True, slots=True)
class KeyDistrusted(Event):
    keyid: str
    reason: str


@dataclass(frozen=True, slots=True)
class StatementSigned(Event):
    """A statement about `row` was signed; `envelope` is the digest of what was signed."""

    about: str
    row: str
    keyid: str
    envelope: str
