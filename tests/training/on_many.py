"""Run trainings in one process of several: `python -m torch.distributed.run ... on_many.py CASES.json`.

One start of the processes serves many trainings: each has a folder, and leaves `result.json` in it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from training import tiny

from registry.extension import RunContext
from registry.extension.inputs import RunSpec
from registry.plugins.train.engine import loop
from registry.plugins.train.engine.options import TorchConfig

# Steps are few, and all of them matter.
loop._FIRST = 1000


class Context(RunContext):
    """A run's context that may be told to stop, or not to go on, on one process alone."""

    stops_at: dict[str, Any] = {}

    def progress(self, done: float, total: float, message: str = "") -> None:
        super().progress(done, total, message)
        if self.stops_at and self.rank == self.stops_at["rank"] and done == self.stops_at["step"]:
            self._told_to_stop = self.stops_at["how"] == "told"
            self._cancelled = self.stops_at["how"] == "cancelled"
            if self.stops_at["how"] == "dies":
                raise KeyError("a defect on one process")

    _cancelled = False

    @property
    def cancelled(self) -> bool:
        return self._cancelled


def run(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train as a case says; returns what is known of it."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = RunSpec(
        run="test", plugin="tiny", subject="model/1", config={}, seed=0, device="cpu",
        stop_after=case.get("stop_after", 0),
    )  # fmt: skip
    ctx = Context(spec, folder)
    ctx.stops_at = case.get("stops_at", {})
    seed = ctx.rank if case.get("differs") else 0
    task = tiny.Counting(getattr(tiny, case.get("model", "llama"))(**case.get("shape", {})), seed=seed)
    began = time.monotonic()
    try:
        fitted = loop.fit(ctx, task, TorchConfig(threads=1, **case["config"]))
    except Exception as error:
        return {"error": type(error).__name__, "says": str(error), "hint": getattr(error, "hint", "")}
    finally:
        ctx.close()
    if ctx.rank == 0:
        save_file({name: value.contiguous().clone() for name, value in task.model.state_dict().items()},
                  folder / "weights.safetensors")  # fmt: skip
    return {
        "losses": [loss for _, loss in fitted.history.losses],
        "norms": [norm for _, norm in fitted.history.norms],
        "validation": fitted.history.validation,
        "kept": fitted.validation_loss,
        "history": asdict(fitted.history),
        "resumed_from": fitted.resumed_from,
        "facts": fitted.facts,
        "seconds": time.monotonic() - began,
    }


def main(path: str) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    for name, case in json.loads(Path(path).read_text()).items():
        folder = Path(path).parent / case.get("folder", name)
        result = run(case, folder)
        (folder / f"{name}-{rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    import faulthandler

    faulthandler.dump_traceback_later(40, exit=True)
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(sys.argv[1])
