"""Run trainings in one process of several: `python -m torch.distributed.run ... on_many.py CASES.json`.

One start of the processes serves many trainings: each has a folder, and leaves `result.json` in it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from training.tiny import Counting, gpt2, llama

from registry.extension import RunContext
from registry.extension.inputs import DatasetInput, RunSpec
from registry.extension.testing import run_plugin
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine import loop
from registry.plugins.train.engine.options import TorchConfig

# Steps are few, and all of them matter.
loop._FIRST = 1000


class Context(RunContext):
    """A run's context in which something happens after a step, on one process alone."""

    happens: dict[str, Any] = {}
    seen = False

    def progress(self, done: float, total: float, message: str = "") -> None:
        super().progress(done, total, message)
        if self.happens and self.rank == self.happens["rank"] and done == self.happens["step"]:
            if self.happens["what"] == "told":
                self.on_signal()
            elif self.happens["what"] == "cancelled":
                self.seen = True
            else:
                raise KeyError("a defect on one process")

    @property
    def cancelled(self) -> bool:
        """On a file system shared by machines, one may see the flag before another does."""
        return self.seen


def run(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train as a case says; returns what is known of it."""
    folder.mkdir(parents=True, exist_ok=True)
    if "data" in case:
        return run_classifier(case, folder)
    spec = RunSpec(
        run="test", plugin="tiny", subject="model/1", config={}, seed=0, device="cpu",
        stop_after=case.get("stop_after", 0),
    )  # fmt: skip
    ctx = Context(spec, folder)
    ctx.happens = case.get("happens", {})
    seed = ctx.rank if case.get("differs") else 0
    model = {"llama": llama, "gpt2": gpt2}[case.get("model", "llama")](**case.get("shape", {}))
    if "plan" in case:
        model.tp_plan = {**model.tp_plan, **case["plan"]} if case["plan"] else {"model.nothing": "colwise"}
    task = Counting(model, seed=seed, steep=case.get("steep", 1.0))
    try:
        fitted = loop.fit(ctx, task, TorchConfig(threads=1, **case["config"]))
    except Exception as error:
        return {"error": type(error).__name__, "says": str(error), "hint": getattr(error, "hint", "")}
    finally:
        ctx.close()
    if ctx.rank == 0:
        weights = {name: value.contiguous().clone() for name, value in task.model.state_dict().items()}
        save_file(weights, folder / f"{case.get('name', 'one')}.safetensors")
    return {
        "losses": [loss for _, loss in fitted.history.losses],
        "norms": [norm for _, norm in fitted.history.norms],
        "validation": fitted.history.validation,
        "kept": fitted.validation_loss,
        "resumed_from": fitted.resumed_from,
        "facts": fitted.facts,
    }


def run_classifier(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the whole plugin, artifact and account included."""
    data = {role: DatasetInput.model_validate(found) for role, found in case["data"].items()}
    trained = run_plugin(TrainClassifier(), folder / "run", config=case["config"], data=data)
    return {
        "metrics": trained.evidence.metrics,
        "facts": trained.evidence.facts,
        "artifact": sorted(path.name for path in trained.path.iterdir()),
    }


def main(path: str) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    for name, case in json.loads(Path(path).read_text()).items():
        folder = Path(path).parent / case.get("folder", name)
        result = run({**case, "name": name}, folder)
        (folder / f"{name}-{rank}.json").write_text(json.dumps(result))
    gc.collect()  # as the runner does: torch's threads must not outlive the interpreter


if __name__ == "__main__":
    main(sys.argv[1])
