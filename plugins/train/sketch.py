# ruff: noqa: TID253 - loaded by the plugins' methods alone; it extends a class of torch's.
"""A model without memory: what its training would take is counted on it, operation by operation.

Nothing is computed: on torch's `meta` device tensors have a shape and no values. So a model of any
size is built and run in a second, and what is counted is the model itself, not a formula about it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from registry.errors import BadConfig
from registry.plugins.train.layers import Layers

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Pass:
    """One row forward and backward.

    Attributes:
        flops: Floating-point operations of both; what is recomputed is counted again.
        kept: Bytes that the forward pass keeps for the backward pass.
        once: Bytes that it keeps however many rows there are, such as weights in half precision.
        logits: Bytes of the output that the loss is made from, in fp32.
    """

    flops: float
    kept: int
    once: int
    logits: int


@dataclass(frozen=True)
class Sketch:
    """What a plugin builds from its options alone, to be looked at before there is any data.

    Attributes:
        model: On the `meta` device, frozen and adapted as it would be trained.
        row: What its forward takes of one row at its longest, each of shape (1, ...), on `meta`.
        assumed: What the options leave open and was taken for granted, as sentences.
    """

    model: PreTrainedModel
    row: Mapping[str, torch.Tensor]
    assumed: tuple[str, ...] = ()
    _counted: dict[tuple[str, bool], Pass] = field(default_factory=dict, repr=False)

    def count(self, precision: str, *, checkpointing: bool) -> Pass:
        """Run a row through the model, forward and backward, and count.

        For a transformer of N weights beside the embeddings, L layers of width H and rows of T tokens the
        count is that of Kaplan et al. (2020), "Scaling Laws for Neural Language Models", section 2.1, and
        of Chowdhery et al. (2022), "PaLM", appendix B: T (6 N + 12 L H T), with the output layer in N.
        Unlike the formula it holds for convolutions, for frozen weights and for adapters, too.

        Args:
            precision: `fp32`, `tf32`, `bf16` or `fp16`.
            checkpointing: Whether activations of a layer are computed again for the backward pass.

        Raises:
            BadConfig: The model cannot compute them again.
        """
        if checkpointing and not self.model.supports_gradient_checkpointing:
            raise BadConfig(
                f"{type(self.model).__name__} cannot do activation_checkpointing: it computes them once",
                hint="--set activation_checkpointing=false, and a smaller micro_batch",
            )
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
        key = (str(half), checkpointing)
        if key not in self._counted:
            with _checkpointing(self.model, half) if checkpointing else nullcontext():
                flops, one, logits = self._run(1, half)
                _, two, _ = self._run(2, half)
            self._counted[key] = Pass(flops, two - one, 2 * one - two, logits)
        return self._counted[key]

    def _run(self, rows: int, half: torch.dtype | None) -> tuple[float, int, int]:
        """Operations of some rows, bytes kept in between, and bytes of the logits."""
        model = self.model.train()
        own = {each.untyped_storage()._cdata for each in (*model.parameters(), *model.buffers())}
        kept: dict[int, torch.UntypedStorage] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in own:
                kept[storage._cdata] = storage  # held on to, so that no other gets its address
            return tensor

        batch = {name: torch.cat([value] * rows) for name, value in self.row.items()}
        forward, backward = FlopCounterMode(display=False), FlopCounterMode(display=False)
        with forward, _AsTrained(half), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            outputs = model(**batch)
            logits = outputs.logits if "logits" in outputs else outputs[0]
        size = sum(storage.nbytes() for storage in kept.values())
        with backward:
            logits.float().sum().backward()
        model.zero_grad(set_to_none=True)
        return forward.get_total_flops() + backward.get_total_flops(), size, 4 * logits.numel()

    def layers(self) -> int:
        """How many layers are computed again one by one under checkpointing."""
        return max((len(stack) for stack in self._stacks()), default=1)

    def largest_layer(self) -> int:
        """Weights of the largest of the repeated layers; all of them if none is repeated."""
        sizes = [_weights(layer) for stack in self._stacks() for layer in stack]
        return max(sizes, default=_weights(self.model))

    def _stacks(self) -> list[torch.nn.ModuleList]:
        return [self.model.get_submodule(name) for name in Layers.of(self.model).stacks]


def sketch_text(build: Callable[[], PreTrainedModel], *assumed: str, **lengths: int) -> Sketch:
    """The sketch of a model that reads tokens.

    Args:
        build: Makes the model.
        assumed: What the options leave open, as sentences.
        lengths: Of a row's longest, by the name that the model's forward has for them: `input_ids=128`.
    """
    with torch.device("meta"):
        row = {name: torch.zeros(1, length, dtype=torch.long) for name, length in lengths.items()}
        return Sketch(build(), row, assumed)


def sketch_pictures(build: Callable[[], PreTrainedModel], *assumed: str, channels: int, size: int) -> Sketch:
    """The sketch of a model that reads pictures, `size` pixels wide and high."""
    with torch.device("meta"):
        return Sketch(build(), {"pixel_values": torch.zeros(1, channels, size, size)}, assumed)


@contextmanager
def _checkpointing(model: PreTrainedModel, half: torch.dtype | None) -> Iterator[None]:
    model.config.use_cache = False
    again = {"use_reentrant": False, "context_fn": lambda: (nullcontext(), _AsTrained(half))}
    with warnings.catch_warnings():
        # The name goes away in transformers 6; the name that takes its place is not in 5.0.
        warnings.filterwarnings("ignore", message=".*gradient_checkpointing.* is deprecated")
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=again)
        try:
            yield
        finally:
            model.gradient_checkpointing_disable()


class _AsTrained(TorchFunctionMode):
    """Operations as a device does them, which `meta` does not: attention in blocks, and autocast.

    Attention in blocks (Dao et al. 2022, "FlashAttention") keeps no probabilities. Autocast does matrix
    products in half precision, and norms, softmax and losses in fp32.
    """

    def __init__(self, half: torch.dtype | None) -> None:
        super().__init__()
        self._half = half

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is torch.Tensor.__bool__ and args[0].is_meta:
            return True  # models ask whether all of a mask is set, or no rows are packed: so they are
        if self._half is not None and func in _IN_HALF:
            args = tuple(_cast(value, self._half) for value in args)
        elif self._half is not None and func in _IN_FULL:
            args = tuple(_cast(value, torch.float32) for value in args)
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            return _in_blocks(query, key, value, options)
        return func(*args, **options)


_IN_HALF = {
    F.linear,
    F.conv1d,
    F.conv2d,
    F.scaled_dot_product_attention,
    torch.conv2d,
    torch.matmul,
    torch.Tensor.matmul,
    torch.Tensor.__matmul__,
    torch.bmm,
    torch.baddbmm,
    torch.addmm,
    torch.mm,
}
_IN_FULL = {
    F.layer_norm,
    F.group_norm,
    F.softmax,
    F.log_softmax,
    F.cross_entropy,
    torch.softmax,
    torch.Tensor.softmax,
    torch.pow,
    torch.Tensor.pow,
    torch.rsqrt,
}


def _weights(module: torch.nn.Module) -> int:
    return sum(int(each.numel()) for each in module.parameters())


def _cast(value: Any, dtype: torch.dtype) -> Any:
    floating = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype) if floating and value.dtype != dtype else value


def _in_blocks(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, options: Mapping[str, Any]
) -> torch.Tensor:
    groups = query.shape[-3] // key.shape[-3]
    if groups > 1:
        key, value = (each.repeat_interleave(groups, -3) for each in (key, value))
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    found: torch.Tensor = flash(query, key, value, options.get("dropout_p", 0.0), False)[0]
    return found
