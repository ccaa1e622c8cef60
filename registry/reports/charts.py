"""The plots of a report as inline SVG, fit for a grey printer: marks, dashes and hatches tell series apart.

The same facts give the same bytes: no date, salted identifiers, text kept as text in the reader's font.
"""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import StringIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

from registry.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACCENT = "#1b4b72"
INK = "#1c1f23"
GREY = "#6b7280"
PALE = "#c9ced6"
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_MOST_POINTS = 400
_LINES = ((ACCENT, "-", "o"), (INK, "--", "s"), (GREY, "-.", "^"), (GREY, ":", "D"))

Rows = Sequence[Mapping[str, Any]]


def available() -> bool:
    """Whether plots can be drawn here."""
    return find_spec("matplotlib") is not None


class Canvas:
    """One drawing: `axes` while it is drawn, `svg` afterwards."""

    axes: Axes
    svg: str


@contextmanager
def canvas(name: str, label: str, *, width: float = 6.4, height: float = 2.6) -> Iterator[Canvas]:
    """Draw one plot.

    Args:
        name: Unique in the document; every identifier inside begins with it.
        label: What a reader who cannot see it is told.
        width: In inches.
        height: In inches.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    if not available():
        raise MissingExtra("plots need matplotlib", hint="pip install 'phasegate[report]'")
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "text.parse_math": False,  # a group may be called `$`
        "font.family": "sans-serif",
        "font.size": 8.5,
        "text.color": INK,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": "#e4e7eb",
        "grid.linewidth": 0.7,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "hatch.linewidth": 0.6,
        "legend.frameon": False,
    }
    drawing = Canvas()
    with rc_context(style), warnings.catch_warnings():
        # Text stays text: the reader's fonts draw it, not the one that measures it here.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        drawing.axes = figure.subplots()
        yield drawing
        sink = StringIO()
        figure.savefig(sink, format="svg", transparent=True, metadata={"Date": None})
    drawing.svg = _inline(sink.getvalue(), name, label)


def _legend(label: str) -> str:
    # matplotlib leaves a series out of its legend if its name begins with an underscore.
    return f" {label}" if label.startswith("_") else label


def loss_curves(name: str, label: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Losses over the steps of a run, each line named at its end."""
    with canvas(name, label) as drawing:
        axes = drawing.axes
        for (series, points), (colour, dash, mark) in zip(curves.items(), cycle(_LINES), strict=False):
            steps, values = zip(*thin(points), strict=True)
            few = len(steps) <= 30
            axes.plot(
                steps,
                values,
                dash,
                color=colour,
                marker=mark if few else "",
                markersize=3.5,
                label=_legend(series),
            )
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.grid(axis="y")
        axes.margins(x=0.02)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, handlelength=3, borderpad=0)
    return drawing.svg


def thin(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most 400 of the points, evenly taken, the last one always among them."""
    stride = -(-len(points) // _MOST_POINTS)
    kept = list(points[::stride])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def rates(
    name: str, label: str, rows: Sequence[tuple[str, float, float | None, float | None]], axis: str
) -> str:
    """One dot per group with its 95 % interval: rows of name, rate, lower, upper."""
    with canvas(name, label, height=0.75 + 0.34 * len(rows)) as drawing:
        axes = drawing.axes
        for line, (_, rate, lower, upper) in enumerate(rows):
            if lower is not None and upper is not None:
                axes.plot([lower, upper], [line, line], color=INK, linewidth=1.4, marker="|", markersize=8)
            axes.plot([rate], [line], "o", color=ACCENT, markersize=6)
        axes.set_yticks(range(len(rows)), [row[0] for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel(axis)
        axes.grid(axis="x")
    return drawing.svg


def calibration(name: str, label: str, rows: Sequence[tuple[float, float, float]]) -> str:
    """Observed share against stated confidence, per bin: predicted, observed, number of rows."""
    with canvas(name, label, width=3.3, height=3.0) as drawing:
        axes = drawing.axes
        most = max((count for *_, count in rows), default=1.0) or 1.0
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        axes.plot([row[0] for row in rows], [row[1] for row in rows], "-", color=ACCENT, linewidth=1.2)
        for predicted, observed, count in rows:
            axes.plot([predicted], [observed], "o", color=ACCENT, markersize=3 + 7 * (count / most) ** 0.5)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("stated confidence")
        axes.set_ylabel("share right")
        axes.grid()
    return drawing.svg


def confusion(name: str, label: str, labels: Sequence[str], counts: Sequence[Sequence[float]]) -> str:
    """A matrix of counts, true class down and predicted class across, shaded by share of the true class."""
    size = len(labels)
    with canvas(name, label, width=min(1.6 + 0.75 * size, 6.4), height=min(1.2 + 0.7 * size, 6.0)) as drawing:
        axes = drawing.axes
        for row, line in enumerate(counts):
            whole = sum(line) or 1.0
            for column, count in enumerate(line):
                share = count / whole
                axes.fill_between(
                    [column, column + 1], row, row + 1, color=ACCENT, alpha=0.06 + 0.74 * share, linewidth=0
                )
                colour = "white" if share > 0.55 else INK
                text = f"{count:,.0f}\n{share:.0%}" if size <= 6 else f"{count:,.0f}"
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)
        ticks = [index + 0.5 for index in range(size)]
        axes.set_xticks(ticks, labels)
        axes.set_yticks(ticks, labels)
        axes.tick_params(length=0)
        axes.set_xlim(0, size)
        axes.set_ylim(size, 0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        for spine in axes.spines.values():
            spine.set_visible(False)
    return drawing.svg


def distributions(
    name: str, label: str, bins: Sequence[str], reference: Sequence[float], live: Sequence[float]
) -> str:
    """Shares per bin of the reference (filled) and of live inputs (hatched), side by side."""
    with canvas(name, label, width=3.3, height=2.4) as drawing:
        axes = drawing.axes
        places = range(len(bins))
        left, right = [at - 0.2 for at in places], [at + 0.2 for at in places]
        axes.bar(left, reference, 0.38, color=PALE, edgecolor=GREY, linewidth=0.7, label="reference")
        axes.bar(
            right, live, 0.38, color="white", edgecolor=ACCENT, linewidth=0.9, hatch="/////", label="live"
        )
        crowded = sum(map(len, bins)) > 45
        axes.set_xticks(
            list(places),
            bins,
            rotation=60 if crowded else 0,
            ha="right" if crowded else "center",
            rotation_mode="anchor",
        )
        axes.tick_params(axis="x", labelsize=7, length=2)
        axes.set_ylabel("share of rows")
        axes.grid(axis="y")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0)
    return drawing.svg


def _inline(document: str, name: str, label: str) -> str:
    """The drawing alone: no metadata, identifiers of its own, a label, and a width that follows the page."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(document)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif value.startswith("#") and key in ("href", f"{{{_XLINK}}}href"):
                element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))
    width = root.attrib.pop("width")
    root.attrib.pop("height", None)
    root.set("style", f"width:{width};max-width:100%")
    root.set("role", "img")
    root.set("aria-label", label)
    return ET.tostring(root, encoding="unicode")
