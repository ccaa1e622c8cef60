"""The next token of documents, or of what an assistant answers, by a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.plugins.train.engine.task import Batch, Dice
from registry.plugins.train.tasks.blocks import IGNORED, Blocks, Tokens
from registry.plugins.train.tasks.corpus import Corpus
from registry.plugins.train.tasks.language import LanguageTask, decode, entropy, is_part_of, perplexities
from registry.plugins.train.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel

FORMAT = "causal-lm"


class CausalLM(LanguageTask):
    """Every token from those before it. An example is a block."""

    auto = "AutoModelForCausalLM"
    train: Blocks

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        train: Corpus,
        validation: Corpus | None,
        *,
        longest: int,
        smoothing: float,
        card: dict[str, Any],
    ) -> None:
        import numpy as np

        super().__init__(model, vocabulary, longest=longest, smoothing=smoothing, card=card)
        self.corpus = train
        self.train = train.blocks
        self.validation = validation.blocks if validation else ()
        # The last block of a stream may be short; where more are, like goes with like.
        ragged = not self.train.apart and (self.train.sizes < self.train.sizes.max()).sum() > 1
        self.lengths = self.train.sizes.tolist() if ragged else ()
        tokens = train.blocks.tokens
        predicted = np.ones(len(tokens.ids), bool) if tokens.trained is None else tokens.trained.copy()
        predicted[tokens.starts[:-1]] = False
        size = model.config.vocab_size
        self.uninformed = entropy(np.bincount(tokens.ids[predicted], minlength=size), smoothing)
        end = {vocabulary.id("eos_token"), *train.terminators}
        if model.generation_config is not None:
            model.generation_config.eos_token_id = sorted(end) if len(end) > 1 else end.pop()
        if self.train.apart:
            check_apart(model)

    def batch(self, examples: Blocks, rows: Sequence[int], dice: Dice | None) -> Batch:
        import torch

        # Of one width wherever they can be, so that compiled code is of one shape.
        width = self.pad_to or (None if self.lengths else int(examples.sizes.max()))
        found = examples.take(rows, self.vocabulary.id("eos_token"), width)
        if not examples.apart:
            # Filling is at the end, where nothing looks back from: plain causal attention, the fastest.
            del found["position_ids"]
        return {
            **{name: torch.from_numpy(values) for name, values in found.items()},
            "count": int((found["labels"] != IGNORED).sum()),
            "read": int(examples.sizes[list(rows)].sum()),
        }

    def inputs(self, batch: Batch) -> dict[str, Any]:
        # Where positions begin anew, transformers lets nothing look further back; see `check_apart`.
        return {name: batch[name] for name in ("input_ids", "position_ids") if name in batch}

    def derived(self, train_loss: float, validation_loss: float | None) -> dict[str, float]:
        return perplexities(train_loss, validation_loss, self.smoothing)

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        to_text = decode(self.vocabulary)
        return [self._audit(row, to_text) for row in rows]

    def _audit(self, row: int, to_text: Any) -> dict[str, Any]:
        tokens, corpus = self.train.tokens, self.corpus
        found = self.train.take([row], 0)
        read = int(self.train.sizes[row])
        parts: list[str] = []
        same = True
        for number, begin, end in self.train.documents(row):
            says = corpus.says[number]
            if isinstance(says, str):
                whole = (begin, end) == tuple(tokens.starts[number : number + 2])
                fed = to_text(tokens.ids[begin:end])
                same &= is_part_of(fed, says, self.vocabulary, whole=whole)
                parts.append(fed)
            else:
                fed_answers = [to_text(run) for run in _runs(tokens, begin, end)]
                same &= len(fed_answers) <= len(says) and all(
                    is_part_of(one, answer, self.vocabulary, whole=place < len(fed_answers) - 1)
                    for place, (one, answer) in enumerate(zip(fed_answers, says, strict=False))
                )
                parts.extend(fed_answers)
        return {
            "row": row,
            "documents": len(self.train.pieces(row)),
            "tokens": read,
            "share_trained": float((found["labels"] != IGNORED).sum()) / read,
            "same": bool(same),
            "fed_text": "\n".join(parts),
        }

    def metrics(self) -> dict[str, float]:
        corpus, blocks = self.corpus, self.train
        room = len(blocks) * int(blocks.sizes.max())
        return {
            "documents": len(corpus.says),
            "blocks": len(blocks),
            "blocks.filled": float(blocks.sizes.sum()) / room,
            "truncated_share": corpus.cut_off / len(corpus.says),
            "share_read": corpus.share_read,
            **({} if corpus.ended is None else {"label_audit.terminator_trained": corpus.ended}),
        }

    def facts(self) -> dict[str, str]:
        ends = self.corpus.terminators or (self.vocabulary.id("eos_token"),)
        return {
            **super().facts(),
            "packing": "documents kept apart" if self.train.apart else "one piece a block",
            "ends_with": ", ".join(str(self.vocabulary.tokenizer.id_to_token(end)) for end in ends),
        }


def _runs(tokens: Tokens, begin: int, end: int) -> list[np.ndarray]:
    """Ids of each run of trained tokens."""
    import numpy as np

    assert tokens.trained is not None
    edges = np.flatnonzero(np.diff(np.concatenate([[False], tokens.trained[begin:end], [False]]).astype(int)))
    return [tokens.ids[begin + a : begin + b] for a, b in edges.reshape(-1, 2).tolist()]


def check_apart(model: PreTrainedModel) -> None:
    """Refuse a model in which documents of one block see each other.

    Raises:
        BadConfig: Positions that begin anew do not keep them apart in this architecture.
    """
    import torch

    length = 4
    ids = torch.arange(2 * length, device=model.device)[None] % model.config.vocab_size
    other = torch.cat([ids[:, :length].flip(1), ids[:, length:]], dim=1)
    positions = torch.arange(length, device=model.device).repeat(2)[None]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            one, two = (model(input_ids=i, position_ids=positions).logits[:, length:] for i in (ids, other))
    except TypeError as cause:
        raise BadConfig(f"{type(model).__name__} takes no positions", hint="use packing=none") from cause
    finally:
        model.train(was_training)
    if not torch.equal(one, two):
        raise BadConfig(
            f"documents of one block would see each other in {type(model).__name__}",
            hint="use packing=none, or packing=stream if they may",
        )
