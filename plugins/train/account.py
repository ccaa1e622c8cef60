"""What a training with torch says of itself: evidence made from what was done, not from what was asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from registry.extension import Evidence, RunContext
from registry.plugins.train.engine.loop import Fitted
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Task
from registry.plugins.train.engine.watch import ALARMS, WELL_BELOW, beginning, stopped_by
from registry.plugins.train.footprint import Meter, footprint
from registry.plugins.train.label_audit import audit_labels, keep, without_texts
from registry.plugins.train.provenance import PACKAGES, commit, files_of, learned_from, ran_on
from registry.plugins.train.replay import mixture
from registry.plugins.train.tuning import Tuned

# What transformers calls the options that describe an architecture.
_AS_TRANSFORMERS = {
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "dropout": "hidden_dropout_prob",
}


def account(
    ctx: RunContext,
    config: TorchConfig,
    task: Task,
    fitted: Fitted,
    artifact: Path,
    *,
    tuned: Tuned,
    adapter: Sequence[Path],
    measured: Mapping[str, float],
    settled: Sequence[str],
    meter: Meter,
    seconds: float,
) -> Evidence:
    """Evidence about a training that came to its end.

    Args:
        ctx: The run.
        config: Its options.
        task: What was learned.
        fitted: How it went.
        artifact: Folder that was saved.
        tuned: What was done to the model before.
        adapter: Files that keep the adapters that were merged.
        measured: Of the artifact: parity, and what was forgotten.
        settled: Options that a base settles.
        meter: Begun with the run.
        seconds: That the whole run took.
    """
    history = fitted.history
    audit = audit_labels(task, ctx.seed)
    took, how = footprint(task, history.tokens, meter, config.carbon_intensity)
    last = history.epoch_losses[-1]
    rang = [row["alarm"] for row in history.alarms]
    metrics: dict[str, float] = {
        "first_loss": history.first_loss,
        "train_loss": last,
        "uninformed_loss": task.uninformed,
        "converged": float(last <= WELL_BELOW * beginning(history, task.uninformed)),
        **({} if fitted.validation_loss is None else {"validation_loss": fitted.validation_loss}),
        **task.derived(last, fitted.validation_loss),
        **task.scores(),
        "alarms": len(rang),
        **{f"alarms.{name}": float(name in rang) for name in ALARMS},
        "label_audit.rows": len(audit),
        "label_audit.mismatches": sum(not row["same"] for row in audit),
        "label_audit.share_trained": sum(row["share_trained"] for row in audit) / len(audit),
        "steps": history.step,
        "epochs": history.step / fitted.per_epoch,
        "tokens": history.tokens,
        **tuned.metrics(),
        "waited_share": fitted.waited,
        **measured,
        **took,
        "seconds": seconds,
        "hours": seconds / 3600,
        **task.metrics(),
        **mixture(task),
    }
    facts = {
        **ran_on(ctx.folder, fitted.facts),
        **task.facts(),
        **tuned.facts(),
        **how,
        "architecture": describe(task),
        "seed": str(ctx.seed),
        "resumed_from": fitted.resumed_from,
        "differs_from_design": differences(ctx.model.design, used(config, task, settled)) or "no",
        "alarms": ", ".join(rang) or "none",
        "stopped_by": _stopped_by(config, fitted),
        **learned_from(ctx.data),
        **files_of(artifact),
        "git.commit": commit(Path.cwd()),
    }
    summary = f"{len(task.train)} rows, {history.step} steps, last loss {last:.3f}"
    return Evidence(
        metrics=metrics,
        facts=facts,
        tables={**task.tables(), "label_audit": without_texts(audit), "alarms": history.alarms},
        summary=summary,
        files=(ctx.folder / PACKAGES, keep(audit, ctx.folder / "label_audit.json"), *adapter),
    )


def _stopped_by(config: TorchConfig, fitted: Fitted) -> str:
    """Why it did not go on: `last step`, `patience`, or an alarm."""
    if fitted.history.step >= fitted.steps:
        return "last step"
    return stopped_by(fitted.history, config) or "patience"


def describe(task: Task) -> str:
    """The architecture in words, read from the model itself."""
    name, config = type(task.model).__name__, task.model.config
    shape = [
        getattr(config, key, None) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads")
    ]
    return "{}, {} x {}, {} heads".format(name, *shape) if all(shape) else name


def used(config: TorchConfig, task: Task, settled: Sequence[str]) -> dict[str, Any]:
    """Every option as it was used: as the run or the design said, or as the base had it already."""
    options = {name: getattr(config, name) for name in type(config).model_fields}
    if getattr(task.model, "begun", None) is None:
        return options
    known = task.model.config.get_text_config()
    return {
        name: getattr(known, _AS_TRANSFORMERS.get(name, name), value) if name in settled else value
        for name, value in options.items()
    }


def differences(design: Mapping[str, Any], used: Mapping[str, Any]) -> str:
    """Where what was trained is not what was designed; what the plugin has no option for is passed over."""
    return ", ".join(
        f"{name} {design[name]} -> {_text(used[name])}"
        for name in used
        if name in design and not _same(design[name], used[name])
    )


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _same(designed: Any, used: Any) -> bool:
    if isinstance(used, tuple):
        words = designed.split(",") if isinstance(designed, str) else designed
        return [str(word).strip() for word in words] == [str(word) for word in used]
    if isinstance(used, bool) or not isinstance(used, int | float):
        return _text(designed).replace(" ", "").lower() == _text(used).replace(" ", "").lower()
    try:
        return math.isclose(float(designed), used)
    except ValueError:
        return False
