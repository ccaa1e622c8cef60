"""How a base is tuned: what of it is trained, how fast each layer, and what becomes of adapters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig, Defect
from registry.extension import RunContext
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Task
from registry.plugins.train.layers import Layers
from registry.plugins.train.start import ALL_BUT_HEAD, EMBEDDINGS, Begun, StartConfig

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was done to a model before it is trained.

    Attributes:
        begun: How it began; None from scratch.
        frozen: Of the weights that are not trained, in words.
        lora: The adapters, in words.
        parameters: All of the model's, without adapters.
        trained: Those that are trained, adapters included.
    """

    begun: Begun | None
    frozen: str
    lora: str
    parameters: int
    trained: int

    def facts(self) -> dict[str, str]:
        """What gates and people ask: which base, under which licence, what of it was kept."""
        base = self.begun.base if self.begun else None
        return {
            "base.ref": base.ref if base else "none",
            "base.digest": base.digest if base else "none",
            "base.licence": (base.licence or "unknown") if base else "none",
            "base.data": (", ".join(each.ref for each in base.data) or "unknown") if base else "none",
            "base.head": self.begun.head if self.begun else "none",
            "frozen": self.frozen,
            "lora": self.lora,
        }

    def metrics(self) -> dict[str, float]:
        """How much of the model was trained."""
        return {"parameters": self.parameters, "parameters.trained": self.trained}

    def merge(self, model: PreTrainedModel, folder: Path) -> tuple[Path, ...]:
        """Make adapters plain weights; returns the files that keep them, below `folder`."""
        if self.lora == "none":
            return ()
        from registry.plugins.train.lora import keep_adapter, merge

        files = keep_adapter(model, folder)
        merge(model)
        return files


def tune(ctx: RunContext, config: TorchConfig, task: Task) -> Tuned:
    """Freeze, adapt and slow down `task.model` as the options say; `task.rates` holds each weight's share.

    Raises:
        BadConfig: An option that does not fit the model, or would do nothing to it.
    """
    model, begun = task.model, getattr(task.model, "begun", None)
    if ctx.base is not None and begun is None:
        raise Defect("the plugin takes a base, and did not begin with it")
    everything = sum(parameter.numel() for parameter in model.parameters())
    frozen, lora = "none", "none"
    if begun is not None and isinstance(config, StartConfig):
        layers = Layers.of(model)
        if config.head_rate != 1 and not layers.head:
            raise BadConfig(
                "head_rate does nothing: the base's output is tied to its embeddings, it has no head"
            )
        if config.lora_rank:
            from registry.plugins.train.lora import inject

            adapted = inject(model, config, layers, ctx.seed)
            frozen = "all but head and adapters"
            alpha = config.lora_alpha or 2 * config.lora_rank
            lora = f"rank {config.lora_rank}, alpha {alpha:g}, in {', '.join(adapted)}"
        elif config.freeze:
            frozen = freeze(model, config.freeze, layers)
        task.rates = rates(model, config, layers)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Tuned(begun, frozen, lora, everything, trained)


def freeze(model: PreTrainedModel, what: str, layers: Layers) -> str:
    """Train no more what lies deepest; returns it in words.

    Norms that keep running statistics (batch norms) keep those of the base, too.

    Args:
        model: Whose weights.
        what: `embeddings`, a number of lowest layers with them, or `all-but-head`.
        layers: Of the model.

    Raises:
        BadConfig: More layers than there are, or nothing would be left to train.
    """
    if what == ALL_BUT_HEAD:
        names, said = set(layers.depth) - layers.head, "all but the head"
    else:
        count = 0 if what == EMBEDDINGS else int(what)
        if count > layers.blocks:
            raise BadConfig(f"freeze is {what}, and the base has {layers.blocks} layers")
        names = {name for name, depth in layers.depth.items() if depth > layers.blocks - count}
        said = f"embeddings and {count} of {layers.blocks} layers" if count else "embeddings"
    if not names:
        raise BadConfig(f"freeze is {what}, and the base has no such weights")
    if len(names) == len(layers.depth):
        raise BadConfig(f"freeze is {what}: nothing would be left to train")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in names)
    _hold_statistics(model)
    return said


def rates(model: nn.Module, config: StartConfig, layers: Layers) -> Mapping[str, float]:
    """Each weight's share of the rate: `layer_decay ** depth`, the head's times `head_rate`.

    Layer-wise decay as by Howard and Ruder (2018) and Clark et al. (2020). Adapters have the depth of the
    layer that they are in.
    """
    depths = {name.rpartition(".")[0]: depth for name, depth in layers.depth.items()}
    found = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = layers.depth.get(name)
        if depth is None:
            depth = depths[name.partition(".lora_")[0]]
        share = config.layer_decay**depth * (config.head_rate if name in layers.head else 1.0)
        if share != 1.0:
            found[name] = share
    return found


def _hold_statistics(model: nn.Module) -> None:
    for module in model.modules():
        own: list[Any] = list(module.parameters(recurse=False))
        if getattr(module, "running_mean", None) is None or any(weight.requires_grad for weight in own):
            continue
        module.eval()
        module.train = MethodType(lambda self, mode=True: self, module)
