"""Stopping deployments."""

from __future__ import annotations

from sqlalchemy.orm import Session

from registry.domain.events import DeploymentStopped
from registry.errors import NotFound
from registry.extension.discovery import load_deployer
from registry.extension.inputs import DeploymentInput
from registry.storage import find
from registry.storage.home import Home
from registry.storage.tables import Deployment, Version
from registry.storage.unit_of_work import UnitOfWork


def deployment_input(row: Deployment, home: Home) -> DeploymentInput:
    """A deployment as plugins see it."""
    return DeploymentInput(
        id=row.id,
        target=row.target,
        endpoint=row.endpoint,
        plugin=row.plugin,
        folder=home.deployments / str(row.run_id),
        details=row.details,
    )


def stop_deployment(work: UnitOfWork, home: Home, number: int, reason: str) -> Deployment:
    """Stop a deployment by the plugin that made it, and record that.

    Raises:
        NotFound: No such deployment, or it was stopped before.
    """
    row = work.session.get(Deployment, number, with_for_update=True)
    if row is None or row.state != "active":
        raise NotFound(f"there is no active deployment {number}", hint="phasegate deployment list")
    load_deployer(row.plugin).stop(deployment_input(row, home))
    row.state = "stopped"
    row.stopped_at = work.at
    version = work.session.get_one(Version, row.version_id)
    model = find.model_name(work.session, version.model_id)
    work.record(DeploymentStopped(f"deployment:{number}", f"{model}/{version.number}", reason))
    return row


def is_healthy(session: Session, home: Home, number: int) -> bool:
    """Whether a deployment answers now.

    Raises:
        NotFound: No such deployment, or it was stopped.
    """
    row = session.get(Deployment, number)
    if row is None or row.state != "active":
        raise NotFound(f"there is no active deployment {number}", hint="phasegate deployment list")
    return load_deployer(row.plugin).healthy(deployment_input(row, home))
