"""`train-image-classifier`: a vision transformer or a residual network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.extension import DatasetInput, RunContext
from registry.extension.tables import read_rows
from registry.plugins.train.engine.task import Task
from registry.plugins.train.labels import Labels, check_labels, read_labels
from registry.plugins.train.picture_options import ImageConfig
from registry.plugins.train.pictures import Pictures, read_pictures
from registry.plugins.train.replay import mix, read_old
from registry.plugins.train.start import begin
from registry.plugins.train.torch_train import TorchTrain

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from registry.plugins.train.sketch import Sketch


class TrainImageClassifier(TorchTrain[ImageConfig]):
    """Train a picture classifier on a version's training data."""

    name = "train-image-classifier"
    requires = ("PIL", "safetensors", "torch", "transformers")
    extra = "vision"

    def build(self, ctx: RunContext, config: ImageConfig) -> Task:
        from registry.plugins.train.tasks.picture_classes import FORMAT, PictureClasses
        from registry.plugins.train.tasks.picture_models import (
            base_pictures,
            build_classifier,
            names,
            picture_card,
        )

        _check(config)
        expected = base_pictures(ctx)
        shape = {name: expected.get(name, getattr(config, name)) for name in ("size", "channels")}
        source = ctx.role("train")
        train = _read(ctx, source, config.reweigh, shape)
        if old := read_old(ctx, config, lambda data: _read(ctx, data, config.reweigh, shape)):
            train = old.after(train)
        validation = _read(ctx, ctx.data["validation"], (), shape) if "validation" in ctx.data else None
        pictures, labels = train
        positive = check_labels(labels, validation[1] if validation else None, config.positive)
        ctx.log(f"labels {', '.join(labels.classes)}, positive {positive!r}")
        model = begin(
            ctx,
            config,
            PictureClasses.auto,
            lambda: build_classifier(labels.classes, config),
            **names(labels.classes),
        )
        if config.dropout and (ctx.base or config.family == "resnet"):
            _drop_before_head(model, config.dropout)
        card = {
            "format": FORMAT,
            "positive": positive,
            **picture_card(model, source, pictures, expected),
        }
        task = PictureClasses(model, train, validation, config=config, card=card)
        if old:
            mix(task, config, old.rows, task.encode(*old.kept))
        return task

    def sketch(self, config: ImageConfig) -> Sketch:
        _check(config)
        from registry.plugins.train.sketch import sketch_pictures
        from registry.plugins.train.tasks.picture_models import build_classifier

        return sketch_pictures(
            lambda: build_classifier(("no", "yes"), config),
            "2 labels",
            channels=config.channels,
            size=config.size,
        )


def _check(config: ImageConfig) -> None:
    from registry.plugins.train.tasks.picture_models import check_patches

    if config.family == "vit":
        check_patches(config)
    if len(config.widths) != len(config.depths) or min(*config.widths, *config.depths) < 1:
        raise BadConfig(
            f"widths {config.widths} and depths {config.depths} do not describe the same stages",
            hint="give each stage a width and a depth of 1 or more",
        )


def _read(
    ctx: RunContext, data: DatasetInput, groups: tuple[str, ...], shape: dict[str, Any]
) -> tuple[Pictures, Labels]:
    """Labels first: what is wrong with them shows before anything is decoded."""
    table = read_rows(data)
    labels = read_labels(table, data, groups)
    pictures = read_pictures(ctx, table, data, **shape)
    if pictures.resized:
        (width, height), (most_width, most_height) = pictures.sizes.min(axis=0), pictures.sizes.max(axis=0)
        ctx.log(
            f"{pictures.resized} of {len(labels.labels)} pictures of {data.ref} were resized: they have "
            f"{width} x {height} to {most_width} x {most_height} pixels"
        )
    return pictures, labels


def _drop_before_head(model: PreTrainedModel, share: float) -> None:
    """Dropout before the last linear layer, by a hook: the weights keep their names."""
    from torch import nn

    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    drop = nn.functional.dropout
    head.register_forward_pre_hook(lambda layer, inputs: (drop(inputs[0], share, layer.training),))
