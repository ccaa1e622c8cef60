"""A training whose numbers come again, or do not: what its processes' environment says decides."""

from __future__ import annotations

import os
import sys

from registry.errors import RunFailed
from registry.extension import Evidence, PluginConfig, Replayed, RunContext, Trained, TrainPlugin

# What goes wrong, and by how much numbers are off; on which machine it says to be.
HOW, OFF, MACHINE = "WAVERS_HOW", "WAVERS_OFF", "WAVERS_MACHINE"


class WaverConfig(PluginConfig):
    claim: str = "bitwise"
    steps: int = 20
    resumed: bool = False


class Wavers(TrainPlugin[WaverConfig]):
    """Counts down from the seed; tells a loss at each step, and a norm at every other."""

    name = "wavers"
    evidence = "run.train"
    repeats = ("loss", "gradient_norm")

    def run(self, ctx: RunContext, config: WaverConfig) -> Trained | Replayed:
        how, off = os.environ.get(HOW, ""), float(os.environ.get(OFF, "0"))
        if how == "fails":
            raise RunFailed("it cannot be done here", hint="do it elsewhere")
        if how == "dies":
            sys.stderr.write("so long")
            os._exit(7)
        if config.resumed:
            ctx.log_metric("loss", 1e6, 3)
        for step in range(1, (ctx.stop_after or config.steps) + 1):
            if how == "short" and step > 4:
                break
            ctx.progress(step, config.steps, f"loss {1 / step:.4f}, 9 tokens/s")
            ctx.log_metric("loss", (ctx.seed + 1) / step * (1 + off * (step > 5)), step)
            if step == 10:
                ctx.log_metric("validation_loss", 0.5, step)
            ctx.log_metric("speed", os.getpid(), step)
            if step % 2 == 0:
                ctx.log_metric("gradient_norm", 1.0 + len(ctx.data["train"].ref), step)
        facts = {
            "determinism": config.claim,
            "machine": os.environ.get(MACHINE, "mine"),
            "layers": ctx.model.design.get("layers", "none"),
        }
        if ctx.stop_after and how != "goes-on":
            return Replayed(facts=facts)
        folder = ctx.output("model")
        (folder / "phasegate.json").write_text('{"format": "nothing"}')
        return Trained(path=folder, evidence=Evidence(metrics={"train_loss": 0.5}, facts=facts))
