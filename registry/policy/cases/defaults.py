"""The neutral dossier of a case: a version about which nothing is known but that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, get_origin

from registry.domain.digests import digest_bytes
from registry.domain.dossier import (
    ActorFacts,
    ApprovalFacts,
    ChampionFacts,
    DataFacts,
    DeploymentFacts,
    FindingFacts,
    RiskFacts,
    SignatureFacts,
    SubjectFacts,
    SystemFacts,
    TargetFacts,
    WaiverFacts,
)
from registry.domain.evidence import EvidenceFacts
from registry.policy.schema import seen_fields

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

_DAY = timedelta(days=1)


def sample_digest(name: str) -> str:
    """A digest that is always the same for a name."""
    return digest_bytes(name.encode())


def blank(hint: Any, now: datetime) -> Any:
    """The value of a field of which nothing is known."""
    if get_origin(hint) is tuple:
        return ()
    if hint is datetime:
        return now
    if hint in (str, int, float, bool):
        return hint()
    return hint() if is_dataclass(hint) and isinstance(hint, type) else {}


def defaults_of(cls: type, now: datetime, **known: Any) -> dict[str, Any]:
    """What the fields of a class are in a case that does not say; `known` is what its surroundings say."""
    fields = {name: blank(hint, now) for name, hint in seen_fields(cls).items() if name not in ("valid_until",)}
    return {**fields, **_USUAL.get(cls, {}), **_times(cls, now), **known}


def _times(cls: type, now: datetime) -> dict[str, datetime]:
    return {
        name: now + distance for name, distance in _DISTANCES.get(cls, {}).items() if name in seen_fields(cls)
    }


_DISTANCES: Mapping[type, Mapping[str, timedelta]] = {
    SubjectFacts: {"created_at": -30 * _DAY},
    EvidenceFacts: {"created_at": -_DAY},
    ApprovalFacts: {"at": timedelta(hours=-1)},
    WaiverFacts: {"until": 30 * _DAY},
    FindingFacts: {"raised_at": -5 * _DAY, "due": 5 * _DAY},
    RiskFacts: {"review_by": 90 * _DAY},
}

_USUAL: Mapping[type, Mapping[str, Any]] = {
    SubjectFacts: {
        "digest": sample_digest("version"),
        "artifact": sample_digest("artifact"),
        "criteria_digest": sample_digest("criteria"),
        "purpose": "to be a sample",
        "task": "classification",
        "risk_tier": "high",
        "design": {"architecture": "encoder"},
        "developers": ("dev",),
        "created_by": "dev",
        "trained_by": ("dev",),
        "evaluated_by": ("dev",),
    },
    SystemFacts: {"name": "sample", "purpose": "to be a sample", "owner": "owner"},
    ActorFacts: {"name": "ann", "roles": ("developer",)},
    EvidenceFacts: {
        "status": "complete",
        "coverage": 1.0,
        "producer": "sample 1",
        "run": "1",
        "actor": "dev",
    },
    DataFacts: {"rows": 1000, "licence": "CC-BY-4.0", "source": "generated"},
    TargetFacts: {"op": ">=", "criteria_current": True},
    ApprovalFacts: {"verdict": "approved", "current": True, "independent": True, "roles": ("approver",)},
    DeploymentFacts: {"target": "local", "endpoint": "http://127.0.0.1:8000", "state": "active"},
    WaiverFacts: {
        "reason": "a sample",
        "control": "a person looks at each case",
        "requested_by": "dev",
        "approved_by": "rita",
        "holds": True,
    },
    FindingFacts: {
        "title": "a finding",
        "severity": "high",
        "owner": "dev",
        "raised_by": "rita",
        "open": True,
    },
    RiskFacts: {
        "category": "performance",
        "title": "a risk",
        "score": 12,
        "residual": 6,
        "controls": "a person looks at each case",
        "owner": "owner",
        "state": "open",
    },
    SignatureFacts: {"about": "artifact", "signer": "ci", "keyid": "k1", "valid": True, "trusted": True},
    ChampionFacts: {"exists": True, "ref": "sample/0", "same_data": True},
}
