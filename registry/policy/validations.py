"""The validations of a policy, read from YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.domain.names import check_name, did_you_mean
from registry.errors import BadName
from registry.policy.policies import VALIDATION_FIELDS, Validation
from registry.policy.templates import places_for, places_in
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

_EACH = ("data", "targets")
WHEN = "when"  # what a policy's condition is called beside its rules
_REQUIRED = ("id", "expression", "message")
_TEMPLATES = ("message", "remedy", "supply")


def read_validations(source: Source, node: Node | None, places: dict[str, Node]) -> tuple[Validation, ...]:
    """The validations that could be read.

    Args:
        source: The file, which takes the problems.
        node: The list of them.
        places: Takes the node of every field, by `ID.FIELD`.
    """
    found: dict[str, Validation] = {}
    for item in source.items(node, "validations"):
        fields = source.mapping(item, "a validation", (*VALIDATION_FIELDS, "waivable"), _REQUIRED)
        waivable = "waivable" not in fields or source.flag_of(fields.pop("waivable"), "waivable")
        per_item = fields.pop("each", None)
        each = source.choice_of(per_item, "collection for `each`", _EACH)
        texts = {key: source.text_of(value, key) or "" for key, value in fields.items()}
        if "id" in fields:
            _check_id(source, fields["id"], texts["id"], found)
        if per_item is not None and each is None:
            continue  # without knowing what `item` is, the rest would only be complained about wrongly
        _check_templates(source, fields, texts, each or "")
        if all(texts.get(key) for key in _REQUIRED) and texts["id"] not in found:
            places.update({f"{texts['id']}.{key}": value for key, value in fields.items()})
            named = {VALIDATION_FIELDS[key]: text for key, text in texts.items()}
            found[texts["id"]] = Validation(**named, each=each or "", waivable=waivable)
    return tuple(found.values())


def _check_id(source: Source, node: Node, name: str, found: dict[str, Validation]) -> None:
    if name in found:
        source.report(node, f"two validations are called {name!r}")
    elif name == WHEN:
        source.report(node, f"{WHEN!r} is what the policy's own condition is called", "choose another id")
    elif name:
        try:
            check_name(name, "the id")
        except BadName as error:
            source.report(node, error.message, error.hint)


def _check_templates(source: Source, fields: dict[str, Node], texts: dict[str, str], each: str) -> None:
    known = places_for(each)
    for key in _TEMPLATES:
        for place, offset in places_in(texts.get(key, "")):
            if place not in known:
                said = f"nothing can be put in for {{{place}}}"
                source.report_within(fields[key], 1, offset + 1, said, did_you_mean(place, known))
