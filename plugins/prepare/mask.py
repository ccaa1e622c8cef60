"""Masking: personal data that a scan found gives way to the name of its kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.extension import (
    DatasetDraft,
    Evidence,
    PluginConfig,
    Prepared,
    PreparePlugin,
    RunContext,
)
from registry.extension.tables import ANY_TEXT, read_rows, readable_columns, text_columns

if TYPE_CHECKING:
    import pyarrow as pa

SCAN = "check.pii"
FINDINGS = "findings.parquet"


class Mask(PreparePlugin[PluginConfig]):
    """Replace personal data that the PII scan found by its kind: `<PHONE_NUMBER>`."""

    name = "mask"
    evidence = "data.masking"
    reads_evidence = (SCAN,)

    def run(self, ctx: RunContext, config: PluginConfig) -> Prepared:
        """Make the next version of the dataset, with exactly the spans masked that current evidence lists.

        Raises:
            BadConfig: No scan of this dataset counts now, it left rows out, or it does not fit the dataset.
        """
        import pyarrow as pa

        table = read_rows(ctx.dataset, ANY_TEXT)
        rows: set[int] = set()
        masked = 0
        for name, by_row in _by_cell(ctx, table).items():
            index = table.schema.get_field_index(name)
            values = table[name].to_pylist()
            for row, found in by_row.items():
                merged = merge(found)
                values[row] = replace(values[row], merged)
                masked += len(merged)
            rows |= by_row.keys()
            table = table.set_column(
                index, table.schema.field(index), pa.array(values, type=table.schema.types[index])
            )

        summary = f"{masked} spans masked in {len(rows)} of {table.num_rows} rows"
        ctx.log(summary)
        draft = DatasetDraft(path=ctx.save_table(table), columns=ctx.dataset.columns, note=summary)
        metrics = {"spans_masked": float(masked), "rows_masked": float(len(rows))}
        return Prepared(datasets=(draft,), evidence=Evidence(metrics=metrics, summary=summary))


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` to `end` (excluded) of one cell."""

    start: int
    end: int
    entity_type: str
    score: float


def merge(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans as one, in order; the highest score names it, then the longest, then the alphabet."""
    clusters: list[list[Span]] = []
    end = 0
    for span in sorted(spans):
        if clusters and span.start < end:
            clusters[-1].append(span)
        else:
            clusters.append([span])
        end = max(end, span.end)
    merged = []
    for cluster in clusters:
        best = min(cluster, key=lambda span: (-span.score, span.start - span.end, span.entity_type))
        merged.append(Span(cluster[0].start, max(s.end for s in cluster), best.entity_type, best.score))
    return merged


def replace(text: str, spans: Iterable[Span]) -> str:
    """The text with each span replaced by `<ENTITY_TYPE>`; spans must not overlap."""
    # From the end, so that the offsets still to come stay right.
    for span in sorted(spans, reverse=True):
        text = f"{text[: span.start]}<{span.entity_type}>{text[span.end :]}"
    return text


def _findings(ctx: RunContext) -> list[dict[str, Any]]:
    """What the scan found, if it read every row."""
    import pyarrow.parquet as pq

    ref = ctx.dataset.ref
    again = f"phasegate run pii {ref}"
    scan = ctx.evidence(SCAN)
    if scan is None:
        raise BadConfig(f"there is no PII scan of {ref} to mask by", hint=again)
    scanned = scan.metrics.get("rows_scanned", 0)
    if scanned < ctx.dataset.rows:
        raise BadConfig(
            f"the PII scan of {ref} (run {scan.run}) read {scanned:.0f} of {ctx.dataset.rows} rows: "
            "masking by it would leave the others as they are",
            hint=again,
        )
    if scan.path is None or not (scan.path / FINDINGS).is_file():
        raise BadConfig(f"the PII scan of {ref} (run {scan.run}) left no {FINDINGS}", hint=again)
    found: list[dict[str, Any]] = pq.read_table(scan.path / FINDINGS).to_pylist()
    return found


def _by_cell(ctx: RunContext, table: pa.Table) -> dict[str, dict[int, list[Span]]]:
    """The findings as column -> row -> spans.

    Raises:
        BadConfig: One of them is outside the table.
    """
    texts = {name: table[name].to_pylist() for name in text_columns(table)}
    spans: dict[str, dict[int, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for place in _findings(ctx):
        column, row = place.pop("column"), place.pop("row")
        span = Span(**place)
        if column in readable_columns(table) and column not in texts:
            raise BadConfig(
                f"cannot mask {column!r} of {ctx.dataset.ref}: it holds lists, and only plain text is masked",
                hint="take the personal data out of the file, and add it again",
            )
        rows = texts.get(column, [])
        if not (0 <= row < len(rows) and 0 <= span.start < span.end <= len(rows[row] or "")):
            raise BadConfig(
                f"the PII scan found something in row {row}, column {column!r}, characters {span.start} to "
                f"{span.end}: {ctx.dataset.ref} has no such place",
                hint=f"phasegate run pii {ctx.dataset.ref}",
            )
        spans[column][row].append(span)
    return spans
