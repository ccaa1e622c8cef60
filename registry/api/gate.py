"""`registry.gate`: policies published, put in force, taken out of it, and replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from registry.api.opened import Opened

if TYPE_CHECKING:
    from registry.policy import GateBinding
    from registry.usecases.policy_publishing import Published
    from registry.usecases.policy_replay import ReplayedDecision
    from registry.usecases.policy_views import BindingView
    from registry.usecases.views import EntryView, PolicyView


class GateApi:
    """What is in force, and what would be."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def publish(self, files: Sequence[str | Path], *, binding: bool = True) -> list[Published]:
        """Publish files of policies, all or nothing, and put their bindings in force; takes an admin."""
        from registry.usecases.policy_publishing import publish_files

        with self._opened.write() as work:
            return publish_files(work, [Path(file) for file in files], binding=binding)

    def bind(
        self, binding: GateBinding, digest: str = "", *, settings: Mapping[str, str] | None = None
    ) -> BindingView:
        """Put a published policy in force, the newest version unless a digest is named; takes an admin.

        Args:
            binding: How. What was bound under its name ends.
            digest: Of the version, or how it begins.
            settings: Parameters as texts, read as the policy's own are; instead of the binding's.
        """
        from registry.usecases.policies import bind_by_name, bind_policy

        with self._opened.write() as work:
            if settings is None:
                bind_policy(work, binding, digest)
            else:
                bind_by_name(work, binding, digest, settings=settings)
        return next(one for one in self.bindings() if one.name == binding.name)

    def unbind(self, name: str, reason: str) -> None:
        """Take a binding out of force; takes an admin, and a reason."""
        from registry.usecases.policies import unbind_policy

        with self._opened.write() as work:
            unbind_policy(work, name, reason)

    def bindings(self) -> list[BindingView]:
        """What is in force now."""
        from registry.usecases.policy_views import bindings_in_force

        with self._opened.read() as session:
            return bindings_in_force(session)

    def version(self, reference: str) -> PolicyView:
        """One version of a policy: `NAME@DIGEST`, or `NAME` for the newest."""
        from registry.usecases.policy_views import policy_version

        with self._opened.read() as session:
            return policy_version(session, reference)

    def versions(self, name: str) -> list[str]:
        """Digests of a policy's versions, oldest first."""
        from registry.usecases.policy_views import versions_of

        with self._opened.read() as session:
            return versions_of(session, name)

    def history(self) -> list[EntryView]:
        """What was published, put in force and taken out of it, oldest first."""
        from registry.usecases.policy_views import policy_history

        with self._opened.read() as session:
            return policy_history(session)

    def replay(
        self, file: str | Path, *, since: datetime | None = None, policy: str = "", only: bool = False
    ) -> list[ReplayedDecision]:
        """Ask a file's policies about every recorded decision; changes nothing."""
        from registry.usecases.policy_replay import replay

        with self._opened.read() as session:
            return replay(session, Path(file), since=since, policy=policy, only=only)
