"""Trainings whose model is described by the version's design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar, cast

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
        return self.designed_options(ctx.model.design, config)

    def designed_options(self, design: Mapping[str, Any], config: C, without: Sequence[str] = ()) -> C:
        """The options, with a design's values wherever they were not set; those of `without` left out."""
        found = {name: design[name] for name in self.designed if name in design and name not in without}
        return cast("C", read_config(self, {**found, **config.model_dump(exclude_unset=True)}))
