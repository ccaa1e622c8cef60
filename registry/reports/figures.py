"""Which plots a report has: read off the tables that evidence carries and the curves that runs logged.

A table that a plugin wrote in another shape than the names below is shown as a table and not plotted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.reports import charts
from registry.reports.facts import EvidenceRecord, ReportFacts, RunRecord

Rows = Sequence[Mapping[str, Any]]

# Tables that would only repeat their plot, row by row.
DRAWN_INSTEAD = frozenset({"histograms"})
_PREDICTED = "predicted "


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot: its drawing, and the sentence under it."""

    svg: str
    caption: str


def figures(facts: ReportFacts) -> dict[str, list[Figure]]:
    """Plots by what they belong to: `run-ID` or `evidence-ID`; empty without matplotlib."""
    if not charts.available():
        return {}
    found = {f"run-{run.id}": list(_of_run(run)) for run in facts.runs}
    found |= {f"evidence-{record.id}": list(_of_evidence(record)) for record in facts.evidence}
    return {key: drawn for key, drawn in found.items() if drawn}


def _of_run(run: RunRecord) -> Iterator[Figure]:
    losses = {_label(name, 30): points for name, points in run.curves.items() if "loss" in name and points}
    if not losses:
        return
    ends = "; ".join(f"{name} {points[0][1]:.3f} to {points[-1][1]:.3f}" for name, points in losses.items())
    svg = charts.loss_curves(f"run-{run.id}", f"Line plot of the loss of run {run.id}: {ends}.", losses)
    yield Figure(svg, f"Loss while {run.plugin} ran. {ends}.")


def _of_evidence(record: EvidenceRecord) -> Iterator[Figure]:
    name = f"evidence-{record.id}"
    yield from _groups(name, record.tables.get("groups", ()))
    yield from _calibration(name, record.tables.get("calibration", ()))
    yield from _confusion(name, record.tables.get("confusion", ()))
    yield from _histograms(name, record.tables.get("histograms", ()))


def _groups(name: str, rows: Rows) -> Iterator[Figure]:
    for index, (column, part) in enumerate(_by(rows, "column")):
        points = [
            (
                _label(row["group"]),
                row["selection_rate"],
                row.get("selection_rate.lower"),
                row.get("selection_rate.upper"),
            )
            for row in part
            if _numeric(row.get("selection_rate")) and "group" in row
        ]
        if points:
            said = ", ".join(f"{group} {rate:.2f}" for group, rate, *_ in points)
            label = f"Dot plot of selection rates by {column}, with 95 % intervals: {said}."
            svg = charts.rates(f"{name}-groups-{index}", label, points, "selection rate, with 95 % interval")
            yield Figure(
                svg, f"Share of each group in {column} that the model selects; the bar is the 95 % interval."
            )


def _calibration(name: str, rows: Rows) -> Iterator[Figure]:
    points = [
        (row["confidence"], row["accuracy"], row["rows"])
        for row in rows
        if all(_numeric(row.get(key)) for key in ("confidence", "accuracy", "rows"))
    ]
    if points:
        worst = max(
            abs(predicted - observed) for predicted, observed, count in points if count or len(points) == 1
        )
        label = (
            f"Calibration plot, {len(points)} bins; the largest distance from the diagonal is {worst:.2f}."
        )
        svg = charts.calibration(f"{name}-calibration", label, points)
        yield Figure(
            svg,
            "Share of right answers against the confidence stated; the dashed line is perfect. "
            "A larger dot stands for more rows.",
        )


def _confusion(name: str, rows: Rows) -> Iterator[Figure]:
    cells = {
        (str(row["true label"]), head.removeprefix(_PREDICTED)): count
        for row in rows
        if "true label" in row
        for head, count in row.items()
        if head.startswith(_PREDICTED) and _numeric(count)
    }
    labels = list(dict.fromkeys(label for pair in cells for label in pair))
    if labels and len(labels) <= 12:
        counts = [[float(cells.get((true, predicted), 0)) for predicted in labels] for true in labels]
        right = sum(counts[index][index] for index in range(len(labels)))
        whole = sum(map(sum, counts))
        label = f"Confusion matrix of {whole:,.0f} rows, {right:,.0f} of them on the diagonal."
        svg = charts.confusion(f"{name}-confusion", label, [_label(text, 12) for text in labels], counts)
        yield Figure(svg, "Rows by true and predicted class, with their share of the true class.")


def _histograms(name: str, rows: Rows) -> Iterator[Figure]:
    keys = ("low", "high", "reference_share", "live_share")
    for index, (feature, part) in enumerate(_by(rows, "feature")):
        bins = [row for row in part if all(_numeric(row.get(key)) for key in keys)]
        if bins:
            svg = charts.distributions(
                f"{name}-histogram-{index}",
                f"Bar plot of {feature}: share of rows per bin, in the reference and in live inputs.",
                [_range(row["low"], row["high"]) for row in bins],
                [row["reference_share"] for row in bins],
                [row["live_share"] for row in bins],
            )
            yield Figure(svg, f"{feature}: reference data and live inputs, by deciles of the reference.")


def _range(low: float, high: float) -> str:
    return f"{low:.3g}" if f"{low:.3g}" == f"{high:.3g}" else f"{low:.3g}–{high:.3g}"


def _by(rows: Rows, key: str) -> list[tuple[str, list[Mapping[str, Any]]]]:
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if key in row:
            parts.setdefault(str(row[key]), []).append(row)
    return [(_label(value), part) for value, part in parts.items()]


def _numeric(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _label(text: object, most: int = 40) -> str:
    """A text that fits a plot; SVG has no control characters."""
    plain = "".join(char if char.isprintable() else " " for char in str(text))
    return plain if len(plain) <= most else plain[: most - 1] + "…"
