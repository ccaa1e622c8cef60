"""The training engine against a loop written by hand: same model, same rows in the same order, one thread.

    python benchmarks/training/overhead.py [--rounds 5] [--steps 40] [minilm gpt2 gpt2-compiled recording]

Rounds are interleaved. CPU time is compared, from the end of the third step to that of the last but one (the
last is where checkpoints are written): ratio = hand / engine. `recording` is the same engine with and without
its metrics and events written.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from contexts import SilentContext, StampedContext, minilm, sentiment

from registry.extension.testing import dataset_input
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.batches import Plan
from registry.plugins.train.engine.loop import fit
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Task

_SKIP = 3
Stamps = list[float]


def main() -> None:
    """Print the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", nargs="*", default=["minilm", "gpt2", "gpt2-compiled", "recording"])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=40)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    for what in given.what:
        BENCHES[what](given.rounds, given.steps)


def bench_minilm(rounds: int, steps: int) -> None:
    """MiniLM-22M on UCI sentences, 16 rows a step, dropout as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        task, config = classification(Path(folder), steps)
        compare("MiniLM-22M classification", task, config, by_hand_classification, rounds, Path(folder))


def bench_recording(rounds: int, steps: int) -> None:
    """The engine with and without its events written, on the MiniLM classifier."""
    with tempfile.TemporaryDirectory() as folder:
        task, config = classification(Path(folder), steps)
        start = copy.deepcopy(task.model.state_dict())
        loud, quiet = [], []
        for number in range(rounds):
            for kind, found in ((StampedContext, loud), (SilentContext, quiet)):
                task.model.load_state_dict(start)
                ctx = kind(Path(folder) / f"{kind.__name__}{number}", {})
                fit(ctx, task, config)
                found.append(spent(ctx.cpu))
        ratios = [a / b - 1 for a, b in zip(loud, quiet, strict=True)]
        print(
            f"recording: {statistics.median(ratios):+.2%} CPU "
            f"[{min(ratios):+.2%}, {max(ratios):+.2%}], {rounds} rounds of {steps} steps"
        )


def bench_gpt2(rounds: int, steps: int, *, compiled: bool = False) -> None:
    """A 4-layer GPT-2 of width 256 on tinyshakespeare, 8 blocks of 128 tokens a step."""
    with tempfile.TemporaryDirectory() as folder:
        task, config = language(Path(folder), steps, compiled)
        name = "GPT-2, 4 layers" + (", compiled" if compiled else "")
        compare(name, task, config, by_hand_language, rounds, Path(folder))


def compare(
    name: str,
    task: Task,
    config: TorchConfig,
    by_hand: Callable[[Task, TorchConfig], Stamps],
    rounds: int,
    folder: Path,
) -> None:
    """Run both in turns, and print the median ratio with its spread."""
    start = copy.deepcopy(task.model.state_dict())
    ours, hand = [], []
    for number in range(rounds):
        task.model.load_state_dict(start)
        hand.append(spent(by_hand(task, config)))
        task.model.load_state_dict(start)
        ctx = StampedContext(folder / f"run{number}", {})
        fit(ctx, task, config)
        ours.append(spent(ctx.cpu))
    ratios = [a / b for a, b in zip(hand, ours, strict=True)]
    print(
        f"{name}: hand / engine {statistics.median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}], "
        f"{statistics.median(ours) * 1e3:.1f} ms of CPU a step, {rounds} rounds of {config.steps} steps"
    )


def spent(stamps: Stamps) -> float:
    """CPU seconds a step."""
    return (stamps[-2] - stamps[_SKIP]) / (len(stamps) - 2 - _SKIP)


def classification(folder: Path, steps: int) -> tuple[Task, TorchConfig]:
    """The plugin's own task and options."""
    data = {"train": dataset_input(folder / "train", sentiment(), role="train", text="text", label="label")}
    plugin = TrainClassifier()
    config = plugin.config_type(
        steps=steps, batch_size=16, learning_rate=2e-5, checkpoint_every=10**6, max_length=128
    )
    return plugin.build(StampedContext(folder / "build", data, minilm()), config), config


def by_hand_classification(task: Task, config: TorchConfig) -> Stamps:
    """What an expert would write: padded to the longest, fused AdamW, linear rate with warm-up, clipping."""
    model = task.model.train()
    plan = Plan(len(task.train), config.batch_size, 0, task.lengths)
    optimizer, schedule = optimizer_and_schedule(model, config)
    stamps = []
    for step in range(config.steps):
        rows = [task.train[row] for row in plan.rows(step)]
        longest = max(len(ids) for ids, *_ in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for number, (row, *_) in enumerate(rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        labels = torch.tensor([row[1] for row in rows])
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids, attention_mask=mask).logits, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        stamps.append(time.process_time())
    return stamps


def language(folder: Path, steps: int, compiled: bool) -> tuple[Task, TorchConfig]:
    """The plugin's own task and options."""
    import pyarrow as pa
    from contexts import DATA

    from registry.plugins.train.causal_lm import TrainCausalLM

    text = (DATA / "tinyshakespeare" / "input.txt").read_text("utf-8")
    table = pa.table({"text": [text]})
    data = {"train": dataset_input(folder / "train", table, role="train", text="text")}
    plugin = TrainCausalLM()
    config = plugin.config_type(
        family="gpt2",
        tokenizer="characters",
        packing="stream",
        layers=4,
        hidden_size=256,
        heads=4,
        context=128,
        dropout=0.0,
        steps=steps,
        batch_size=8,
        learning_rate=1e-3,
        checkpoint_every=10**6,
        compile=compiled,
    )
    return plugin.build(StampedContext(folder / "build", data), config), config


def by_hand_language(task: Task, config: TorchConfig) -> Stamps:
    """A loop in the style of nanoGPT over the same blocks."""
    model = task.model.train()
    run = torch.compile(model) if config.compile else model
    plan = Plan(len(task.train), config.batch_size, 0, task.lengths)
    optimizer, schedule = optimizer_and_schedule(model, config)
    stamps = []
    for step in range(config.steps):
        block = task.batch(task.train, plan.rows(step), None)["input_ids"]
        logits = run(input_ids=block, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), block[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        stamps.append(time.process_time())
    return stamps


def optimizer_and_schedule(
    model: torch.nn.Module, config: TorchConfig
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Fused AdamW, no decay of biases and norms, linear with warm-up."""
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in weights if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
    )
    warm = int(config.warmup * config.steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: step / warm if step < warm else (config.steps - step) / (config.steps - warm),
    )
    return optimizer, schedule


BENCHES: dict[str, Callable[[int, int], None]] = {
    "minilm": bench_minilm,
    "gpt2": bench_gpt2,
    "gpt2-compiled": lambda rounds, steps: bench_gpt2(rounds, steps, compiled=True),
    "recording": bench_recording,
}

if __name__ == "__main__":
    main()
