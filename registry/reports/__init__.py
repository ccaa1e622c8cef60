"""Reports: what the registry knows of one version, as a document."""

from registry.reports.facts import ReportFacts
from registry.reports.render import to_html, to_json

__all__ = ["ReportFacts", "to_html", "to_json"]
