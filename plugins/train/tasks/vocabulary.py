"""A tokenizer with the names of its special tokens and its chat template: what stands beside a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.domain.digests import digest_bytes
from registry.errors import BadInput
from registry.extension import RunContext
from registry.plugins.train.start import begin_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_ROLES = ("bos_token", "eos_token", "pad_token", "cls_token", "sep_token", "mask_token", "unk_token")
_CONFIG, _OLDER, _TEMPLATE = "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"


@dataclass
class Vocabulary:
    """What turns text into token ids.

    Attributes:
        tokenizer: It neither cuts nor pads.
        special: Special tokens by role, as transformers calls them: `eos_token` -> `</s>`.
        template: Jinja template that turns chat messages into text; empty if there is none.
    """

    tokenizer: Tokenizer
    special: Mapping[str, str]
    template: str = ""

    def id(self, *roles: str) -> int:
        """Id of the first of these special tokens that there is.

        Raises:
            BadInput: There is none.
        """
        for role in roles:
            token = self.special.get(role)
            number = None if token is None else self.tokenizer.token_to_id(token)
            if number is not None:
                return int(number)
        raise BadInput(f"the tokenizer names no {' or '.join(roles)}", hint=f"name one in its {_CONFIG}")

    @property
    def size(self) -> int:
        """One more than the highest id."""
        highest: int = max(self.tokenizer.get_vocab().values())
        return 1 + highest

    @property
    def special_ids(self) -> list[int]:
        """Ids of all special tokens."""
        numbers = [self.tokenizer.token_to_id(token) for token in self.special.values()]
        named = {number for number in numbers if number is not None}
        added = self.tokenizer.get_added_tokens_decoder()
        return sorted(named | {number for number, token in added.items() if token.special})

    def wrapped(self, **more: Any) -> PreTrainedTokenizerFast:
        """The tokenizer as transformers has it."""
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast(
            tokenizer_object=self.tokenizer,
            **self.special,
            **({"chat_template": self.template} if self.template else {}),
            **more,
        )

    def save(self, folder: Path, longest: int) -> None:
        """Write it beside a model that reads at most `longest` tokens."""
        self.wrapped(model_max_length=longest).save_pretrained(folder)

    def facts(self) -> dict[str, str]:
        """What identifies it."""
        return {
            "vocabulary": f"{self.tokenizer.get_vocab_size()} tokens",
            "tokenizer.digest": digest_bytes(self.tokenizer.to_str().encode()),
            "chat_template.digest": digest_bytes(self.template.encode()) if self.template else "none",
        }

    def check(self, model: PreTrainedModel, longest: int) -> None:
        """Refuse a model that has no embedding for some token, or for some position.

        Raises:
            BadInput: Tokenizer or length do not match the model.
        """
        known = model.get_input_embeddings().num_embeddings
        if self.size > known:
            raise BadInput(
                f"the tokenizer does not match the model: its ids go to {self.size - 1}, "
                f"and the model has embeddings for {known} tokens",
                hint="begin with a base whose tokenizer.json is the model's own",
            )
        if (most := positions(model)) and longest > most:
            raise BadInput(
                f"{longest} tokens are longer than the model, which has positions for {most}",
                hint=f"set it to {most} or less",
            )


def positions(model: PreTrainedModel) -> int | None:
    """Longest input that a model has positions for; None where they are relative, without an end."""
    from torch import nn

    for name, module in model.named_modules():
        # RoBERTa counts positions from after that of padding.
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - int(offset)
    most = getattr(model.config, "max_position_embeddings", None)
    return most if isinstance(most, int) and most > 0 else None


def begin_vocabulary(
    ctx: RunContext, scratch: Callable[[], Tokenizer], special: Mapping[str, str]
) -> Vocabulary:
    """The base's, or one whose tokenizer is learned.

    Args:
        ctx: The run; its `base` decides.
        scratch: Learns a tokenizer.
        special: What a learned one's special tokens are.
    """
    tokenizer = begin_tokenizer(ctx, scratch)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if ctx.base is None:
        return Vocabulary(tokenizer, special)
    config = {**_read(ctx.base.path / _OLDER), **_read(ctx.base.path / _CONFIG)}
    found = {role: text for role in _ROLES if (text := _content(config.get(role)))}
    return Vocabulary(tokenizer, found, _template(ctx.base.path, config))


def encode_all(tokenizer: Tokenizer, texts: Sequence[str], *, framed: bool = False) -> list[list[int]]:
    """Ids of plain texts; what looks like a special token in them is text like any other.

    Args:
        tokenizer: Whose ids.
        texts: Plain texts.
        framed: Whether the tokenizer's own special tokens are put around each.
    """
    before = tokenizer.encode_special_tokens
    tokenizer.encode_special_tokens = True
    try:
        return [found.ids for found in tokenizer.encode_batch_fast(list(texts), add_special_tokens=framed)]
    finally:
        tokenizer.encode_special_tokens = before


def _template(folder: Path, config: Mapping[str, Any]) -> str:
    if (folder / _TEMPLATE).is_file():
        return (folder / _TEMPLATE).read_text("utf-8")
    found = config.get("chat_template") or ""
    if isinstance(found, list):
        named = {one["name"]: one["template"] for one in found}
        found = named.get("default", "")
    return str(found)


def _content(token: Any) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError:
        return {}
    except ValueError as cause:
        raise BadInput(f"{path.name} of the base is no JSON: {cause}") from cause
    return found if isinstance(found, dict) else {}
