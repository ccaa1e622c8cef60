"""Messages and commands with places to fill in: `phasegate run bias {version}`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from registry.domain.dossier import DataFacts, Dossier
from registry.policy.gaps import Item

_PLACE = re.compile(r"\{(\w*)\}")
_ALWAYS = ("version", "model", "system", "to")
_PER_ITEM = {"": (), "data": ("item", "role"), "targets": ("item",)}


def places_for(each: str) -> tuple[str, ...]:
    """Names that a template may use in a validation."""
    return (*_ALWAYS, *_PER_ITEM[each])


def places_in(template: str) -> list[tuple[str, int]]:
    """Every place of a template and its offset."""
    return [(found[1], found.start()) for found in _PLACE.finditer(template)]


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its places filled; one that has no value is left as it is."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), template)


def values_for(dossier: Dossier, item: Item | None) -> dict[str, str]:
    """What the places stand for; without an item, what people write in its place: `DATASET/N`."""
    subject = dossier.subject
    values = {
        "version": subject.ref,
        "model": subject.model,
        "system": subject.system.name,
        "to": dossier.to,
        "item": "DATASET/N",
        "role": "ROLE",
    }
    if item is not None:
        values["item"] = name_of(item)
    if isinstance(item, DataFacts):
        values["role"] = item.role
    return values


def name_of(item: Item) -> str:
    """What an item is called in the name of a rule's result."""
    return item.ref if isinstance(item, DataFacts) else item.metric
