"""Runs of plugins, what went in and came out, and what they deployed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, Float, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.storage.tables.base import Base

STATES = ("queued", "running", "succeeded", "failed", "cancelled", "lost")


class Run(Base):
    """One execution of a plugin.

    `token` is the fencing token: only the supervisor that holds the current one may finish the run.
    """

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint("state IN ('" + "', '".join(STATES) + "')", name="state"),
        CheckConstraint(
            "(version_id IS NULL) <> (dataset_version_id IS NULL)",
            name="one_subject",
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plugin: Mapped[str] = mapped_column(String(100), index=True)
    plugin_version: Mapped[str] = mapped_column(String(100))
    kind: Mapped[str] = mapped_column(String(20))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("versions.id"), index=True)
    dataset_version_id: Mapped[int | None] = mapped_column(ForeignKey("dataset_versions.id"), index=True)
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    seed: Mapped[int] = mapped_column(BigInteger)
    engine: Mapped[str] = mapped_column(String(20))
    processes: Mapped[int]
    engine_options: Mapped[dict[str, Any]] = mapped_column(JSON)
    environment: Mapped[dict[str, Any]] = mapped_column(JSON)
    criteria_digest: Mapped[str] = mapped_column(String(71))
    state: Mapped[str] = mapped_column(String(20), index=True)
    reason: Mapped[str]
    token: Mapped[int]
    metrics_digest: Mapped[str] = mapped_column(String(71))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class RunInput(Base):
    """What a run read: by role, the reference and the digest that it stood for."""

    __tablename__ = "run_inputs"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(100), primary_key=True)
    ref: Mapped[str]
    digest: Mapped[str] = mapped_column(String(71), index=True)


class RunOutput(Base):
    """What a run made."""

    __tablename__ = "run_outputs"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    ref: Mapped[str]
    digest: Mapped[str] = mapped_column(String(71), index=True)


class RunMetric(Base):
    """A live number. Too many for the ledger one by one: the run's `metrics_digest` covers them."""

    __tablename__ = "run_metrics"
    governed: ClassVar[bool] = False
    __table_args__ = (Index("ix_run_metrics_run_id_name", "run_id", "name"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    step: Mapped[int] = mapped_column(BigInteger)
    value: Mapped[float] = mapped_column(Float(53))


class RunLease(Base):
    """Who is looking after a running run, and when it was last heard of. Not history, so not governed."""

    __tablename__ = "run_leases"
    governed: ClassVar[bool] = False

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    token: Mapped[int]
    host: Mapped[str]
    pid: Mapped[int]
    started: Mapped[float] = mapped_column(Float(53))
    heartbeat_at: Mapped[datetime]


class Deployment(Base):
    """Where a version runs or ran."""

    __tablename__ = "deployments"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'stopped')", name="state"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), index=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    plugin: Mapped[str] = mapped_column(String(100))
    target: Mapped[str] = mapped_column(String(40))
    endpoint: Mapped[str]
    artifact_digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]
