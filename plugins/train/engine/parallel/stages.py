"""A causal language model cut into stages, each with some of the layers.

What a stage does not have is replaced by modules that let everything through: so forward is the model's own,
and weights keep their names.
"""

from __future__ import annotations

# ruff: noqa: TID253 (modules have to be subclassed)
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from registry.errors import BadConfig


class Through(nn.Module):
    """Gives back its first input."""

    def __init__(self, attention_type: str | None = None) -> None:
        super().__init__()
        # Some models ask a layer for it before they call it.
        self.attention_type = attention_type

    def forward(self, states: torch.Tensor, *others: Any, **options: Any) -> torch.Tensor:
        return states


class Nothing(nn.Module):
    """Adds nothing: a table of positions where they were added before."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.zeros((), device=ids.device)


class Stage(nn.Module):
    """What one process computes of the model: ids or states in, states or logits out."""

    def __init__(self, model: nn.Module, *, first: bool, last: bool, autocast: Callable[[], Any]) -> None:
        super().__init__()
        self.model = model
        self.first, self.last = first, last
        self._autocast = autocast

    def forward(self, states: torch.Tensor, **inputs: Any) -> torch.Tensor:
        """Token ids, shape (rows, length), or hidden states, shape (rows, length, width)."""
        inputs["input_ids" if self.first else "inputs_embeds"] = states
        with self._autocast():
            if self.last:
                logits: torch.Tensor = self.model(**inputs, use_cache=False).logits
                return logits
            hidden: torch.Tensor = self.model.base_model(**inputs, use_cache=False)[0]
        # What goes to another process is of one type, whatever the layers compute in.
        return hidden.float()


def layers_of(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Name and list of the layers.

    Raises:
        BadConfig: It is no causal language model of transformers with one list of layers.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    name = type(model).__name__
    base = getattr(model, "base_model", None)
    lists = (
        []
        if base is None
        else [
            (key, child)
            for key, child in base.named_children()
            if isinstance(child, nn.ModuleList) and len(child) == model.config.num_hidden_layers
        ]
    )
    if name not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() or len(lists) != 1:
        raise BadConfig(
            f"{name} cannot be cut into stages (pipeline)",
            hint="pipelines work for causal language models, GPT-2 and Llama families; "
            "others share by --set shards=N",
        )
    return lists[0]


def bounds(layers: int, stages: int) -> list[range]:
    """Which layers each stage has: equally many, the first stages one more if it does not divide."""
    least, more = divmod(layers, stages)
    starts = [stage * least + min(stage, more) for stage in range(stages + 1)]
    return [range(start, end) for start, end in pairwise(starts)]


def cut(model: nn.Module, stage: int, stages: int) -> None:
    """Leave of the model, in place, what one stage needs."""
    name, layers = layers_of(model)
    base: Any = model.base_model
    mine = bounds(len(layers), stages)[stage]
    for number, layer in enumerate(layers):
        if number not in mine:
            layers[number] = Through(getattr(layer, "attention_type", None))
    words = base.get_input_embeddings()
    for key, child in list(base.named_children()):
        if key == name:
            continue
        before = isinstance(child, nn.Embedding | nn.Dropout)
        if before and stage:
            setattr(base, key, Through() if child is words or isinstance(child, nn.Dropout) else Nothing())
        elif not before and stage < stages - 1 and any(True for _ in child.parameters()):
            setattr(base, key, Through())
    if stage < stages - 1:
        for key, child in list(model.named_children()):
            if child is not base:
                setattr(model, key, Through())


def has(model: nn.Module) -> int:
    """Number of layers that are left."""
    return sum(not isinstance(layer, Through) for layer in layers_of(model)[1])
