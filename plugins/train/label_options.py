"""Options of the trainings whose labels are classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.extension import PluginConfig
from registry.extension.options import Words


class LabelConfig(PluginConfig):
    """Which rows count how much, and which label is the positive one."""

    reweigh: Words = Field(
        (), description="sensitive columns, comma-separated, that row weights make independent of the label"
    )
    class_weight: Literal["none", "balanced"] = Field(
        "none", description="balanced: rare labels count as much as frequent ones"
    )
    positive: str = Field(
        "",
        description="label that binary metrics count as positive; default: the rarest in the training data",
    )
