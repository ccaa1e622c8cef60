"""Predictor of the `image-classifier` format: `config.json`, `model.safetensors`, and a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from registry.errors import BadInput, MissingExtra
from registry.extension import Predictor
from registry.extension.pictures import decode_pictures, picture_files
from registry.plugins.predict.cards import check_column, check_labels, check_weights

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BATCH = 128


class ImageClassifier(Predictor):
    """Labels pictures with a model of transformers, from weights that cannot run code.

    Attributes:
        size: Height and width that pictures are resized to, in pixels.
        channels: 1 for grey, 3 for colour.
        image_column: Name of the column that it reads.
        device: Where the weights lie.
    """

    format = "image-classifier"

    def __init__(self, model: Any, card: dict[str, Any], device: str) -> None:
        import torch

        self.labels = tuple(card["labels"])
        self.positive = card["positive"]
        self.size = card["size"]
        self.channels = card["channels"]
        self.image_column = card["columns"]["image"]
        self.device = device
        self._model = model
        self._mean, self._std = (
            torch.tensor(card[name], device=device).mul(255).view(-1, 1, 1) for name in ("mean", "std")
        )

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], device: str) -> Self:
        """Load the folder without any code of its own and without the network.

        Raises:
            BadInput: A file is missing or broken, weights are missing or do not fit the configuration, or the
                card disagrees with the model.
            MissingExtra: transformers or Pillow is not installed.
        """
        _check_card(card)
        for name in ("config.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise BadInput(f"the artifact has no {name}")
        try:
            import PIL  # noqa: F401
            from transformers import AutoModelForImageClassification
            from transformers.utils import logging
        except ModuleNotFoundError as cause:
            raise MissingExtra(
                f"{cls.format} needs {cause.name}", hint="pip install 'phasegate[vision]'"
            ) from cause

        logging.disable_progress_bar()
        try:
            model, report = AutoModelForImageClassification.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except Exception as cause:  # safetensors raises Exception itself; any of them means a broken artifact
            raise BadInput(f"the artifact cannot be loaded: {type(cause).__name__}: {cause}") from cause
        check_weights(model, report, card)
        channels = getattr(model.config, "num_channels", card["channels"])
        if channels != card["channels"]:
            raise BadInput(f"the model reads {channels} channels, its card says {card['channels']}")
        return cls(model.to(device).eval(), card, device)

    def probabilities(self, table: pa.Table) -> np.ndarray:
        """Class probabilities, float64 of shape (rows, labels), in the order of the rows.

        Raises:
            BadTable: The image column is missing, holds no pictures, or has empty or unreadable cells.
        """
        import numpy as np
        import torch

        files = picture_files(table, self.image_column, "these rows")
        found = np.empty((len(files), len(self.labels)), dtype=np.float64)
        with torch.inference_mode():
            for start in range(0, len(files), _BATCH):
                pixels, _ = decode_pictures(
                    files[start : start + _BATCH],
                    size=self.size,
                    channels=self.channels,
                    ref="these rows",
                    first=start,
                )
                values = (torch.from_numpy(pixels).to(self.device).float() - self._mean) / self._std
                logits = self._model(pixel_values=values).logits
                found[start : start + len(pixels)] = logits.double().softmax(dim=-1).cpu().numpy()
        return found


def _check_card(card: dict[str, Any]) -> None:
    check_labels(card)
    check_column(card, "image")
    size, channels = card.get("size"), card.get("channels")
    if not (isinstance(size, int) and size > 0):
        raise BadInput(f"phasegate.json: 'size' must be a number of pixels (got {size!r})")
    if channels not in (1, 3):
        raise BadInput(f"phasegate.json: 'channels' must be 1 or 3 (got {channels!r})")
    for name in ("mean", "std"):
        values = card.get(name)
        if not (
            isinstance(values, list)
            and len(values) == channels
            and all(isinstance(value, float | int) and 0 <= value <= 1 for value in values)
        ):
            raise BadInput(f"phasegate.json: {name!r} must be {channels} shares of 1 (got {values!r})")
    if not all(card["std"]):
        raise BadInput("phasegate.json: no 'std' can be 0")
