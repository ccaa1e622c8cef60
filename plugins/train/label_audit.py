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
    """Random training rows as the model was fed them, beside what the data says; see `Task.audit`.

    Where old rows were mixed in, each says whether it is `from` the `train` or the `replay` data.
    """
    rows = range(len(task.train))
    found = task.audit(sorted(random.Random(seed).sample(rows, min(len(rows), _ROWS))))
    fresh = len(rows) - task.replayed
    return [
        {**row, "from": "train" if row["row"] < fresh else "replay"} if task.replayed else row
        for row in found
    ]


def text_is_fed(tokenizer: Tokenizer, ids: Sequence[int], text: str) -> dict[str, Any]:
    """What the tokens of a text decode to, and whether that is the text or its beginning."""
    parts = _decoded(tokenizer, ids)
    whole = _joined(tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text)
    # What the tokenizer has no token for stands between two parts, and is not told.
    place, same = 0, True
    for number, part in enumerate(map(_joined, parts)):
        found = whole.find(part, place)
        same = same and (found == place if number == 0 else found >= place)
        place = max(place, found + len(part))
    return {
        "tokens": len(ids),
        "share_read": min(place / len(whole), 1.0) if whole else 1.0,
        "share_trained": 1.0,
        "same": same and (any(parts) == bool(whole) or len(parts) > 1),
        "fed_text": " … ".join(parts) if len(parts) > 1 else parts[0],
    }


def _decoded(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """The text of tokens; in several parts where tokens between them stand for what is not known."""
    from tokenizers import decoders

    decoder, unknown = tokenizer.decoder, getattr(tokenizer.model, "unk_token", None)
    if isinstance(decoder, decoders.WordPiece):
        # It would mend the text, "do not" to "don't".
        decoder = decoders.WordPiece(prefix=decoder.prefix, cleanup=False)
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    groups: list[list[str]] = [[]]
    for number in ids:
        token = tokenizer.id_to_token(number)
        if token is None or token == unknown:
            groups.append([])
        elif number not in special:
            groups[-1].append(token)
    parts = [(decoder.decode(group) if decoder else " ".join(group)).strip() for group in groups]
    parts[-1] = parts[-1].rstrip(_CUT)
    return parts


def _joined(text: str) -> str:
    """A text without what tokenizers take liberties with."""
    return "".join(text.replace("\u2581", " ").split())


def keep(audit: Sequence[dict[str, Any]], path: Path) -> Path:
    """Write the audit, texts included, to a file: evidence itself holds no text of the data."""
    write_atomically(path, json.dumps(audit, ensure_ascii=False, indent=1).encode())
    return path


def without_texts(audit: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The audit as a table for reports, without what stands in the data."""
    return [{name: value for name, value in row.items() if name != "fed_text"} for row in audit]
