"""Personal data in texts: where it stands, and which kinds of it could not have been seen."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from registry.domain.evidence import EvidenceStatus
from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadTable
from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext
from registry.extension.tables import ANY_TEXT, read_rows, readable_columns, texts_of
from registry.plugins.check.findings import Finding, count, per_entity, write
from registry.plugins.check.patterns import LONGEST, PatternScanner

if TYPE_CHECKING:
    import pyarrow as pa

Texts = Sequence[str | None]

# What leads to one person. Dates, web addresses and UUIDs mostly do not, and are in every second text.
IDENTIFYING = (
    "CREDIT_CARD",
    "CRYPTO",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "MEDICAL_LICENSE",
    "PHONE_NUMBER",
    "UK_NHS",
    "US_BANK_NUMBER",
    "US_DRIVER_LICENSE",
    "US_ITIN",
    "US_PASSPORT",
    "US_SSN",
)


class PiiConfig(PluginConfig):
    """What to look for, and where."""

    entities: list[str] = Field(
        default=list(IDENTIFYING),
        min_length=1,
        description="Kinds of personal data to look for. By default those that lead to one person; "
        "DATE_TIME, URL and UUID can be added, and find much that does not.",
    )
    threshold: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="Least score of a finding. Under 0.35 any long number passes for an account or a "
        "licence; from there on it needs a word like `account` or `license` before it.",
    )
    columns: list[str] = Field(
        default=[], description="Columns to read; by default every text column but label and sensitive ones."
    )
    max_rows: int | None = Field(
        default=None, ge=1, description="Read a random sample of so many rows; the coverage then is below 1."
    )
    language: str = Field(default="en", description="Language of the texts, in two letters.")
    regions: list[str] = Field(
        default=[],
        description="Countries (two letters) whose phone numbers are known without their +prefix; by default "
        "US, GB, DE, FR, IL, IN, CA, BR.",
    )


class Pii(CheckPlugin[PiiConfig]):
    """Personal data in texts, by pattern, checksum and context; says which kinds it could not see."""

    name = "pii"
    subject = "dataset"
    evidence = "check.pii"
    requires = ("presidio_analyzer", "phonenumbers", "spacy", "tldextract")
    extra = "checks"

    def run(self, ctx: RunContext, config: PiiConfig) -> Evidence:
        """Read every text once, however often it occurs, without the network.

        No finding does not mean no personal data: `blind_to` names what patterns cannot see, people's
        names first. Phone numbers are those of seven digits or more. Rows that could not be read to their
        end make the evidence insufficient.

        Raises:
            BadTable: No rows, no text column, or nothing in those that are to be read.
            BadConfig: An unknown entity type, column, language or region.
        """
        table = read_rows(ctx.dataset, ANY_TEXT)
        columns = _columns(ctx, table, config)
        scanner = _scanner(config)
        rows: Sequence[int] = range(table.num_rows)
        if config.max_rows is not None and config.max_rows < table.num_rows:
            rows = sorted(random.Random(ctx.seed).sample(rows, config.max_rows))
        findings, unread = _scan(ctx, scanner, {name: texts_of(table[name]) for name in columns}, rows)

        read = len(rows) - len(unread)
        reason = (
            f"{len(unread)} rows not read to their end: over {LONGEST} characters, or a pattern took too long"
        )
        return Evidence(
            metrics=count(findings, read, scanner.sees),
            status=EvidenceStatus.INSUFFICIENT if unread else EvidenceStatus.COMPLETE,
            reason=reason if unread else "",
            facts={
                "sees": ", ".join(scanner.sees),
                "blind_to": ", ".join(scanner.blind_to),
                "threshold": f"{config.threshold:g}",
                "language": config.language,
                "phone_regions": ", ".join(scanner.regions),
                "columns": ", ".join(columns),
                "columns_not_read": ", ".join(name for name in table.column_names if name not in columns),
            },
            coverage=read / table.num_rows,
            summary=_summary(findings, read, table.num_rows, scanner.blind_to),
            tables={"entities": per_entity(findings)},
            files=(write(findings, ctx.folder / "findings.parquet"),),
        )


def _columns(ctx: RunContext, table: pa.Table, config: PiiConfig) -> list[str]:
    """The columns to read."""
    texts = readable_columns(table)
    roles = ctx.dataset.columns
    for name in config.columns:
        if name not in texts:
            raise BadConfig(f"option 'columns': {name!r} is no text column", hint=did_you_mean(name, texts))
    columns = config.columns or [name for name in texts if name not in (roles.label, *roles.sensitive)]
    if not columns:
        raise BadTable(
            f"{ctx.dataset.ref} has no text column to read",
            hint=f"these are read only if named in --set columns=...: {', '.join(texts)}" if texts else "",
        )
    if all(table[name].null_count == table.num_rows for name in columns):
        raise BadTable(f"{ctx.dataset.ref} has nothing to read: {', '.join(columns)} holds no values")
    return columns


def _scanner(config: PiiConfig) -> PatternScanner:
    """The scanner, if it can see everything that was asked for by name."""
    import phonenumbers

    for region in config.regions:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise BadConfig(
                f"option 'regions': {region!r} is no country's two capital letters",
                hint=did_you_mean(region.upper(), phonenumbers.SUPPORTED_REGIONS),
            )
    try:
        scanner = PatternScanner(config.language, config.entities, config.threshold, config.regions)
    except (ImportError, ValueError) as cause:
        raise BadConfig(
            f"option 'language': {config.language!r} cannot be read", hint="write 'en', for example"
        ) from cause
    unseen = [name for name in config.entities if name not in scanner.known]
    if unseen and ("entities" in config.model_fields_set or not scanner.sees):
        raise BadConfig(
            f"option 'entities': there is no pattern for {', '.join(unseen)} in language {config.language!r}",
            hint=did_you_mean(unseen[0], scanner.known),
        )
    return scanner


def _scan(
    ctx: RunContext, scanner: PatternScanner, columns: Mapping[str, Texts], rows: Iterable[int]
) -> tuple[list[Finding], set[int]]:
    """Findings in these rows, and the rows that could not be read."""
    findings: list[Finding] = []
    unread: set[int] = set()
    places = {name: _places(texts, rows) for name, texts in columns.items()}
    total = sum(map(len, places.values()))
    done = 0
    for name, texts in places.items():
        context = re.split(r"[\W_]+", name.lower())
        for text, where in texts.items():
            ctx.check_cancelled()
            hits = scanner.scan(text, context)
            if hits is None:
                unread.update(where)
            for hit in hits or ():
                findings += [
                    Finding(row, name, hit.start, hit.end, hit.entity_type, hit.score) for row in where
                ]
            done += 1
            ctx.progress(done, total, "texts read")
    return sorted(findings), unread


def _places(texts: Texts, rows: Iterable[int]) -> dict[str, list[int]]:
    """Text -> those of the rows that hold it."""
    places: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if text := texts[row]:
            places[text].append(row)
    return places


def _summary(findings: Sequence[Finding], read: int, rows: int, blind_to: Iterable[str]) -> str:
    kinds = Counter(finding.entity_type for finding in findings)
    found = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items())) or "nothing"
    places = len({finding.row for finding in findings})
    return f"found {found} in {places} rows; {read} of {rows} rows read; blind to {', '.join(blind_to)}"
