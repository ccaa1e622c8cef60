"""Whether the model was fed what the data says: texts decoded from tokens, labels from numbers.

A text cut at the wrong end, or a label that slipped by a row, leaves a loss that looks healthy.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.files import write_atomically
from registry.plugins.train.labelled import LabelledTexts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from registry.plugins.train.trainer import WeightedTrainer

# Rows that are looked at: a slip of rows shows in nearly every one of them.
_ROWS = 64
# What a text cut within a character ends in.
_CUT = "\ufffd"


def audit_labels(
    trainer: WeightedTrainer, tokenizer: Tokenizer, train: LabelledTexts, seed: int
) -> list[dict[str, Any]]:
    """Random rows as the model was fed them, beside what the data says.

    `same` is whether the tokens decode to the text, or to its beginning, and the number to the label.
    """
    names = trainer.network.config.id2label
    rows = sorted(random.Random(seed).sample(range(len(train.texts)), min(len(train.texts), _ROWS)))
    audit = []
    for row in rows:
        example = trainer.examples[row]
        fed = tokenizer.decode(example["input_ids"], skip_special_tokens=True).strip().rstrip(_CUT)
        text = tokenizer.normalizer.normalize_str(train.texts[row]).strip()
        label = names[example["labels"]]
        audit.append(
            {
                "row": row,
                "label": train.labels[row],
                "fed_label": label,
                "tokens": len(example["input_ids"]),
                "share_read": len(fed) / len(text) if text else 1.0,
                "same": label == train.labels[row] and text.startswith(fed) and bool(fed) == bool(text),
                "fed_text": fed,
            }
        )
    return audit


def keep(audit: Sequence[dict[str, Any]], path: Path) -> Path:
    """Write the audit, texts included, to a file: evidence itself holds no text of the data."""
    write_atomically(path, json.dumps(audit, ensure_ascii=False, indent=1).encode())
    return path


def without_texts(audit: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The audit as a table for reports, without what stands in the data."""
    return [{name: value for name, value in row.items() if name != "fed_text"} for row in audit]
