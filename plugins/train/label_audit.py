"""Whether the model was fed what the data says: texts decoded from tokens, labels from numbers.

A text cut at the wrong end, a mask that hides the answer, or a label that slipped by a row, leaves a loss
that looks healthy.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.files import write_atomically
from registry.plugins.train.engine.task import Task

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Rows that are looked at: a slip of rows shows in nearly every one of them.
_ROWS = 64
# What a text cut within a character ends in.
_CUT = "\ufffd"


def audit_labels(task: Task, seed: int) -> list[dict[str, Any]]:
    """Random training rows as the model was fed them, beside what the data says; see `Task.audit`."""
    rows = range(len(task.train))
    return task.audit(sorted(random.Random(seed).sample(rows, min(len(rows), _ROWS))))


def text_is_fed(tokenizer: Tokenizer, ids: Sequence[int], text: str) -> dict[str, Any]:
    """What the tokens of a text decode to, and whether that is the text or its beginning."""
    fed = tokenizer.decode(list(ids), skip_special_tokens=True).strip().rstrip(_CUT)
    whole = (tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text).strip()
    return {
        "tokens": len(ids),
        "share_read": len(fed) / len(whole) if whole else 1.0,
        "share_trained": 1.0,
        "same": whole.startswith(fed) and bool(fed) == bool(whole),
        "fed_text": fed,
    }


def keep(audit: Sequence[dict[str, Any]], path: Path) -> Path:
    """Write the audit, texts included, to a file: evidence itself holds no text of the data."""
    write_atomically(path, json.dumps(audit, ensure_ascii=False, indent=1).encode())
    return path


def without_texts(audit: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The audit as a table for reports, without what stands in the data."""
    return [{name: value for name, value in row.items() if name != "fed_text"} for row in audit]
