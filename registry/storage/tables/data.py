"""Datasets and the content-addressed artifacts that hold all bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from registry.storage.tables.base import Base


class Artifact(Base):
    """Files in the store: a manifest of relative path -> [digest, bytes], known by the manifest's digest."""

    __tablename__ = "artifacts"
    __table_args__ = (
        CheckConstraint("digest LIKE 'sha256:%' AND length(digest) = 71", name="digest_is_sha256"),
    )

    digest: Mapped[str] = mapped_column(String(71), primary_key=True)
    manifest: Mapped[dict[str, Any]] = mapped_column(JSON)
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class Dataset(Base):
    """A named line of data."""

    __tablename__ = "datasets"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))


class DatasetVersion(Base):
    """`reviews/2`: immutable, with its datasheet.

    `columns` holds the roles of columns (text, image, label, sensitive); `schema` name -> type.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("dataset_id", "number"),
        CheckConstraint("number > 0", name="number_positive"),
        CheckConstraint("rows >= 0", name="rows_counted"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(ForeignKey("artifacts.digest"), index=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[dict[str, Any]] = mapped_column(JSON)
    schema: Mapped[dict[str, str]] = mapped_column(JSON)
    source: Mapped[str]
    licence: Mapped[str]
    note: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("actors.id"))

    dataset: Mapped[Dataset] = relationship(lazy="raise")


class DatasetParent(Base):
    """Which dataset version another was made from."""

    __tablename__ = "dataset_parents"

    child_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id"), primary_key=True)
