"""Trainings whose model is described by the version's design."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

from registry.extension import PluginConfig, TrainPlugin
from registry.extension.discovery import read_config
from registry.extension.inputs import RunSpec

C = TypeVar("C", bound=PluginConfig)


class DesignedTrain(TrainPlugin[C]):
    """A training whose options have their defaults from the version's design, wherever that names them."""

    evidence = "run.train"

    def settle(self, spec: RunSpec, config: C) -> C:
        """The options, with the design's values wherever the run does not say otherwise."""
        return self.with_design(spec, config)

    def with_design(self, spec: RunSpec, config: C, without: Sequence[str] = ()) -> C:
        """The options, with the design's values wherever they were not set; those of `without` left out."""
        assert spec.model is not None
        known = self.config_type.model_fields
        found = {
            name: value for name, value in spec.model.design.items() if name in known and name not in without
        }
        return cast("C", read_config(self, {**found, **config.model_dump(exclude_unset=True)}))
