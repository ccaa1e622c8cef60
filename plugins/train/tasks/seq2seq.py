"""A text made from another, by an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput
from registry.plugins.train.engine.task import Batch, Dice
from registry.plugins.train.tasks.blocks import IGNORED
from registry.plugins.train.tasks.language import LanguageTask, decode, entropy, is_part_of, perplexities
from registry.plugins.train.tasks.overlap import rouge_l
from registry.plugins.train.tasks.padding import pad
from registry.plugins.train.tasks.vocabulary import Vocabulary, encode_all

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FORMAT = "seq2seq"
# Texts that are generated at a time.
_AT_ONCE = 16
Pair = tuple[list[int], list[int]]


class Seq2Seq(LanguageTask):
    """Texts and what they are to become. An example is the ids of both, each with an end token."""

    auto = "AutoModelForSeq2SeqLM"
    train: list[Pair]
    validation: list[Pair]

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        train: tuple[list[str], list[str]],
        validation: tuple[list[str], list[str]] | None,
        *,
        longest: int,
        longest_target: int,
        prefix: str,
        generated: int,
        smoothing: float,
        card: dict[str, Any],
    ) -> None:
        import numpy as np

        super().__init__(model, vocabulary, longest=longest, smoothing=smoothing, card=card)
        vocabulary.check(model, longest_target)
        self.texts, self.targets = train
        self.longest_target = longest_target
        self.prefix = prefix
        self.generated = generated
        self.end, self.filler = vocabulary.id("eos_token"), vocabulary.id("pad_token")
        if model.config.decoder_start_token_id is None:
            raise BadInput(f"{type(model).__name__} does not say which token its decoder starts with")
        self.train, self.cut_off = self.encode(*train)
        self.lengths = [len(ids) + len(target) for ids, target in self.train]
        held_out = self.encode(*validation)[0] if validation else []
        order = sorted(range(len(held_out)), key=lambda row: len(held_out[row][0]))
        self.validation = [held_out[row] for row in order]
        self.wanted = [validation[1][row] for row in order] if validation else []
        counts = np.zeros(model.config.vocab_size)
        for _, target in self.train:
            np.add.at(counts, target, 1)
        self.uninformed = entropy(counts, smoothing)

    def batch(self, examples: Sequence[Pair], rows: Sequence[int], dice: Dice | None) -> Batch:
        import torch

        chosen = [examples[row] for row in rows]
        found = pad([ids for ids, _ in chosen], self.filler, self.pad_to)
        targets = pad([target for _, target in chosen], IGNORED, self.pad_to)["input_ids"]
        start = torch.full((len(chosen), 1), self.model.config.decoder_start_token_id)
        read = torch.cat([start, targets[:, :-1]], dim=1)
        return {
            **found,
            # Filling is at the end, where a decoder does not look back from: it needs no mask.
            "decoder_input_ids": read.masked_fill(read == IGNORED, self.filler),
            "labels": targets,
            "count": sum(len(target) for _, target in chosen),
            "read": sum(len(ids) + len(target) for ids, target in chosen),
        }

    def inputs(self, batch: Batch) -> dict[str, Any]:
        return {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}

    def derived(self, train_loss: float, validation_loss: float | None) -> dict[str, float]:
        return perplexities(train_loss, validation_loss, self.smoothing)

    def scores(self) -> dict[str, float]:
        """Exact match and ROUGE-L of what is generated greedily, on evenly chosen validation rows."""
        rows = len(self.validation)
        chosen = [number * rows // self.generated for number in range(self.generated)]
        chosen = sorted(set(chosen)) if rows > self.generated else list(range(rows))
        if not chosen:
            return {}
        pairs = [
            (made, self.wanted[row])
            for start in range(0, len(chosen), _AT_ONCE)
            for made, row in zip(
                self.generate(chosen[start : start + _AT_ONCE]), chosen[start : start + _AT_ONCE], strict=True
            )
        ]
        return {
            "exact_match": sum(made.strip() == wanted.strip() for made, wanted in pairs) / len(pairs),
            "rouge_l": sum(rouge_l(made, wanted) for made, wanted in pairs) / len(pairs),
            "generated.rows": float(len(pairs)),
        }

    def generate(self, rows: Sequence[int]) -> list[str]:
        """What the model makes of some validation rows, greedily."""
        import torch

        found = pad([self.validation[row][0] for row in rows], self.filler)
        with torch.no_grad():
            made = self.model.generate(
                **{name: values.to(self.model.device) for name, values in found.items()},
                max_new_tokens=self.longest_target,
                do_sample=False,
                num_beams=1,
                eos_token_id=self.end,
                pad_token_id=self.filler,
            )
        to_text = decode(self.vocabulary)
        return [to_text(ids) for ids in made.tolist()]

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        to_text = decode(self.vocabulary)
        found = []
        for row in rows:
            ids, target = self.train[row]
            read, written = to_text(ids), to_text(target)
            found.append(
                {
                    "row": row,
                    "tokens": len(ids) + len(target),
                    "share_trained": len(target) / (len(ids) + len(target)),
                    "terminator_trained": target[-1] == self.end,
                    "same": is_part_of(read, self.prefix + self.texts[row], self.vocabulary)
                    and is_part_of(written, self.targets[row], self.vocabulary),
                    "fed_text": f"{read}\n=> {written}",
                }
            )
        return found

    def metrics(self) -> dict[str, float]:
        ended = sum(target[-1] == self.end for _, target in self.train)
        return {
            "truncated_share": self.cut_off / len(self.train),
            "label_audit.terminator_trained": ended / len(self.train),
        }

    def facts(self) -> dict[str, str]:
        return {**super().facts(), "longest_target": str(self.longest_target)}

    def encode(self, texts: Sequence[str], targets: Sequence[str]) -> tuple[list[Pair], int]:
        """Examples, and of how many a part is not read; a target that is cut off has no end token."""
        tokenizer = self.vocabulary.tokenizer
        texts = [self.prefix + text for text in texts]
        pairs, cut_off = [], 0
        for ids, target in zip(
            encode_all(tokenizer, texts, framed=True),
            encode_all(tokenizer, targets, framed=True),
            strict=True,
        ):
            if target[-1] != self.end:
                target.append(self.end)
            cut_off += len(ids) > self.longest or len(target) > self.longest_target
            # What ends a text ends one that is cut off, too.
            read = ids if len(ids) <= self.longest else [*ids[: self.longest - 1], ids[-1]]
            pairs.append((read, target[: self.longest_target]))
        return pairs, cut_off


def build_t5(vocab_size: int, end: int, filler: int, shape: Mapping[str, Any]) -> PreTrainedModel:
    """A T5 with random weights (Raffel et al. 2020), its layers gated as in version 1.1 (Shazeer 2020).

    Args:
        vocab_size: Rows of the embedding.
        end: Id of the token that ends both texts.
        filler: Id of the padding token; the decoder starts with it.
        shape: `hidden_size`, `layers`, `heads`, `dropout`.
    """
    from transformers import T5Config, T5ForConditionalGeneration

    hidden = shape["hidden_size"]
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocab_size,
            d_model=hidden,
            d_kv=hidden // shape["heads"],
            d_ff=-(-8 * hidden // 3 // 32) * 32,
            num_layers=shape["layers"],
            num_decoder_layers=shape["layers"],
            num_heads=shape["heads"],
            dropout_rate=shape["dropout"],
            feed_forward_proj="gated-gelu",
            eos_token_id=end,
            pad_token_id=filler,
            decoder_start_token_id=filler,
        )
    )
