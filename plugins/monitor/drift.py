"""monitor-drift: live traffic against the training data."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import AwareDatetime, Field

from registry.domain.evidence import EvidenceStatus
from registry.extension import DatasetInput, Evidence, MonitorPlugin, PluginConfig, RunContext
from registry.plugins.monitor.features import MEANING
from registry.plugins.monitor.samples import live_samples, reference_samples
from registry.plugins.monitor.stability import Comparison, compare, significant
from registry.plugins.monitor.traffic import Window, read_window


class MonitorDriftConfig(PluginConfig):
    """Options of `monitor-drift`."""

    window: int = Field(default=2000, ge=1, description="judge this many of the last predicted rows")
    since: AwareDatetime | None = Field(
        default=None, description="judge only rows since then, for example 2026-01-31T00:00:00Z"
    )
    min_rows: int = Field(default=50, ge=2, description="with fewer rows than this nothing is judged")
    reference_rows: int = Field(default=2000, ge=2, description="rows of the reference, drawn at random")
    psi_limit: float = Field(
        default=0.25, gt=0, description="stability index above which a feature can have drifted"
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=1, description="false discovery rate of the Kolmogorov-Smirnov tests"
    )


class MonitorDrift(MonitorPlugin[MonitorDriftConfig]):
    """Drift of live inputs and scores against the data that the model learned from (PSI and KS).

    A feature has drifted if its population stability index is above the limit *and* its
    Kolmogorov-Smirnov distance is significant among all features: the first says how much,
    the second that it is not a small sample's chance. Texts are compared with the training
    texts. Scores are compared with those of data that the model has not seen, if the version
    names any: on its own training data a model is surer than on anything live.
    """

    name = "monitor-drift"
    evidence = "monitor.window"
    roles = ("train",)
    requires = ("numpy", "scipy")
    extra = "checks"

    def run(self, ctx: RunContext, config: MonitorDriftConfig) -> Evidence:
        served = ctx.model.artifact_digest
        here = [one for one in ctx.deployments if one.details.get("artifact", served) == served]
        window = read_window([one.folder for one in here], last=config.window, since=config.since)
        facts = {
            "deployments": ", ".join(one.endpoint for one in here) or "none",
            "deployments_of_other_artifacts": str(len(ctx.deployments) - len(here)),
            "unreadable_lines": str(window.unreadable),
        }
        if len(window.rows) < config.min_rows:
            return _insufficient(
                f"{len(window.rows)} live rows, {config.min_rows} are needed", window, 0, facts
            )
        facts["window"] = f"{_moment(window.rows[0].at)} to {_moment(window.rows[-1].at)}"

        ctx.progress(0, 2, "measuring the reference")
        train = ctx.role("train")
        unseen = _unseen(ctx, config.min_rows) or train
        facts |= {"reference": train.ref, "reference_of_scores": unseen.ref}
        vocabulary, reference = reference_samples(ctx, train, unseen, config.reference_rows)
        smallest = min(map(len, reference.values()))
        if smallest < config.min_rows:
            return _insufficient(
                f"{smallest} reference rows, {config.min_rows} are needed", window, smallest, facts
            )

        ctx.progress(1, 2, "comparing")
        live = live_samples(window.rows, vocabulary)
        measured = [name for name in reference if len(live[name]) >= config.min_rows]
        facts["not_measured"] = ", ".join(name for name in reference if name not in measured) or "none"
        found = [compare(name, reference[name], live[name]) for name in measured]
        real = significant(found, config.alpha)
        drifted = [one for one in found if one.psi > config.psi_limit and real[one.feature]]
        alarm = "; ".join(map(_in_words, drifted))
        ctx.progress(2, 2, alarm or "no drift")
        return Evidence(
            metrics={
                "rows": len(window.rows),
                "reference_rows": smallest,
                "drifted": float(bool(drifted)),
                "drifted_features": len(drifted),
                "psi.max": max(one.psi for one in found),
                **{f"psi.{one.feature}": one.psi for one in found},
                **{f"ks.{one.feature}": one.ks for one in found},
            },
            facts=facts | {"alarm": alarm or "none"},
            coverage=sum(map(len, live.values())) / (len(live) * len(window.rows)),
            summary=f"Drift in {len(drifted)} of {len(found)} features over {len(window.rows)} rows: {alarm}."
            if drifted
            else f"No drift in {len(found)} features over {len(window.rows)} rows.",
            tables={
                "features": [
                    _row(one, len(live[one.feature]), real[one.feature], one in drifted) for one in found
                ],
                "histograms": [row for one in found for row in one.histogram()],
            },
        )


def _unseen(ctx: RunContext, rows: int) -> DatasetInput | None:
    """Data of the version that it did not learn from, if there is enough of it."""
    held_out = (ctx.data[role] for role in ("test", "validation") if role in ctx.data)
    return next((data for data in held_out if data.rows >= rows), None)


def _insufficient(reason: str, window: Window, reference_rows: int, facts: dict[str, str]) -> Evidence:
    return Evidence(
        metrics={"rows": len(window.rows), "reference_rows": reference_rows},
        status=EvidenceStatus.INSUFFICIENT,
        reason=reason,
        facts=facts,
        summary=f"Drift cannot be judged: {reason}.",
    )


def _row(one: Comparison, live_rows: int, real: bool, drifted: bool) -> dict[str, object]:
    return {
        "feature": one.feature,
        "meaning": MEANING[one.feature],
        "psi": one.psi,
        "psi_by_chance": one.psi_by_chance,
        "ks": one.ks,
        "p": one.p,
        "significant": real,
        "reference_median": one.medians[0],
        "live_median": one.medians[1],
        "live_rows": live_rows,
        "drifted": drifted,
    }


def _in_words(one: Comparison) -> str:
    before, now = one.medians
    return f"{MEANING[one.feature]}: median {before:.3g} -> {now:.3g} (PSI {one.psi:.2f})"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
