"""The ledger, as stored."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from registry.storage.tables.base import Base


class LedgerEntry(Base):
    """One entry. The columns beside `header` and `payload` repeat the header, for filters."""

    __tablename__ = "ledger_entries"
    governed: ClassVar[bool] = False
    __table_args__ = (
        Index("ix_ledger_entries_subject", "subject"),
        Index("ix_ledger_entries_action", "action"),
    )

    index: Mapped[int] = mapped_column("index", BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor_id: Mapped[int] = mapped_column(ForeignKey("actors.id"))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(200))
    header: Mapped[bytes] = mapped_column(LargeBinary)
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))


class LedgerNode(Base):
    """A finished inner node of the tree, so that a proof costs O(log n)."""

    __tablename__ = "ledger_nodes"
    governed: ClassVar[bool] = False

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class LedgerHead(Base):
    """The one row that every writer locks last: size and frontier of the tree."""

    __tablename__ = "ledger_head"
    governed: ClassVar[bool] = False
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    frontier: Mapped[bytes] = mapped_column(LargeBinary)
