"""Making a registry, and bringing an older one up to date."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from sqlalchemy import select

from registry.domain.events import RegistryCreated, RoleGranted
from registry.domain.lifecycle import Lifecycle
from registry.domain.people import ADMIN, DEVELOPER
from registry.errors import BadDocument, DatabaseUnusable
from registry.policy import parse_lifecycle, shipped_lifecycle, shipped_policies
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.revisions import head_revision
from registry.storage.tables import GrantRow, LifecycleRow
from registry.usecases.policies import publish_lifecycle, publish_set


def initialise(home: Home, database: Database, actor: str, *, lifecycle: Path | None = None) -> bool:
    """Make the home, its tables, its lifecycle and the default policies; True if it was new.

    Who makes it is its first admin. Safe to repeat, also after it was interrupted.

    Raises:
        DatabaseUnusable: It cannot be written, or belongs to another release.
        BadDocument: The lifecycle file cannot be used.
    """
    try:
        home.root.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise DatabaseUnusable(f"{home.root} cannot be made: {cause.strerror}") from cause
    chosen = _read_lifecycle(lifecycle) if lifecycle else shipped_lifecycle()
    if database.revision() is None:
        database.migrate()
    database.check()
    with database.write(actor) as work:
        work.alone()
        if work.session.scalar(select(LifecycleRow.id).limit(1)) is not None:
            return False
        work.record(RegistryCreated("registry", version("phasegate")))
        for role in (ADMIN, DEVELOPER):
            work.session.add(
                GrantRow(actor_id=work.actor.id, role=role, created_at=work.at, created_by=work.actor.id)
            )
            work.record(RoleGranted(f"actor:{work.actor.id}", role))
        publish_lifecycle(work, chosen)
        shipped = shipped_policies(chosen)
        publish_set(work, shipped.policies, shipped.bindings)
    return True


def upgrade_database(database: Database) -> tuple[str, str]:
    """Migrate to this release's schema; returns the revisions before and after.

    Raises:
        DatabaseUnusable: Empty, newer than this release, or half migrated.
    """
    before = database.revision()
    if before is None:
        raise DatabaseUnusable(f"{database.name} is empty", hint="phasegate init")
    database.migrate()
    return before, head_revision()


def _read_lifecycle(path: Path) -> Lifecycle:
    try:
        return parse_lifecycle(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as cause:
        raise BadDocument(f"cannot be read: {cause}", file=str(path)) from cause
