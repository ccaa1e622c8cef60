"""Hidden tokens of a text from those around them, by an encoder (Devlin et al. 2019, BERT)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.plugins.train.engine.task import Batch, Dice
from registry.plugins.train.tasks.blocks import IGNORED
from registry.plugins.train.tasks.language import LanguageTask, decode, entropy, is_part_of, perplexities
from registry.plugins.train.tasks.padding import pad
from registry.plugins.train.tasks.vocabulary import Vocabulary, encode_all

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel

FORMAT = "masked-lm"
# Of the chosen tokens, these shares are hidden, and replaced by a random one; the rest stay as they are.
_HIDDEN, _RANDOM = 0.8, 0.1
# What is masked in validation is the same every time: a throw of its own, of no seed and no epoch.
_FIXED = Dice(0, 0)


class MaskedLM(LanguageTask):
    """Texts in pieces, framed by begin and end token. An example is a piece's ids."""

    auto = "AutoModelForMaskedLM"
    train: list[np.ndarray]

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        train: Sequence[str],
        validation: Sequence[str],
        *,
        longest: int,
        mask: int,
        share: float,
        smoothing: float,
        card: dict[str, Any],
    ) -> None:
        import numpy as np

        super().__init__(model, vocabulary, longest=longest, smoothing=smoothing, card=card)
        self.texts = train
        self.share = share
        self.mask = mask
        self.frame = (vocabulary.id("cls_token", "bos_token"), vocabulary.id("sep_token", "eos_token"))
        self.filler = vocabulary.id("pad_token")
        special = vocabulary.special_ids
        self.ordinary = np.setdiff1d(np.arange(vocabulary.size), special)
        self.train, self.sources = self.encode(train)
        self.lengths = [len(ids) for ids in self.train]
        self.validation = sorted(self.encode(validation)[0], key=len) if validation else []
        counts = np.zeros(model.config.vocab_size)
        for ids in self.train:
            np.add.at(counts, ids[1:-1], 1)
        self.uninformed = entropy(counts, smoothing)

    def batch(self, examples: Sequence[np.ndarray], rows: Sequence[int], dice: Dice | None) -> Batch:
        import torch

        chosen = [self._hide(examples[row], (dice or _FIXED).of(row)) for row in rows]
        found = pad([ids for ids, _ in chosen], self.filler, self.pad_to)
        labels = torch.full_like(found["input_ids"], IGNORED)
        for number, (_, row) in enumerate(chosen):
            labels[number, : len(row)] = torch.from_numpy(row)
        return {
            **found,
            "labels": labels,
            "count": sum(int((row != IGNORED).sum()) for _, row in chosen),
            "read": sum(len(row) for _, row in chosen),
        }

    def derived(self, train_loss: float, validation_loss: float | None) -> dict[str, float]:
        return perplexities(train_loss, validation_loss, self.smoothing)

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        import numpy as np

        to_text = decode(self.vocabulary)
        found = []
        for row in rows:
            ids = self.train[row]
            hidden, labels = self._hide(ids, _FIXED.of(row))
            counted = labels != IGNORED
            # What is to be found is what stands in the text, and nothing else was touched.
            kept = bool((labels[counted] == ids[counted]).all() and (hidden[~counted] == ids[~counted]).all())
            fed = to_text(ids)
            found.append(
                {
                    "row": row,
                    "tokens": len(ids),
                    "share_trained": float(np.mean(counted)),
                    "same": kept and is_part_of(fed, self.texts[self.sources[row]], self.vocabulary),
                    "fed_text": self.vocabulary.tokenizer.decode(hidden.tolist(), skip_special_tokens=False),
                }
            )
        return found

    def metrics(self) -> dict[str, float]:
        return {
            "documents": len(self.texts),
            "pieces": len(self.train),
            "truncated_share": 0.0,
            "share_read": 1.0,
        }

    def facts(self) -> dict[str, str]:
        return {**super().facts(), "masked": f"{self.share:.0%} of the tokens"}

    def encode(self, texts: Sequence[str]) -> tuple[list[np.ndarray], list[int]]:
        """Framed pieces that the model can read, and the text that each is from."""
        import numpy as np

        room = self.longest - 2
        begin, end = self.frame
        pieces, sources = [], []
        for number, ids in enumerate(encode_all(self.vocabulary.tokenizer, texts)):
            for start in range(0, len(ids), room):
                pieces.append(np.array([begin, *ids[start : start + room], end], np.int64))
                sources.append(number)
        return pieces, sources

    def _hide(self, ids: np.ndarray, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What the model reads of a piece, and the labels; one token at least is chosen."""
        import numpy as np

        inside = len(ids) - 2
        chosen = 1 + dice.permutation(inside)[: max(1, round(self.share * inside))]
        fate = dice.random(len(chosen))
        labels = np.full(len(ids), IGNORED, np.int64)
        labels[chosen] = ids[chosen]
        hidden = ids.copy()
        hidden[chosen[fate < _HIDDEN]] = self.mask
        strange = chosen[(fate >= _HIDDEN) & (fate < _HIDDEN + _RANDOM)]
        hidden[strange] = dice.choice(self.ordinary, len(strange))
        return hidden, labels
