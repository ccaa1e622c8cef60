"""What comes out of training on real data, at one thread.

    python benchmarks/training/quality.py [shakespeare minilm mnist]

`shakespeare`: a character GPT on tinyshakespeare against a loop in the style of nanoGPT (random blocks,
AdamW, cosine with warm-up), same model, same number of steps, both judged on the same last tenth. `minilm`:
MiniLM fine-tuned on UCI sentences. `mnist`: a small ResNet on 8,000 pictures of the t10k split.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import math
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from contexts import DATA, StampedContext, minilm, sentiment

from registry.extension import Trained
from registry.extension.inputs import DatasetInput
from registry.extension.testing import dataset_input
from registry.plugins.train.causal_lm import TrainCausalLM
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.loop import fit
from registry.plugins.train.image_classifier import TrainImageClassifier


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", nargs="*", default=list(FIGURES))
    torch.set_num_threads(1)
    for what in arguments.parse_args().what:
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            said = FIGURES[what](Path(folder))
            print(f"{said}, {time.process_time() - began:.0f} s of CPU", flush=True)


def shakespeare(folder: Path, *, steps: int = 600, rows: int = 32, rate: float = 2e-3) -> str:
    """Validation losses of both, in nats a character."""
    text = (DATA / "tinyshakespeare" / "input.txt").read_text("utf-8")
    cut = len(text) * 9 // 10
    data = {
        role: dataset_input(folder / role, pa.table({"text": [part]}), role=role, text="text")
        for role, part in {"train": text[:cut], "validation": text[cut:]}.items()
    }
    plugin = TrainCausalLM()
    config = plugin.config_type(
        family="gpt2",
        tokenizer="characters",
        packing="stream",
        layers=4,
        hidden_size=128,
        heads=4,
        context=64,
        batch_size=rows,
        steps=steps,
        schedule="cosine",
        warmup=0.1,
        learning_rate=rate,
        weight_decay=0.1,
        beta2=0.99,
        evaluate_every=steps,
        checkpoint_every=10**6,
    )
    ctx = StampedContext(folder / "run", data)
    task: Any = plugin.build(ctx, config)
    start = copy.deepcopy(task.model.state_dict())
    ours = fit(ctx, task, config).validation_loss
    task.model.load_state_dict(start)
    by_hand(task, steps, rows, rate)
    theirs = judge(task)
    return (
        f"tinyshakespeare: engine {ours:.4f}, by hand {theirs:.4f}, {ours / theirs - 1:+.2%} at {steps} steps"
    )


def by_hand(task: Any, steps: int, rows: int, rate: float) -> None:
    """Random blocks of the training text, as nanoGPT draws them."""
    ids = torch.from_numpy(task.train.tokens.ids.astype(np.int64))
    context, model = 64, task.model.train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.99),
        fused=True,
    )
    torch.manual_seed(1)
    warm = steps // 10
    for step in range(steps):
        share = (step + 1) / (warm + 1)
        if step >= warm:
            share = 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        begins = torch.randint(len(ids) - context - 1, (rows,))
        block = torch.stack([ids[begin : begin + context + 1] for begin in begins])
        logits = model(input_ids=block[:, :-1]).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), block[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


@torch.no_grad()
def judge(task: Any) -> float:
    """Mean loss over the validation blocks."""
    task.model.eval()
    total = count = 0.0
    for start in range(0, len(task.validation), 64):
        rows = range(start, min(start + 64, len(task.validation)))
        batch = task.batch(task.validation, rows, None)
        total += float(task.loss(task.model, batch, training=False))
        count += task.count(batch)
    return total / count


def sentences(folder: Path) -> str:
    """Accuracy on 600 sentences that training has not seen."""
    table = shuffled(sentiment())
    data = parts(folder, table, {"train": 2000, "validation": 400, "test": 600}, text="text", label="label")
    trained = trained_on(folder, TrainClassifier(), data, base=minilm())
    return f"MiniLM on UCI sentences: accuracy {accuracy(trained, data['test'], 'label'):.3f} on 600 unseen"


def digits(folder: Path) -> str:
    """Accuracy on 2,000 pictures that training has not seen."""
    from PIL import Image

    def read(name: str, head: int) -> np.ndarray:
        return np.frombuffer(
            gzip.decompress((DATA / "mnist_t10k" / name).read_bytes()), np.uint8, offset=head
        )

    def png(pixels: np.ndarray) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue()

    pictures = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = read("t10k-labels-idx1-ubyte.gz", 8)
    table = pa.table({"image": [png(picture) for picture in pictures], "label": [str(n) for n in labels]})
    data = parts(folder, shuffled(table), {"train": 8000, "test": 2000}, image="image", label="label")
    trained = trained_on(folder, TrainImageClassifier(), data, **MNIST)
    return f"MNIST t10k: accuracy {accuracy(trained, data['test'], 'label'):.4f} on 2,000 unseen"


MNIST: dict[str, Any] = {}


def shuffled(table: pa.Table) -> pa.Table:
    """The rows in a random order that is always the same."""
    order = list(range(table.num_rows))
    random.Random(0).shuffle(order)
    return table.take(order)


def parts(folder: Path, table: pa.Table, sizes: dict[str, int], **columns: str) -> dict[str, DatasetInput]:
    """The rows dealt out to roles, one after the other."""
    found, start = {}, 0
    for role, size in sizes.items():
        found[role] = dataset_input(folder / role, table.slice(start, size), role=role, **columns)
        start += size
    return found


def trained_on(
    folder: Path, plugin: Any, data: dict[str, DatasetInput], base: Path | None = None, **options: Any
) -> Trained:
    """Train as a run does, with the options named and defaults else."""
    ctx = StampedContext(folder / "run", data, base)
    trained: Trained = plugin.run(ctx, plugin.config_type(**options))
    return trained


def accuracy(trained: Trained, data: DatasetInput, label: str) -> float:
    """Share of the rows that the artifact, loaded by its predictor, is right about."""
    from registry.extension.predictor import load_predictor

    predictor = load_predictor(trained.path)
    table = data.read()
    best = predictor.probabilities(table).argmax(axis=1)
    said = [predictor.labels[number] for number in best]
    return sum(a == str(b) for a, b in zip(said, table[label].to_pylist(), strict=True)) / table.num_rows


FIGURES: dict[str, Callable[[Path], str]] = {"shakespeare": shakespeare, "minilm": sentences, "mnist": digits}

if __name__ == "__main__":
    main()
