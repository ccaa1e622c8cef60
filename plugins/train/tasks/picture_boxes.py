"""Objects of each picture, and where they are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.plugins.train.average_precision import Found, mean_average_precision
from registry.plugins.train.boxes import Boxes
from registry.plugins.train.engine.task import Batch, Dice, Task
from registry.plugins.train.pictures import Pictures
from registry.plugins.train.tasks.picture_models import normalised, picture_digests, save_pictures_model

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from registry.plugins.train.picture_options import DetectorConfig

FORMAT = "object-detector"
# Pictures that are asked about at a time when the trained model is scored.
_ROWS = 64
# Pictures that the loss of a model that has learned nothing is computed on.
_SAMPLE = 256
# Numbers of objects that are there to fill the rectangle.
_NONE = -1


def most_objects(model: PreTrainedModel) -> int:
    """How many objects a model of the DETR family can find in a picture."""
    config = model.config
    return int(getattr(config, "num_detection_tokens", None) or config.num_queries)


@dataclass(frozen=True)
class Examples:
    """Pictures with their objects; `numbers` are the classes of the objects."""

    pictures: Pictures
    objects: Boxes
    numbers: list[list[int]]

    def __len__(self) -> int:
        return len(self.numbers)


class PictureBoxes(Task):
    """DETR's task (Carion et al. 2020): a set of boxes for each picture, matched with the true ones.

    The loss is the model's own, by the Hungarian algorithm, of each picture by itself and summed: so its
    mean does not depend on which pictures share a batch, or a process.
    """

    auto = "AutoModelForObjectDetection"
    train: Examples
    validation: Examples | tuple[()]

    def __init__(
        self,
        model: PreTrainedModel,
        train: tuple[Pictures, Boxes],
        validation: tuple[Pictures, Boxes] | None,
        *,
        config: DetectorConfig,
        card: dict[str, Any],
    ) -> None:
        self.model = model
        self.model.config.auxiliary_loss = False
        self.config = config
        self.card = card
        self.numbers = {label: number for number, label in enumerate(card["labels"])}
        self.train = self.encode(*train)
        if validation:
            self.validation = self.encode(*validation)
        self.uninformed = self._uninformed()

    def encode(self, pictures: Pictures, objects: Boxes) -> Examples:
        """Examples of pictures and their objects."""
        numbers = [[self.numbers[label] for label in labels] for labels in objects.labels]
        return Examples(pictures, objects, numbers)

    def batch(self, examples: Examples, rows: Sequence[int], dice: Dice | None) -> Batch:
        import torch

        most = max(1, *(len(examples.numbers[row]) for row in rows))
        pictures = torch.from_numpy(examples.pictures.of(rows))
        labels = torch.full((len(rows), most), _NONE)
        boxes = torch.zeros((len(rows), most, 4))
        for place, row in enumerate(rows):
            if count := len(examples.numbers[row]):
                labels[place, :count] = torch.tensor(examples.numbers[row])
                boxes[place, :count] = torch.tensor(examples.objects.boxes[row])
            if dice is not None and self.config.flip and dice.of(row).random() < 0.5:
                pictures[place] = pictures[place].flip(-1)
                boxes[place, :, 0] = 1 - boxes[place, :, 0]
        return {"pictures": pictures, "labels": labels, "boxes": boxes}

    def count(self, batch: Batch) -> float:
        return len(batch["labels"])

    def inputs(self, batch: Batch) -> dict[str, Any]:
        return {"pixel_values": normalised(batch["pictures"], self.card["mean"], self.card["std"])}

    def loss(self, model: Any, batch: Batch, *, training: bool) -> torch.Tensor:
        return self.loss_of(model(**self.inputs(batch)), batch, training=training)

    def loss_of(self, outputs: Any, batch: Batch, *, training: bool) -> torch.Tensor:
        """The loss of each picture, summed; it takes the model's whole output, for it needs boxes too."""
        return self._loss(outputs.logits.float(), outputs.pred_boxes.float(), batch)

    def _loss(self, logits: torch.Tensor, boxes: torch.Tensor, batch: Batch) -> torch.Tensor:
        import torch

        losses = []
        for place, labels in enumerate(batch["labels"]):
            real = labels != _NONE
            losses.append(
                self.model.loss_function(
                    logits[place : place + 1],
                    [{"class_labels": labels[real], "boxes": batch["boxes"][place][real]}],
                    logits.device,
                    boxes[place : place + 1],
                    self.model.config,
                )[0]
            )
        return torch.stack(losses).sum()

    def _uninformed(self) -> float:
        """Mean loss of claiming the same of every picture: each class by its share, and the mean box."""
        import torch

        config = self.model.config
        queries = most_objects(self.model)
        counts = Counter(number for numbers in self.train.numbers for number in numbers)
        weights = [float(counts[number]) for number in range(len(self.card["labels"]))]
        weights.append(config.eos_coefficient * (queries * len(self.train) - sum(weights)))
        boxes = [box for each in self.train.objects.boxes for box in each]
        rows = range(0, len(self.train), math.ceil(len(self.train) / _SAMPLE))
        shape = (len(rows), queries, -1)
        logits = torch.tensor(weights).clamp(min=1e-6).log().expand(*shape)
        batch = self.batch(self.train, rows, None)
        return float(self._loss(logits, torch.tensor(boxes).mean(dim=0).expand(*shape), batch)) / len(rows)

    def scores(self) -> dict[str, float]:
        """Mean average precision on the validation data."""
        import torch

        if not self.validation:
            return {}
        truth = [
            list(zip(numbers, boxes, strict=True))
            for numbers, boxes in zip(self.validation.numbers, self.validation.objects.boxes, strict=True)
        ]
        found: list[list[Found]] = []
        with torch.inference_mode():
            for start in range(0, len(self.validation), _ROWS):
                rows = range(start, min(start + _ROWS, len(self.validation)))
                outputs = self.model(**self.inputs(self.batch(self.validation, rows, None)))
                chances, labels = outputs.logits.softmax(dim=-1)[..., :-1].max(dim=-1)
                found += [
                    [Found(*each[:2], tuple(each[2])) for each in zip(*picture, strict=True)]
                    for picture in zip(
                        labels.tolist(), chances.tolist(), outputs.pred_boxes.tolist(), strict=True
                    )
                ]
        return {"validation_map50": mean_average_precision(truth, found)}

    def save(self, folder: Path) -> None:
        save_pictures_model(self.model, folder, self.card)

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        fed = self.batch(self.train, rows, None)
        names = self.model.config.id2label
        found = []
        for place, row in enumerate(rows):
            told, boxes = self.train.objects.labels[row], self.train.objects.boxes[row]
            real = fed["labels"][place] != _NONE
            given = [names[number] for number in fed["labels"][place][real].tolist()]
            apart = [
                abs(one - other)
                for box, fed_box in zip(boxes, fed["boxes"][place][real].tolist(), strict=False)
                for one, other in zip(box, fed_box, strict=True)
            ]
            digests = picture_digests(self.train.pictures, row, fed["pictures"][place])
            same = told == given and max(apart, default=0.0) < 1e-6
            found.append(
                {"row": row, "label": ", ".join(told), "fed_label": ", ".join(given), **digests}
                | {"same": same and digests["picture"] == digests["fed_picture"]}
                | {"share_trained": 1.0, "fed_text": ", ".join(given)}
            )
        return found

    def metrics(self) -> dict[str, float]:
        counts = [len(numbers) for numbers in self.train.numbers]
        return {
            "labels": len(self.card["labels"]),
            "objects": sum(counts),
            "objects.most": max(counts),
            "truncated_share": 0.0,
            "pictures.resized": self.train.pictures.resized,
        }

    def facts(self) -> dict[str, str]:
        return {
            "size": f"{self.card['size']} x {self.card['size']}, {self.card['channels']} channels",
            "augmentation": "flip" if self.config.flip else "none",
            "map50": "mean average precision at an overlap of 0.5, all recalls (PASCAL VOC 2010)",
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        counts = Counter(label for labels in self.train.objects.labels for label in labels)
        total = sum(counts.values())
        return {
            "labels": [
                {"label": label, "rows": count, "share": count / total}
                for label, count in sorted(counts.items())
            ]
        }
