"""Text of unequal length: the engine against the stock Trainer of transformers with static padding.

    python benchmarks/training/ragged.py [--rounds 5] [--steps 60]

Same model (the plugin's default encoder), same tokenizer, same rows a step, SMS messages cut at 128 tokens.
CPU time at one thread, rounds interleaved; samples a second of CPU, without start and end.
"""

from __future__ import annotations

import argparse
import copy
import csv
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from contexts import DATA, StampedContext
from transformers import Trainer, TrainerCallback, TrainingArguments

from registry.extension.testing import dataset_input
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.loop import fit

_LENGTH, _ROWS, _SKIP = 128, 32, 3


def main() -> None:
    """Print samples a second, and the ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=60)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = {"train": dataset_input(folder / "data", messages(), role="train", text="text", label="label")}
        plugin = TrainClassifier()
        config = plugin.config_type(
            steps=given.steps, batch_size=_ROWS, max_length=_LENGTH, checkpoint_every=10**6
        )
        task: Any = plugin.build(StampedContext(folder / "build", data), config)
        start = copy.deepcopy(task.model.state_dict())
        padded = [
            {
                "input_ids": ids + [0] * (_LENGTH - len(ids)),
                "attention_mask": [1] * len(ids) + [0] * (_LENGTH - len(ids)),
                "labels": label,
            }
            for ids, label, _ in task.train
        ]
        ours, theirs = [], []
        for number in range(given.rounds):
            task.model.load_state_dict(start)
            theirs.append(stock(task.model, padded, given.steps, folder / f"stock{number}"))
            task.model.load_state_dict(start)
            ctx = StampedContext(folder / f"run{number}", {})
            fit(ctx, task, config)
            ours.append(_ROWS * (len(ctx.cpu) - 2 - _SKIP) / (ctx.cpu[-2] - ctx.cpu[_SKIP]))
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        print(
            f"engine {statistics.median(ours):,.0f} samples/s, Trainer with static padding "
            f"{statistics.median(theirs):,.0f}: {statistics.median(ratios):.2f} times "
            f"[{min(ratios):.2f}, {max(ratios):.2f}], {given.rounds} rounds of {given.steps} steps"
        )


def messages() -> pa.Table:
    """SMS messages with their label."""
    with (DATA / "sms_spam" / "sms_spam.csv").open(encoding="utf-8", newline="") as stream:
        return pa.Table.from_pylist(list(csv.DictReader(stream)))


def stock(model: Any, rows: list[dict[str, Any]], steps: int, folder: Path) -> float:
    """Samples per second of CPU of the stock Trainer."""
    stamps: list[float] = []

    class Stamp(TrainerCallback):
        def on_step_end(self, *arguments: Any, **more: Any) -> None:
            stamps.append(time.process_time())

    Trainer(
        model=model.train(),
        args=TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=_ROWS,
            learning_rate=5e-4,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        ),
        train_dataset=rows,
        callbacks=[Stamp()],
    ).train()
    return _ROWS * (len(stamps) - 2 - _SKIP) / (stamps[-2] - stamps[_SKIP])


if __name__ == "__main__":
    main()
