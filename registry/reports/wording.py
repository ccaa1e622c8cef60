"""How figures, times and digests are written in a report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from registry.domain.digests import short

# What each outcome, state or standing looks like: the shape and the words carry it, colour never does alone.
SHAPES: Mapping[str, str] = {
    "pass": "pass",
    "met": "pass",
    "complete": "pass",
    "current": "pass",
    "succeeded": "pass",
    "running": "part",
    "waived": "part",
    "fail": "fail",
    "not met": "fail",
    "failed": "fail",
    "refused": "fail",
    "rejected": "fail",
    "error": "warn",
    "lost": "warn",
    "expired": "warn",
    "stale": "warn",
    "missing": "none",
    "not measured": "none",
    "insufficient": "part",
    "queued": "none",
}

_WORDS: Mapping[str, str] = {
    "pass": "holds",
    "fail": "fails",
    "missing": "no evidence",
    "insufficient": "cannot judge",
    "error": "error",
    "waived": "waived",
}

_UNITS: Sequence[tuple[str, str]] = (
    (r"(^|[._])seconds$", "s"),
    (r"(^|[._])ms([._]|$)", "ms"),
    (r"(^|[._])bytes$", "B"),
    (r"(^|[._])rows(_in|_out)?$|^removed$", "rows"),
    (r"(^|[._])files$", "files"),
    (r"(^|[._])(steps|epochs|columns|groups|parameters|findings)$", ""),
)


def outcome_word(outcome: str) -> str:
    """An outcome as people say it."""
    return _WORDS.get(outcome, outcome)


def shape_of(word: str) -> str:
    """Name of the drawn sign for a status word."""
    return SHAPES.get(word, "none")


def number(value: Any) -> str:
    """A figure to four significant digits, whole numbers in full with thousands set apart."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.1f}"
    if size < 0.0001:
        return f"{value:.2e}"
    return f"{value:.4f}" if size < 1 else f"{value:.4g}"


def unit(metric: str) -> str:
    """Unit of a metric by its name; empty where it has none or is a share."""
    return next((word for pattern, word in _UNITS if re.search(pattern, metric)), "")


def percent(share: float) -> str:
    """A share as a percentage that says 100 only when it is all."""
    text = f"{share * 100:.1f}".rstrip("0").rstrip(".")
    return f"{text} %" if share >= 1 or text != "100" else "> 99.9 %"


def duration(seconds: float | None) -> str:
    """A length of time as one or two units."""
    if seconds is None:
        return "not ended"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def moment(at: datetime | None) -> str:
    """Date and time in UTC, as far as minutes."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "–"


def brief(digest: str) -> str:
    """A digest in twelve hexadecimal figures, without naming the algorithm."""
    return short(digest).removeprefix("sha256:")


def anchor(text: str) -> str:
    """A text as an anchor: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()


def css_text(text: str) -> str:
    """A text that can stand in a string of a style sheet, where HTML escaping does not help."""
    return re.sub(r"[^A-Za-z0-9 ./:_@-]", "", text)


def measured(metrics: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """Metrics as rows of name, value, 95 % interval and unit; bounds join the metric that they bound."""
    bounds = {name for name in metrics if name.endswith((".lower", ".upper"))}
    rows = []
    for name in metrics:
        if name in bounds and name.rsplit(".", 1)[0] in metrics:
            continue
        rows.append((name, number(metrics[name]), interval(metrics, name), unit(name)))
    return rows


def interval(metrics: Mapping[str, float], name: str) -> str:
    """The 95 % interval of a metric where its evidence has one."""
    lower, upper = metrics.get(f"{name}.lower"), metrics.get(f"{name}.upper")
    return f"{number(lower)} to {number(upper)}" if lower is not None and upper is not None else ""


def folded(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with `x`, `x.lower` and `x.upper` written as `x` and `x 95 %`: three columns become two."""
    return [
        {
            name: value
            for key, given in row.items()
            if not key.endswith((".lower", ".upper"))
            for name, value in _with_interval(row, key, given)
        }
        for row in rows
    ]


def _with_interval(row: Mapping[str, Any], key: str, given: Any) -> Iterator[tuple[str, Any]]:
    yield key, given
    if f"{key}.lower" in row and f"{key}.upper" in row:
        lower, upper = row[f"{key}.lower"], row[f"{key}.upper"]
        yield f"{key} 95 %", "" if lower is None else f"{number(lower)} to {number(upper)}"
