"""What recording costs a training: its share of the CPU time, watching and evidence apart.

    python benchmarks/training/recording.py [--rows 1500] [--layers 6] [--hidden 384]

One training of a text classifier of MiniLM's shape with random weights, one thread, on made-up texts of 20
to 60 words. Timed are, in CPU seconds of its process: points of the curve with their alarms and metrics
(`report`); packages, environment, footprint and card (`evidence`); and the whole of `run`. Label audit,
parity and checkpoints are checks and safety, and are told beside.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

from registry.extension.testing import dataset_input, run_plugin
from registry.plugins.train import account, card, parity, provenance
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.loop import _Loop
from registry.plugins.train.engine.saving import Saving

_SPENT: Counter[str] = Counter()


def timed(owner: Any, name: str, kind: str) -> None:
    """Count the CPU time of a function as one of a kind."""
    real = getattr(owner, name)

    def measured(*arguments: Any, **more: Any) -> Any:
        began = time.process_time()
        try:
            return real(*arguments, **more)
        finally:
            _SPENT[kind] += time.process_time() - began

    setattr(owner, name, measured)


def main() -> None:
    """Print seconds and shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=384)
    chosen = parser.parse_args()
    dice = random.Random(0)
    words = [f"word{number}" for number in range(2000)]
    texts = [" ".join(dice.choices(words, k=dice.randint(20, 60))) for _ in range(chosen.rows)]
    table = pa.table({"text": texts, "label": [dice.choice("ab") for _ in texts]})
    timed(_Loop, "_report", "report")
    timed(Saving, "save", "checkpoints")
    timed(account, "ran_on", "evidence")
    timed(account, "footprint", "evidence")
    timed(account, "commit", "evidence")
    timed(card, "write_card", "evidence")
    timed(account, "audit_labels", "label audit")
    timed(parity, "parity", "parity")
    with tempfile.TemporaryDirectory() as folder:
        data = dataset_input(Path(folder) / "data", table, role="train", text="text", label="label")
        config = {
            "epochs": 1,
            "layers": chosen.layers,
            "hidden_size": chosen.hidden,
            "heads": 12,
            "max_length": 64,
        }
        provenance.environment()  # what is imported once is not counted
        began = time.process_time()
        done = run_plugin(TrainClassifier(), Path(folder) / "run", config=config, data={"train": data})
        whole = time.process_time() - began
    metrics = done.evidence.metrics
    print(f"{metrics['parameters']:,.0f} parameters, {metrics['steps']:.0f} steps, {whole:.2f} s")
    for kind, seconds in sorted(_SPENT.items()):
        print(f"{kind:<12} {seconds:8.3f} s  {seconds / whole:8.3%}")
    recording = _SPENT["report"] + _SPENT["evidence"]
    print(f"{'recording':<12} {recording:8.3f} s  {recording / whole:8.3%}")


if __name__ == "__main__":
    main()
