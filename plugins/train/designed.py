"""Trainings whose model is described by the version's design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from registry.extension import PluginConfig, RunContext, TrainPlugin
from registry.extension.discovery import read_config

C = TypeVar("C", bound=PluginConfig)


class DesignedTrain(TrainPlugin[C]):
    """A training whose options have their defaults from the version's design, wherever that names them."""

    evidence = "run.train"

    def with_design(self, ctx: RunContext, config: C) -> C:
        """The options, with the design's values wherever the run does not say otherwise."""
        return self.designed_options(ctx.model.design, config)

    def designed_options(self, design: Mapping[str, Any], config: C, without: Sequence[str] = ()) -> C:
        """The options, with a design's values wherever they were not set; those of `without` left out."""
        known = self.config_type.model_fields
        found = {name: value for name, value in design.items() if name in known and name not in without}
        return cast("C", read_config(self, {**found, **config.model_dump(exclude_unset=True)}))
