"""Lifecycles, policies, bindings, decisions, transitions, approvals, aliases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.storage.tables.base import Base


class LifecycleRow(Base):
    """A published lifecycle; the newest is in force."""

    __tablename__ = "lifecycles"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(71))
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class PolicyRow(Base):
    """A published policy: immutable, known by digest."""

    __tablename__ = "policies"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), index=True)
    digest: Mapped[str] = mapped_column(String(71), unique=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class BindingRow(Base):
    """A policy put in force. Ended, not deleted; at most one of a name is in force.

    `in_force` repeats the name while it is, and is NULL afterwards: so the database itself sees to it.
    """

    __tablename__ = "bindings"
    __table_args__ = (
        CheckConstraint("action IN ('audit', 'warn', 'deny')", name="action"),
        CheckConstraint(
            "(in_force IS NULL) <> (unbound_at IS NULL) AND (in_force IS NULL OR in_force = name)",
            name="in_force",
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    in_force: Mapped[str | None] = mapped_column(String(100), unique=True)
    policy_id: Mapped[int] = mapped_column(ForeignKey("policies.id"), index=True)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    action: Mapped[str] = mapped_column(String(10))
    bound_at: Mapped[datetime]
    bound_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    unbound_at: Mapped[datetime | None]


class DecisionRow(Base):
    """What a gate said, with every rule's result and the dossier that it saw."""

    __tablename__ = "decisions"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    from_stage: Mapped[str] = mapped_column(String(100))
    to_stage: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(71))
    allowed: Mapped[bool]
    reason: Mapped[str]
    results: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    dossier: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class TransitionRow(Base):
    """A move that happened, by the decision that allowed it."""

    __tablename__ = "transitions"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"), unique=True)
    from_stage: Mapped[str] = mapped_column(String(100))
    to_stage: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class ApprovalRow(Base):
    """One person's word on one transition of one digest."""

    __tablename__ = "approvals"
    __table_args__ = (
        CheckConstraint("verdict IN ('approved', 'rejected')", name="verdict"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    to_stage: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(71))
    verdict: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    # What that person saw: digests of the version's parts, and which evidence was current.
    basis: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    on_behalf_of: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class AliasRow(Base):
    """An alias was moved to a version, or taken away; the newest row of a name counts."""

    __tablename__ = "alias_settings"
    __table_args__ = (
        Index("ix_alias_settings_model_id_name", "model_id", "name", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    name: Mapped[str] = mapped_column(String(100))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
