"""Evidence, as recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.storage.tables.base import Base


class EvidenceRow(Base):
    """A finding of a run about a digest."""

    __tablename__ = "evidence"
    __table_args__ = (
        CheckConstraint("status IN ('complete', 'insufficient')", name="status"),
        CheckConstraint("coverage >= 0 AND coverage <= 1", name="coverage"),
        Index("ix_evidence_subject_kind", "subject", "kind", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(71))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    metrics: Mapped[dict[str, float]] = mapped_column(JSON)
    facts: Mapped[dict[str, str]] = mapped_column(JSON)
    coverage: Mapped[float] = mapped_column(Float(53))
    summary: Mapped[str]
    tables: Mapped[dict[str, Any]] = mapped_column(JSON)
    files_digest: Mapped[str | None] = mapped_column(ForeignKey("artifacts.digest"))
    producer: Mapped[str] = mapped_column(String(201))
    criteria_digest: Mapped[str] = mapped_column(String(71))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    valid_until: Mapped[datetime | None]
