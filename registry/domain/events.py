"""What can happen, in the past tense. Each becomes one ledger entry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
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


@dataclass(frozen=True, slots=True)
class PolicyUnbound(Event):
    policy: str


@dataclass(frozen=True, slots=True)
class SystemAdded(Event):
    risk_tier: str
    owner: str


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
    design: Mapping[str, str]
    digest: str


@dataclass(frozen=True, slots=True)
class RunQueued(Event):
    plugin: str
    about: str
    config: Mapping[str, Any]
    seed: int
    criteria_digest: str


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
