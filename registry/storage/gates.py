"""The gate in force: every policy that is bound now, compiled."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.policy import BoundPolicy, GateBinding, GatePolicy, bind
from registry.storage.tables import BindingRow, PolicyRow

# Policies and bindings never change, so what was compiled once stays right: by policy digest and binding.
_compiled: dict[tuple[str, str], BoundPolicy] = {}


_IN_FORCE = (
    select(BindingRow.document, PolicyRow.id, PolicyRow.digest)
    .join(PolicyRow, PolicyRow.id == BindingRow.policy_id)
    .where(BindingRow.in_force.is_not(None))
    .order_by(BindingRow.id)
)


def bound_policies(session: Session) -> tuple[BoundPolicy, ...]:
    """Every policy in force, in the order in which they were bound."""
    rows = session.connection().execute(_IN_FORCE)
    bound = []
    for document, policy_id, digest in rows:
        key = (digest, repr(document))
        if key not in _compiled:
            policy = GatePolicy.from_document(session.get_one(PolicyRow, policy_id).document)
            _compiled[key] = bind(policy, GateBinding.from_document(document))
        bound.append(_compiled[key])
    return tuple(bound)
