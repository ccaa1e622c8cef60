"""Picture models with random weights, and what goes with any of them into an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.domain.digests import digest_bytes
from registry.errors import BadConfig, BadInput
from registry.extension.predictor import CARD
from registry.plugins.train.encoder import check_heads

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from registry.extension import DatasetInput, RunContext
    from registry.plugins.train.picture_options import DetectorConfig, ImageConfig
    from registry.plugins.train.pictures import Pictures

PREPROCESSOR = "preprocessor_config.json"


def build_classifier(labels: Sequence[str], config: ImageConfig) -> PreTrainedModel:
    """A classifier: `vit` (Dosovitskiy et al. 2021), or `resnet` (He et al. 2016) of basic blocks."""
    from transformers import (
        ResNetConfig,
        ResNetForImageClassification,
        ViTConfig,
        ViTForImageClassification,
    )

    if config.family == "vit":
        return ViTForImageClassification(
            ViTConfig(image_size=config.size, **_transformer(config), **names(labels))
        )
    return ResNetForImageClassification(
        ResNetConfig(
            num_channels=config.channels,
            embedding_size=config.widths[0],
            hidden_sizes=list(config.widths),
            depths=list(config.depths),
            layer_type="basic",
            **names(labels),
        )
    )


def build_yolos(labels: Sequence[str], config: DetectorConfig) -> PreTrainedModel:
    """YOLOS (Fang et al. 2021): DETR's set prediction on a vision transformer.

    Of the DETR family it is the one that can begin from scratch: the others freeze the norms and the stem of
    their convolutional backbone, for they expect it to be trained already. Its tokens begin at random and its
    positions as sines, as DETR has them: transformers begins both at zero, where all tokens are alike and
    have to be told apart before a box can be learned.
    """
    import torch
    from transformers import YolosConfig, YolosForObjectDetection

    model = YolosForObjectDetection(
        YolosConfig(
            image_size=[config.size, config.size],
            num_detection_tokens=config.objects,
            use_mid_position_embeddings=False,
            **_transformer(config),
            **names(labels),
        )
    )
    start, side = model.vit.embeddings, config.size // config.patch
    with torch.no_grad():
        start.detection_tokens.normal_()
        start.position_embeddings[:, 1 : 1 + side**2] = sines(side, config.hidden_size)
    return model


def _transformer(config: ImageConfig | DetectorConfig) -> dict[str, Any]:
    return {
        "num_channels": config.channels,
        "patch_size": config.patch,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": 4 * config.hidden_size,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "initializer_range": initial_spread(config.hidden_size),
    }


def sines(side: int, width: int) -> torch.Tensor:
    """Positions of a square grid, shape (side * side, width): half for the row, half for the column.

    Vaswani et al. (2017), section 3.5, of each axis by itself as in Carion et al. (2020); periods go from two
    cells to four sides.
    """
    import torch

    count = width // 4
    # Not linspace: a model that is loaded before anything is put on `meta` hides it from torch.device.
    periods = 2 * (2 * side) ** (torch.arange(count) / max(count - 1, 1))
    angles = torch.arange(side)[:, None] * (2 * torch.pi / periods)
    axis = torch.cat([angles.sin(), angles.cos()], dim=1)
    rows, columns = axis[:, None].expand(-1, side, -1), axis[None].expand(side, -1, -1)
    found = torch.zeros(side * side, width)
    found[:, : 4 * count] = torch.cat([rows, columns], dim=-1).reshape(side * side, -1)
    return found


def initial_spread(width: int) -> float:
    """Standard deviation of new weights: one over the root of the width.

    The 0.02 of transformers is meant for widths of 768 and more. At 64 it makes every layer say next to
    nothing, and boxes are hardly learned: mean average precision on squares 0.2 instead of 0.9, after as
    many steps.
    """
    return float(width**-0.5)


def names(labels: Sequence[str]) -> dict[str, Any]:
    """Class names as transformers' configurations have them."""
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def check_patches(config: ImageConfig | DetectorConfig) -> None:
    """Refuse what a vision transformer cannot be made of.

    Raises:
        BadConfig: Patches that do not fill the picture, or heads that do not divide the width.
    """
    if config.size % config.patch:
        raise BadConfig(
            f"patches of {config.patch} pixels do not fill a picture of {config.size}",
            hint=f"--set patch=N of which {config.size} is a multiple, or another size",
        )
    check_heads(config.hidden_size, config.heads)


def base_pictures(ctx: RunContext) -> dict[str, Any]:
    """What the run's base expects of pictures: `size`, `channels`, `mean`, `std`, as far as it says.

    Raises:
        BadInput: Its configuration cannot be read.
    """
    if ctx.base is None:
        return {}
    found: dict[str, Any] = {}
    try:
        config = json.loads((ctx.base.path / "config.json").read_text("utf-8"))
        found["channels"] = config.get("num_channels", 3)
        size = config.get("image_size")
        path = ctx.base.path / PREPROCESSOR
        stored = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        asked = stored.get("size", size)
        if isinstance(asked, dict):
            asked = asked.get("height", asked.get("shortest_edge", size))
        if asked:
            found["size"] = max(asked) if isinstance(asked, list) else asked
        if "image_mean" in stored:
            found |= {"mean": tuple(stored["image_mean"]), "std": tuple(stored["image_std"])}
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as cause:
        raise BadInput(f"the base {ctx.base.ref} does not say which pictures it reads: {cause}") from cause
    return found


def picture_card(
    model: PreTrainedModel, source: DatasetInput, pictures: Pictures, expected: Mapping[str, Any]
) -> dict[str, Any]:
    """What whoever asks the model has to know: its labels, and how it is fed.

    Args:
        model: A base that was trained for the same labels may have them in another order; its is the order.
        source: Training data.
        pictures: Of it.
        expected: What the base expects of pictures; it goes before what the data measures.
    """
    named = model.config.id2label
    return {
        "labels": [named[number] for number in range(len(named))],
        "columns": source.columns.model_dump(mode="json"),
        "size": pictures.size,
        "channels": pictures.channels,
        "mean": list(expected.get("mean", pictures.mean)),
        "std": list(expected.get("std", pictures.std)),
    }


def normalised(pixels: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """What the model reads: pixels from 0 to 255, less the mean, over the standard deviation."""
    import torch

    shape = (-1, 1, 1)
    middle = torch.tensor(mean, device=pixels.device).mul(255).view(shape)
    return (pixels.float() - middle) / torch.tensor(std, device=pixels.device).mul(255).view(shape)


def picture_digests(pictures: Pictures, row: int, pixels: torch.Tensor) -> dict[str, str]:
    """Digests of a row's picture as the data holds it, decoded anew, and of the pixels that are fed."""
    return {
        "picture": digest_bytes(pictures.decoded([row])[0].tobytes()),
        "fed_picture": digest_bytes(pixels.numpy().tobytes()),
    }


def save_pictures_model(model: PreTrainedModel, folder: Path, card: dict[str, Any]) -> None:
    """Write weights, configuration, preprocessing as transformers reads it, and the card."""
    model.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": card["size"], "width": card["size"]},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": card["mean"],
        "image_std": card["std"],
    }
    for name, content in ((PREPROCESSOR, preprocessor), (CARD, card)):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
