"""Options of `search`, checked against the options of the plugin that it tries."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from registry.errors import BadConfig
from registry.extension import PluginConfig, TrainPlugin
from registry.extension.discovery import check_requirements, load_plugin
from registry.extension.options import Words
from registry.plugins.search.space import Fixed, Space, check_space, grid

# Trials of a search that does not say how many.
_TRIALS = 20

# Metrics that are better the lower they are, by how their names end.
_LOSSES = ("loss", "perplexity", "error")


class SearchConfig(PluginConfig):
    """What is tried, how it is chosen, and how it is judged."""

    plugin: str = Field(description="the train plugin whose options are searched")
    space: Space = Field(
        description="options to search, each a list of values, or {low: 0.0001, high: 0.01, log: true}"
    )
    fixed: Fixed = Field({}, description="options that are the same in every trial")
    method: Literal["grid", "random", "tpe"] = Field("tpe", description="how the next trial is chosen")
    trials: int = Field(0, ge=0, description=f"how many; 0: {_TRIALS}, or all of a grid")
    metric: str = Field(
        "validation_loss", description="metric of the training's evidence that judges a trial"
    )
    direction: Literal["", "minimize", "maximize"] = Field(
        "", description="which values of the metric are better; a loss is minimized without being told"
    )
    pruning: Literal["none", "hyperband"] = Field(
        "none", description="hyperband: stop trials whose validation loss falls behind that of others"
    )
    folds: int = Field(0, ge=0, description="cross-validate on so many folds of the training data; 0: do not")
    group_by: str = Field("", description="column whose equal values stay in one fold")
    parallel: int = Field(1, ge=1, description="trials at a time")
    devices: Words = Field(
        (), description="devices that parallel trials are spread over; default: all on that of the run"
    )

    @model_validator(mode="after")
    def _sound(self) -> SearchConfig:
        """Find all that can be wrong before a run is started."""
        plugin = self.train_plugin()
        check_requirements(plugin)
        check_space(plugin, self.space, self.fixed)
        if self.method == "grid":
            grid(plugin, self.space)
        if self.folds == 1:
            raise BadConfig("one fold leaves nothing to judge by", hint="use 2 or more, or none")
        if self.group_by and not self.folds:
            raise BadConfig("group_by says how folds are cut, and there are none", hint="add --set folds=5")
        if not self.direction and not self.metric.endswith(_LOSSES):
            raise BadConfig(
                f"is {self.metric} to be high or low?", hint="add --set direction=maximize, or minimize"
            )
        return self

    def train_plugin(self) -> TrainPlugin[PluginConfig]:
        """The plugin that is tried.

        Raises:
            NotFound: There is none of that name.
            BadConfig: It trains nothing.
        """
        found = load_plugin(self.plugin)
        if not isinstance(found, TrainPlugin):
            raise BadConfig(f"plugin {self.plugin!r} trains nothing: only trainings are searched")
        return found

    @property
    def minimizes(self) -> bool:
        """Whether a lower score is better."""
        return self.direction != "maximize"

    def count(self) -> int:
        """How many trials there will be."""
        if self.method != "grid":
            return self.trials or _TRIALS
        size = 1
        for values in grid(self.train_plugin(), self.space).values():
            size *= len(values)
        return min(self.trials or size, size)
