"""`evaluate-classifier`: how good a classifier is on data that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from registry.domain.evidence import EvidenceStatus
from registry.extension import DatasetInput, EvaluatePlugin, Evidence, PluginConfig, RunContext
from registry.extension.predictions import Predictions, predict_labelled
from registry.extension.tables import groups_of, read_rows, row_keys
from registry.plugins.evaluate.scores import (
    average_of,
    brier,
    calibration,
    confusion,
    correlation,
    intervals,
    rates,
    too_little,
)

if TYPE_CHECKING:
    import numpy as np


class EvaluateConfig(PluginConfig):
    """How sure to be, and of how many rows."""

    min_rows: int = Field(30, ge=1, description="fewer test rows are not enough to judge by")
    rounds: int = Field(1000, ge=100, description="bootstrap rounds of the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="probability that an interval is made for")
    bins: int = Field(15, ge=1, description="bins of equal width of the expected calibration error")


class EvaluateClassifier(EvaluatePlugin[EvaluateConfig]):
    """Measure a classifier on the version's test data, with confidence intervals and calibration."""

    name = "evaluate-classifier"
    evidence = "eval.performance"
    roles = ("test",)
    requires = ("numpy", "scipy", "sklearn")
    extra = "checks"

    def run(self, ctx: RunContext, config: EvaluateConfig) -> Evidence:
        """Predict every test row and compare. Two labels: about the positive one; more: the mean of all.

        Raises:
            BadTable: No rows, rows without text or label, or labels that the model does not know.
            RunFailed: The predictor's answers are no probabilities.
        """
        data = ctx.role("test")
        found = predict_labelled(ctx, data)
        classes = len(found.labels)
        positive = found.positive if classes == 2 else None
        matrix = confusion(found.truth, found.predicted, classes)
        ece, bins = calibration(found.truth, found.probabilities, config.bins)
        metrics = {
            "rows": float(len(found.truth)),
            **{name: float(value) for name, value in rates(matrix, positive).items()},
            **_auroc(found, positive),
            "mcc": correlation(matrix),
            "brier": brier(found.truth, found.probabilities),
            "ece": ece,
            "ece.bins": float(config.bins),
            "confidence": config.confidence,
        }
        for name, ends in intervals(
            matrix, positive, rounds=config.rounds, confidence=config.confidence, seed=ctx.seed
        ).items():
            metrics[f"{name}.lower"], metrics[f"{name}.upper"] = ends
        leakage = "not measured: the version names no train data"
        if "train" in ctx.data:
            metrics["leaked_rows"] = _leaked_rows(found, data, ctx.data["train"])
            leakage = f"against {ctx.data['train'].ref}, {_compared(data)}"
        reason = too_little(found, config.min_rows)
        average = average_of(found)
        return Evidence(
            metrics=metrics,
            status=EvidenceStatus.INSUFFICIENT if reason else EvidenceStatus.COMPLETE,
            reason=reason,
            facts={
                "average": average,
                "auroc": "of the positive label" if classes == 2 else "mean of each label against the rest",
                "ece": f"{config.bins} bins of equal width",
                "intervals": f"{config.confidence:.0%}, percentile bootstrap of {config.rounds} rounds",
                "leakage": leakage,
                "test": data.ref,
                "test.digest": data.digest,
            },
            summary=f"f1 {metrics['f1']:.3f} [{metrics['f1.lower']:.3f}, {metrics['f1.upper']:.3f}], "
            f"accuracy {metrics['accuracy']:.3f} on {len(found.truth)} rows ({average})",
            tables={
                "confusion": _confusion_table(matrix, found.labels),
                "classes": _class_table(matrix, found.labels),
                "calibration": bins,
                **({"groups": groups} if (groups := _group_table(found, data, config.confidence)) else {}),
            },
        )


def _auroc(found: Predictions, positive: int | None) -> dict[str, float]:
    """AUROC of the positive label or the mean of all labels'; undefined, and left out, if one has no rows."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    if len(np.unique(found.truth)) < len(found.labels):
        return {}
    if positive is None:
        auroc = roc_auc_score(found.truth, found.probabilities, multi_class="ovr", average="macro")
    else:
        auroc = roc_auc_score(found.truth == positive, found.probabilities[:, positive])
    return {"auroc": float(auroc)}


def _leaked_rows(found: Predictions, test: DatasetInput, train: DatasetInput) -> float:
    """How many test rows have a text or picture that is in the training data."""
    known = set(row_keys(read_rows(train), train.columns)) - {None}
    return float(sum(key in known for key in row_keys(found.table, test.columns)))


def _compared(data: DatasetInput) -> str:
    if data.columns.text:
        return "texts compared without case, space and punctuation"
    return "pictures compared by digest" if data.columns.image else "rows compared without their label"


def _confusion_table(matrix: np.ndarray, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    heads = [f"predicted {label}" for label in labels]
    return [
        {"true label": label, **dict(zip(heads, counts.tolist(), strict=True))}
        for label, counts in zip(labels, matrix, strict=True)
    ]


def _class_table(matrix: np.ndarray, labels: tuple[str, ...]) -> list[dict[str, Any]]:
    table = []
    for number, label in enumerate(labels):
        scores = rates(matrix, number)
        figures = {name: float(scores[name]) for name in ("precision", "recall", "f1")}
        table.append({"label": label, "rows": int(matrix[number].sum()), **figures})
    return table


def _group_table(found: Predictions, data: DatasetInput, confidence: float) -> list[dict[str, Any]]:
    """Accuracy of each group of each sensitive column, with Wilson's interval."""
    import numpy as np
    from scipy.stats import binomtest

    right = found.predicted == found.truth
    table = []
    for column in data.columns.sensitive:
        values = np.array(groups_of(found.table[column]))
        for group in np.unique(values):
            hits, rows = int(right[values == group].sum()), int((values == group).sum())
            ends = binomtest(hits, rows).proportion_ci(confidence, method="wilson")
            figures = {"accuracy": hits / rows, "lower": float(ends.low), "upper": float(ends.high)}
            table.append({"column": column, "group": str(group), "rows": rows, **figures})
    return table
