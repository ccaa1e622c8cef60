"""Pictures of a search, fit for a grey printer: marks tell states apart, and figures stand beside bars.

The same trials give the same bytes of SVG: no date, identifiers salted alike, text kept as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from registry.plugins.search.options import SearchConfig
from registry.plugins.search.trial import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACCENT, _INK, _GREY, _PALE = "#1b4b72", "#1c1f23", "#6b7280", "#c9ced6"


def draw_importance(folder: Path, importance: Mapping[str, float]) -> list[Path]:
    """How much of the score's variance each option explains, as bars; PNG and SVG."""
    with _figure(1.1 + 0.32 * len(importance)) as (figure, axes):
        names = list(importance)[::-1]
        shares = [importance[name] for name in names]
        bars = axes.barh(names, shares, color=_ACCENT, height=0.6)
        axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=4, color=_INK, fontsize=9)
        axes.set_xlim(0, max(1.0, max(shares)) * 1.08)
        axes.set_xlabel("share of the score's variance")
        axes.set_title("What mattered", loc="left", fontsize=11, color=_INK)
        return [_save(figure, folder / f"importance.{ending}") for ending in ("png", "svg")]


def draw_history(folder: Path, outcomes: Sequence[Outcome], config: SearchConfig) -> Path:
    """Each trial's score in the order of the trials, and the best so far; SVG."""
    better = min if config.minimizes else max
    judged = [(outcome.number, outcome.score) for outcome in outcomes if outcome.score is not None]
    with _figure(3.2) as (figure, axes):
        numbers, scores = zip(*judged, strict=True)
        best = [better(scores[: place + 1]) for place in range(len(scores))]
        if len(scores) > 1:
            axes.step(
                numbers, best, where="post", color=_INK, linewidth=1.2, linestyle="--", label="best so far"
            )
        spread = [outcome.std for outcome in outcomes if outcome.score is not None]
        if any(spread):
            axes.errorbar(
                numbers,
                scores,
                yerr=spread,
                fmt="none",
                ecolor=_GREY,
                elinewidth=1,
                capsize=2,
                label="std of folds",
            )
        axes.plot(numbers, scores, "o", color=_ACCENT, markersize=5, label="judged")
        foot = axes.get_ylim()[0]
        for state, mark in (("pruned", "v"), ("failed", "x")):
            if out := [outcome.number for outcome in outcomes if outcome.state == state]:
                axes.plot(out, [foot] * len(out), mark, color=_INK, markersize=6, label=state, clip_on=False)
        axes.set_ylim(bottom=foot)
        axes.locator_params("x", integer=True)
        axes.set_xlabel("trial")
        axes.set_ylabel(f"{config.metric}, {'lower' if config.minimizes else 'higher'} is better")
        axes.set_title("How the search went", loc="left", fontsize=11, color=_INK)
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5))
        return _save(figure, folder / "history.svg")


@contextmanager
def _figure(height: float) -> Iterator[tuple[Figure, Axes]]:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(
        {
            "svg.hashsalt": "search",
            "svg.fonttype": "none",
            "axes.edgecolor": _PALE,
            "axes.labelcolor": _INK,
            "xtick.color": _GREY,
            "ytick.color": _INK,
            "font.size": 10,
        }
    ):
        figure = Figure(figsize=(7.2, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        yield figure, axes


def _save(figure: Figure, path: Path) -> Path:
    if path.suffix == ".svg":
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    else:
        figure.savefig(path, dpi=160)
    return path
