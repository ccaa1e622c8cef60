"""Tensor parallelism: the matrices of each layer are split over processes, by the model's own plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh

# Families whose plan is known to give the loss of one process.
_FAMILIES = "Llama, Mistral, Qwen2"
# Sizes of a configuration that the processes must divide.
_DIVIDED = ("num_attention_heads", "num_key_value_heads", "intermediate_size", "vocab_size")


def check_plan(model: nn.Module, size: int) -> None:
    """Refuse a model that cannot be split.

    Raises:
        BadConfig: It has no plan, its plan has a style that is not known here, or `size` does not divide it.
    """
    name = type(model).__name__
    plan = getattr(model, "tp_plan", None)
    if not plan:
        raise BadConfig(
            f"tensor is {size}, and {name} has no plan for tensor parallelism",
            hint=f"families that have one: {_FAMILIES}; others share by --set shards={size}",
        )
    if strange := sorted(set(plan.values()) - set(_styles())):
        raise BadConfig(
            f"tensor is {size}, and the plan of {name} asks for {', '.join(strange)}, which is not supported",
            hint=f"families that work: {_FAMILIES}; others share by --set shards={size}",
        )
    config: Any = model.config
    for key in _DIVIDED:
        if (value := getattr(config, key, None)) and value % size:
            raise BadConfig(
                f"tensor is {size}, which does not divide {key} {value} of {name}",
                hint=f"choose a size that divides it, or share by --set shards={size}",
            )


def split(model: nn.Module, mesh: DeviceMesh) -> None:
    """Split the model in place; weights that were tied stay so."""
    from torch import nn
    from torch.distributed.tensor.parallel import parallelize_module

    styles = _styles()
    ties = tied(model)
    found = {}
    for pattern, style in model.tp_plan.items():
        expression = re.compile(re.escape(pattern).replace(r"\*", r"\d+"))
        for name, module in model.named_modules():
            if expression.fullmatch(name) and isinstance(module, nn.Linear | nn.Embedding):
                found[name] = styles[style]()
    parallelize_module(model, mesh, found)
    for first, others in ties.items():
        for other in others:
            owner, _, attribute = other.rpartition(".")
            setattr(model.get_submodule(owner), attribute, model.get_parameter(first))


def tied(model: nn.Module) -> dict[str, list[str]]:
    """Names of weights that are one, by the first of them."""
    names: dict[int, list[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), []).append(name)
    return {first: others for first, *others in names.values() if others}


def _styles() -> dict[str, Any]:
    """Torch's styles by the names that transformers gives them."""
    from torch.distributed.tensor import Replicate
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel

    return {
        "colwise": ColwiseParallel,
        "rowwise": RowwiseParallel,
        "colwise_gather_output": lambda: ColwiseParallel(output_layouts=Replicate()),
        "colwise_rep": lambda: ColwiseParallel(output_layouts=Replicate()),
        "embedding_rowwise": lambda: RowwiseParallel(input_layouts=Replicate()),
    }
