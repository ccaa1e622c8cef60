"""A tag for each word of a text, by an encoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput
from registry.plugins.train.engine.task import Batch, Dice
from registry.plugins.train.loss import uninformed_loss
from registry.plugins.train.tasks.blocks import IGNORED
from registry.plugins.train.tasks.entities import entity_scores, is_iob
from registry.plugins.train.tasks.language import LanguageTask, decode, is_part_of
from registry.plugins.train.tasks.padding import pad
from registry.plugins.train.tasks.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FORMAT = "token-classifier"
# Texts that are tagged at a time when scores are made.
_AT_ONCE = 64
Tagged = tuple[list[list[str]], list[list[str]]]
# Ids, and labels of the same length.
Example = tuple[list[int], list[int]]


class Tags(LanguageTask):
    """Words with a tag each: a word's first token is labelled, the others are not."""

    auto = "AutoModelForTokenClassification"
    train: list[Example]
    validation: list[Example]

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        train: Tagged,
        validation: Tagged | None,
        *,
        longest: int,
        smoothing: float,
        card: dict[str, Any],
    ) -> None:
        super().__init__(model, vocabulary, longest=longest, smoothing=smoothing, card=card)
        self.names: list[str] = card["labels"]
        self.numbers = {name: number for number, name in enumerate(self.names)}
        self.words, self.tags = train
        self.filler = vocabulary.id("pad_token")
        self.train = self.encode(*train)
        self.lengths = [len(ids) for ids, _ in self.train]
        self.held_out = validation
        self.validation = self.encode(*validation) if validation else []
        flat = [tag for row in self.tags for tag in row]
        self.counts = Counter(flat)
        self.uninformed = uninformed_loss(flat, [1.0] * len(flat), smoothing=smoothing)

    def batch(self, examples: Sequence[Example], rows: Sequence[int], dice: Dice | None) -> Batch:
        chosen = [examples[row] for row in rows]
        labels = [row for _, row in chosen]
        return {
            **pad([ids for ids, _ in chosen], self.filler, self.pad_to),
            "labels": pad(labels, IGNORED, self.pad_to)["input_ids"],
            "count": sum(label != IGNORED for row in labels for label in row),
            "read": sum(len(row) for row in labels),
        }

    def scores(self) -> dict[str, float]:
        """Accuracy over all words, and over all entities; words that were not read count as `O`, or wrong."""
        if not self.held_out:
            return {}
        said, wanted = self.answers(), self.held_out[1]
        pairs = [pair for both in zip(said, wanted, strict=True) for pair in zip(*both, strict=True)]
        found = {"token_accuracy": sum(a == b for a, b in pairs) / len(pairs)}
        return {**found, **entity_scores(said, wanted)} if is_iob(self.names) else found

    def answers(self) -> list[list[str]]:
        """Tags of the validation texts, one a word."""
        import torch

        assert self.held_out
        said = []
        for start in range(0, len(self.validation), _AT_ONCE):
            rows = range(start, min(start + _AT_ONCE, len(self.validation)))
            batch = self.batch(self.validation, rows, None)
            with torch.no_grad():
                best = self.model(**self.inputs(batch)).logits.argmax(-1)
            for number, row in enumerate(rows):
                chosen = best[number][batch["labels"][number] != IGNORED].tolist()
                unread = len(self.held_out[0][row]) - len(chosen)
                said.append([*(self.names[label] for label in chosen), *["O"] * unread])
        return said

    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        to_text = decode(self.vocabulary)
        found = []
        for row in rows:
            ids, labels = self.train[row]
            fed = [self.names[label] for label in labels if label != IGNORED]
            # Each labelled token begins the word whose tag it has.
            begins = [place for place, label in enumerate(labels) if label != IGNORED]
            parts = [to_text(ids[a:b]) for a, b in zip(begins, [*begins[1:], len(ids)], strict=True)]
            same = all(
                tag == said and is_part_of(part, word, self.vocabulary)
                for tag, said, part, word in zip(fed, self.tags[row], parts, self.words[row], strict=False)
            )
            found.append(
                {
                    "row": row,
                    "tokens": len(ids),
                    "share_read": len(fed) / len(self.words[row]),
                    "share_trained": len(fed) / len(ids),
                    "same": same,
                    "fed_text": " ".join(
                        f"{part.strip()}/{tag}" for part, tag in zip(parts, fed, strict=True)
                    ),
                }
            )
        return found

    def metrics(self) -> dict[str, float]:
        words = sum(map(len, self.words))
        read = sum(label != IGNORED for _, labels in self.train for label in labels)
        cut_off = sum(
            sum(label != IGNORED for label in labels) < len(row)
            for (_, labels), row in zip(self.train, self.words, strict=True)
        )
        return {
            "labels": len(self.names),
            "truncated_share": cut_off / len(self.train),
            "share_read": read / words,
        }

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        words = sum(self.counts.values())
        return {
            "labels": [
                {"label": name, "words": self.counts[name], "share": self.counts[name] / words}
                for name in self.names
            ]
        }

    def encode(self, words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> list[Example]:
        """Examples of texts in words, and of a tag for each word."""
        tokenizer = self.vocabulary.tokenizer
        tokenizer.enable_truncation(self.longest)
        found = tokenizer.encode_batch([list(row) for row in words], is_pretokenized=True)
        tokenizer.no_truncation()
        examples = []
        for number, (encoding, row) in enumerate(zip(found, tags, strict=True)):
            labels, seen = [], -1
            for word in encoding.word_ids:
                if word is None or word == seen:
                    labels.append(IGNORED)
                    continue
                labels.append(self.numbers[row[word]])
                if word != seen + 1:
                    raise BadInput(
                        f"the tokenizer has no token for word {words[number][seen + 1]!r} of row {number}"
                    )
                seen = word
            examples.append((encoding.ids, labels))
        return examples
