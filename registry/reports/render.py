"""Facts to a document: JSON for machines, one HTML file for people."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any

from registry.domain.dossier import TargetFacts
from registry.reports import charts, statements, wording
from registry.reports.digests import mentioned
from registry.reports.facts import EvidenceRecord, ReportFacts, TimelineEntry
from registry.reports.figures import DRAWN_INSTEAD, figures

if TYPE_CHECKING:
    from jinja2 import Environment

FORMAT = "phasegate.report/1"
# Id and heading, in the order in which a reader meets them; each has a template of its id.
SECTIONS = (
    ("verdict", "Verdict and what is missing"),
    ("timeline", "Timeline"),
    ("decisions", "Decisions"),
    ("exceptions", "Exceptions, findings and risks"),
    ("people", "People and approvals"),
    ("evidence", "Evidence"),
    ("data", "Data"),
    ("runs", "Runs"),
    ("service", "In service"),
    ("signatures", "Signatures"),
    ("system", "The system and its use"),
)
_FILTERS = (
    statements.against,
    statements.besides,
    statements.comparison,
    statements.counted,
    statements.finding_state,
    statements.matrix,
    statements.risk_state,
    statements.waived,
    statements.waiver_state,
    wording.anchor,
    wording.brief,
    wording.clock,
    wording.css_text,
    wording.date,
    wording.day,
    wording.duration,
    wording.effect,
    wording.folded,
    wording.measured,
    wording.moment,
    wording.number,
    wording.outcome_word,
    wording.percent,
    wording.registration_word,
    wording.shape_of,
)


def to_json(facts: ReportFacts) -> str:
    """The report for machines: every fact under its own name, times in ISO 8601, stable byte for byte.

    Raises:
        ValueError: A number is not finite.
    """
    document = {"format": FORMAT, **_plain(facts)}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def to_html(facts: ReportFacts) -> str:
    """The report for people: one file without scripts or outside references, to read, print or archive.

    Every text in `facts` is taken as hostile and escaped. Without matplotlib the
    report has no plots and says what installs them.
    """
    page = _templates().get_template("report.html.j2")
    current = [record for record in facts.evidence if record.standing == "current"]
    return page.render(
        facts=facts,
        subject=facts.subject,
        sections=SECTIONS,
        waivers={waiver.id for waiver in facts.waivers},
        evidence={record.id for record in facts.evidence},
        unregistered=statements.unregistered(facts.targets),
        separation=statements.separation(facts),
        digests=mentioned(facts),
        figures=figures(facts),
        plots=charts.available(),
        drawn_instead=DRAWN_INSTEAD,
        timeline=[(day[0].at, day) for day in _by_day(facts.timeline)],
        intervals=_intervals(facts.targets, current),
        current=current,
        uncounted=[record for record in facts.evidence if record.standing != "current"],
    )


def _by_day(timeline: Sequence[TimelineEntry]) -> list[list[TimelineEntry]]:
    return [list(entries) for _, entries in groupby(timeline, key=lambda entry: entry.at.date())]


def _intervals(targets: Sequence[TargetFacts], current: Sequence[EvidenceRecord]) -> dict[str, str]:
    """95 % intervals of the targets' metrics, from the evidence about the version itself."""
    metrics = {name: value for record in current if not record.role for name, value in record.metrics.items()}
    return {target.metric: wording.interval(metrics, target.metric) for target in targets}


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("registry.reports") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({filter.__name__: filter for filter in _FILTERS})
    return environment


def _plain(value: Any) -> Any:
    """A fact as JSON knows it."""
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return value
