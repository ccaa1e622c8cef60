"""`document`: what only people can state about a version, as a document that is kept."""

from __future__ import annotations

import re

from pydantic import Field, ValidationInfo, field_validator

from registry.domain.names import did_you_mean
from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext
from registry.extension.options import Words
from registry.plugins.check.document_kinds import KINDS, Heading
from registry.plugins.check.documents import DocumentFile, document_evidence

_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


class DocumentConfig(PluginConfig):
    """Which document, and where it is."""

    headings: Words = Field(
        (), description="more headings that it must have, comma-separated; of a kind of your own: all of them"
    )
    kind: str = Field(description=f"{', '.join(KINDS)}; or your own, with its headings")
    file: DocumentFile

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        if not _WORDS.fullmatch(value):
            raise ValueError("a kind is written in small letters, digits and dashes")
        if value not in KINDS and not info.data.get("headings"):
            near = did_you_mean(value, KINDS)
            raise ValueError(f"there is no such kind of document, {near}; one of your own needs headings")
        return value

    @property
    def required(self) -> tuple[Heading, ...]:
        """Headings that the document must have."""
        return (*KINDS.get(self.kind, ()), *(Heading(name, "") for name in self.headings))


class Document(CheckPlugin[DocumentConfig]):
    """Keep a document about a version as evidence: what only people can state.

    Each kind must have its headings, with something written below each:

    - design-review: Logic, Choices, Assumptions, Trade-offs, Review
    - base-model: Base, Licence, Changes, Faults
    - metric-rationale: Metrics, Reasons, Thresholds, Not measured
    - security: Threats, Controls, Supply chain, Access, Response
    - oversight: Responsible, Limits, Override, Stop, Training
    - impact-assessment: Purpose, People, Harms, Measures, Oversight, Complaints
    - instructions: Provider, Purpose, Performance, Groups, Risks, Input, Output, Oversight, Changes, Logs
    - rollback-plan: Target, Trigger, Steps, Owner, Rehearsal
    - monitoring-plan: Metrics, Thresholds, Cadence, Owner, Action
    - retirement-plan: Dependants, Data, Resources, Risk

    It makes evidence below `doc.` only: what is measured cannot be handed in.
    """

    name = "document"
    subject = "version"
    evidence = "doc.*"

    def evidence_kind(self, config: DocumentConfig) -> str:
        """`doc.monitoring-plan` for a monitoring plan."""
        return f"doc.{config.kind}"

    def run(self, ctx: RunContext, config: DocumentConfig) -> Evidence:
        """Read the document, look for its headings, and keep it; whoever runs this has handed it in.

        The evidence is about the version as it is now. A heading that is missing, or has nothing below it,
        makes it insufficient.

        Raises:
            BadInput: The document is empty, too large, or no UTF-8 text.
        """
        return document_evidence(
            ctx, config.file, config.kind, config.required, {"version.digest": ctx.model.digest}
        )
