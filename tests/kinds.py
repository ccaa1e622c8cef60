"""A tiny training of each kind, from scratch, from a base, or with old rows: new ones and old ones differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from drawn import bars, squares
from language_runs import QUICK, TINY

from registry.domain.digests import digest_of
from registry.extension import Trained
from registry.extension.inputs import BaseInput
from registry.extension.testing import dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.train.causal_lm import TrainCausalLM
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.detector import TrainDetector
from registry.plugins.train.image_classifier import TrainImageClassifier
from registry.plugins.train.masked_lm import TrainMaskedLM
from registry.plugins.train.seq2seq import TrainSeq2Seq
from registry.plugins.train.tagger import TrainTagger


@dataclass
class Case:
    """New rows and old ones of one kind; the old ones say what no new one does."""

    plugin: Any
    fresh: pa.Table
    old: pa.Table
    options: dict[str, Any]

    def run(self, folder: Path, *, replay: bool = False, base: Path | None = None, **options: Any) -> Trained:
        """Train for two steps on the new rows, and on old ones if they are replayed."""
        tables = {"train": self.fresh, **({"replay": self.old} if replay else {})}
        roles = {name: name for name in ("text", "label", "image") if name in self.fresh.column_names}
        data = {
            role: dataset_input(folder / role, table, role=role, ref=f"{role}/1", **roles)
            for role, table in tables.items()
        }
        given = BaseInput(ref="base/1", digest=digest_of(manifest_of(base)), path=base) if base else None
        settled = self.plugin.of_scratch if base else ()
        kept = {name: value for name, value in self.options.items() if name not in settled}
        config = {"steps": 2, **kept, **options}
        trained: Trained = run_plugin(self.plugin(), folder / "run", config=config, data=data, base=given)
        return trained


def texts(word: str, rows: int) -> pa.Table:
    said = [f"{word} one day {row % 7} the {'sun' if row % 2 else 'moon'}" for row in range(rows)]
    return pa.table({"text": said, "label": ["day" if row % 2 else "night" for row in range(rows)]})


def chats(word: str, rows: int) -> pa.Table:
    said = [
        [{"role": "user", "content": f"{word} {row}?"}, {"role": "assistant", "content": f"it is {row % 3}"}]
        for row in range(rows)
    ]
    return pa.table({"text": said})


def tagged(word: str, rows: int) -> pa.Table:
    words = [[word, "is", f"w{row % 5}"] for row in range(rows)]
    return pa.table({"text": words, "label": [["B", "O", "I"]] * rows})


LANGUAGE = TINY | QUICK
CASES = {
    "classifier": Case(TrainClassifier, texts("new", 30), texts("old", 20), LANGUAGE),
    "causal": Case(
        TrainCausalLM, texts("new", 30), texts("old", 20), LANGUAGE | {"packing": "none", "context": 64}
    ),
    "packed": Case(TrainCausalLM, texts("new", 60), texts("old", 60), LANGUAGE | {"context": 48}),
    "chat": Case(
        TrainCausalLM, chats("new", 30), chats("old", 20), LANGUAGE | {"packing": "none", "context": 64}
    ),
    "masked": Case(TrainMaskedLM, texts("new", 30), texts("old", 20), LANGUAGE | {"max_length": 64}),
    "pieces": Case(TrainMaskedLM, texts("new", 30), texts("old", 20), LANGUAGE | {"max_length": 5}),
    "seq2seq": Case(TrainSeq2Seq, texts("new", 30), texts("old", 20), LANGUAGE),
    "tagger": Case(TrainTagger, tagged("new", 30), tagged("old", 20), LANGUAGE),
    "pictures": Case(
        TrainImageClassifier,
        bars(30, seed=0),
        bars(20, seed=1),
        {"size": 16, "channels": 1, "widths": "8", "depths": "1", "batch_size": 10, "rotate": 10},
    ),
    "boxes": Case(
        TrainDetector,
        squares(30, seed=0),
        squares(20, seed=1),
        {"size": 32, "hidden_size": 16, "layers": 1, "objects": 2, "batch_size": 10, "flip": True},
    ),
}
