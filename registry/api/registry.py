"""The registry as an object: every verb of the command line, for Python."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from registry import usecases
from registry.api.opened import Opened
from registry.domain.decision import Decision
from registry.domain.dossier import Dossier
from registry.domain.names import check_name
from registry.domain.references import Ref
from registry.errors import BadDocument, RunFailed
from registry.storage import find
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database, lock_timeout
from registry.storage.home import Home
from registry.storage.lifecycles import current_lifecycle
from registry.storage.tables.base import now

if TYPE_CHECKING:
    from registry.api.deployments import DeploymentsApi
    from registry.api.findings import FindingsApi
    from registry.api.gate import GateApi
    from registry.api.keys import KeysApi
    from registry.api.ledger import LedgerApi
    from registry.api.people import PeopleApi
    from registry.api.risks import RisksApi, TiersApi
    from registry.api.runs import RunsApi
    from registry.api.waivers import WaiversApi
    from registry.policy import GateBinding, GatePolicy
    from registry.reports.facts import ReportFacts
    from registry.usecases.aliases import AliasView
    from registry.usecases.audit import Audit
    from registry.usecases.estimate import EstimatedDesign
    from registry.usecases.examine import Check
    from registry.usecases.views import (
        ApprovalView,
        DatasetView,
        DecisionView,
        EntryView,
        EvidenceView,
        PolicyView,
        RunView,
        SystemView,
        VersionView,
    )

# How often a decision is made again when others write what its gate looks at, before they have to wait.
_TRIES = 4


def default_actor() -> str:
    """`$PHASEGATE_ACTOR`, else the operating system's user: an embedded registry trusts it."""
    try:
        name = os.environ.get("PHASEGATE_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        name = f"uid-{os.getuid()}"  # in a container, users often have no name
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).strip("-._") or "unknown"


class Registry:
    """An open registry, acting for one actor.

    Attributes:
        home: Where it lives.
        actor: In whose name everything is done.
    """

    def __init__(self, home: Home, actor: str) -> None:
        """Name a registry without looking at it; `Registry.open` looks.

        Raises:
            BadName: The actor's name could not be stored.
        """
        self.home = home
        self.actor = check_name(actor, "the actor's name")
        self._opened = Opened(
            home=home,
            database=Database(home.database, lock_timeout=lock_timeout()),
            store=ArtifactStore(home.artifacts, home.cache),
            actor=self.actor,
        )

    @classmethod
    def open(
        cls,
        home: str | Path | None = None,
        *,
        database: str | None = None,
        actor: str | None = None,
        create: bool = False,
    ) -> Self:
        """Open a registry. See `registry.open`."""
        opened = cls(Home.at(home, database=database), actor or default_actor())
        try:
            if create:
                opened.initialise()
            else:
                opened._opened.database.check()
        except BaseException:
            opened.close()
            raise
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the database's connections back."""
        self._opened.database.close()

    # -- the registry itself --------------------------------------------------

    @property
    def database(self) -> str:
        """URL of the database, without its password."""
        return self._opened.database.name

    def initialise(self, lifecycle: Path | None = None) -> bool:
        """Make tables, lifecycle and default policies; True if it was new. Safe to repeat."""
        return usecases.setup.initialise(self.home, self._opened.database, self.actor, lifecycle=lifecycle)

    def check(self) -> None:
        """See that this release can use the database; raises `DatabaseUnusable`."""
        self._opened.database.check()

    def revision(self) -> str | None:
        """The migration that the database is at."""
        return self._opened.database.revision()

    def upgrade(self) -> tuple[str, str]:
        """Migrate the database to this release; returns the revisions before and after."""
        return usecases.setup.upgrade_database(self._opened.database)

    def examine(self) -> list[Check]:
        """What is installed, what works, and what would help."""
        return usecases.examine.examine(self.home, self._opened.database)

    def counts(self) -> dict[str, int]:
        """How much there is of what."""
        with self._opened.read() as session:
            return usecases.look.counts(session)

    @property
    def ledger(self) -> LedgerApi:
        """The ledger's key, checkpoints, witnesses and proofs."""
        from registry.api.ledger import LedgerApi

        return LedgerApi(self._opened)

    @property
    def gate(self) -> GateApi:
        """Policies published, put in force, taken out of it, and replayed."""
        from registry.api.gate import GateApi

        return GateApi(self._opened)

    @property
    def people(self) -> PeopleApi:
        """Actors, and what they may do."""
        from registry.api.people import PeopleApi

        return PeopleApi(self._opened)

    @property
    def runs(self) -> RunsApi:
        """Plugins at work: started, watched, stopped, resumed, done again."""
        from registry.api.runs import RunsApi

        return RunsApi(self._opened)

    @property
    def deployments(self) -> DeploymentsApi:
        """What serves versions, and what it answers."""
        from registry.api.deployments import DeploymentsApi

        return DeploymentsApi(self._opened)

    @property
    def waivers(self) -> WaiversApi:
        """Approved exceptions to one rule."""
        from registry.api.waivers import WaiversApi

        return WaiversApi(self._opened)

    @property
    def findings(self) -> FindingsApi:
        """Challenges to versions and systems."""
        from registry.api.findings import FindingsApi

        return FindingsApi(self._opened)

    @property
    def risks(self) -> RisksApi:
        """The risk register."""
        from registry.api.risks import RisksApi

        return RisksApi(self._opened)

    @property
    def tiers(self) -> TiersApi:
        """Systems' risk tiers, computed from a questionnaire."""
        from registry.api.risks import TiersApi

        return TiersApi(self._opened)

    @property
    def keys(self) -> KeysApi:
        """Keys that sign, whose they are, and what they signed."""
        from registry.api.keys import KeysApi

        return KeysApi(self._opened)

    def stages(self) -> list[str]:
        """Stages of the lifecycle in force, in order."""
        with self._opened.read() as session:
            return list(current_lifecycle(session).stages)

    # -- systems and data -----------------------------------------------------

    def add_system(self, name: str, *, purpose: str, risk_tier: str, **more: Any) -> SystemView:
        """Record an AI system in its use; `more` as `usecases.systems.add_system` takes it."""
        with self._opened.write() as work:
            usecases.systems.add_system(work, name, purpose=purpose, risk_tier=risk_tier, **more)
        return self.system(name)

    def change_system(self, name: str, **changes: Any) -> SystemView:
        """Say otherwise whom a system affects and the like; `changes` as `usecases.systems.change_system`."""
        with self._opened.write() as work:
            usecases.systems.change_system(work, name, **changes)
        return self.system(name)

    def systems(self) -> list[SystemView]:
        with self._opened.read() as session:
            return usecases.look.systems(session)

    def system(self, name: str) -> SystemView:
        with self._opened.read() as session:
            return usecases.look.systems(session, name)[0]

    def add_dataset(self, name: str, source: str | Path, **more: Any) -> DatasetView:
        """Store a file as the next version of a dataset; `more` as `usecases.datasets.add_dataset` has it."""
        row = usecases.datasets.add_dataset(
            self._opened.database, self._opened.store, self.home, self.actor, name, Path(source), **more
        )
        return self.dataset(f"{name}/{row.number}")

    def datasets(self) -> list[DatasetView]:
        with self._opened.read() as session:
            return usecases.look.datasets(session)

    def dataset(self, ref: str) -> DatasetView:
        with self._opened.read() as session:
            return usecases.look.dataset(session, Ref.parse(ref))

    # -- versions -------------------------------------------------------------

    def plan(self, model: str, *, system: str, **more: Any) -> VersionView:
        """Plan the next version of a model; `more` as `usecases.plan.plan_version` takes it."""
        with self._opened.write() as work:
            number = usecases.plan.plan_version(work, model, system=system, **more).number
        return self.version(f"{model}/{number}")

    def link_data(self, ref: str, data: Mapping[str, str | None]) -> VersionView:
        """Name a version's data by role; None takes a role away."""
        with self._opened.write() as work:
            named = find.ref(work.session, ref)
            usecases.plan.link_data(work, named, data)
        return self.version(str(named))

    def estimate(
        self, ref: str, values: Mapping[str, str], *, plugin: str, device: str = "cpu", processes: int = 0
    ) -> EstimatedDesign:
        """What training a version by a plugin would take, with `values` added to its design."""
        with self._opened.read() as session:
            named = find.ref(session, ref)
            return usecases.estimate.estimate_design(
                session, named, values, plugin=plugin, device=device, processes=processes
            )

    def design(
        self, ref: str, values: Mapping[str, str], *, estimated: EstimatedDesign | None = None
    ) -> VersionView:
        """Record a version's design, and an estimate of it if there is one; refuses what does not fit."""
        with self._opened.write() as work:
            named = find.ref(work.session, ref)
            usecases.plan.record_design(work, named, values, estimated)
        return self.version(str(named))

    def versions(self, *, model: str = "", stage: str = "") -> list[VersionView]:
        with self._opened.read() as session:
            return usecases.look.versions(session, model=model, stage=stage)

    def version(self, ref: str) -> VersionView:
        with self._opened.read() as session:
            return usecases.look.version(session, find.ref(session, ref))

    def fetch(self, ref: str, folder: str | Path) -> tuple[str, list[str]]:
        """Copy a version's artifact, verified, into a new folder; its digest, and the paths of its files."""
        from registry.usecases.fetch import fetch_artifact

        with self._opened.read() as session:
            return fetch_artifact(session, self._opened.store, find.ref(session, ref), Path(folder))

    def evidence(self, ref: str) -> list[EvidenceView]:
        """Evidence about a version's current artifact and its data, oldest first."""
        with self._opened.read() as session:
            version = usecases.look.version(session, find.ref(session, ref))
            data = [
                usecases.look.dataset(session, Ref.parse(found)).digest for found in version.data.values()
            ]
            return usecases.look.evidence(session, [version.artifact or version.digest, *data])

    def history(self, ref: str) -> list[EntryView]:
        """Everything that happened to a version, its runs, its data and its deployments; or to a model."""
        with self._opened.read() as session:
            return usecases.log.history(session, ref)

    # -- gates ----------------------------------------------------------------

    def explain(self, ref: str, to: str) -> tuple[Decision, Dossier]:
        """What the gate into a stage would say now, and what it would see."""
        with self._opened.read() as session:
            judged = usecases.decide.judge(session, find.ref(session, ref), to, self.actor)
        return judged.decision, judged.dossier

    def promote(self, ref: str, to: str) -> Decision:
        """Move a version if its gate agrees; a refusal is returned, and recorded, too."""
        from registry.storage.unit_of_work import Overtaken

        for _ in range(_TRIES):
            with self._opened.read() as session:
                judged = usecases.decide.judge(session, find.ref(session, ref), to, self.actor)
            try:
                with self._opened.write() as work:
                    decision = usecases.decide.carry_out(work, judged)
                return replace(decision, entry=work.last_entry)
            except Overtaken:
                continue
        with self._opened.write() as work:
            decision = usecases.decide.decide_alone(work, find.ref(work.session, ref), to)
        return replace(decision, entry=work.last_entry)

    def move_alias(self, ref: str, alias: str) -> Decision:
        """Let an alias of the model point to a version, if the gate into `@alias` agrees."""
        return self.promote(ref, f"@{alias}")

    def remove_alias(self, model: str, alias: str, reason: str) -> None:
        """Take an alias away from the version that it points to, without a successor."""
        with self._opened.write() as work:
            usecases.aliases.remove_alias(work, model, alias, reason)

    def aliases(self, model: str) -> list[AliasView]:
        """Every setting that a model's aliases ever had, oldest first."""
        with self._opened.read() as session:
            return usecases.aliases.settings(session, model)

    def decisions(self, ref: str) -> list[DecisionView]:
        with self._opened.read() as session:
            return usecases.look_decisions.decisions(session, find.ref(session, ref))

    def approve(self, ref: str, to: str, reason: str = "", *, on_behalf_of: str = "") -> None:
        """Say yes to a version's step, for what it is now; for somebody who lends the role, if named."""
        self._say(usecases.approve.APPROVED, ref, to, reason, on_behalf_of)

    def reject(self, ref: str, to: str, reason: str, *, on_behalf_of: str = "") -> None:
        """Say no to a version's step."""
        self._say(usecases.approve.REJECTED, ref, to, reason, on_behalf_of)

    def _say(self, verdict: str, ref: str, to: str, reason: str, on_behalf_of: str) -> None:
        with self._opened.write() as work:
            named = find.ref(work.session, ref)
            usecases.approve.give_verdict(work, named, to, verdict, reason, on_behalf_of=on_behalf_of)

    def approvals(self, ref: str) -> list[ApprovalView]:
        with self._opened.read() as session:
            return usecases.look_decisions.approvals(session, find.ref(session, ref))

    def policies(self) -> list[PolicyView]:
        with self._opened.read() as session:
            return usecases.policy_views.policies(session)

    def policy(self, name: str) -> PolicyView:
        with self._opened.read() as session:
            return usecases.policy_views.policies(session, name)[0]

    def check_policies(self, source: str | Path) -> list[BadDocument]:
        """Every problem of a policy file, typed against what a gate sees."""
        with self._opened.read() as session:
            return usecases.policies.check_file(session, Path(source))

    def publish(self, policies: Sequence[GatePolicy], bindings: Sequence[GateBinding]) -> None:
        """Publish policies and put bindings in force."""
        with self._opened.write() as work:
            usecases.policies.publish_set(work, policies, bindings)

    # -- runs -----------------------------------------------------------------

    def run(self, plugin: str, ref: str, **more: Any) -> RunView:
        """Start a run and wait for its end; `more` as `runs.start` takes it.

        Raises:
            RunFailed: It did not succeed; says why.
        """
        number = self.runs.start(plugin, ref, **more)
        for _ in self.runs.follow(number):
            pass
        ended = self.runs.one(number)
        if ended.state != "succeeded":
            raise RunFailed(f"run {number} ({plugin}) {ended.state}: {ended.reason}")
        return ended

    # -- audit ----------------------------------------------------------------

    def log(
        self,
        *,
        subjects: Sequence[str] = (),
        actor: str = "",
        action: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 0,
        before: int | None = None,
    ) -> list[EntryView]:
        """Ledger entries in order; with a limit, the newest of those before an entry."""
        with self._opened.read() as session:
            return usecases.log.log(
                session,
                subjects=subjects,
                actor=actor,
                action=action,
                since=since,
                until=until,
                limit=limit,
                before=before,
            )

    def verify(
        self, *, artifacts: bool = False, checkpoints: Sequence[Path] = (), keys: Sequence[str] = ()
    ) -> Audit:
        """Recompute the ledger, replay it against the tables, and hash every stored byte if asked.

        It is held against every checkpoint of the home, and of other files that are named; `keys` are
        verifier keys to trust instead of those that lie beside the signing key.
        """
        from registry.usecases.checkpoints import exported

        with self._opened.read() as session:
            return usecases.audit.verify(
                session,
                self._opened.store if artifacts else None,
                exported=exported(self.home, checkpoints, keys),
                database=self._opened.database,
            )

    def report(self, ref: str) -> ReportFacts:
        """Everything that a report on a version shows; `registry.reports.render` makes documents of it."""
        from registry.reports.gather import gather

        with self._opened.read() as session:
            return gather(session, find.ref(session, ref), now())
