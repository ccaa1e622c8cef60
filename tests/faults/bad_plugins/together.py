"""A plugin that several processes run together."""

from __future__ import annotations

import os
import shutil
import time

from registry.errors import BadInput, Preempted
from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext

EVERY = 5


class TogetherConfig(PluginConfig):
    steps: int = 20
    pause: float = 0.05
    checkpoints: bool = True
    refuses: int = -1
    trips: int = -1


class AddsUp(CheckPlugin[TogetherConfig]):
    """Adds up, over all steps and processes, step times rank plus one; a step done twice gives another sum.

    Process `refuses` says at step 3 that the input is bad; process `trips` has a fault there.
    """

    name = "adds-up"
    subject = "dataset"
    evidence = "check.added"
    requires = ("torch",)
    distributed = True

    def run(self, ctx: RunContext, config: TogetherConfig) -> Evidence:
        import torch
        import torch.distributed as dist

        torch.set_num_threads(1)
        if ctx.processes > 1:
            dist.init_process_group("gloo")
        found = ctx.resume_from() if config.checkpoints else None
        first, total = map(int, (found / "sum").read_text().split()) if found else (0, 0)
        ctx.log(f"begins at {first} of {ctx.processes}")
        (ctx.folder / f"pid-{ctx.rank}").write_text(str(os.getpid()))
        with ctx.saving_first():
            for step in range(first + 1, config.steps + 1):
                ctx.check_cancelled()
                if step == 3 and ctx.rank == config.refuses:
                    raise BadInput("nothing can be added to this", hint="give it something else")
                if step == 3 and ctx.rank == config.trips:
                    raise ZeroDivisionError("a fault of its own")
                part = torch.tensor([step * (ctx.rank + 1), int(ctx.told_to_stop)])
                if ctx.processes > 1:
                    dist.all_reduce(part)
                total += int(part[0])
                ctx.log_metric("sum", float(total), step)
                if config.checkpoints and (step % EVERY == 0 or part[1]):
                    self._checkpoint(ctx, step, total)
                if part[1]:
                    raise Preempted(f"told to end after step {step}")
                time.sleep(config.pause)
        if ctx.processes > 1:
            dist.destroy_process_group()
        return Evidence(metrics={"sum": float(total), "processes": float(ctx.processes)})

    def _checkpoint(self, ctx: RunContext, step: int, total: int) -> None:
        if ctx.rank:
            return
        folder = ctx.folder / f"checkpoint-{step}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "sum").write_text(f"{step} {total}")
        ctx.checkpoint(folder, step)
