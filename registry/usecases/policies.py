"""Publishing policies and putting them in force."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.digests import digest_of
from registry.domain.events import LifecyclePublished, PolicyBound, PolicyPublished, PolicyUnbound
from registry.domain.lifecycle import Lifecycle
from registry.errors import BadDocument, NotFound
from registry.policy import GateBinding, GatePolicy, bind, check
from registry.storage.lifecycles import current_lifecycle, to_document
from registry.storage.tables import BindingRow, LifecycleRow, PolicyRow
from registry.storage.unit_of_work import UnitOfWork


def publish_lifecycle(work: UnitOfWork, lifecycle: Lifecycle) -> None:
    """Put a lifecycle in force."""
    document = to_document(lifecycle)
    digest = digest_of(document)
    work.session.add(
        LifecycleRow(digest=digest, document=document, created_at=work.at, created_by=work.actor.id)
    )
    work.record(LifecyclePublished(f"lifecycle:{lifecycle.name}", lifecycle.name, digest))


def publish_policy(work: UnitOfWork, policy: GatePolicy) -> PolicyRow:
    """Record a policy for good; publishing the same one again changes nothing."""
    row = work.session.scalar(select(PolicyRow).where(PolicyRow.digest == policy.digest))
    if row is not None:
        return row
    row = PolicyRow(
        name=policy.name,
        digest=policy.digest,
        document=policy.document,
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(row)
    work.record(PolicyPublished(f"policy:{policy.name}", policy.name, policy.digest))
    return row


def bind_policy(work: UnitOfWork, binding: GateBinding) -> BindingRow:
    """Put the newest version of a policy in force; what was bound under the same name ends.

    Raises:
        NotFound: No such policy is published.
        BadInput: The binding sets parameters that the policy has not, or of another type.
    """
    policy = work.session.scalar(
        select(PolicyRow).where(PolicyRow.name == binding.policy).order_by(PolicyRow.id.desc()).limit(1)
    )
    if policy is None:
        raise NotFound(f"there is no published policy {binding.policy!r}", hint="phasegate policy list")
    # A binding that does not fit its policy would be an error in every decision.
    bind(GatePolicy.from_document(policy.document), binding)
    before = work.session.scalar(
        select(BindingRow).where(BindingRow.in_force == binding.name).with_for_update()
    )
    if before is not None:
        before.unbound_at = work.at
        before.in_force = None
        work.record(PolicyUnbound(f"binding:{binding.name}", binding.policy))
    row = BindingRow(
        name=binding.name,
        in_force=binding.name,
        policy_id=policy.id,
        document=binding.document,
        action=binding.action.value,
        bound_at=work.at,
        bound_by=work.actor.id,
    )
    work.session.add(row)
    work.record(
        PolicyBound(
            f"binding:{binding.name}", binding.policy, policy.digest, row.action, dict(binding.params)
        )
    )
    return row


def check_file(session: Session, path: Path) -> list[BadDocument]:
    """Every problem of a policy file, in the order of its lines.

    Raises:
        BadDocument: The file cannot be read at all.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise BadDocument(f"cannot be read: {cause}", file=str(path)) from cause
    published = (GatePolicy.from_document(row.document) for row in session.scalars(select(PolicyRow)))
    return check(text, str(path), current_lifecycle(session), published)


def publish_set(work: UnitOfWork, policies: Sequence[GatePolicy], bindings: Sequence[GateBinding]) -> None:
    """Publish policies and put their bindings in force."""
    for policy in policies:
        publish_policy(work, policy)
    for binding in bindings:
        bind_policy(work, binding)
