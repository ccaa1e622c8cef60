"""Which weights lie how deep: read from any model of transformers, to be frozen and tuned alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Layers:
    """A model's weights by depth.

    The head, and what lies above the blocks (a pooler, a last norm), have depth 0; the top block has 1, the
    lowest as many as there are blocks, and what lies below them (embeddings) one more. An encoder and a
    decoder are counted beside each other, each from its own top.

    Attributes:
        depth: Of each weight, by name.
        blocks: How many there are, in the longer stack if there are two.
        head: Names of the weights that only this task has.
        stacks: Names of the lists of blocks: `bert.encoder.layer`.
    """

    depth: dict[str, int]
    blocks: int
    head: frozenset[str]
    stacks: tuple[str, ...]

    @classmethod
    def of(cls, model: PreTrainedModel) -> Layers:
        """Look at a model."""
        head = head_of(model)
        lengths = _stacks(model, head)
        blocks = max(lengths.values(), default=0)
        depth, met = {}, set()
        for name, _ in model.named_parameters():
            stack = next((stack for stack in lengths if name.startswith(f"{stack}.")), None)
            if stack is not None:
                met.add(stack)
                number = int(name[len(stack) + 1 :].partition(".")[0])
                depth[name] = lengths[stack] - number
            elif name in head or (lengths and _nearest(name, lengths) in met):
                depth[name] = 0
            else:
                depth[name] = blocks + 1
        return cls(depth, blocks, head, tuple(lengths))


def head_of(model: PreTrainedModel) -> frozenset[str]:
    """Names of weights outside the body that tasks share; none where the output is tied to the embeddings."""
    names = [name for name, _ in model.named_parameters()]
    if model.base_model is not model:
        return frozenset(name for name in names if not name.startswith(f"{model.base_model_prefix}."))
    output, given = model.get_output_embeddings(), model.get_input_embeddings()
    if output is None or (given is not None and output.weight is given.weight):
        return frozenset()
    own = {id(parameter) for parameter in output.parameters()}
    return frozenset(name for name, parameter in model.named_parameters() if id(parameter) in own)


def _stacks(model: nn.Module, head: Collection[str]) -> dict[str, int]:
    """Outermost lists of modules that hold weights of the body, and how many each has."""
    from torch import nn

    found: dict[str, int] = {}
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or any(name.startswith(f"{outer}.") for outer in found):
            continue
        if any(f"{name}.{weight}" not in head for weight, _ in module.named_parameters()):
            found[name] = len(module)
    return found


def _nearest(name: str, stacks: dict[str, int]) -> str:
    """The stack that a weight outside of all shares most of its path with; the first of several."""
    path = name.split(".")

    def shared(stack: str) -> int:
        parts = stack.split(".")
        return next((n for n, (a, b) in enumerate(zip(path, parts, strict=False)) if a != b), len(parts))

    return max(stacks, key=shared)
