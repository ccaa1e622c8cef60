"""The plugin contract, on one screen. Built-in plugins obey it like anybody's.

A plugin module imports nothing heavy at its top: torch, transformers, spaCy and
the like load inside `run`. It is found through the entry point group
`phasegate.plugins`; its entry point's name is the plugin's name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

from registry.extension.context import RunContext
from registry.extension.estimates import Estimate
from registry.extension.inputs import DeploymentInput, RunSpec
from registry.extension.results import (
    Deployed,
    Designed,
    Evidence,
    Prepared,
    Replayed,
    Retired,
    Trained,
)

GROUP = "phasegate.plugins"


class PluginConfig(BaseModel):
    """Options of a plugin: `--set name=value`, the reference page and the check are made from its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


C = TypeVar("C", bound=PluginConfig)


class Plugin(ABC, Generic[C]):
    """One piece of work for one stage.

    Attributes:
        name: The entry point's name, as typed after `phasegate run`.
        kind: Which work it is; the lifecycle says in which stages it may change a version.
        subject: What REF names in `phasegate run NAME REF`: a dataset version or a model version.
        evidence: The kind of evidence that it produces, empty if none. `doc.*`: each run chooses one
            below `doc.`, see `evidence_kind`; it can make no other.
        roles: Data roles that a version must name before this can run on it.
        other_data: Whether a dataset plugin can be given other datasets to compare with, by
            `--data ROLE=DATASET/N`; they are in `ctx.data`.
        needs_artifact: Whether the version must have one.
        takes_base: Whether it can begin with a base model, `--base`; that is then in `ctx.base`.
        reads_evidence: Kinds of current evidence about the subject that it wants to see.
        requires: Importable modules that `run` needs.
        extra: The extra that installs them: `pip install 'phasegate[EXTRA]'`.
        repeats: Live metrics that the same run, done again, gives again at the same steps. Who names some
            stops after `ctx.stop_after` steps, returns `Replayed`, and says in the fact `determinism` of
            its evidence how exactly they come again: `bitwise`, `same machine` or `statistical`.
        distributed: Whether several processes can run it together: `ctx.rank` of `ctx.processes`.
        valid_days: How long its evidence counts; None for as long as the digest lives.
        in_parts: Whether its work is done by parts (`RunContext.start_part`): then they run on the engine
            that was asked for, and the run itself is one process here.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    subject: ClassVar[Literal["dataset", "version"]]
    version: ClassVar[str] = "1"
    evidence: ClassVar[str] = ""
    roles: ClassVar[tuple[str, ...]] = ()
    other_data: ClassVar[bool] = False
    needs_artifact: ClassVar[bool] = False
    takes_base: ClassVar[bool] = False
    reads_evidence: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    repeats: ClassVar[tuple[str, ...]] = ()
    distributed: ClassVar[bool] = False
    valid_days: ClassVar[int | None] = None
    in_parts: ClassVar[bool] = False
    config_type: ClassVar[type[PluginConfig]] = PluginConfig

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if isinstance(argument, type) and issubclass(argument, PluginConfig):
                    cls.config_type = argument

    def evidence_kind(self, config: C) -> str:
        """The kind of evidence that such a run makes. To be overridden where `evidence` ends in `.*`."""
        return self.evidence

    def settle(self, spec: RunSpec, config: C) -> C:
        """The options as they hold for a run, refused where they cannot.

        To be overridden where an option follows from another input, or does not go with it. It is asked
        before a run is queued, so what it raises is said at once, and again where the run begins. It reads
        no data and imports nothing heavy.
        """
        return config

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Any:
        """Do the work. Everything needed is in `ctx`; what was made is returned. `config` is settled."""


class PreparePlugin(Plugin[C]):
    """Dataset version in, dataset versions out."""

    kind = "prepare"
    subject = "dataset"

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Prepared: ...


class DesignPlugin(Plugin[C]):
    """Data in, a version's design out."""

    kind = "design"
    subject = "version"

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Designed: ...


class TrainPlugin(Plugin[C]):
    """Design and data in, artifact out."""

    kind = "train"
    subject = "version"
    roles = ("train",)

    def replays(self, config: C) -> bool:
        """Whether it mixes in old data: role `replay`, or else what its base version was trained on."""
        return False

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Trained | Replayed: ...

    def estimate(self, config: C, *, device: str, rows: int, processes: int) -> Estimate | None:
        """What such a training would take; None if this plugin cannot say.

        Args:
            config: The options, the design's values among them.
            device: A device of this machine, a kind of device, or an amount of memory.
            rows: Of the training data, 0 if there is none yet.
            processes: That share the work; 0 for as many as the options multiply to.

        Raises:
            BadConfig: An unknown device, or one that lacks what the options ask for.
        """
        return None


class CheckPlugin(Plugin[C]):
    """Dataset or artifact in, evidence out. Set `subject`."""

    kind = "check"

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Evidence: ...


class EvaluatePlugin(Plugin[C]):
    """Artifact and data in, evidence out."""

    kind = "evaluate"
    subject = "version"
    needs_artifact = True

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Evidence: ...


class DeployPlugin(Plugin[C]):
    """Artifact in, a running and healthy service out.

    What is to run on must be in a session of its own: all else that a run started ends with it.
    """

    kind = "deploy"
    subject = "version"
    needs_artifact = True

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Deployed: ...

    @abstractmethod
    def stop(self, deployment: DeploymentInput) -> None:
        """End a deployment that this plugin made. Stopping one that is gone already is no error."""

    @abstractmethod
    def healthy(self, deployment: DeploymentInput) -> bool:
        """Whether it answers now."""


class MonitorPlugin(Plugin[C]):
    """A deployment's traffic and the training data in, evidence out."""

    kind = "monitor"
    subject = "version"
    needs_artifact = True

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Evidence: ...


class RetirePlugin(Plugin[C]):
    """Undeploy, archive, and say what was released."""

    kind = "retire"
    subject = "version"

    @abstractmethod
    def run(self, ctx: RunContext, config: C) -> Retired: ...
