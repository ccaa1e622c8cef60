"""`train-detector`: finding objects in pictures, with a small detection transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.errors import BadInput
from registry.extension import DatasetInput, RunContext
from registry.extension.tables import read_rows
from registry.plugins.train.boxes import Boxes, check_boxes, check_objects, read_boxes
from registry.plugins.train.engine.task import Task
from registry.plugins.train.picture_options import DetectorConfig
from registry.plugins.train.pictures import Pictures, read_pictures
from registry.plugins.train.replay import mix, read_old
from registry.plugins.train.start import begin
from registry.plugins.train.torch_train import TorchTrain

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Sketch


class TrainDetector(TorchTrain[DetectorConfig]):
    """Train an object detector (YOLOS, of the DETR family) on a version's training data."""

    name = "train-detector"
    requires = ("PIL", "safetensors", "scipy", "torch", "transformers")
    extra = "vision"

    def build(self, ctx: RunContext, config: DetectorConfig) -> Task:
        from registry.plugins.train.tasks.picture_boxes import FORMAT, PictureBoxes, most_objects
        from registry.plugins.train.tasks.picture_models import (
            base_pictures,
            build_yolos,
            check_patches,
            names,
            picture_card,
        )

        check_patches(config)
        expected = base_pictures(ctx)
        shape = {name: expected.get(name, getattr(config, name)) for name in ("size", "channels")}
        source = ctx.role("train")
        train = _read(ctx, source, shape)
        if old := read_old(ctx, config, lambda data: _read(ctx, data, shape)):
            train = old.after(train)
        validation = _read(ctx, ctx.data["validation"], shape) if "validation" in ctx.data else None
        pictures, objects = train
        model = begin(
            ctx,
            config,
            PictureBoxes.auto,
            lambda: build_yolos(objects.classes, config),
            **names(objects.classes),
        )
        check_boxes(objects, validation[1] if validation else None, most_objects(model))
        ctx.log(f"labels {', '.join(objects.classes)}, at most {objects.most} objects in a picture")
        if model.loss_function.__name__ != "ForObjectDetectionLoss":
            raise BadInput(
                f"the base is a {type(model).__name__}, which learns by another loss than DETR's",
                hint="begin with a DETR or YOLOS model",
            )
        card = {"format": FORMAT, **picture_card(model, source, pictures, expected)}
        task = PictureBoxes(model, train, validation, config=config, card=card)
        if old:
            mix(task, config, old.rows, task.encode(*old.kept))
        return task

    def sketch(self, config: DetectorConfig) -> Sketch:
        from registry.plugins.train.sketch import sketch_pictures
        from registry.plugins.train.tasks.picture_models import build_yolos, check_patches

        check_patches(config)
        return sketch_pictures(
            lambda: build_yolos(("thing",), config), "1 label", channels=config.channels, size=config.size
        )


def _read(ctx: RunContext, data: DatasetInput, shape: dict[str, Any]) -> tuple[Pictures, Boxes]:
    table = read_rows(data)
    check_objects(table, data)
    pictures = read_pictures(ctx, table, data, **shape)
    return pictures, read_boxes(table, data, pictures.sizes)
