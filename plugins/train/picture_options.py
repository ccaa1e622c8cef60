"""Options of the trainings that learn from pictures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.extension.options import Numbers
from registry.plugins.train.label_options import LabelConfig
from registry.plugins.train.start import StartConfig


class AugmentConfig(StartConfig):
    """How pictures are changed, each anew in every epoch; 0 everywhere: not at all."""

    rotate: float = Field(0.0, ge=0, le=180, description="turn by up to so many degrees, either way")
    shift: float = Field(0.0, ge=0, le=0.5, description="move by up to this share of the size, each way")
    zoom: float = Field(0.0, ge=0, le=0.5, description="enlarge (crop) or shrink by up to this share")
    flip: bool = Field(False, description="mirror half of them, left to right")
    erase: float = Field(
        0.0, ge=0, le=1, description="probability of a random rectangle being painted over with the mean"
    )

    @property
    def augments(self) -> bool:
        """Whether anything is changed."""
        return bool(self.rotate or self.shift or self.zoom or self.flip or self.erase)


class ImageConfig(LabelConfig, AugmentConfig):
    """How to train, and what; options of the architecture default to the version's design."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of each target spread over all labels")
    family: Literal["vit", "resnet"] = Field("resnet", description="what is trained from scratch")
    size: int = Field(32, ge=8, description="height and width that pictures are resized to, in pixels")
    channels: Literal[1, 3] = Field(3, description="1: grey; 3: colour")
    dropout: float = Field(0.0, ge=0, lt=1, description="of a new vit's layers; else before the head")
    patch: int = Field(4, ge=1, description="of a vit: height and width of what is one token, in pixels")
    hidden_size: int = Field(128, ge=8, description="of a vit: width")
    layers: int = Field(4, ge=1, description="of a vit: layers")
    heads: int = Field(4, ge=1, description="of a vit: attention heads; they divide hidden_size")
    widths: Numbers = Field(
        (32, 64, 128), min_length=1, description="of a resnet: channels of each stage, comma-separated"
    )
    depths: Numbers = Field(
        (1, 1, 1), min_length=1, description="of a resnet: blocks of each stage, comma-separated"
    )


class DetectorConfig(StartConfig):
    """How to train, and what; options of the architecture default to the version's design."""

    flip: bool = Field(False, description="mirror half of the pictures of each epoch, boxes included")
    size: int = Field(64, ge=8, description="height and width that pictures are resized to, in pixels")
    channels: Literal[1, 3] = Field(3, description="1: grey; 3: colour")
    patch: int = Field(8, ge=1, description="height and width of what is one token, in pixels")
    hidden_size: int = Field(96, ge=8, description="width of the transformer")
    layers: int = Field(4, ge=1, description="layers of the transformer")
    heads: int = Field(4, ge=1, description="attention heads; they divide hidden_size")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the layers")
    objects: int = Field(10, ge=1, description="most objects that are found in one picture")
