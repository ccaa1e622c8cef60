"""`memorisation`: whether a classifier's answers betray what it was trained on."""

from __future__ import annotations

import random

from pydantic import Field

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig
from registry.extension import DatasetInput, EvaluatePlugin, Evidence, PluginConfig, RunContext
from registry.extension.predictions import predict_labelled
from registry.extension.tables import read_rows, row_keys
from registry.plugins.evaluate.membership import attack, losses


class MemorisationConfig(PluginConfig):
    """How many rows, and how sure to be."""

    max_rows: int = Field(2000, ge=100, description="random rows of each side that are asked about")
    min_rows: int = Field(100, ge=10, description="fewer rows on either side are not enough to judge by")
    rounds: int = Field(1000, ge=100, description="bootstrap rounds of the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="probability that an interval is made for")


class Memorisation(EvaluatePlugin[MemorisationConfig]):
    """Measure how well membership in the training data can be told from a classifier's loss, with intervals.

    A classifier answers with labels and cannot recite a text, so extraction does not apply to it; what it
    can betray is who was in its training data. An AUC of 0.5 betrays nothing.
    """

    name = "memorisation"
    evidence = "eval.memorisation"
    roles = ("train", "test")
    requires = ("numpy",)
    extra = "checks"

    def run(self, ctx: RunContext, config: MemorisationConfig) -> Evidence:
        """Compare the model's losses on training rows with those on test rows that it was not trained on.

        Test data of another origin than the training data has other losses too: then part of the gap is
        not memorisation, and the figures lie too high.

        Raises:
            BadConfig: Train and test are the same data.
            BadTable: No rows, rows without text or label, or labels that the model does not know.
            RunFailed: The predictor's answers are no probabilities.
        """
        train, test = ctx.role("train"), ctx.role("test")
        if train.digest == test.digest:
            raise BadConfig(
                f"train and test are the same data, {train.ref}: there is nothing that was not trained on",
                hint=f"--data test=DATASET/N, for example of phasegate run split {train.ref}",
            )
        trained_on = set(_keys(train))
        fresh = [row for row, key in enumerate(_keys(test)) if key not in trained_on]
        excluded = {"heldout_excluded": float(test.rows - len(fresh))}
        facts = _facts(train, test, config)
        if reason := _too_few(train, test, len(fresh), config.min_rows):
            return Evidence(
                metrics=excluded,
                status=EvidenceStatus.INSUFFICIENT,
                reason=reason,
                facts=facts,
                coverage=0.0,
                summary=reason,
            )
        predictor = ctx.predictor()
        dice = random.Random(ctx.seed)
        known, unknown = (
            predict_labelled(
                ctx,
                data,
                predictor=predictor,
                rows=sorted(dice.sample(rows, min(len(rows), config.max_rows))),
            )
            for data, rows in ((train, range(train.rows)), (test, fresh))
        )
        members, others = (losses(side.truth, side.probabilities) for side in (known, unknown))
        metrics = {
            "rows.train": float(len(members)),
            "rows.heldout": float(len(others)),
            "confidence": config.confidence,
            "loss.train": float(members.mean()),
            "loss.heldout": float(others.mean()),
            "confidence.gap": float(
                known.probabilities.max(axis=1).mean() - unknown.probabilities.max(axis=1).mean()
            ),
            **excluded,
            **attack(members, others, rounds=config.rounds, confidence=config.confidence, seed=ctx.seed),
        }
        auc = "membership.auc"
        return Evidence(
            metrics=metrics,
            facts=facts,
            coverage=len(members) / train.rows,
            summary=f"training rows can be told from others with an AUC of {metrics[auc]:.3f} "
            f"[{metrics[f'{auc}.lower']:.3f}, {metrics[f'{auc}.upper']:.3f}]; 0.5 is not at all",
        )


def _keys(data: DatasetInput) -> list[str | None]:
    return row_keys(read_rows(data), data.columns)


def _too_few(train: DatasetInput, test: DatasetInput, fresh: int, least: int) -> str:
    """Why there is nothing to compare; empty if there is."""
    if train.rows < least:
        return f"{train.ref} has {train.rows} training rows, fewer than {least}"
    if fresh < least:
        return f"{test.ref} has {fresh} test rows that were not trained on, fewer than {least}"
    return ""


def _facts(train: DatasetInput, test: DatasetInput, config: MemorisationConfig) -> dict[str, str]:
    return {
        "train": train.ref,
        "train.digest": train.digest,
        "test": test.ref,
        "test.digest": test.digest,
        "attack": "membership by loss of the true label; held-out rows that were trained on left out",
        "extraction": "does not apply: a classifier answers with labels, not with text",
        "intervals": f"{config.confidence:.0%}, percentile bootstrap of {config.rounds} rounds",
    }
