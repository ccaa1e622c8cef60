"""Evidence: an immutable finding about one digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EvidenceStatus(StrEnum):
    """Whether a check could judge at all. Only `complete` evidence can make a rule pass."""

    COMPLETE = "complete"
    INSUFFICIENT = "insufficient"


@dataclass(frozen=True, slots=True)
class EvidenceFacts:
    """What a policy sees of one piece of evidence.

    Attributes:
        subject: Digest that it is about.
        metrics: Finite numbers by name.
        facts: Words by name: formats, versions, what a scan could see.
        coverage: Share of the subject that was looked at, 0 to 1.
        criteria_digest: The targets that were in force when the run began.
        actor: Who ran it.
    """

    id: int
    kind: str
    subject: str
    status: str
    reason: str
    metrics: Mapping[str, float]
    facts: Mapping[str, str]
    coverage: float
    producer: str
    run: str
    actor: str
    criteria_digest: str
    created_at: datetime
    valid_until: datetime | None = None
