"""`robustness`: whether a classifier still knows what it knew when a text is typed a little differently."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from registry.domain.evidence import EvidenceStatus
from registry.domain.names import did_you_mean
from registry.extension import EvaluatePlugin, Evidence, PluginConfig, RunContext
from registry.extension.options import Words
from registry.extension.predictions import Predictions, predict_labelled, predict_table
from registry.plugins.evaluate.perturbations import PERTURBATIONS, perturb
from registry.plugins.evaluate.scores import average_of, confusion, rates, too_little

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# Bootstrap rounds that are held in memory at once.
_BLOCK = 100
_SCORES = ("accuracy", "f1")


class RobustnessConfig(PluginConfig):
    """What is changed, how much, and how sure to be."""

    perturbations: Words = Field(
        tuple(PERTURBATIONS), min_length=1, description="what to change, comma-separated"
    )
    strength: float = Field(
        0.1, gt=0, le=1, description="share of a text's words, gaps or marks that change; one at least"
    )
    max_rows: int | None = Field(
        None, ge=1, description="ask about a random sample of so many rows; the coverage then is below 1"
    )
    min_rows: int = Field(30, ge=1, description="fewer test rows are not enough to judge by")
    rounds: int = Field(1000, ge=100, description="bootstrap rounds of the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="probability that an interval is made for")

    @field_validator("perturbations")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in PERTURBATIONS:
                raise ValueError(f"there is no perturbation {name!r} ({did_you_mean(name, PERTURBATIONS)})")
        return tuple(dict.fromkeys(value))


class Robustness(EvaluatePlugin[RobustnessConfig]):
    """Measure what typos, case, space and punctuation do to a classifier's answers, with intervals."""

    name = "robustness"
    evidence = "eval.robustness"
    roles = ("test",)
    requires = ("numpy", "scipy", "sklearn")
    extra = "checks"

    def run(self, ctx: RunContext, config: RobustnessConfig) -> Evidence:
        """Ask about every test row as it is and once per perturbation, and compare.

        A drop is the score without less the score with the change, on the same rows, so that its interval
        is that of a paired difference. Changes are drawn with the run's seed.

        Raises:
            BadTable: No rows, rows without text or label, or labels that the model does not know.
            RunFailed: The predictor's answers are no probabilities.
        """
        data = ctx.role("test")
        text = data.column("text")
        predictor = ctx.predictor()
        rows = _sample(data.rows, config.max_rows, ctx.seed)
        found = predict_labelled(ctx, data, predictor=predictor, rows=rows)
        texts = found.table[text].to_pylist()
        answers = {"clean": found.predicted}
        moved = False
        for name in config.perturbations:
            changed = _with_text(found.table, text, perturb(texts, name, config.strength, ctx.seed))
            chances = predict_table(ctx, predictor, changed, f"rows predicted with {name}")
            answers[name] = chances.argmax(axis=1)
            moved = moved or not (chances == found.probabilities).all()

        positive = found.positive if len(found.labels) == 2 else None
        metrics = {
            "rows": float(len(texts)),
            "strength": config.strength,
            "confidence": config.confidence,
            **_metrics(found, answers, positive, config, ctx.seed),
        }
        worst = max(config.perturbations, key=lambda name: metrics[f"f1.drop.{name}"])
        reason = too_little(found, config.min_rows)
        if not moved and not reason:
            reason = f"not one probability moved: the model may not read the column {text!r}"
        ends = f"[{metrics['f1.drop.max.lower']:.3f}, {metrics['f1.drop.max.upper']:.3f}]"
        return Evidence(
            metrics=metrics,
            status=EvidenceStatus.INSUFFICIENT if reason else EvidenceStatus.COMPLETE,
            reason=reason,
            facts={
                "test": data.ref,
                "test.digest": data.digest,
                "average": average_of(found),
                "perturbations": ", ".join(config.perturbations),
                "strength": f"{config.strength:g}",
                "worst": worst,
                "intervals": f"{config.confidence:.0%}, paired bootstrap of {config.rounds} rounds",
            },
            coverage=len(texts) / data.rows,
            summary=f"{worst} costs {metrics['f1.drop.max']:.3f} {ends} of f1 {metrics['f1.clean']:.3f} "
            f"and changes {metrics[f'flips.{worst}']:.1%} of answers",
            tables={
                "perturbations": [
                    {"perturbation": name, **{key: metrics[f"{key}.{name}"] for key in (*_SCORES, "flips")}}
                    for name in config.perturbations
                ]
            },
        )


def _sample(rows: int, most: int | None, seed: int) -> list[int] | None:
    """Numbers of a random sample of rows, in order; None for all."""
    if most is None or most >= rows:
        return None
    return sorted(random.Random(seed).sample(range(rows), most))


def _with_text(table: pa.Table, column: str, texts: list[str]) -> pa.Table:
    import pyarrow as pa

    return table.set_column(table.column_names.index(column), column, pa.array(texts, pa.string()))


def _metrics(
    found: Predictions,
    answers: Mapping[str, np.ndarray],
    positive: int | None,
    config: RobustnessConfig,
    seed: int,
) -> dict[str, float]:
    """Scores, drops and flips of every perturbation, and the largest drop with the interval of a maximum."""
    import numpy as np

    classes, names = len(found.labels), config.perturbations
    points = {
        name: rates(confusion(found.truth, answer, classes), positive) for name, answer in answers.items()
    }
    metrics = {
        f"{score}.{name}": float(points[name][score]) for name in ("clean", *names) for score in _SCORES
    }
    metrics |= {f"flips.{name}": float((answers[name] != found.predicted).mean()) for name in names}
    metrics["flips.max"] = max(metrics[f"flips.{name}"] for name in names)
    tails = [(1 - config.confidence) / 2, (1 + config.confidence) / 2]
    for score, drawn in _draw(found, answers, positive, config.rounds, seed).items():
        values = np.array([metrics[f"{score}.clean"] - metrics[f"{score}.{name}"] for name in names])
        for place, name in enumerate(names):
            lower, upper = np.quantile(drawn[:, place], tails)
            _put(metrics, f"{score}.drop.{name}", values[place], lower, upper)
        _put(metrics, f"{score}.drop.max", values.max(), *np.quantile(drawn.max(axis=1), tails))
    return metrics


def _put(metrics: dict[str, float], name: str, value: float, lower: float, upper: float) -> None:
    metrics[name] = float(value)
    # The largest of several noisy drops lies too high in every resample: the figure itself stays inside.
    metrics[f"{name}.lower"] = min(float(lower), float(value))
    metrics[f"{name}.upper"] = max(float(upper), float(value))


def _draw(
    found: Predictions, answers: Mapping[str, np.ndarray], positive: int | None, rounds: int, seed: int
) -> dict[str, np.ndarray]:
    """Drops of rows drawn with replacement, by score: arrays of shape (rounds, perturbations).

    Rows with the same truth and the same answers are alike, so counts of those are drawn, not rows.
    """
    import numpy as np

    columns = np.stack([found.truth, *answers.values()], axis=1)
    kinds, counts = np.unique(columns, axis=0, return_counts=True)
    classes = len(found.labels)
    codes = [kinds[:, 0] * classes + kinds[:, place] for place in range(1, kinds.shape[1])]
    dice = np.random.default_rng(seed)
    total = int(counts.sum())
    parts: dict[str, list[np.ndarray]] = {score: [] for score in _SCORES}
    for start in range(0, rounds, _BLOCK):
        drawn = dice.multinomial(total, counts / total, size=min(_BLOCK, rounds - start))
        scores = [
            rates(
                np.stack([np.bincount(code, weights=each, minlength=classes**2) for each in drawn]).reshape(
                    -1, classes, classes
                ),
                positive,
            )
            for code in codes
        ]
        for score, part in parts.items():
            part.append(np.stack([scores[0][score] - other[score] for other in scores[1:]], axis=1))
    return {score: np.concatenate(part) for score, part in parts.items()}
