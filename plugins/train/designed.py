"""Trainings whose model is described by the version's design."""

from __future__ import annotations

from typing import ClassVar, TypeVar, cast

from registry.extension import PluginConfig, RunContext, TrainPlugin
from registry.extension.discovery import read_config

C = TypeVar("C", bound=PluginConfig)


class DesignedTrain(TrainPlugin[C]):
    """A training that reads its model's options from the design, where the run does not say otherwise.

    Attributes:
        designed: Options that describe the model itself: the version's design gives their defaults.
    """

    evidence = "run.train"
    designed: ClassVar[tuple[str, ...]] = ()

    def with_design(self, ctx: RunContext, config: C) -> C:
        """The options, with the design's values wherever the run does not say otherwise."""
        design = {name: ctx.model.design[name] for name in self.designed if name in ctx.model.design}
        return cast("C", read_config(self, {**design, **config.model_dump(exclude_unset=True)}))
