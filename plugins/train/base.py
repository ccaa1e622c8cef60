"""A base that is looked at before it is trained: its files, its weights, its tokenizer, its positions."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig, BadInput
from registry.extension.inputs import BaseInput
from registry.plugins.train.layers import head_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PretrainedConfig, PreTrainedModel

_ROLES = ("pad", "bos", "eos", "cls", "sep", "unk", "mask", "decoder_start")


def base_config(base: BaseInput) -> PretrainedConfig:
    """The configuration of a base.

    Raises:
        BadInput: It cannot be read, or names a type of model that this release of transformers does not know.
    """
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(
            base.path, trust_remote_code=False, local_files_only=True
        )
    except Exception as cause:  # JSON, types and unknown models raise what they like
        raise BadInput(f"the base {base.ref} has no usable config.json: {first_line(cause)}") from cause


def special_tokens(folder: Path) -> dict[str, str]:
    """A tokenizer's special tokens by role: `pad_token` -> `[PAD]`."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        try:
            said = json.loads((folder / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        for role, token in said.items():
            word = token.get("content") if isinstance(token, dict) else token
            if role.endswith("_token") and isinstance(word, str):
                found[role] = word
    return found


def fill(model: PreTrainedModel, tokenizer: Tokenizer, special: Mapping[str, str]) -> None:
    """Settle the id that batches are padded with, where the base names none (decoders do not).

    Raises:
        BadInput: Neither model nor tokenizer has a token for it.
    """
    if model.config.pad_token_id is not None:
        return
    for role in ("pad_token", "eos_token", "sep_token"):
        if role in special:
            model.config.pad_token_id = tokenizer.token_to_id(special[role])
            return
    raise BadInput("the base has no token to pad with", hint="name a pad_token in its tokenizer_config.json")


def check_weights(
    base: BaseInput, model: PreTrainedModel, report: Mapping[str, Any], *, relabelled: bool
) -> set[str]:
    """Refuse a base that does not fill the model's body; returns what of its head is new."""
    head, prefix = head_of(model), f"{model.base_model_prefix}."
    missing, unexpected = report["missing_keys"], report["unexpected_keys"]
    other_shape = {name: (tuple(old), tuple(new)) for name, old, new in report["mismatched_keys"]}
    # A checkpoint of the bare body names its weights without the prefix: then all of them are of the body.
    bare = not any(name.startswith(prefix) for name in _names(base.path))

    def of_body(name: str) -> bool:
        return (bare or name.startswith(prefix)) and "pooler" not in name.split(".")

    absent = sorted(name for name in missing if name not in head and "pooler" not in name.split("."))
    if absent:
        raise BadInput(f"the base {base.ref} lacks {_some(absent)}: its head alone may be missing")
    if odd := sorted(name for name in other_shape if not (relabelled and name in head)):
        was, is_ = other_shape[odd[0]]
        raise BadInput(
            f"the base {base.ref} has {_some(odd)} in another shape than its config.json "
            f"says: {was}, not {is_}"
        )
    if strange := sorted(name for name in unexpected if of_body(name)):
        raise BadInput(f"the base {base.ref} has {_some(strange)}, for which its config.json has no place")
    return {*missing, *other_shape}


def forget_labels(model: PreTrainedModel, seed: int, done: Collection[str]) -> set[str]:
    """Make random again what stands for single labels: as many other labels have weights of one shape."""
    import torch

    wider = copy.deepcopy(model.config)
    wider.num_labels = model.config.num_labels + 1
    with torch.device("meta"):
        shapes = {name: weight.shape for name, weight in type(model)(wider).named_parameters()}
    kept = {name for name, weight in model.named_parameters() if weight.shape != shapes[name]} - set(done)
    torch.manual_seed(seed)
    for owner in sorted({name.rpartition(".")[0] for name in kept}):
        module = model.get_submodule(owner)
        for weight in module.parameters(recurse=False):
            weight._is_hf_initialized = False
        with torch.no_grad():
            model._init_weights(module)
    return kept


def check_length(base: BaseInput, model: PreTrainedModel, length: int) -> None:
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int):
        return  # positions are relative, or it reads no text
    # RoBERTa and its kin count positions from behind the padding id.
    positions -= sum(
        module.padding_idx + 1
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    )
    if length > positions:
        raise BadConfig(
            f"max_length is {length}, and the base {base.ref} reads {positions} tokens at most",
            hint=f"--set max_length={positions}",
        )


def check_ids(
    base: BaseInput, config: PretrainedConfig, vocabulary: Mapping[str, int], special: Mapping[str, str]
) -> None:
    size = config.vocab_size
    if (most := max(vocabulary.values(), default=-1)) >= size:
        raise BadInput(
            f"the tokenizer of the base {base.ref} does not match its model: it has ids up to {most}, "
            f"and the model {size} embeddings"
        )
    for name in (f"{role}_token_id" for role in _ROLES):
        value = getattr(config, name, None)
        for number in value if isinstance(value, list) else [value]:
            if number is not None and not -1 <= number < size:
                raise BadInput(f"{name} of the base {base.ref} is {number}, and it has {size} embeddings")
    for role, token in special.items():
        if token not in vocabulary:
            raise BadInput(
                f"the tokenizer of the base {base.ref} does not match its configuration: it has no "
                f"{token!r}, which is its {role}"
            )


def _names(folder: Path) -> list[str]:
    """Names of the weights in a folder's files, as they were written."""
    from safetensors import safe_open

    names: list[str] = []
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as stream:
            names.extend(stream.keys())
    return names


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more weights" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def first_line(cause: Exception) -> str:
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]
