"""Who does things, and what they may do."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.domain.people import ROLES
from registry.storage.tables.base import Base


class ActorRow(Base):
    """A person or a service. Everything that changes names one."""

    __tablename__ = "actors"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]


class GrantRow(Base):
    """A role that somebody has or had. Ended, not deleted."""

    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("role IN ('" + "', '".join(ROLES) + "')", name="role"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    actor_id: Mapped[int] = mapped_column(ForeignKey("actors.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))


class GroupRow(Base):
    """Some people, as policies name them: `model-risk`."""

    __tablename__ = "groups"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class MemberRow(Base):
    """Somebody who is or was in a group. Ended, not deleted."""

    __tablename__ = "group_members"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("groups.id"), index=True)
    actor_id: Mapped[int] = mapped_column(ForeignKey("actors.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))


class DelegationRow(Base):
    """Somebody lends a role to somebody else until a date, or until it is ended before."""

    __tablename__ = "delegations"
    __table_args__ = (
        CheckConstraint("role IN ('" + "', '".join(ROLES) + "')", name="role"),
        CheckConstraint("from_actor_id <> to_actor_id", name="other"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    from_actor_id: Mapped[int] = mapped_column(ForeignKey("actors.id"), index=True)
    to_actor_id: Mapped[int] = mapped_column(ForeignKey("actors.id"), index=True)
    role: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str]
    until: Mapped[datetime]
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("actors.id"))
