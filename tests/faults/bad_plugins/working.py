"""Plugins that do work which can be interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from registry.extension import (
    CheckPlugin,
    DatasetDraft,
    Evidence,
    PluginConfig,
    Prepared,
    PreparePlugin,
    RunContext,
)
from registry.extension.inputs import ColumnRoles

EVERY = 5


class CountConfig(PluginConfig):
    steps: int = 30
    pause: float = 0.05
    checkpoints: bool = True


class Counts(PreparePlugin[CountConfig]):
    """Writes down numbers one by one, checkpoints every five, and makes a dataset of them.

    A resumed run that did a step twice, or left one out, makes another dataset.
    """

    name = "counts"
    evidence = "data.counted"

    def run(self, ctx: RunContext, config: CountConfig) -> Prepared:
        import pyarrow as pa

        found = ctx.resume_from() if config.checkpoints else None
        numbers = [int(line) for line in (found / "numbers").read_text().split()] if found else []
        ctx.log(f"begins at {len(numbers)} as process {os.getpid()}")
        for step in range(len(numbers) + 1, config.steps + 1):
            ctx.check_cancelled()
            numbers.append(step)
            ctx.log_metric("number", float(step), step=step)
            ctx.progress(step, config.steps, "counting")
            if config.checkpoints and step % EVERY == 0:
                self._checkpoint(ctx, step, numbers)
            time.sleep(config.pause)
        made = ctx.save_table(pa.table({"text": [f"number {number}" for number in numbers]}))
        draft = DatasetDraft(path=made, suffix="counted", columns=ColumnRoles(text="text"))
        return Prepared(datasets=(draft,), evidence=Evidence(metrics={"steps": float(len(numbers))}))

    def _checkpoint(self, ctx: RunContext, step: int, numbers: list[int]) -> None:
        folder = ctx.folder / f"checkpoint-{step}"
        # One that a killed process left without its manifest never counted.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "numbers").write_text("\n".join(map(str, numbers)))
        ctx.checkpoint(folder, step)


class BreedConfig(PluginConfig):
    returns: bool = False


class Breeds(CheckPlugin[BreedConfig]):
    """Starts a process of its own, and either waits or returns without a thought for it."""

    name = "breeds"
    subject = "dataset"
    evidence = "check.bad"

    def run(self, ctx: RunContext, config: BreedConfig) -> Evidence:
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (ctx.folder / "worker").write_text(str(worker.pid))
        ctx.log("bred")
        if not config.returns:
            worker.wait()
        worker.returncode = 0
        return Evidence(metrics={"workers": 1.0})
