"""A training that is no fault at all, but quick: what searches are made of here."""

from __future__ import annotations

import json
import math
import time

from pydantic import Field

from registry.extension import Evidence, PluginConfig, RunContext, Trained, TrainPlugin


class DescentConfig(PluginConfig):
    rate: float = Field(0.5, gt=0, le=2, description="how fast the loss falls")
    depth: int = Field(1, ge=1, le=9, description="what it falls to: the deeper, the lower")
    evaluations: int = Field(4, ge=1)
    pause: float = 0.0
    breaks_at: int = Field(0, description="a depth at which the loss is no number")


class Descends(TrainPlugin[DescentConfig]):
    """Walks down a known curve, with a checkpoint at each step."""

    name = "descends"
    evidence = "run.train"

    def run(self, ctx: RunContext, config: DescentConfig) -> Trained:
        last = ctx.resume_from()
        step = json.loads((last / "state.json").read_text())["step"] if last else 0
        ctx.log(f"begins at step {step}")
        loss = math.inf
        while step < config.evaluations:
            ctx.check_cancelled()
            time.sleep(config.pause)
            step += 1
            loss = 1 / config.depth + math.exp(-config.rate * step)
            if config.depth == config.breaks_at:
                loss = math.nan
            ctx.log_metric("validation_loss", loss, step)
            ctx.progress(step, config.evaluations, f"loss {loss:.3f}")
            folder = ctx.folder / "training" / f"{step}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "state.json").write_text(json.dumps({"step": step}))
            ctx.checkpoint(folder, step)
        rows = {f"{role}_rows": float(data.rows) for role, data in ctx.data.items()}
        artifact = ctx.output("artifact")
        (artifact / "phasegate.json").write_text('{"format": "nothing"}')
        metrics = {"validation_loss": loss, "depth": float(config.depth), "steps": float(step), **rows}
        return Trained(path=artifact, evidence=Evidence(metrics=metrics))
