"""A task small enough to be trained in many ways: sequences that count upwards, and tiny language models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from registry.plugins.train.engine.task import Batch, Dice, Task

VOCABULARY, WIDTH, LAYERS, LONGEST = 256, 64, 4, 32


def llama(*, tied: bool = False, layers: int = LAYERS, heads: int = 4, width: int = WIDTH) -> PreTrainedModel:
    transformers.set_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads // 2 if heads % 2 == 0 else heads,
            max_position_embeddings=2 * LONGEST,
            tie_word_embeddings=tied,
        )
    )


def gpt2(*, tied: bool = True, dropout: float = 0.0) -> PreTrainedModel:
    transformers.set_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY,
            n_embd=WIDTH,
            n_layer=LAYERS,
            n_head=4,
            n_positions=2 * LONGEST,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            tie_word_embeddings=tied,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


class Counting(Task):
    """Next-token prediction on rows that count upwards by a step of their own, of unequal lengths."""

    uninformed = 5.5

    def __init__(self, model: PreTrainedModel, rows: int = 41, seed: int = 0, steep: float = 1.0) -> None:
        self.model = model
        self.steep = steep
        dice = random.Random(seed)
        self.train = [_row(dice) for _ in range(rows)]
        self.validation = [_row(dice) for _ in range(11)]
        self.lengths = [len(row) for row in self.train]

    def batch(self, examples: Sequence[list[int]], rows: Sequence[int], dice: Dice | None) -> Batch:
        chosen = [examples[row] for row in rows]
        length = self.pad_to or max(map(len, chosen))
        ids = torch.zeros(len(chosen), length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(chosen):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}

    def count(self, batch: Batch) -> float:
        return int((batch["labels"][:, 1:] != -100).sum())

    def loss_of(self, outputs: torch.Tensor, batch: Batch, *, training: bool) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(
            outputs[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), reduction="sum"
        )
        return loss * self.steep

    def save(self, folder: Path) -> None:
        self.model.save_pretrained(folder)

    def reload(self, folder: Path) -> PreTrainedModel:
        return type(self.model).from_pretrained(folder)

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        return [{"row": row, "same": True, "share_trained": 1.0, "fed_text": ""} for row in rows]


def _row(dice: random.Random) -> list[int]:
    start, step, length = dice.randrange(VOCABULARY), dice.choice((1, 2, 3)), dice.randrange(4, LONGEST + 1)
    return [(start + step * place) % VOCABULARY for place in range(length)]
