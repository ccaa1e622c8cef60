"""What a training with scikit-learn says of itself, in the words that every training uses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.domain.digests import digest_bytes
from registry.errors import RunFailed
from registry.extension import Evidence, RunContext
from registry.extension.features import Features
from registry.plugins.train.account import differences
from registry.plugins.train.engine.watch import ALARMS, WELL_BELOW, WORSE
from registry.plugins.train.estimators import load
from registry.plugins.train.label_audit import keep, without_texts
from registry.plugins.train.provenance import PACKAGES, determinism, environment, learned_from, packages

if TYPE_CHECKING:
    import numpy as np

    from registry.plugins.train.tabular_fit import Fit, Rows
    from registry.plugins.train.tabular_options import TabularConfig

# Rows whose labels and inputs are looked at.
_AUDITED = 64
_REMEDIES = {
    "not_converged": "more iterations or trees, or another estimator",
    "overfitted": "fewer trees, a larger min_leaf, or more l2",
}


def check_parity(fitted: Fit, path: Path, rows: Rows) -> dict[str, float]:
    """Largest difference of any probability between the fitted pipeline and the stored one, loaded again.

    Raises:
        RunFailed: There is one: the same numbers must give the same answers.
    """
    import numpy as np

    ours = fitted.pipeline.predict_proba(rows.inputs)
    theirs = load(path).predict_proba(rows.inputs)
    most = float(np.abs(ours - theirs).max())
    if not most <= 1e-12:
        raise RunFailed(
            f"the artifact, loaded again, answers unlike the trained model: they differ by {most:.3g}"
        )
    return {"parity.max_difference": most, "parity.rows": float(len(ours))}


def account(
    ctx: RunContext,
    config: TabularConfig,
    fitted: Fit,
    train: Rows,
    validation: Rows | None,
    features: Features,
    card: dict[str, Any],
    *,
    parity: dict[str, float],
    seconds: float,
) -> Evidence:
    """Evidence about a training that came to its end. Its first loss is that of the label shares."""
    alarms = _alarms(fitted)
    rang = [row["alarm"] for row in alarms]
    audit = _audit(train, features, card["labels"], ctx.seed)
    counts = Counter(train.labels.labels)
    metrics: dict[str, float] = {
        "first_loss": fitted.uninformed,
        "uninformed_loss": fitted.uninformed,
        "train_loss": fitted.train_loss,
        "converged": float("not_converged" not in rang),
        **({"validation_loss": fitted.validation[-1]} if fitted.validation else {}),
        **(_scores(fitted, validation) if validation is not None else {}),
        "alarms": len(rang),
        **{f"alarms.{name}": float(name in rang) for name in ALARMS},
        "label_audit.rows": len(audit),
        "label_audit.mismatches": sum(not row["same"] for row in audit),
        "label_audit.share_trained": 1.0,
        "labels": len(counts),
        "labels.minority_share": train.labels.minority_share,
        "truncated_share": 0.0,
        "features.numbers": len(features.numbers),
        "features.categories": len(features.categories),
        "imputed_cells": features.missing(train.inputs),
        "steps": fitted.steps,
        "parameters": _parameters(fitted.pipeline[-1]),
        **parity,
        "seconds": seconds,
        "hours": seconds / 3600,
    }
    place = {"device": "cpu", "threads": str(config.threads or "all"), "compiled": "no", "processes": "1"}
    facts = {
        **place,
        "precision": str(fitted.pipeline.predict_proba(train.inputs[:1]).dtype),
        "strategy": "one process",
        "architecture": type(fitted.pipeline[-1]).__name__,
        "numbers": ", ".join(features.numbers) or "none",
        "categories": ", ".join(features.categories) or "none",
        "not_read": ", ".join(n for n in train.table.column_names if n not in features.names) or "none",
        "positive": card["positive"],
        "reweigh": ", ".join(config.reweigh) or "none",
        "class_weight": config.class_weight,
        "seed": str(ctx.seed),
        "resumed_from": "start",
        "differs_from_design": differences(ctx.model.design, config.model_dump()) or "no",
        "alarms": ", ".join(rang) or "none",
        "solver": fitted.gave_up or "came to its end",
        **learned_from(ctx.data),
        **environment(("scikit-learn", "numpy", "skops")),
        "packages": packages(ctx.folder / PACKAGES),
        "determinism": determinism(place),
    }
    rows = len(train.numbers)
    return Evidence(
        metrics=metrics,
        facts=facts,
        tables={
            "labels": [{"label": name, "rows": n, "share": n / rows} for name, n in sorted(counts.items())],
            "label_audit": without_texts(audit),
            "alarms": alarms,
        },
        summary=f"{rows} rows, {fitted.steps} steps, loss {fitted.train_loss:.3f}",
        files=(ctx.folder / PACKAGES, keep(audit, ctx.folder / "label_audit.json")),
    )


def _alarms(fitted: Fit) -> list[dict[str, Any]]:
    """Alarms by the limits that all trainings have."""
    found = []
    limit = WELL_BELOW * fitted.uninformed
    if fitted.gave_up or fitted.train_loss > limit:
        found.append(("not_converged", fitted.train_loss, limit))
    if fitted.validation:
        limit = WORSE * min(fitted.validation)
        if fitted.validation[-1] > limit:
            found.append(("overfitted", fitted.validation[-1], limit))
    return [
        {"alarm": name, "step": fitted.steps, "value": value, "limit": most, "remedy": _REMEDIES[name]}
        for name, value, most in found
    ]


def _audit(train: Rows, features: Features, names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Random training rows as the estimator was fed them, beside the data read anew."""
    rows = range(len(train.numbers))
    found = []
    for row in sorted(random.Random(seed).sample(rows, min(len(rows), _AUDITED))):
        label, given = train.labels.labels[row], names[int(train.numbers[row])]
        inputs = _digest(features.matrix(train.table.slice(row, 1), "the data")[0])
        fed = _digest(train.inputs[row])
        found.append(
            {"row": row, "label": label, "fed_label": given, "inputs": inputs, "fed_inputs": fed}
            | {"same": label == given and inputs == fed, "share_trained": 1.0, "fed_text": given}
        )
    return found


def _digest(values: np.ndarray) -> str:
    return digest_bytes(repr(values.tolist()).encode())


def _scores(fitted: Fit, validation: Rows) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score

    answers = fitted.pipeline.predict(validation.inputs)
    return {
        "validation_accuracy": float(accuracy_score(validation.numbers, answers)),
        "validation_macro_f1": float(f1_score(validation.numbers, answers, average="macro", zero_division=0)),
    }


def _parameters(model: Any) -> int:
    """Numbers that were learned: coefficients, or nodes of trees."""
    if hasattr(model, "coef_"):
        return int(model.coef_.size + model.intercept_.size)
    if hasattr(model, "estimators_"):
        return sum(tree.tree_.node_count for tree in model.estimators_)
    return sum(len(tree.nodes) for stage in model._predictors for tree in stage)
