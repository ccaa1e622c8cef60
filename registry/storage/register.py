"""Rows that more than one use case writes: stored bytes, dataset versions and designs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from registry.domain.design import choices
from registry.domain.events import DatasetAdded, DesignRecorded
from registry.domain.names import check_name
from registry.storage import find
from registry.storage.artifacts import Stored
from registry.storage.dossiers import content_digest
from registry.storage.tables import Artifact, Dataset, DatasetParent, DatasetVersion, Version
from registry.storage.unit_of_work import UnitOfWork


def register_artifact(work: UnitOfWork, stored: Stored) -> Artifact:
    """The row of stored bytes, made if it is new. The caller's event accounts for it."""
    row = work.session.get(Artifact, stored.digest)
    if row is None:
        row = Artifact(digest=stored.digest, manifest=stored.manifest, size=stored.size, created_at=work.at)
        work.session.add(row)
        work.session.flush()
    return row


def register_dataset(
    work: UnitOfWork,
    name: str,
    stored: Stored,
    *,
    rows: int,
    columns: Mapping[str, Any],
    schema: Mapping[str, str],
    source: str,
    licence: str,
    note: str,
    parents: Sequence[DatasetVersion] = (),
) -> DatasetVersion:
    """The next version of a dataset, which is made if it is new; recorded."""
    session = work.session
    check_name(name, "the dataset's name")
    dataset = session.scalar(select(Dataset).where(Dataset.name == name).with_for_update())
    if dataset is None:
        dataset = Dataset(name=name, created_at=work.at, created_by=work.actor.id)
        session.add(dataset)
        session.flush()
    last = session.scalar(
        select(func.max(DatasetVersion.number)).where(DatasetVersion.dataset_id == dataset.id)
    )
    register_artifact(work, stored)
    version = DatasetVersion(
        dataset=dataset,
        number=(last or 0) + 1,
        digest=stored.digest,
        rows=rows,
        columns=dict(columns),
        schema=dict(schema),
        source=source,
        licence=licence,
        note=note,
        created_at=work.at,
        created_by=work.actor.id,
    )
    session.add(version)
    session.flush()
    session.add_all(DatasetParent(child_id=version.id, parent_id=parent.id) for parent in parents)
    work.record(
        DatasetAdded(
            f"dataset:{find.ref_of(version)}",
            stored.digest,
            rows,
            source,
            [find.ref_of(parent) for parent in parents],
        )
    )
    return version


def register_design(work: UnitOfWork, version: Version, values: Mapping[str, Any]) -> None:
    """Merge values into a version's design, and record it; an estimate of what stood goes."""
    version.design = {**choices(version.design), **values}
    version.digest = content_digest(version, find.data_of(work.session, version.id))
    work.record(DesignRecorded(f"model:{find.ref_of(version)}", version.design, version.digest))
