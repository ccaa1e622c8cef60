"""Looking at policies: every version of one, and what is or was in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.domain.names import did_you_mean
from registry.errors import BadInput, NotFound
from registry.storage import find
from registry.storage.tables import BindingRow, PolicyRow
from registry.usecases.log import log
from registry.usecases.views import EntryView, PolicyView

_SHORTEST = 4  # characters of a digest that may stand for it
_ACTIONS = ("policy-published", "policy-bound", "policy-unbound")


@dataclass(frozen=True, slots=True)
class BindingView:
    """A policy in force.

    Attributes:
        digest: The version of the policy that it pins.
        outdated: Whether a newer version of the policy is published.
    """

    name: str
    policy: str
    digest: str
    outdated: bool
    action: str
    params: Mapping[str, Any]
    scope: Mapping[str, list[str]]
    bound_at: datetime
    bound_by: str


def policies(session: Session, name: str = "") -> list[PolicyView]:
    """The newest version of every policy, or of the one of a name.

    Raises:
        NotFound: No such policy.
    """
    newest = select(func.max(PolicyRow.id)).group_by(PolicyRow.name)
    rows = list(session.scalars(select(PolicyRow).where(PolicyRow.id.in_(newest)).order_by(PolicyRow.name)))
    if name:
        known = [row.name for row in rows]
        if name not in known:
            raise NotFound(f"there is no policy {name!r}", hint=did_you_mean(name, known))
        rows = [rows[known.index(name)]]
    in_force: dict[int, dict[str, str]] = {}
    for binding in session.scalars(select(BindingRow).where(BindingRow.in_force.is_not(None))):
        in_force.setdefault(binding.policy_id, {})[binding.name] = binding.action
    return [
        PolicyView(
            name=row.name,
            digest=row.digest,
            title=row.document["metadata"].get("title", ""),
            stages=list(row.document["match"].get("to", [])),
            rules=[rule["id"] for rule in row.document["validations"]],
            bindings=in_force.get(row.id, {}),
            document=row.document,
            created_at=row.created_at,
        )
        for row in rows
    ]


def split_reference(reference: str) -> tuple[str, str]:
    """`NAME` or `NAME@DIGEST`: name and digest, which is empty for the newest version."""
    name, at, digest = reference.partition("@")
    if at and not digest:
        raise BadInput(f"{reference!r} names no version", hint="write NAME@DIGEST, or NAME for the newest")
    return name, digest


def find_policy(session: Session, name: str, digest: str = "") -> PolicyRow:
    """A published policy: the version of a digest, or of how one begins; the newest if none is given.

    Raises:
        NotFound: There is none.
        BadInput: Too short a beginning, or one of several versions.
    """
    query = select(PolicyRow).where(PolicyRow.name == name).order_by(PolicyRow.id.desc())
    rows = list(session.scalars(query))
    if not rows:
        known = list(session.scalars(select(PolicyRow.name).distinct()))
        raise NotFound(
            f"there is no published policy {name!r}",
            hint=did_you_mean(name, known) or "phasegate policy list",
        )
    if not digest:
        return rows[0]
    start = digest.removeprefix("sha256:").lower()
    if len(start) < _SHORTEST:
        raise BadInput(f"{digest!r} is too short for a digest", hint=f"give at least {_SHORTEST} characters")
    fitting = [row for row in rows if row.digest.removeprefix("sha256:").startswith(start)]
    versions = ", ".join(_short(row) for row in rows)
    if not fitting:
        raise NotFound(f"policy {name!r} has no version {digest!r}", hint=f"it has: {versions}")
    if len(fitting) > 1:
        raise BadInput(f"several versions of {name!r} begin with {digest!r}", hint=f"it has: {versions}")
    return fitting[0]


def policy_version(session: Session, reference: str) -> PolicyView:
    """One version of a policy, and how that version is in force.

    Raises:
        NotFound, BadInput: As `find_policy` does.
    """
    row = find_policy(session, *split_reference(reference))
    bound = session.scalars(
        select(BindingRow).where(BindingRow.policy_id == row.id, BindingRow.in_force.is_not(None))
    )
    return PolicyView(
        name=row.name,
        digest=row.digest,
        title=row.document["metadata"].get("title", ""),
        stages=list(row.document["match"].get("to", [])),
        rules=[rule["id"] for rule in row.document["validations"]],
        bindings={one.name: one.action for one in bound},
        document=row.document,
        created_at=row.created_at,
    )


def versions_of(session: Session, name: str) -> list[str]:
    """Digests of a policy's versions, oldest first."""
    return list(
        session.scalars(select(PolicyRow.digest).where(PolicyRow.name == name).order_by(PolicyRow.id))
    )


def bindings_in_force(session: Session) -> list[BindingView]:
    """What is in force now, in the order in which it was bound."""
    names = find.actor_names(session)
    newest: dict[str, int] = {}
    policies = {row.id: row for row in session.scalars(select(PolicyRow).order_by(PolicyRow.id))}
    for row in policies.values():
        newest[row.name] = row.id
    rows = session.scalars(select(BindingRow).where(BindingRow.in_force.is_not(None)).order_by(BindingRow.id))
    return [
        BindingView(
            name=row.name,
            policy=policies[row.policy_id].name,
            digest=policies[row.policy_id].digest,
            outdated=newest[policies[row.policy_id].name] != row.policy_id,
            action=row.action,
            params=row.document.get("params", {}),
            scope=row.document.get("scope", {}),
            bound_at=row.bound_at,
            bound_by=names[row.bound_by],
        )
        for row in rows
    ]


def policy_history(session: Session) -> list[EntryView]:
    """What was published, put in force and taken out of it, in the order of the ledger."""
    found = [entry for action in _ACTIONS for entry in log(session, action=action)]
    return sorted(found, key=lambda entry: entry.index)


def _short(row: PolicyRow) -> str:
    return row.digest.removeprefix("sha256:")[:12]
