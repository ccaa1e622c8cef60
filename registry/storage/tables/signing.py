"""Keys that are trusted, and statements that were signed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.storage.tables.base import Base


class TrustedKeyRow(Base):
    """A public key of somebody, trusted until it is revoked."""

    __tablename__ = "trusted_keys"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    keyid: Mapped[str] = mapped_column(String(64), index=True)
    scheme: Mapped[str] = mapped_column(String(40))
    public: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))


class EnvelopeRow(Base):
    """A signed statement: a DSSE envelope, or a Sigstore bundle for an artifact.

    Attributes:
        subject: Digest that the statement is about.
        about: `artifact`, `provenance`, `decision`, `approval`, or the kind of evidence.
        row: What was signed, as the ledger names it: `evidence:7`.
    """

    __tablename__ = "envelopes"
    __table_args__ = (
        Index("ix_envelopes_subject", "subject"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(String(71))
    about: Mapped[str] = mapped_column(String(60))
    row: Mapped[str] = mapped_column(String(100), index=True)
    predicate_type: Mapped[str] = mapped_column(String(200))
    keyid: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(71))
    envelope: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
