"""Systems, models, versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry.storage.tables.base import Base
from registry.storage.tables.data import DatasetVersion


class System(Base):
    """An AI system in a use."""

    __tablename__ = "systems"
    __table_args__ = (
        CheckConstraint("risk_tier IN ('minimal', 'limited', 'high')", name="risk_tier"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    purpose: Mapped[str]
    owner: Mapped[str]
    risk_tier: Mapped[str] = mapped_column(String(20))
    affected_groups: Mapped[list[str]] = mapped_column(JSON)
    prohibited_uses: Mapped[list[str]] = mapped_column(JSON)
    oversight: Mapped[str]
    tags: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class Model(Base):
    """A named line of work in a system."""

    __tablename__ = "models"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    system_id: Mapped[int] = mapped_column(ForeignKey("systems.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))

    system: Mapped[System] = relationship(lazy="raise")


class Version(Base):
    """`model/3`. Its stage changes by a decision only; its number is never given again.

    `digest` is over plan, data, design and artifact: what an approval is given for.
    """

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        CheckConstraint("number > 0", name="number_positive"),
        CheckConstraint("length(stage) > 0", name="stage_named"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    number: Mapped[int]
    stage: Mapped[str] = mapped_column(String(100), index=True)
    plan: Mapped[dict[str, Any]] = mapped_column(JSON)
    design: Mapped[dict[str, Any]] = mapped_column(JSON)
    artifact_digest: Mapped[str | None] = mapped_column(ForeignKey("artifacts.digest"), index=True)
    digest: Mapped[str] = mapped_column(String(71))
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))

    model: Mapped[Model] = relationship(lazy="raise")


class VersionData(Base):
    """Which dataset version plays which role for a version."""

    __tablename__ = "version_data"

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(100), primary_key=True)
    dataset_version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), index=True)

    dataset_version: Mapped[DatasetVersion] = relationship(lazy="raise")
