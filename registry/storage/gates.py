"""What is in force at a moment: the lifecycle, and every policy that is bound, compiled."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Pool, func, select
from sqlalchemy.orm import Session

from registry.domain.lifecycle import Lifecycle
from registry.policy import BoundPolicy, GateBinding, GatePolicy, bind
from registry.storage.clock import CLOCKS
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import BindingRow, LedgerHead, LifecycleRow, PolicyRow
from registry.storage.tables.base import now

_BOUND = (
    select(BindingRow.document, PolicyRow.document.label("policy"), BindingRow.name)
    .join(PolicyRow, PolicyRow.id == BindingRow.policy_id)
    .where(BindingRow.in_force.is_not(None))
    .order_by(BindingRow.id)
)
_EVER_BOUND = select(
    BindingRow.name, BindingRow.policy_id, BindingRow.document, BindingRow.bound_at
).order_by(BindingRow.id)
# Lifecycles and bindings are only added, and bindings only ended: so the newest of each, and how many
# bindings have not ended, name one state of all of them in the life of a database.
_STATE = (
    select(func.max(LifecycleRow.id)).scalar_subquery().label("lifecycle"),
    select(func.max(BindingRow.id)).scalar_subquery().label("binding"),
    select(func.count(BindingRow.in_force)).scalar_subquery().label("bound"),
)
_MOMENT = {
    name: select(LedgerHead.size, clock.label("clock"), *_STATE).where(LedgerHead.id == 1)
    for name, clock in CLOCKS.items()
}


class InForce(NamedTuple):
    """What is in force at a moment.

    Attributes:
        at: The moment, by the database's clock where it has one.
        entries: How many the ledger has.
        policies: Bound ones, in the order in which they were bound.
    """

    at: datetime
    entries: int
    lifecycle: Lifecycle
    policies: tuple[BoundPolicy, ...]


_State = tuple[int | None, int | None, int]
_known: WeakKeyDictionary[Pool, tuple[_State, Lifecycle, tuple[BoundPolicy, ...]]] = WeakKeyDictionary()


def in_force(session: Session) -> InForce:
    """What is in force now; asked first in a transaction, all that it reads is of this moment or later.

    Raises:
        DatabaseUnusable: No lifecycle was ever published.
    """
    connection = session.connection()
    row = connection.execute(_MOMENT[connection.dialect.name]).one()
    state: _State = (row.lifecycle, row.binding, row.bound)
    known = _known.get(connection.engine.pool)
    if known is None or known[0] != state:
        known = _known[connection.engine.pool] = (state, current_lifecycle(session), _bound(connection))
    return InForce(row.clock or now(), row.size, known[1], known[2])


def _bound(connection: Connection) -> tuple[BoundPolicy, ...]:
    since = _since(connection)
    return tuple(
        bind(GatePolicy.from_document(row.policy), GateBinding.from_document(row.document), since[row.name])
        for row in connection.execute(_BOUND)
    )


def _since(connection: Connection) -> dict[str, datetime]:
    """Since when each binding has had the rules and parameters of now, whatever became of its action."""
    found: dict[str, tuple[tuple[int, str], datetime]] = {}
    for row in connection.execute(_EVER_BOUND):
        what = (row.policy_id, repr(row.document["params"]))
        if row.name not in found or found[row.name][0] != what:
            found[row.name] = (what, row.bound_at)
    return {name: at for name, (_, at) in found.items()}
