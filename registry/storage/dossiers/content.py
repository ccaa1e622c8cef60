"""What a version is, as digests; and facts as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from registry.domain.digests import digest_of
from registry.domain.evidence import EvidenceFacts
from registry.domain.targets import Target
from registry.storage.tables import DatasetVersion, Version


def content_digest(version: Version, data: Mapping[str, DatasetVersion]) -> str:
    """Digest of all that a version is: plan, data, design, artifact. Approvals are given for it."""
    return digest_of(
        {
            "plan": version.plan,
            "data": {role: row.digest for role, row in data.items()},
            "design": version.design,
            "artifact": version.artifact_digest or "",
        }
    )


def basis_of(
    version: Version,
    data: Mapping[str, DatasetVersion],
    about: Mapping[str, EvidenceFacts],
    about_data: Mapping[str, Mapping[str, EvidenceFacts]],
) -> dict[str, str]:
    """What somebody who approves now has before them, part by part.

    An approval that was given on another basis has gone stale, and the parts that differ say why.

    Args:
        version: What is approved, with its model and system.
        data: Its data by role.
        about: Current evidence about the version.
        about_data: Current evidence by the data's digest.
    """
    system = version.model.system
    return {
        "stage": version.stage,
        "system": digest_of(
            [system.risk_tier, system.owner, system.affected_groups, system.prohibited_uses, system.oversight]
        ),
        "plan": digest_of(version.plan),
        "design": digest_of(version.design),
        "artifact": version.artifact_digest or "",
        **{f"{role} data": row.digest for role, row in data.items()},
        **{f"evidence {kind}": str(facts.id) for kind, facts in about.items()},
        **{
            f"evidence {role}:{kind}": str(facts.id)
            for role, row in data.items()
            for kind, facts in about_data.get(row.digest, {}).items()
        },
    }


def targets_of(version: Version) -> tuple[Target, ...]:
    """The targets of a version's plan."""
    return tuple(Target.parse(text) for text in version.plan["targets"])


def as_json(value: Any) -> Any:
    """A dossier, decision or any frozen fact as JSON values."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    raise TypeError(f"{type(value).__name__} is no JSON value")
