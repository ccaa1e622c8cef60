"""Laying what a case says over what its document says, with every line and column kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.domain.names import did_you_mean
from registry.policy.yaml_nodes import Source, kind_of

if TYPE_CHECKING:
    from yaml.nodes import Node


def merge(source: Source, base: Node | None, over: Node | None) -> Node | None:
    """`over` laid over `base`: mappings are merged, anything else replaces, null takes away.

    Taking away what is not there is a problem: it is a name that nobody gave, misspelt more likely
    than not, and the case would test something else than its author thinks.
    """
    if base is None or over is None:
        return over if base is None else base
    if kind_of(base) != "map" or kind_of(over) != "map":
        return over
    from yaml.nodes import MappingNode

    entries = {key.value: (key, value) for key, value in base.value}
    seen = set()
    for key, value in over.value:
        if key.value in seen:
            source.report(key, f"{key.value!r} is given twice")
        seen.add(key.value)
        if kind_of(value) == "null":
            if key.value not in entries:
                hint = did_you_mean(key.value, entries)
                source.report(key, f"there is no {key.value!r} to take away", hint)
            entries.pop(key.value, None)
        elif key.value in entries:
            merged = merge(source, entries[key.value][1], value)
            assert merged is not None
            entries[key.value] = (key, merged)
        else:
            entries[key.value] = (key, value)
    return MappingNode(over.tag, list(entries.values()), over.start_mark, over.end_mark)
