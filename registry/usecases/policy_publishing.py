"""Publishing files of policies: checked first, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from registry.domain.people import ADMIN
from registry.errors import BadDocument
from registry.policy import GatePolicy
from registry.policy.documents import ReadFile
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables import PolicyRow
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.policies import bind_policy, publish_policy
from registry.usecases.policy_files import all_of, read_text
from registry.usecases.policy_views import BindingView, bindings_in_force


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a policy that was published.

    Attributes:
        new: Whether there was no such version before.
        bound: Names of the bindings that put this version in force.
        behind: Bindings that pin an older version, and stay in force as they are.
    """

    name: str
    digest: str
    new: bool
    bound: tuple[str, ...]
    behind: tuple[BindingView, ...]


def publish_files(work: UnitOfWork, paths: Sequence[Path], *, binding: bool = True) -> list[Published]:
    """Publish the policies of some files, and put their bindings in force.

    Args:
        work: The open transaction.
        paths: Files of policies and bindings. Cases in them are for `policy test`.
        binding: Whether bindings are put in force, too.

    Raises:
        NotPermitted: The actor is no admin.
        BadDocument: Something is wrong in the files; it tells everything, and nothing is published.
    """
    work.require(ADMIN, "publish policies")
    session = work.session
    lifecycle = current_lifecycle(session)
    files = [ReadFile(read_text(path), str(path), lifecycle) for path in paths]
    rows = list(session.scalars(select(PolicyRow).order_by(PolicyRow.id)))
    _check(files, [GatePolicy.from_document(row.document) for row in rows])
    published = {row.digest for row in rows}
    policies = [policy for file in files for policy in file.policies]
    digests = {policy.name: publish_policy(work, policy).digest for policy in policies}
    bindings = [one for file in files for one in file.bindings] if binding else []
    for one in bindings:
        bind_policy(work, one, digests.get(one.policy, ""))
    session.flush()
    in_force = bindings_in_force(session)
    named = dict.fromkeys([*digests, *(one.policy for one in bindings)])
    return [
        Published(
            name=name,
            digest=digests.get(name, ""),
            new=name in digests and digests[name] not in published,
            bound=tuple(one.name for one in in_force if one.policy == name and not one.outdated),
            behind=tuple(one for one in in_force if one.policy == name and one.outdated),
        )
        for name in named
    ]


def _check(files: Sequence[ReadFile], known: Sequence[GatePolicy]) -> None:
    """Refuse with everything that is wrong in the files.

    Raises:
        BadDocument: As `publish_files` does.
    """
    declared = {name for file in files for name in file.declared_policies}
    own = [policy for file in files for policy in file.policies]
    problems: list[BadDocument] = []
    for file in files:
        file.check_bindings([*known, *own], declared)
        problems += file.problems
        if file.lifecycles:
            said = "a lifecycle is not published with policies: it is given when a registry is made"
            problems.append(BadDocument(said, file=file.source.file, hint="phasegate init --lifecycle FILE"))
        if not (file.policies or file.bindings or file.problems or file.lifecycles):
            problems.append(BadDocument("there is neither policy nor binding in it", file=file.source.file))
    for kind, names in (
        ("policy", [(policy.name, file) for file in files for policy in file.policies]),
        ("binding", [(one.name, file) for file in files for one in file.bindings]),
    ):
        first: dict[str, ReadFile] = {}
        for name, file in names:
            if first.setdefault(name, file) is not file:
                said = f"{kind} {name!r} is also in {first[name].source.file}"
                problems.append(BadDocument(said, file=file.source.file))
    if problems:
        raise all_of(problems)
