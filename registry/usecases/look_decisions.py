"""Looking at what gates decided on a version, and what people said of it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.references import Ref
from registry.storage import find
from registry.storage.dossiers import find_words
from registry.storage.tables import DecisionRow
from registry.storage.tables.base import now
from registry.usecases.views import ApprovalView, DecisionView


def decisions(session: Session, ref: Ref) -> list[DecisionView]:
    """Every decision on a version, oldest first."""
    version_id = find.version(session, ref).id
    names = find.actor_names(session)
    rows = session.scalars(
        select(DecisionRow).where(DecisionRow.version_id == version_id).order_by(DecisionRow.id)
    )
    return [
        DecisionView(
            id=row.id,
            ref=str(ref),
            origin=row.from_stage,
            to=row.to_stage,
            allowed=row.allowed,
            reason=row.reason,
            digest=row.digest,
            results=list(row.results),
            at=row.created_at,
            actor=names[row.created_by],
        )
        for row in rows
    ]


def approvals(session: Session, ref: Ref) -> list[ApprovalView]:
    """Everybody's word on a version, oldest first, and what has changed since it was given."""
    row = find.version(session, ref)
    return [
        ApprovalView(
            to=given.to,
            verdict=given.verdict,
            reason=given.reason,
            actor=given.actor,
            at=given.at,
            digest=digest,
            current=given.current,
            on_behalf_of=given.on_behalf_of,
            independent=given.independent,
            changed=list(given.changed),
        )
        for digest, given in find_words(session, row, str(ref), now())
    ]
