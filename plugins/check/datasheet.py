"""`datasheet`: what only people can state about a dataset."""

from __future__ import annotations

from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext
from registry.plugins.check.document_kinds import DATASHEET
from registry.plugins.check.documents import DocumentFile, document_evidence


class DatasheetConfig(PluginConfig):
    """Where it is."""

    file: DocumentFile


class Datasheet(CheckPlugin[DatasheetConfig]):
    """Keep a dataset's datasheet as evidence: where it comes from, who is in it, what it is for.

    It must have these headings, with something written below each: Motivation, Composition, Collection,
    Preprocessing, Uses, Distribution, Maintenance.
    """

    name = "datasheet"
    subject = "dataset"
    evidence = "doc.datasheet"

    def run(self, ctx: RunContext, config: DatasheetConfig) -> Evidence:
        """Read the datasheet, look for its headings, and keep it.

        Raises:
            BadInput: It is empty, too large, or no UTF-8 text.
        """
        return document_evidence(ctx, config.file, "datasheet", DATASHEET, {})
