"""What a binding is for: some stages, risk tiers, systems or tags only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.domain.dossier import Dossier

# A scope's fields and their names in YAML and in the stored document.
SCOPE_FIELDS = {
    "to": "to",
    "from": "origin",
    "risk_tiers": "risk_tiers",
    "systems": "systems",
    "tags": "tags",
}


@dataclass(frozen=True, slots=True)
class BindingScope:
    """Which versions and steps a binding covers. What is empty is no condition; every other one must hold.

    Attributes:
        to: Stages, or `@alias`, that are entered.
        origin: Stages that are left.
        tags: Of the version or of its system; one of them is enough.
    """

    to: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()
    risk_tiers: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def covers(self, dossier: Dossier) -> bool:
        """Whether a version that asks to move is meant."""
        subject = dossier.subject
        return (
            (not self.to or dossier.to in self.to)
            and (not self.origin or subject.stage in self.origin)
            and (not self.risk_tiers or subject.risk_tier in self.risk_tiers)
            and (not self.systems or subject.system.name in self.systems)
            and (not self.tags or not set(self.tags).isdisjoint(subject.tags))
        )

    @property
    def document(self) -> dict[str, list[str]]:
        """The scope as JSON values; empty for one that covers everything."""
        given = {key: list(getattr(self, name)) for key, name in SCOPE_FIELDS.items()}
        return {key: values for key, values in given.items() if values}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> BindingScope:
        """Rebuild a scope from its stored form."""
        return cls(**{SCOPE_FIELDS[key]: tuple(values) for key, values in document.items()})


EVERYTHING = BindingScope()
