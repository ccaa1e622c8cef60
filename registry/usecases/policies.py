"""Publishing policies, putting them in force, and taking them out of it. Only an admin may.

A published policy never changes: it is known by its digest, and a binding pins that. A changed policy is
another version of the same name, and what is in force stays so until it is bound again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.digests import digest_of
from registry.domain.events import LifecyclePublished, PolicyBound, PolicyPublished, PolicyUnbound
from registry.domain.lifecycle import Lifecycle
from registry.domain.names import check_name, did_you_mean
from registry.domain.people import ADMIN
from registry.domain.tiers import TIERS
from registry.errors import BadDocument, BadInput, NotFound
from registry.policy import GateBinding, GatePolicy, bind
from registry.policy.scopes import BindingScope
from registry.policy.settings import read_settings
from registry.storage.lifecycles import current_lifecycle, to_document
from registry.storage.tables import BindingRow, LifecycleRow, PolicyRow
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.policy_files import check_policy_file
from registry.usecases.policy_views import find_policy

_REPLACED = "another binding of this name took its place"


def publish_lifecycle(work: UnitOfWork, lifecycle: Lifecycle) -> None:
    """Put a lifecycle in force."""
    document = to_document(lifecycle)
    digest = digest_of(document)
    work.session.add(
        LifecycleRow(digest=digest, document=document, created_at=work.at, created_by=work.actor.id)
    )
    work.record(LifecyclePublished(f"lifecycle:{lifecycle.name}", lifecycle.name, digest))


def publish_policy(work: UnitOfWork, policy: GatePolicy) -> PolicyRow:
    """Record a policy for good; publishing the same one again changes nothing.

    Raises:
        NotPermitted: The actor is no admin.
    """
    work.require(ADMIN, "publish policies")
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


def bind_policy(work: UnitOfWork, binding: GateBinding, digest: str = "") -> BindingRow:
    """Put a version of a policy in force, the newest unless a digest is named.

    What was bound under the same name ends. Binding the same again changes nothing.

    Raises:
        NotPermitted: The actor is no admin.
        NotFound: No such policy is published.
        BadInput: The binding sets parameters that the policy has not, or of another type.
        NoSuchStage: Its scope names a stage that there is not.
    """
    work.require(ADMIN, "bind policies")
    policy = find_policy(work.session, binding.policy, digest)
    # A binding that does not fit its policy would be an error in every decision.
    bind(GatePolicy.from_document(policy.document), binding)
    _check_scope(current_lifecycle(work.session), binding.scope)
    before = _in_force(work.session, check_name(binding.name, "the binding's name"))
    if before is not None:
        if before.policy_id == policy.id and before.document == binding.document:
            return before
        _end(work, before, _REPLACED)
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
            f"binding:{binding.name}",
            binding.policy,
            policy.digest,
            row.action,
            dict(binding.params),
            binding.scope.document,
        )
    )
    return row


def bind_by_name(
    work: UnitOfWork, binding: GateBinding, digest: str = "", *, settings: Mapping[str, str]
) -> BindingRow:
    """Put a policy in force with parameters as people type them.

    Raises:
        NotPermitted, NotFound, BadInput, NoSuchStage: As `bind_policy` does.
    """
    row = find_policy(work.session, binding.policy, digest)
    params = read_settings(GatePolicy.from_document(row.document), settings)
    return bind_policy(work, replace(binding, params=params), digest)


def unbind_policy(work: UnitOfWork, name: str, reason: str) -> BindingRow:
    """Take a binding out of force. It stays in the history, with the reason.

    Raises:
        NotPermitted: The actor is no admin.
        BadInput: No reason.
        NotFound: Nothing of that name is in force.
    """
    work.require(ADMIN, "unbind policies")
    if not reason.strip():
        raise BadInput("taking a policy out of force needs a reason", hint="say it with --reason")
    row = _in_force(work.session, name)
    if row is None:
        known = list(work.session.scalars(select(BindingRow.name).where(BindingRow.in_force.is_not(None))))
        raise NotFound(f"no binding {name!r} is in force", hint=did_you_mean(name, known))
    _end(work, row, reason.strip())
    return row


def check_file(session: Session, path: Path) -> list[BadDocument]:
    """Every problem of a policy file, in the order of its lines.

    Raises:
        BadDocument: The file cannot be read at all.
    """
    rows = session.scalars(select(PolicyRow).order_by(PolicyRow.id))
    published = (GatePolicy.from_document(row.document) for row in rows)
    return check_policy_file(path, current_lifecycle(session), published)


def publish_set(work: UnitOfWork, policies: Sequence[GatePolicy], bindings: Sequence[GateBinding]) -> None:
    """Publish policies and put their bindings in force.

    Raises:
        NotPermitted, NotFound, BadInput, NoSuchStage: As `publish_policy` and `bind_policy` do.
    """
    digests = {policy.name: publish_policy(work, policy).digest for policy in policies}
    for binding in bindings:
        bind_policy(work, binding, digests.get(binding.policy, ""))


def _in_force(session: Session, name: str) -> BindingRow | None:
    return session.scalar(select(BindingRow).where(BindingRow.in_force == name).with_for_update())


def _end(work: UnitOfWork, row: BindingRow, reason: str) -> None:
    policy = work.session.get_one(PolicyRow, row.policy_id)
    row.unbound_at = work.at
    row.in_force = None
    work.record(PolicyUnbound(f"binding:{row.name}", policy.name, reason))


def _check_scope(lifecycle: Lifecycle, scope: BindingScope) -> None:
    for goal in scope.to:
        if goal.startswith("@") and goal not in lifecycle.goals:
            raise BadInput(
                f"the lifecycle guards no alias {goal!r}", hint=did_you_mean(goal, lifecycle.goals)
            )
        if not goal.startswith("@"):
            lifecycle.check_stage(goal)
    for stage in scope.origin:
        lifecycle.check_stage(stage)
    for tier in scope.risk_tiers:
        if tier not in TIERS:
            raise BadInput(f"there is no risk tier {tier!r}", hint=did_you_mean(tier, TIERS))
