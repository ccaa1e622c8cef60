"""`slices`: where a classifier does worst."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from registry.domain.evidence import EvidenceStatus
from registry.extension import EvaluatePlugin, Evidence, PluginConfig, RunContext
from registry.extension.options import Words
from registry.extension.predictions import Predictions, predict_labelled
from registry.extension.tables import check_columns
from registry.plugins.evaluate.scores import average_of, confusion, too_little
from registry.plugins.evaluate.slicing import by_column, by_label, by_length, judged_labels, mean_f1, measure


class SlicesConfig(PluginConfig):
    """Which parts, and how sure to be."""

    columns: Words = Field(
        (), description="columns whose groups are slices, comma-separated; default: the sensitive columns"
    )
    intersections: bool = Field(False, description="also every pair of groups of two of these columns")
    bands: int = Field(3, ge=1, le=20, description="bands of text length; 1: none")
    min_rows: int = Field(30, ge=1, description="a slice with fewer rows is too small to judge")
    min_label: int = Field(
        10,
        ge=1,
        description="rows of a label that its F1 in a slice needs; without, accuracy alone is judged",
    )
    rounds: int = Field(1000, ge=100, description="bootstrap rounds of the intervals of F1")
    confidence: float = Field(0.95, gt=0, lt=1, description="probability that an interval is made for")


class Slices(EvaluatePlugin[SlicesConfig]):
    """Measure a classifier in parts of the test data, and name the one where it does worst.

    The parts are the groups of each sensitive column, short and long texts, and each true label. Where
    `bias` compares how groups are treated, this says how often the model is right about them.
    """

    name = "slices"
    evidence = "eval.subgroup"
    roles = ("test",)
    requires = ("numpy", "scipy", "sklearn")
    extra = "checks"

    def run(self, ctx: RunContext, config: SlicesConfig) -> Evidence:
        """Measure every slice that has rows enough; any that has not makes the evidence insufficient.

        Raises:
            BadConfig: A column that the test data does not have.
            BadTable: No rows, rows without text or label, or labels that the model does not know.
            RunFailed: The predictor's answers are no probabilities.
        """
        data = ctx.role("test")
        columns = tuple(dict.fromkeys(config.columns or data.columns.sensitive))
        check_columns(data, columns)
        found = predict_labelled(ctx, data)
        positive = found.positive if len(found.labels) == 2 else None
        parts = [*by_column(found, columns, config.intersections), *by_label(found)]
        if config.bands > 1 and data.columns.text:
            parts += by_length(found.table[data.column("text")].to_pylist(), config.bands)
        rows = [
            measure(
                part,
                found,
                positive,
                min_label=config.min_label,
                rounds=config.rounds,
                confidence=config.confidence,
                seed=ctx.seed + number,
            )
            for number, part in enumerate(parts)
            if part.rows.any()
        ]
        small = [f"{row['slice']} ({row['rows']})" for row in rows if row["rows"] < config.min_rows]
        judged = [row for row in rows if row["rows"] >= config.min_rows]
        unscored = [row["slice"] for row in judged if row["f1"] is None and row["dimension"] != "label"]
        reasons = [
            too_little(found, config.min_rows),
            f"slices of fewer than {config.min_rows} rows: {', '.join(small)}" if small else "",
        ]
        overall = {"accuracy": float((found.predicted == found.truth).mean()), "f1": _f1(found, positive)}
        worst = {score: _worst(judged, score) for score in ("accuracy", "f1")}
        metrics = {
            "rows": float(len(found.truth)),
            "confidence": config.confidence,
            "slices": float(len(judged)),
            "slices.smallest": float(min(row["rows"] for row in rows)),
            "slices.small": float(len(small)),
            "slices.without_f1": float(len(unscored)),
        }
        for score, row in worst.items():
            if row is not None:
                metrics[f"{score}.gap"] = overall[score] - row[score]
                metrics |= {f"{score}.worst{end}": row[score + end] for end in ("", ".lower", ".upper")}
        metrics |= _by_dimension(judged)
        return Evidence(
            metrics=metrics,
            status=EvidenceStatus.INSUFFICIENT if any(reasons) else EvidenceStatus.COMPLETE,
            reason="; ".join(filter(None, reasons)),
            facts={
                "test": data.ref,
                "test.digest": data.digest,
                "average": average_of(found),
                "dimensions": ", ".join(dict.fromkeys(row["dimension"] for row in rows)),
                **{f"{score}.worst": row["slice"] if row else "none" for score, row in worst.items()},
                "small": ", ".join(small) or "none",
                "without_f1": ", ".join(unscored) or "none",
                "intervals": f"{config.confidence:.0%}, Wilson for accuracy, percentile bootstrap of "
                f"{config.rounds} rounds for f1",
            },
            summary=_summary(worst["accuracy"], overall["accuracy"], len(judged), len(small)),
            tables={"slices": rows},
        )


def _f1(found: Predictions, positive: int | None) -> float:
    """F1 of all rows, of the same labels as that of a slice."""
    matrix = confusion(found.truth, found.predicted, len(found.labels))
    labels = judged_labels(matrix, positive, least=0)
    return float(mean_f1(matrix, labels))


def _worst(rows: list[dict[str, Any]], score: str) -> dict[str, Any] | None:
    """The slice with the lowest score; of equal ones the one that is least certain."""
    scored = [row for row in rows if row[score] is not None]
    return min(scored, key=lambda row: (row[score], row[f"{score}.lower"])) if scored else None


def _by_dimension(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The lowest scores of each dimension."""
    metrics: dict[str, float] = {}
    for row in rows:
        for score in ("accuracy", "f1"):
            if row[score] is not None:
                name = f"{row['dimension']}.{score}.worst"
                metrics[name] = min(metrics.get(name, row[score]), row[score])
    return metrics


def _summary(worst: dict[str, Any] | None, overall: float, judged: int, small: int) -> str:
    if worst is None:
        return f"no slice is large enough to judge: {small} are too small"
    ends = f"[{worst['accuracy.lower']:.3f}, {worst['accuracy.upper']:.3f}]"
    text = f"worst of {judged} slices: {worst['slice']}, accuracy {worst['accuracy']:.3f} {ends}, "
    return f"{text}{overall:.3f} overall" + (f"; {small} too small" if small else "")
