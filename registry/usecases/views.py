"""What callers get to see: frozen facts, detached from the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SystemView:
    """An AI system; `tier_basis` says in words what its risk tier rests on."""

    name: str
    purpose: str
    owner: str
    risk_tier: str
    affected_groups: list[str]
    prohibited_uses: list[str]
    oversight: str
    tags: list[str]
    models: list[str]
    created_at: datetime
    created_by: str
    tier_basis: str


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """One piece of evidence; `subject` is the digest that it is about."""

    id: int
    kind: str
    subject: str
    run: int
    producer: str
    status: str
    reason: str
    metrics: Mapping[str, float]
    facts: Mapping[str, str]
    coverage: float
    summary: str
    tables: Mapping[str, Any]
    criteria_digest: str
    created_at: datetime
    created_by: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class DatasetView:
    ref: str
    digest: str
    rows: int
    columns: Mapping[str, Any]
    schema: Mapping[str, str]
    source: str
    licence: str
    note: str
    parents: list[str]
    created_at: datetime
    created_by: str
    evidence: list[EvidenceView]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A model version; `following` are the stages that it can go to next, `aliases` point to it."""

    ref: str
    stage: str
    system: str
    risk_tier: str
    purpose: str
    task: str
    targets: list[str]
    data: Mapping[str, str]
    design: Mapping[str, Any]
    artifact: str
    digest: str
    following: list[str]
    created_at: datetime
    created_by: str
    aliases: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunView:
    id: int
    plugin: str
    plugin_version: str
    kind: str
    about: str
    state: str
    reason: str
    engine: str
    processes: int
    engine_options: Mapping[str, Any]
    config: Mapping[str, Any]
    seed: int
    environment: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    metrics: Mapping[str, float]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    created_by: str

    @property
    def seconds(self) -> float | None:
        """How long it ran, None while it does."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A published policy and how it is in force: `bindings` name -> action."""

    name: str
    digest: str
    title: str
    stages: list[str]
    rules: list[str]
    bindings: Mapping[str, str]
    document: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeploymentView:
    id: int
    version: str
    target: str
    endpoint: str
    state: str
    plugin: str
    run: int
    artifact: str
    created_at: datetime
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """One ledger entry; `text` says what happened in words."""

    index: int
    at: datetime
    actor: str
    action: str
    subject: str
    text: str
    leaf: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A recorded decision, with every rule's result as it was."""

    id: int
    ref: str
    origin: str
    to: str
    allowed: bool
    reason: str
    digest: str
    results: list[Mapping[str, Any]]
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One person's word on a step.

    Attributes:
        digest: What the version was when it was given.
        current: Whether it still counts: whether everything is what that person saw.
        on_behalf_of: Whom they stood in for; empty if for nobody.
        independent: Whether neither they nor that person is a developer of the version.
        changed: What is no longer what they saw: `artifact`, `train data`, `evidence check.bias`.
    """

    to: str
    verdict: str
    reason: str
    actor: str
    at: datetime
    digest: str
    current: bool
    on_behalf_of: str = ""
    independent: bool = True
    changed: list[str] = field(default_factory=list)
