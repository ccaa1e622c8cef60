"""A class for each picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.plugins.train.augmentation import augment
from registry.plugins.train.engine.task import Batch, Dice, Task
from registry.plugins.train.labels import Labels
from registry.plugins.train.loss import row_weights, uninformed_loss, weighted_cross_entropy
from registry.plugins.train.picture_options import AugmentConfig
from registry.plugins.train.pictures import Pictures
from registry.plugins.train.tasks.picture_models import normalised, picture_digests, save_pictures_model

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from registry.plugins.train.picture_options import ImageConfig

FORMAT = "image-classifier"
# Pictures that are asked about at a time when the trained model is scored.
_ROWS = 256


@dataclass(frozen=True)
class Examples:
    """Pictures with their class numbers and weights."""

    pictures: Pictures
    numbers: list[int]
    weights: list[float]

    def __len__(self) -> int:
        return len(self.numbers)


class PictureClasses(Task):
    """Pictures with one label each; rows may count more or less in the training loss."""

    auto = "AutoModelForImageClassification"
    train: Examples
    validation: Examples | tuple[()]

    def __init__(
        self,
        model: PreTrainedModel,
        train: tuple[Pictures, Labels],
        validation: tuple[Pictures, Labels] | None,
        *,
        config: ImageConfig,
        card: dict[str, Any],
    ) -> None:
        self.model = model
        self.config = config
        self.card = card
        pictures, self.labels = train
        weights = row_weights(
            self.labels.labels,
            groups=self.labels.groups if config.reweigh else None,
            balanced=config.class_weight == "balanced",
        )
        self.uninformed = uninformed_loss(self.labels.labels, weights, smoothing=config.label_smoothing)
        self.numbers = {label: number for number, label in enumerate(card["labels"])}
        self.train = self.encode(pictures, self.labels, weights)
        if validation:
            self.validation = self.encode(*validation)

    def encode(self, pictures: Pictures, labels: Labels, weights: Sequence[float] = ()) -> Examples:
        """Examples of labelled pictures; without weights, each counts as one."""
        numbers = [self.numbers[label] for label in labels.labels]
        return Examples(pictures, numbers, [*weights] or [1.0] * len(numbers))

    def batch(self, examples: Examples, rows: Sequence[int], dice: Dice | None) -> Batch:
        import torch

        return {
            "pictures": draw(examples.pictures, rows, dice, self.config, self.card["mean"]),
            "labels": torch.tensor([examples.numbers[row] for row in rows]),
            "weights": torch.tensor([examples.weights[row] for row in rows]),
        }

    def count(self, batch: Batch) -> float:
        return len(batch["labels"])

    def inputs(self, batch: Batch) -> dict[str, Any]:
        return {"pixel_values": normalised(batch["pictures"], self.card["mean"], self.card["std"])}

    def loss_of(self, outputs: torch.Tensor, batch: Batch, *, training: bool) -> torch.Tensor:
        smoothing = self.config.label_smoothing if training else 0.0
        return weighted_cross_entropy(outputs, batch["labels"], batch["weights"], smoothing)

    def scores(self) -> dict[str, float]:
        """Accuracy, and the F1 of the classes, averaged without weights, on the validation data."""
        import torch

        if not self.validation:
            return {}
        pairs: Counter[tuple[int, int]] = Counter()
        with torch.inference_mode():
            for start in range(0, len(self.validation), _ROWS):
                rows = range(start, min(start + _ROWS, len(self.validation)))
                batch = self.batch(self.validation, rows, None)
                answers = self.model(**self.inputs(batch)).logits.argmax(dim=-1)
                pairs.update(zip(batch["labels"].tolist(), answers.tolist(), strict=True))
        hits = [pairs[number, number] for number in range(len(self.card["labels"]))]
        true, claimed = Counter[int](), Counter[int]()
        for (label, answer), count in pairs.items():
            true[label] += count
            claimed[answer] += count
        f1 = [2 * hit / ((true[n] + claimed[n]) or 1) for n, hit in enumerate(hits)]
        return {
            "validation_accuracy": sum(hits) / len(self.validation),
            "validation_macro_f1": sum(f1) / len(f1),
        }

    def save(self, folder: Path) -> None:
        save_pictures_model(self.model, folder, self.card)

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        fed = self.batch(self.train, rows, None)
        names = self.model.config.id2label
        found = []
        for row, pixels, number in zip(rows, fed["pictures"], fed["labels"].tolist(), strict=True):
            label, given = self.labels.labels[row], names[number]
            digests = picture_digests(self.train.pictures, row, pixels)
            same = label == given and digests["picture"] == digests["fed_picture"]
            found.append(
                {"row": row, "label": label, "fed_label": given, "same": same, **digests}
                | {"share_trained": 1.0, "fed_text": given}
            )
        return found

    def metrics(self) -> dict[str, float]:
        return {
            "labels": len(self.labels.classes),
            "labels.minority_share": self.labels.minority_share,
            "truncated_share": 0.0,
            "pictures.resized": self.train.pictures.resized,
        }

    def facts(self) -> dict[str, str]:
        return {
            **picture_facts(self.card, self.config),
            "positive": self.card["positive"],
            "reweigh": ", ".join(self.config.reweigh) or "none",
            "class_weight": self.config.class_weight,
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        rows = len(self.train)
        counts = sorted(Counter(self.labels.labels).items())
        return {"labels": [{"label": label, "rows": n, "share": n / rows} for label, n in counts]}


def draw(
    pictures: Pictures, rows: Sequence[int], dice: Dice | None, config: AugmentConfig, mean: Sequence[float]
) -> torch.Tensor:
    """Pixels of some rows, from 0 to 255, changed if there are dice and options for it."""
    import torch

    pixels = pictures.of(rows)
    if dice is None or not config.augments:
        return torch.from_numpy(pixels)
    return augment(pixels, rows, dice, config, mean)


def picture_facts(card: dict[str, Any], config: AugmentConfig) -> dict[str, str]:
    """How pictures are read and changed, in words."""
    changes = {name: getattr(config, name) for name in ("rotate", "shift", "zoom", "flip", "erase")}
    return {
        "size": f"{card['size']} x {card['size']}, {card['channels']} channels",
        "mean": ", ".join(f"{value:.4f}" for value in card["mean"]),
        "std": ", ".join(f"{value:.4f}" for value in card["std"]),
        "augmentation": ", ".join(f"{name} {value:g}" for name, value in changes.items() if value) or "none",
    }
