"""Predicates of our own: what a check found, and what a person said. docs/signing.md tells every field."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registry.signing.statements import digests, moment, uri


def evidence(
    *,
    kind: str,
    status: str,
    reason: str,
    coverage: float,
    metrics: Mapping[str, float],
    facts: Mapping[str, str],
    producer: str,
    run: int,
    criteria_digest: str,
    at: datetime,
    valid_until: datetime | None,
    files_digest: str | None,
) -> dict[str, Any]:
    """What a run found out about a digest."""
    found: dict[str, Any] = {
        "kind": kind,
        "status": status,
        "reason": reason,
        "coverage": coverage,
        "metrics": dict(metrics),
        "facts": dict(facts),
        "producer": producer,
        "run": uri(f"run:{run}"),
        "foundOn": moment(at),
    }
    if criteria_digest:
        found["criteria"] = digests(criteria_digest)
    if valid_until:
        found["validUntil"] = moment(valid_until)
    if files_digest:
        found["files"] = digests(files_digest)
    return found


def approval(
    *,
    ref: str,
    verdict: str,
    to: str,
    approver: str,
    on_behalf_of: str,
    reason: str,
    at: datetime,
    basis: Mapping[str, str],
) -> dict[str, Any]:
    """A person's word on a version's step, with all that they had before them."""
    given: dict[str, Any] = {
        "resourceUri": uri(f"model:{ref}"),
        "verdict": verdict,
        "to": to,
        "approver": approver,
        "reason": reason,
        "givenOn": moment(at),
        "basis": dict(basis),
    }
    if on_behalf_of:
        given["onBehalfOf"] = on_behalf_of
    return given
