"""Planning versions: purpose, targets, data and design, each fixed before what it judges."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from registry.domain.events import DataLinked, VersionPlanned
from registry.domain.names import check_name
from registry.domain.references import Ref
from registry.domain.targets import Target, criteria_digest
from registry.errors import BadInput
from registry.storage import find
from registry.storage.dossiers import content_digest
from registry.storage.lifecycles import current_lifecycle
from registry.storage.register import register_design
from registry.storage.tables import DatasetVersion, Model, Version, VersionData
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.estimate import EstimatedDesign


def plan_version(
    work: UnitOfWork,
    name: str,
    *,
    system: str,
    purpose: str = "",
    task: str = "",
    targets: Sequence[str] = (),
    data: Mapping[str, str] | None = None,
    budget_hours: float | None = None,
    tags: Sequence[str] = (),
) -> Version:
    """Plan the next version of a model; the model is made with its first one.

    Args:
        system: The system that it is for.
        purpose: What it is for; the system's purpose if empty.
        task: For example `text-classification`.
        targets: `f1>=0.9`; fixed from now on.
        data: Role -> dataset version reference.
        budget_hours: Hours of computing that it may take.
        tags: Words that bindings of policies can name.

    Raises:
        NotFound: No such system or dataset version.
        BadTarget: A target that cannot be read.
        BadInput: The model belongs to another system, or the budget is no time.
    """
    check_name(name, "the model's name")
    session = work.session
    owner = find.system(session, system)
    model = session.scalar(select(Model).where(Model.name == name).with_for_update())
    if model is None:
        model = Model(name=name, system=owner, created_at=work.at, created_by=work.actor.id)
        session.add(model)
        session.flush()
    elif model.system_id != owner.id:
        raise BadInput(
            f"model {name!r} belongs to another system than {system!r}",
            hint=f"phasegate model list --model {name}",
        )
    if budget_hours is not None and not 0 < budget_hours < math.inf:
        raise BadInput(f"a budget of {budget_hours:g} hours", hint="give a number above nought, or none")
    marked = sorted({check_name(tag, "the tag") for tag in tags})
    parsed = tuple(Target.parse(text) for text in targets)
    last = session.scalar(select(func.max(Version.number)).where(Version.model_id == model.id)) or 0
    version = Version(
        model_id=model.id,
        number=last + 1,
        stage=current_lifecycle(session).first,
        plan={
            "purpose": purpose.strip() or owner.purpose,
            "task": task,
            "targets": [str(target) for target in parsed],
            "budget_hours": budget_hours,
            **({"tags": marked} if marked else {}),
        },
        design={},
        digest="",
        created_at=work.at,
        created_by=work.actor.id,
    )
    rows = _datasets(work, data or {})
    version.digest = content_digest(version, rows)
    session.add(version)
    session.flush()
    session.add_all(
        VersionData(version_id=version.id, role=role, dataset_version_id=row.id) for role, row in rows.items()
    )
    linked = {role: find.ref_of(row) for role, row in rows.items()}
    work.record(
        VersionPlanned(
            f"model:{name}/{version.number}", system, version.plan["targets"], criteria_digest(parsed), linked
        )
    )
    return version


def link_data(work: UnitOfWork, ref: Ref, data: Mapping[str, str | None]) -> Version:
    """Name a version's data by role; None takes a role away.

    Raises:
        NotFound: No such version or dataset version.
        WrongStage: The lifecycle fixes the data before this stage.
    """
    session = work.session
    version = find.version(session, ref, lock=True)
    current_lifecycle(session).check_work("data", version.stage, str(ref))
    rows = _datasets(work, {role: text for role, text in data.items() if text is not None})
    for role, text in data.items():
        link = session.get(VersionData, (version.id, role))
        if text is None:
            if link is None:
                raise BadInput(f"{ref} names no {role} data")
            session.delete(link)
        elif link is None:
            session.add(VersionData(version_id=version.id, role=role, dataset_version_id=rows[role].id))
        else:
            link.dataset_version_id = rows[role].id
    session.flush()
    session.expire_all()
    version = find.version(session, ref)
    linked = find.data_of(session, version.id)
    version.digest = content_digest(version, linked)
    work.record(
        DataLinked(f"model:{ref}", {role: find.ref_of(row) for role, row in linked.items()}, version.digest)
    )
    return version


def record_design(
    work: UnitOfWork, ref: Ref, design: Mapping[str, str], estimated: EstimatedDesign | None = None
) -> Version:
    """Record a version's design: architecture and hyper-parameters, merged into what stands.

    Args:
        design: Its values.
        estimated: What a training of it takes; recorded with it.

    Raises:
        NotFound: No such version.
        WrongStage: The lifecycle fixes the design before this stage.
        BadInput: No value at all.
        DoesNotFit: The estimate takes more memory than the device has.
        Conflict: The estimate is of another design than this one makes of what stands by now.
    """
    if not design and estimated is None:
        raise BadInput(
            "a design needs at least one value", hint="for example --set architecture=bert --set layers=2"
        )
    version = find.version(work.session, ref, lock=True)
    current_lifecycle(work.session).check_work("design", version.stage, str(ref))
    values: dict[str, Any] = dict(design)
    if estimated is not None:
        estimated.check(version.design, design)
        values |= {**estimated.design, **estimated.estimate.as_design()}
    register_design(work, version, values)
    return version


def _datasets(work: UnitOfWork, data: Mapping[str, str]) -> dict[str, DatasetVersion]:
    return {
        check_name(role, "the role"): find.dataset(work.session, Ref.parse(text))
        for role, text in sorted(data.items())
    }
