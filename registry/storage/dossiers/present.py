"""Which of the rarer things there are about a version: asked at once, before each is read."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, Integer, Select, bindparam, or_, select

from registry.storage.tables import (
    AliasRow,
    ApprovalRow,
    Deployment,
    EnvelopeRow,
    FindingRow,
    RiskRow,
    Run,
    RunInput,
    RunOutput,
    Version,
    WaiverRow,
)

_VERSION = bindparam("version_id", type_=Integer)
_MODEL = bindparam("model_id", type_=Integer)
_SYSTEM = bindparam("system_id", type_=Integer)
_OTHERS = select(Version.id).where(Version.model_id == _MODEL)
_ASKED: dict[str, Select[int]] = {
    "deployments": select(Deployment.id).where(Deployment.version_id.in_(_OTHERS)),
    "aliases": select(AliasRow.id).where(AliasRow.model_id == _MODEL),
    "waivers": select(WaiverRow.id).where(
        or_(WaiverRow.version_id == _VERSION, WaiverRow.system_id == _SYSTEM)
    ),
    "findings": select(FindingRow.id).where(
        or_(FindingRow.version_id == _VERSION, FindingRow.system_id == _SYSTEM)
    ),
    "risks": select(RiskRow.id).where(RiskRow.system_id == _SYSTEM),
    "approvals": select(ApprovalRow.id).where(ApprovalRow.version_id == _VERSION),
    "origin": (
        select(RunInput.run_id)
        .join(Run, Run.id == RunInput.run_id)
        .where(Run.version_id == _VERSION, RunInput.role.in_(("base", "replay")))
    ),
    "descendants": (
        select(RunInput.run_id).where(
            RunInput.role == "base",
            RunInput.digest.in_(
                select(RunOutput.digest)
                .join(Run, Run.id == RunOutput.run_id)
                .where(Run.version_id == _VERSION, RunOutput.name == "artifact")
            ),
        )
    ),
    # Of anything: they are of digests, and many registries have none.
    "signatures": select(EnvelopeRow.id),
}
_PRESENT = select(*(query.exists().label(name) for name, query in _ASKED.items()))


class Present(NamedTuple):
    """Whether there are any, of the version, its model or its system."""

    deployments: bool
    aliases: bool
    waivers: bool
    findings: bool
    risks: bool
    approvals: bool
    origin: bool
    descendants: bool
    signatures: bool

    @property
    def service(self) -> bool:
        """Whether any version of the model was ever in service or pointed to."""
        return self.deployments or self.aliases


def find_present(connection: Connection, version: Version, system_id: int) -> Present:
    """What there is to be read."""
    named = {"version_id": version.id, "model_id": version.model_id, "system_id": system_id}
    return Present(*map(bool, connection.execute(_PRESENT, named).one()))
