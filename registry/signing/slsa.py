"""Predicates of SLSA: provenance of what a run made, and the summary of what a gate said.

https://slsa.dev/spec/v1.0/provenance, https://slsa.dev/spec/v1.1/verification_summary.
Fields of our own begin with `phasegate_`, as SLSA asks of extensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from registry.domain.digests import digest_of
from registry.signing.statements import digests, moment, uri

PROVENANCE = "https://slsa.dev/provenance/v1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
# Of a run's environment, what nobody typed; and of its files, what it was made of and not what it made.
_INTERNAL = ("python", "platform", "device", "design")
_MATERIALS = ("packages.txt",)
_RUN = "https://phasegate.dev/run/v1"
_PLUGIN = "https://phasegate.dev/plugin"
_POLICY_SET = "https://phasegate.dev/policy-set/v1"
_VERIFIER = "https://phasegate.dev/gate/v1"


def provenance(
    *,
    run: int,
    plugin: str,
    plugin_version: str,
    config: Mapping[str, Any],
    seed: int,
    kind: str,
    engine: str,
    processes: int,
    engine_options: Mapping[str, Any],
    environment: Mapping[str, Any],
    criteria_digest: str,
    metrics_digest: str,
    inputs: Sequence[tuple[str, str, str]],
    told: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    started: datetime | None,
    finished: datetime | None,
) -> dict[str, Any]:
    """How a run made its artifact.

    Args:
        run: Its number.
        plugin: What ran, ...
        plugin_version: ... and in which version.
        config: Its options, as they were given.
        seed: For every random choice.
        kind: Of plugin.
        engine: What ran it, ...
        processes: ... in how many processes, ...
        engine_options: ... and with which options of its own.
        environment: Python, platform, device, the design in force, and versions of packages.
        criteria_digest: The targets in force when it began; empty if there were none.
        metrics_digest: Of its live numbers.
        inputs: Role, reference and digest of each thing that it read.
        told: Facts of the evidence that it made: what it really ran on, as it said.
        files: Files that the evidence came with, by name; the list of all packages is one of a training.
        started: When its process began.
        finished: When its end was recorded.
    """
    packages = dict(environment.get("packages", {}))
    metadata = {"invocationId": uri(f"run:{run}")}
    metadata |= {"startedOn": moment(started)} if started else {}
    metadata |= {"finishedOn": moment(finished)} if finished else {}
    byproducts = [{"name": "metrics", **digests(metrics_digest)}] if metrics_digest else []
    return {
        "buildDefinition": {
            "buildType": _RUN,
            "externalParameters": {"plugin": plugin, "config": dict(config), "seed": seed},
            "internalParameters": {
                "kind": kind,
                "engine": engine,
                "processes": processes,
                "engineOptions": dict(engine_options),
                "criteria": criteria_digest,
                **{key: environment[key] for key in _INTERNAL if key in environment},
                **({"environment": dict(told)} if told else {}),
            },
            "resolvedDependencies": [
                *({"name": role, "uri": uri(ref), **digests(digest)} for role, ref, digest in inputs),
                *(
                    {"name": name, **digests(digest)}
                    for name, digest in sorted((files or {}).items())
                    if name in _MATERIALS
                ),
            ],
        },
        "runDetails": {
            "builder": {
                "id": f"{_PLUGIN}/{plugin}@{plugin_version}",
                "version": {"phasegate": packages.get("phasegate", "unknown"), plugin: plugin_version},
            },
            "metadata": metadata,
            "byproducts": [
                *byproducts,
                *(
                    {"name": name, **digests(digest)}
                    for name, digest in sorted((files or {}).items())
                    if name not in _MATERIALS
                ),
                {"name": "packages", **digests(digest_of(packages)), "annotations": packages},
            ],
        },
    }


def verification_summary(
    *,
    ref: str,
    decision: int,
    origin: str,
    to: str,
    allowed: bool,
    at: datetime,
    release: str,
    policies: Sequence[tuple[str, str]],
    inputs: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """What a gate said of a version.

    Args:
        ref: The version.
        decision: The decision's number.
        origin: Stage before.
        to: Stage or alias asked for.
        allowed: Whether the gate agreed.
        at: When.
        release: Of the program that tells it.
        policies: Name and digest of each policy that judged.
        inputs: URI and digest of each piece of evidence that was seen.
    """
    known = sorted(set(policies))
    return {
        "verifier": {"id": _VERIFIER, "version": {"phasegate": release}},
        "timeVerified": moment(at),
        "resourceUri": uri(f"model:{ref}"),
        "policy": {"uri": _POLICY_SET, **digests(digest_of([digest for _, digest in known]))},
        "inputAttestations": [{"uri": name, **digests(digest)} for name, digest in inputs],
        "verificationResult": "PASSED" if allowed else "FAILED",
        "verifiedLevels": [_level(to)] if allowed else ["FAILED"],
        "slsaVersion": "1.1",
        "phasegate_decision": {"id": decision, "from": origin, "to": to},
        "phasegate_policies": [{"name": name, **digests(digest)} for name, digest in known],
    }


def _level(to: str) -> str:
    """A stage as a level of ours: SLSA leaves other prefixes than its own to others."""
    return "PHASEGATE_" + ("ALIAS_" if to.startswith("@") else "") + to.lstrip("@").upper()
