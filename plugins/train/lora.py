"""Low-rank adapters (Hu et al. 2022): put into a model's linear layers, trained, and merged into them.

They are injected in place, so that the model stays of its class: the engine's wrappers, its configuration
and its checkpoints know it as before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, MissingExtra
from registry.plugins.train.engine.checkpoints import save_tensors
from registry.plugins.train.layers import Layers
from registry.plugins.train.start import StartConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS, SETTINGS = "adapter_model.safetensors", "adapter_config.json"
_NAME = "default"


def inject(model: PreTrainedModel, config: StartConfig, layers: Layers, seed: int) -> tuple[str, ...]:
    """Freeze the body, and put adapters into it; the head is trained as it is.

    The matrix over the vocabulary that ends a language model is no head: it stays frozen, as is usual.

    Returns:
        Last names of the layers that have adapters: `query`, `value`.

    Raises:
        BadConfig: A target that no linear layer of the blocks is called, or a rank beyond what they hold.
        MissingExtra: peft is not installed.
    """
    import torch

    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as cause:
        raise MissingExtra("lora_rank needs peft", hint="pip install 'phasegate[train]'") from cause

    chosen = _targets(model, config, layers)
    narrowest = min(min(model.get_submodule(name).weight.shape) for name in chosen)
    if config.lora_rank > narrowest:
        raise BadConfig(f"lora_rank is {config.lora_rank}, and the narrowest of these layers is {narrowest}")
    model.requires_grad_(False)
    torch.manual_seed(seed)
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha or 2 * config.lora_rank,
        lora_dropout=config.lora_dropout,
        target_modules=chosen,
        # GPT-2 keeps its matrices transposed.
        fan_in_fan_out=all(type(model.get_submodule(name)).__name__ == "Conv1D" for name in chosen),
    )
    inject_adapter_in_model(settings, model, adapter_name=_NAME)
    words = model.get_output_embeddings()
    of_words = {id(parameter) for parameter in words.parameters()} if words is not None else set()
    for name, parameter in model.named_parameters():
        if name in layers.head and id(parameter) not in of_words:
            parameter.requires_grad = True
    return tuple(dict.fromkeys(name.rpartition(".")[2] for name in chosen))


def keep_adapter(model: PreTrainedModel, folder: Path) -> tuple[Path, ...]:
    """Write adapters and head as peft reads them, to lay them over the base again."""
    tensors = {
        f"base_model.model.{name.replace(f'.{_NAME}', '')}": parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    settings = model.peft_config[_NAME].to_dict()
    settings |= {
        "target_modules": sorted(settings["target_modules"]),
        "modules_to_save": sorted({name.split(".")[2] for name in tensors if ".lora_" not in name}) or None,
        "inference_mode": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(tensors, folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2, default=_plain) + "\n", "utf-8")
    return folder / WEIGHTS, folder / SETTINGS


def merge(model: PreTrainedModel) -> None:
    """Add the adapters into the layers that they are in, and take them out: plain weights remain."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = [(name, module) for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)]
    for name, module in adapted:
        module.merge(safe_merge=True)
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, module.get_base_layer())
    del model.peft_config


def _targets(model: PreTrainedModel, config: StartConfig, layers: Layers) -> list[str]:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
        and any(name.startswith(f"{stack}.") for stack in layers.stacks)
    ]
    if not linear:
        raise BadConfig(f"{type(model).__name__} has no linear layers in its blocks for lora_rank to adapt")
    for wanted in config.lora_targets:
        if not any(_is(name, wanted) for name in linear):
            known = sorted({name.rpartition(".")[2] for name in linear})
            raise BadConfig(
                f"lora_targets names {wanted!r}, which no linear layer of the base's blocks is called",
                hint=f"{did_you_mean(wanted, known)} (there are: {', '.join(known)})",
            )
    if not config.lora_targets:
        return linear
    return [name for name in linear if any(_is(name, wanted) for wanted in config.lora_targets)]


def _is(name: str, wanted: str) -> bool:
    return name.endswith(f".{wanted}")


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
