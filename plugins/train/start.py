"""What a training begins with: random weights, or a base that is adapted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput
from registry.extension import RunContext
from registry.plugins.train.engine.options import TorchConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel


class StartConfig(TorchConfig):
    """Options of a training that may begin with a base model."""


def begin(
    ctx: RunContext,
    config: StartConfig,
    auto: str,
    scratch: Callable[[], PreTrainedModel],
    **head: Any,
) -> PreTrainedModel:
    """The model that is trained: the run's base, adapted to the task, or a new one.

    Args:
        ctx: The run; its `base` decides.
        config: What is frozen, adapted, added.
        auto: The class of transformers that loads a base for this task, `AutoModelFor...`.
        scratch: Makes a model with random weights.
        head: What the task fixes of a base's configuration, such as `id2label`.

    Raises:
        BadInput: The base cannot be loaded without running code from it.
    """
    import transformers

    transformers.set_seed(ctx.seed)
    if ctx.base is None:
        return scratch()
    try:
        model: PreTrainedModel = getattr(transformers, auto).from_pretrained(
            ctx.base.path,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            dtype="float32",
            **head,
        )
    except (OSError, ValueError, KeyError) as cause:
        raise BadInput(f"the base {ctx.base.ref} cannot be loaded: {cause}") from cause
    return model


def begin_tokenizer(ctx: RunContext, scratch: Callable[[], Tokenizer]) -> Tokenizer:
    """The base's tokenizer, or one that is learned."""
    from tokenizers import Tokenizer

    if ctx.base is None:
        return scratch()
    found: Tokenizer = Tokenizer.from_file(str(ctx.base.path / "tokenizer.json"))
    return found
