"""A dossier as the variables of expressions: converted on demand, and only what a rule names.

A rule is shown no evidence that it does not name, and none that may not be judged. What it
cannot see, it cannot pass on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from registry.domain.dossier import DataFacts, Dossier
from registry.policy.gaps import Item, unusable
from registry.policy.names import EVIDENCE, Names
from registry.policy.schema import schema

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """What a rule looks at: variables, kinds of evidence about the version, and about its data."""

    roots: frozenset[str]
    kinds: tuple[str, ...]
    data_kinds: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[Names]) -> Sight:
        """All that a rule's expressions name together."""
        every = tuple(names)
        roots = frozenset[str]().union(*(one.roots for one in every))
        kinds, data_kinds = set[str](), set[str]()
        for path in (path for one in every for path in one.paths):
            if EVIDENCE not in path[:-1]:
                continue
            kind = path[path.index(EVIDENCE) + 1]
            if kind is not None:
                (kinds if path[0] == EVIDENCE else data_kinds).add(kind)
        return cls(roots, tuple(sorted(kinds)), tuple(sorted(data_kinds)))


class View:
    """One dossier, through the eyes of many rules; what was converted for one serves the next."""

    def __init__(self, dossier: Dossier) -> None:
        self._dossier = dossier
        self._schema = schema()
        self._made: dict[Any, Any] = {}

    def variables(self, sight: Sight, item: Item | None = None) -> dict[str, Any]:
        """Values of the variables that a rule reads, parameters excepted.

        Raises:
            ValueError: The dossier holds what no expression can see, as a time without a zone.
            TypeError: A field of the dossier has the wrong type.
        """
        given: dict[str, Any] = {}
        for root in sight.roots:
            if root == EVIDENCE:
                given[root] = self._evidence(sight.kinds)
            elif root == "data":
                data = self._dossier.data
                given[root] = {role: self._data(facts, sight.data_kinds) for role, facts in data.items()}
            elif root in ("item", "role"):
                given |= self._item(item, sight.data_kinds)
            elif not root.startswith("params."):
                given[root] = self._once(root, partial(self._plain, root))
        return given

    def _item(self, item: Item | None, kinds: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(item, DataFacts):
            return {"item": self._data(item, kinds), "role": item.role}
        return {} if item is None else {"item": self._schema.message(item)}

    def _plain(self, name: str) -> Any:
        value = getattr(self._dossier, name)
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ValueError(f"the time {value.isoformat()} says no time zone")
        if isinstance(value, tuple):
            return [self._schema.message(part) if dataclasses.is_dataclass(part) else part for part in value]
        return self._schema.message(value) if dataclasses.is_dataclass(value) else value

    def _evidence(self, kinds: Iterable[str]) -> dict[str, Message]:
        found = self._dossier.evidence
        now = self._dossier.now
        return {
            kind: self._once((EVIDENCE, kind), partial(self._schema.message, found[kind]))
            for kind in kinds
            if kind in found and not unusable(found[kind], now)
        }

    def _data(self, facts: DataFacts, kinds: tuple[str, ...]) -> Message:
        made: Message = self._once((id(facts), kinds), partial(self._make_data, facts, kinds))
        return made

    def _make_data(self, facts: DataFacts, kinds: tuple[str, ...]) -> Message:
        now = self._dossier.now
        seen = {
            kind: facts.evidence[kind]
            for kind in kinds
            if kind in facts.evidence and not unusable(facts.evidence[kind], now)
        }
        return self._schema.message(dataclasses.replace(facts, evidence=seen))

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
