"""Where a version is, was and could be in service: deployments, aliases, the champion, dependants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, select

from registry.domain.dossier import ChampionFacts, DeploymentFacts
from registry.storage import find
from registry.storage.tables import DatasetVersion, Deployment, EvidenceRow, Version

CHAMPION = "champion"
_PERFORMANCE = "eval.performance"

_DEPLOYMENTS = (
    select(
        Deployment.id, Deployment.target, Deployment.endpoint, Deployment.state, Deployment.artifact_digest
    )
    .where(Deployment.version_id == bindparam("version_id"))
    .order_by(Deployment.id)
)
_CHAMPION = (
    select(EvidenceRow.metrics, EvidenceRow.facts)
    .where(
        EvidenceRow.subject == bindparam("subject"),
        EvidenceRow.kind == _PERFORMANCE,
        EvidenceRow.status == "complete",
    )
    .order_by(EvidenceRow.id.desc())
    .limit(1)
)
# Versions that were in service once and could be again.
_SERVED = (
    select(Version.number)
    .join(Deployment, Deployment.version_id == Version.id)
    .where(
        Version.model_id == bindparam("model_id"),
        Version.id != bindparam("version_id"),
        Version.stage != bindparam("last"),
    )
    .distinct()
    .order_by(Version.number)
)


@dataclass(frozen=True, slots=True)
class Service:
    """What a gate sees of a version's service."""

    deployments: tuple[DeploymentFacts, ...] = ()
    aliases: tuple[str, ...] = ()
    champion: ChampionFacts = field(default_factory=ChampionFacts)
    rollback_targets: tuple[str, ...] = ()
    dependants: tuple[str, ...] = ()


def find_service(
    connection: Connection, version: Version, data: Mapping[str, DatasetVersion], *, last: str
) -> Service:
    """Where a version runs, what points to it, and what it would replace.

    Args:
        connection: The open transaction.
        version: With its model.
        data: Its data by role; the champion must have been evaluated on the same test data.
        last: The lifecycle's last stage: a version in it cannot come back.
    """
    deployments = tuple(
        DeploymentFacts(*row) for row in connection.execute(_DEPLOYMENTS, {"version_id": version.id})
    )
    pointing = find.aliases_of(connection, version.model_id)
    aliases = tuple(row.name for row in pointing if row.version_id == version.id)
    champion = next((row for row in pointing if row.name == CHAMPION), None)
    served = connection.execute(
        _SERVED, {"model_id": version.model_id, "version_id": version.id, "last": last}
    ).scalars()
    model = version.model.name
    return Service(
        deployments=deployments,
        aliases=aliases,
        champion=(
            _champion(connection, f"{model}/{champion.number}", champion.artifact_digest, data)
            if champion is not None and champion.version_id != version.id
            else ChampionFacts()
        ),
        rollback_targets=tuple(f"{model}/{number}" for number in served),
        dependants=(
            *(f"{model}@{name}" for name in aliases),
            *(f"deployment {each.id}" for each in deployments if each.state == "active"),
        ),
    )


def _champion(
    connection: Connection, ref: str, artifact: str | None, data: Mapping[str, DatasetVersion]
) -> ChampionFacts:
    found = connection.execute(_CHAMPION, {"subject": artifact or ""}).first()
    if found is None:
        return ChampionFacts(exists=True, ref=ref)
    test = data.get("test")
    same = test is not None and found.facts.get("test.digest") == test.digest
    return ChampionFacts(exists=True, ref=ref, same_data=same, metrics=found.metrics)
