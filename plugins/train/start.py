"""What a training begins with: random weights, or a base that is adapted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from registry.errors import BadConfig, BadInput
from registry.extension import RunContext
from registry.extension.inputs import BaseInput, RunSpec
from registry.extension.options import Words
from registry.plugins.train.base import (
    base_config,
    check_ids,
    check_length,
    check_weights,
    first_line,
    forget_labels,
    special_tokens,
)
from registry.plugins.train.engine.options import TorchConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

ALL_BUT_HEAD, EMBEDDINGS = "all-but-head", "embeddings"
# Options that only a training from a base has; replay needs none.
_TUNING = ("freeze", "layer_decay", "head_rate", "lora_rank", "lora_alpha", "lora_dropout", "lora_targets")
_IDS = tuple(
    f"{name}_token_id" for name in ("pad", "bos", "eos", "cls", "sep", "unk", "mask", "decoder_start")
)


class StartConfig(TorchConfig):
    """Options of a training that may begin with a base model.

    Attributes:
        base_rate: Learning rate where nobody chose one: of a base whose weights are all trained (2e-5 to 1e-4
            is what works for encoders of any size, Devlin et al. 2019), ...
        lora_rate: ... and of adapters, which begin at zero and take ten times that (Hu et al. 2022).
    """

    base_rate: ClassVar[float] = 5e-5
    lora_rate: ClassVar[float] = 5e-4

    freeze: str = Field(
        "",
        coerce_numbers_to_str=True,
        description="with a base: what is not trained: embeddings; a number: embeddings and so many lowest "
        "layers; all-but-head",
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="with a base: each layer below the head learns at this share of the next"
    )
    head_rate: float = Field(1.0, gt=0, description="with a base: the head learns at so many times the rate")
    lora_rank: int = Field(
        0, ge=0, description="with a base: train low-rank adapters of this rank, merged at the end; 0: none"
    )
    lora_alpha: float = Field(
        0.0, ge=0, description="adapters count alpha / rank times; 0: twice the rank, so twice"
    )
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the adapters")
    lora_targets: Words = Field(
        (), description="linear layers that get adapters, comma-separated; default: all of the blocks"
    )
    replay_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of each epoch's rows drawn from the replay data (--data replay=..., or what the "
        "base was trained on), so that it is not forgotten",
    )

    @field_validator("freeze")
    @classmethod
    def _known(cls, value: str) -> str:
        if value in ("", EMBEDDINGS, ALL_BUT_HEAD) or (value.isdecimal() and int(value) > 0):
            return value
        raise ValueError(f"write {EMBEDDINGS}, {ALL_BUT_HEAD}, or a number of lowest layers above nought")

    @model_validator(mode="after")
    def _no_idle_option(self) -> Self:
        if not self.lora_rank:
            for name in ("lora_alpha", "lora_dropout", "lora_targets"):
                if getattr(self, name):
                    raise ValueError(f"{name} does nothing without lora_rank")
        elif self.freeze:
            raise ValueError("freeze does nothing beside lora_rank: adapters and head alone are trained")
        if self.freeze == ALL_BUT_HEAD and self.layer_decay != 1:
            raise ValueError("layer_decay does nothing where freeze is all-but-head")
        return self

    def beginning(self, spec: RunSpec) -> Self:
        """The options as they hold for what this run begins with.

        Raises:
            BadConfig: An option that would do nothing without a base.
        """
        if spec.base is None:
            for name in _TUNING:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise BadConfig(
                        f"{name} is {_said(getattr(self, name))}, and the training begins with no base",
                        hint="name one: --base MODEL/N, or --base ./FOLDER",
                    )
            return self
        if "learning_rate" in self.model_fields_set:
            return self
        return self.model_copy(update={"learning_rate": self.lora_rate if self.lora_rank else self.base_rate})


@dataclass(frozen=True, slots=True)
class Begun:
    """How a model began, kept as its attribute `begun`.

    Attributes:
        base: What it began with.
        new: Weights that the base lacked, or whose labels were others: they are random.
    """

    base: BaseInput
    new: tuple[str, ...]

    @property
    def head(self) -> str:
        """`kept`, or `new` and which modules."""
        modules = dict.fromkeys(name.rpartition(".")[0] for name in self.new)
        return f"new ({', '.join(modules)})" if self.new else "kept"


def begin(
    ctx: RunContext,
    config: StartConfig,
    auto: str,
    scratch: Callable[[], PreTrainedModel],
    **head: Any,
) -> PreTrainedModel:
    """The model that is trained: the run's base, adapted to the task, or a new one.

    The head is kept if the base was trained for the same set of labels; then their order is the base's, and
    to be read from `model.config.id2label`. Otherwise what names the labels is made anew.

    Args:
        ctx: The run; its `base` decides.
        config: Its `max_length`, if it has one, is held against the base's positions.
        auto: The class of transformers that loads a base for this task, `AutoModelFor...`.
        scratch: Makes a model with random weights.
        head: What the task fixes of a base's configuration, such as `id2label` with `label2id`.

    Raises:
        BadInput: The base cannot be loaded without running code from it, is of an architecture that the
            task cannot use, or lacks weights other than its head's, or has others.
        BadConfig: `max_length` is above what the base can read.
    """
    import transformers

    transformers.set_seed(ctx.seed)
    if ctx.base is None:
        return scratch()
    base, loader = ctx.base, getattr(transformers, auto)
    known = base_config(base)
    if type(known) not in loader._model_mapping:
        raise BadInput(f"the base {base.ref} is a {known.model_type} model, which {auto} cannot load")
    labels = set(head.get("id2label", {}).values())
    same = bool(labels) and set((known.id2label or {}).values()) == labels
    if same:
        head = {name: value for name, value in head.items() if name not in ("id2label", "label2id")}
    try:
        model, report = loader.from_pretrained(
            base.path,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype="float32",
            **head,
        )
    except Exception as cause:  # what is wrong in the files shows as any of a dozen types
        raise BadInput(f"the base {base.ref} cannot be loaded: {first_line(cause)}") from cause
    new = check_weights(base, model, report, relabelled=bool(labels) and not same)
    if labels and not same:
        new |= forget_labels(model, ctx.seed, new)
    check_length(base, model, getattr(config, "max_length", 0))
    model.begun = Begun(base, tuple(sorted(new)))
    return model


def begin_tokenizer(ctx: RunContext, scratch: Callable[[], Tokenizer]) -> Tokenizer:
    """The base's tokenizer, without the padding and truncation it was saved with, or one that is learned.

    Raises:
        BadInput: The base has none that can be read, or its ids are beyond the model's embeddings.
    """
    from tokenizers import Tokenizer

    if ctx.base is None:
        return scratch()
    base, path = ctx.base, ctx.base.path / "tokenizer.json"
    if not path.is_file():
        raise BadInput(
            f"the base {base.ref} has no tokenizer.json",
            hint="AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers writes it",
        )
    try:
        found: Tokenizer = Tokenizer.from_file(str(path))
    except Exception as cause:  # tokenizers raises Exception itself
        raise BadInput(f"the base's tokenizer.json cannot be read: {first_line(cause)}") from cause
    found.no_padding()
    found.no_truncation()
    known = base_config(base).get_text_config()
    check_ids(base, known, found.get_vocab(with_added_tokens=True), special_tokens(base.path))
    return found


def _said(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
