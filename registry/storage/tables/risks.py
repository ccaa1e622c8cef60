"""What people say against a version or a system, and what they accept all the same."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.storage.tables.base import Base


class WaiverRow(Base):
    """An exception to one rule, for one version as it is or for one system, until a date.

    It holds only while its state is `approved`, its end is to come, its policy is the one in
    force, and, for a version, the version's digest is the same.
    """

    __tablename__ = "waivers"
    __table_args__ = (
        CheckConstraint("state IN ('requested', 'approved', 'rejected', 'revoked')", name="state"),
        CheckConstraint("(version_id IS NULL) <> (system_id IS NULL)", name="one_subject"),
        CheckConstraint("(state = 'requested') = (decided_by IS NULL)", name="decided"),
        CheckConstraint("decided_by <> created_by OR state = 'rejected'", name="other"),
        CheckConstraint("(state = 'revoked') = (ended_by IS NOT NULL)", name="ended"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(String(300))
    policy_digest: Mapped[str] = mapped_column(String(71))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    system_id: Mapped[int | None] = mapped_column(ForeignKey("systems.id"), index=True)
    digest: Mapped[str] = mapped_column(String(71))
    reason: Mapped[str]
    control: Mapped[str]
    until: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    decision_reason: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    end_reason: Mapped[str | None]


class FindingRow(Base):
    """A challenge to a version or a system, open until its closure is written down."""

    __tablename__ = "findings"
    __table_args__ = (
        CheckConstraint("severity IN ('low', 'medium', 'high', 'critical')", name="severity"),
        CheckConstraint("(version_id IS NULL) <> (system_id IS NULL)", name="one_subject"),
        CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL)"
            " AND (closed_at IS NULL OR closure IS NOT NULL OR evidence_id IS NOT NULL)",
            name="closed",
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    system_id: Mapped[int | None] = mapped_column(ForeignKey("systems.id"), index=True)
    title: Mapped[str]
    text: Mapped[str]
    severity: Mapped[str] = mapped_column(String(20))
    owner_id: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    due: Mapped[datetime]
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    closure: Mapped[str | None]
    evidence_id: Mapped[int | None] = mapped_column(ForeignKey("evidence.id"))


class RiskRow(Base):
    """A row of a system's risk register. Likelihood and severity run from 1 to 5.

    `judged_by` is who last said what it is, and so may not accept it.
    """

    __tablename__ = "risks"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'accepted', 'closed')", name="state"),
        CheckConstraint("likelihood BETWEEN 1 AND 5 AND severity BETWEEN 1 AND 5", name="score"),
        CheckConstraint(
            "residual_likelihood BETWEEN 1 AND 5 AND residual_severity BETWEEN 1 AND 5", name="residual"
        ),
        CheckConstraint("state <> 'accepted' OR accepted_by IS NOT NULL", name="accepted"),
        CheckConstraint("accepted_by <> owner_id AND accepted_by <> judged_by", name="other"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    system_id: Mapped[int] = mapped_column(ForeignKey("systems.id"), index=True)
    category: Mapped[str] = mapped_column(String(60))
    title: Mapped[str]
    description: Mapped[str]
    likelihood: Mapped[int]
    severity: Mapped[int]
    controls: Mapped[str]
    residual_likelihood: Mapped[int]
    residual_severity: Mapped[int]
    reason: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    review_by: Mapped[datetime]
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    judged_at: Mapped[datetime]
    judged_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    acceptance: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    closure: Mapped[str | None]


class TierAssessmentRow(Base):
    """A system's risk tier, computed from a questionnaire; another than the computed one is asked for."""

    __tablename__ = "tier_assessments"
    __table_args__ = (
        CheckConstraint("state IN ('requested', 'in force', 'rejected')", name="state"),
        CheckConstraint("computed IN ('minimal', 'limited', 'high')", name="computed"),
        CheckConstraint("tier IN ('minimal', 'limited', 'high')", name="tier"),
        CheckConstraint("decided_by <> created_by OR state = 'rejected'", name="other"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    system_id: Mapped[int] = mapped_column(ForeignKey("systems.id"), index=True)
    questionnaire: Mapped[str] = mapped_column(String(71))
    answers: Mapped[dict[str, Any]] = mapped_column(JSON)
    computed: Mapped[str] = mapped_column(String(20))
    tier: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    decision_reason: Mapped[str | None]
