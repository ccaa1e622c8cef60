"""What people said, accepted and signed: the part of a report's facts that oversight is about.

Times are aware and in UTC. A ledger entry index of -1 means that there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from registry.domain.dossier import ChampionFacts, TargetFacts
from registry.usecases.aliases import AliasView
from registry.usecases.look_exceptions import FindingView, RiskView, WaiverView
from registry.usecases.signing import SignatureView

Registration = Literal["before", "after", "other targets", "unknown", "not judged"]


@dataclass(frozen=True, slots=True)
class TargetRecord(TargetFacts):
    """A target, when the ledger fixed it, and what judged it.

    Attributes:
        fixed_entry: The ledger entry that holds it.
        evidence: Number of the evidence that measured it, 0 if none did.
        run: The run that made that evidence.
        run_entry: The ledger entry that asked for the run; it names the targets that the run was given.
        run_at: When the run was asked for.
        registration: Whether it was fixed `before` its evaluation was asked for, or `after`; or whether
            that judged by `other targets`. `unknown` if the ledger does not say.
    """

    fixed_entry: int = -1
    fixed_at: datetime | None = None
    fixed_by: str = ""
    evidence: int = 0
    run: str = ""
    run_entry: int = -1
    run_at: datetime | None = None
    registration: Registration = "not judged"


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """One person's word on a step.

    Attributes:
        to: A stage, or `@alias`.
        current: Whether plan, design, data, artifact and evidence are what that person saw.
        independent: Whether neither that person nor whom they stood in for is a developer of the version.
        roles: That the person holds now.
        on_behalf_of: Whom the person stood in for; empty if for nobody.
        changed: What is no longer what that person saw.
        counted: Decisions that saw it, and saw that it stood.
    """

    actor: str
    verdict: str
    to: str
    reason: str
    at: datetime
    digest: str
    current: bool
    independent: bool
    entry: int
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    on_behalf_of: str = ""
    changed: tuple[str, ...] = ()
    counted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """What one person had to do with the version.

    Attributes:
        roles: Held now, by grant or delegation.
        developer: Planned it, chose its data or design, or trained it: may not approve it.
        evaluated: Ran an evaluation of its current artifact.
        approved: Steps that they approved, whether that still counts or not.
        rejected: Steps that they rejected.
        excepted: Waivers that they granted and risks that they accepted: `waiver 3`, `risk 1`.
        moved: Steps that they asked for and the gate allowed.
        deployed: Deployments that they started.
        represented_by: Who spoke on a step in their place.
    """

    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...] = ()
    planned: bool = False
    developer: bool = False
    trained: bool = False
    evaluated: bool = False
    approved: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    deployed: tuple[str, ...] = ()
    represented_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaiverRecord(WaiverView):
    """A waiver, with the entries in which it was asked for, decided on and revoked."""

    entry: int
    decision_entry: int
    end_entry: int


@dataclass(frozen=True, slots=True)
class FindingRecord(FindingView):
    """A finding, with the entries in which it was raised and closed."""

    entry: int
    closing_entry: int


@dataclass(frozen=True, slots=True)
class RiskRecord(RiskView):
    """A risk, with the entries in which it was judged last, accepted and closed."""

    entry: int
    acceptance_entry: int
    closing_entry: int


@dataclass(frozen=True, slots=True)
class SignatureRecord(SignatureView):
    """A stored signature, checked when the report was made, with the entry that recorded it."""

    entry: int = -1


@dataclass(frozen=True, slots=True)
class AliasRecord(AliasView):
    """One time that an alias was pointed to the version.

    Attributes:
        until: When it was pointed elsewhere, or taken away; None while it points here.
        entry: The ledger entry of the pointing.
    """

    until: datetime | None
    entry: int


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What the version replaces, what could replace it, and what would miss it.

    Attributes:
        champion: The version that `@champion` points to, if another one.
        metrics: Of the version's own newest evaluation, to be held against the champion's.
        rollback_targets: Other versions of the model that were deployed once and are not retired.
        dependants: Aliases, deployments, and versions tuned from it.
    """

    aliases: tuple[AliasRecord, ...] = ()
    champion: ChampionFacts = field(default_factory=ChampionFacts)
    metrics: Mapping[str, float] = field(default_factory=dict)
    rollback_targets: tuple[str, ...] = ()
    dependants: tuple[str, ...] = ()
