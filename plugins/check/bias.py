"""`bias`: whether a classifier treats groups of people alike."""

from __future__ import annotations

from pydantic import Field

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig
from registry.extension import CheckPlugin, DatasetInput, Evidence, PluginConfig, RunContext
from registry.extension.options import Words
from registry.extension.predictions import predict_labelled
from registry.extension.tables import check_columns
from registry.plugins.check.count_table import DIFFERENCES
from registry.plugins.check.group_audit import GroupAudit


class BiasConfig(PluginConfig):
    """Which groups, and how sure to be."""

    sensitive: Words = Field(
        (),
        description="columns that name groups, comma-separated; default: the test data's sensitive columns",
    )
    min_group: int = Field(30, ge=1, description="a group with fewer rows is too small to judge")
    rounds: int = Field(1000, ge=100, description="bootstrap rounds of the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="probability that an interval is made for")


class Bias(CheckPlugin[BiasConfig]):
    """Measure how differently groups of people are treated, with confidence intervals."""

    name = "bias"
    subject = "version"
    evidence = "check.bias"
    needs_artifact = True
    roles = ("test",)
    requires = ("fairlearn", "numpy", "pandas")
    extra = "checks"

    def run(self, ctx: RunContext, config: BiasConfig) -> Evidence:
        """Compare the groups of every sensitive column; the figures without a column are the worst of all.

        A group too small to judge, or without rows that a rate needs, makes the evidence insufficient.

        Raises:
            BadConfig: No sensitive column, or one that the test data does not have.
            BadTable: No rows, rows without text or label, or labels that the model does not know.
            RunFailed: The predictor's answers are no probabilities.
        """
        data = ctx.role("test")
        columns = _sensitive(data, config)
        found = predict_labelled(ctx, data)
        audits = [
            GroupAudit(found, column, rounds=config.rounds, confidence=config.confidence, seed=ctx.seed)
            for column in columns
        ]
        metrics = {name: value for audit in audits for name, value in audit.metrics().items()}
        metrics |= _worst(metrics, columns)
        metrics["confidence"] = config.confidence
        metrics["groups"] = float(sum(len(audit.names) for audit in audits))
        metrics["smallest_group"] = float(min(audit.sizes.min() for audit in audits))
        reasons = [reason for audit in audits for reason in audit.doubts(config.min_group)]
        positive = found.labels[found.positive]
        against = "" if len(found.labels) == 2 else ", against all other labels together"
        return Evidence(
            metrics=metrics,
            status=EvidenceStatus.INSUFFICIENT if reasons else EvidenceStatus.COMPLETE,
            reason="; ".join(reasons),
            facts={
                **{f"groups.{audit.column}": audit.described() for audit in audits},
                "positive": positive + against,
                "intervals": f"{config.confidence:.0%}, percentile bootstrap of {config.rounds} rounds",
                "test": data.ref,
                "test.digest": data.digest,
            },
            summary=_summary(metrics, columns),
            tables={"groups": [row for audit in audits for row in audit.rows()]},
        )


def _sensitive(data: DatasetInput, config: BiasConfig) -> tuple[str, ...]:
    columns = config.sensitive or data.columns.sensitive
    if not columns:
        raise BadConfig(
            f"{data.ref} names no sensitive column",
            hint="--set sensitive=COLUMN, or add the dataset with --sensitive COLUMN",
        )
    check_columns(data, columns)
    return columns


def _worst(metrics: dict[str, float], columns: tuple[str, ...]) -> dict[str, float]:
    """The largest of every figure over the columns, where all columns have it."""
    worst = {}
    for figure in (f"{name}{end}" for name in DIFFERENCES for end in ("", ".lower", ".upper")):
        names = [f"{column}.{figure}" for column in columns]
        if all(name in metrics for name in names):
            worst[figure] = max(metrics[name] for name in names)
    return worst


def _summary(metrics: dict[str, float], columns: tuple[str, ...]) -> str:
    name = "demographic_parity_difference"
    if name not in metrics:
        return f"groups of {', '.join(columns)} cannot be compared"
    ends = f"[{metrics[f'{name}.lower']:.2f}, {metrics[f'{name}.upper']:.2f}]"
    return f"selection rates differ by {metrics[name]:.2f} {ends} over {', '.join(columns)}"
