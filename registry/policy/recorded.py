"""What a decision recorded, read back: the inverse of writing dossier and results as JSON."""

from __future__ import annotations

import dataclasses
from collections import abc
from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_origin

from registry.domain.decision import Action, Outcome, RuleResult
from registry.domain.dossier import Dossier, SubjectFacts
from registry.policy.cases.defaults import blank
from registry.policy.schema import part_of, seen_fields


@dataclasses.dataclass(frozen=True, slots=True)
class Recorded:
    """A dossier as it was recorded.

    Attributes:
        unrecorded: Fields that there were not when it was written, as `SubjectFacts.tags`. They are at
            their defaults, which say nothing: whoever reads one of them learns nothing.
    """

    dossier: Dossier
    unrecorded: frozenset[str]


def dossier_from_json(document: Mapping[str, Any]) -> Recorded:
    """A dossier from its JSON values, those of older releases included.

    Raises:
        ValueError, TypeError, KeyError: It is no dossier.
    """
    unrecorded: set[str] = set()
    dossier: Dossier = _object(document, Dossier, unrecorded)
    return Recorded(dossier, frozenset(unrecorded))


def result_from_json(document: Mapping[str, Any]) -> RuleResult:
    """A rule's result from its JSON values.

    Raises:
        ValueError, KeyError: It is no result.
    """
    return RuleResult(
        rule=document["rule"],
        policy=document["policy"],
        binding=document["binding"],
        outcome=Outcome(document["outcome"]),
        action=Action(document["action"]),
        message=document.get("message", ""),
        value=document.get("value", ""),
        limit=document.get("limit", ""),
        remedy=document.get("remedy", ""),
        waiver=document.get("waiver", 0),
    )


def _object(document: Mapping[str, Any], cls: type, unrecorded: set[str]) -> Any:
    if not isinstance(document, Mapping):
        raise TypeError(f"{cls.__name__} is a {type(document).__name__}")
    values = {}
    defaults = {field.name: field for field in dataclasses.fields(cls)}
    for name, hint in seen_fields(cls).items():
        if name in document:
            values[name] = _value(document[name], hint, unrecorded)
            continue
        unrecorded.add(f"{cls.__name__}.{name}")
        field = defaults[name]
        if hint is SubjectFacts:
            raise ValueError("a dossier is about a version, and this one names none")
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            values[name] = blank(hint, _NEVER)
    return cls(**values)


def _value(value: Any, hint: Any, unrecorded: set[str]) -> Any:
    if value is None:
        return None
    part = part_of(hint)
    if get_origin(hint) is abc.Mapping:
        return {key: _value(item, part, unrecorded) for key, item in value.items()}
    if get_origin(hint) is tuple:
        return tuple(_value(item, part, unrecorded) for item in value)
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return _object(value, hint, unrecorded)
    if hint is datetime:
        return datetime.fromisoformat(value)
    return float(value) if hint is float else value


_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
