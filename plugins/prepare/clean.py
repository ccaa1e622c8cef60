"""Cleaning: repair what is broken in texts, and remove the rows that say nothing new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadTable
from registry.extension import DatasetDraft, Evidence, PluginConfig, Prepared, PreparePlugin, RunContext
from registry.extension.tables import read_rows, text_columns
from registry.plugins.prepare.repair import text_repairer

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 5_000
METRICS = (
    "rows_in",
    "rows_out",
    "duplicates_removed",
    "cells_changed",
    "mojibake_repaired",
    "control_removed",
    "empty_removed",
    "conflicting_duplicates",
)


class CleanConfig(PluginConfig):
    """What makes two rows the same, and what to do where they contradict each other."""

    same: list[str] = Field(
        default=[],
        description="Columns that make two rows the same; every column if none is named. Name the text alone "
        "where rows carry an id or a time.",
    )
    conflicts: Literal["drop", "keep"] = Field(
        default="drop",
        description="Rows that are the same in everything but their label: one of the labels is wrong, and "
        "nothing says which. `drop` removes all of these rows, `keep` none; they are counted either way.",
    )


class Clean(PreparePlugin[CleanConfig]):
    """Repair mojibake, Unicode form, control characters and space; remove empty and duplicate rows."""

    name = "clean"
    evidence = "data.cleaning"
    requires = ("ftfy", "xxhash")
    extra = "prepare"

    def run(self, ctx: RunContext, config: CleanConfig) -> Prepared:
        """Make the next version of the dataset. Only text is touched; rows keep their order.

        A row is empty if its text is, or, in a table without a text column, if all its cells are.
        `mojibake_repaired` and `control_removed` count cells, `conflicting_duplicates` rows.

        Raises:
            BadTable: The dataset has no rows, or cleaning leaves none.
            BadConfig: `same` names a column that is not there.
        """
        import pyarrow as pa

        table = read_rows(ctx.dataset)
        roles = ctx.dataset.columns
        for name in config.same:
            if name not in table.column_names:
                raise BadConfig(
                    f"option 'same': no column {name!r}", hint=did_you_mean(name, table.column_names)
                )

        counts: Counter[str] = Counter(rows_in=table.num_rows)
        repaired = pa.Table.from_batches(list(_repaired(ctx, table, counts)), schema=table.schema)
        filled = repaired.filter(_filled(repaired, [roles.text] if roles.text else repaired.column_names))
        counts["empty_removed"] = table.num_rows - filled.num_rows
        rows = _without_duplicates(filled, config, roles.label, counts)
        counts["rows_out"] = rows.num_rows
        if not rows.num_rows:
            raise BadTable(
                f"cleaning leaves nothing of the {table.num_rows} rows of {ctx.dataset.ref}: "
                f"{counts['empty_removed']} are empty, {counts['conflicting_duplicates']} contradictory",
                hint="look at the text column, or keep contradictions: --set conflicts=keep",
            )

        summary = (
            f"{counts['rows_in']} rows in, {counts['rows_out']} out: "
            f"{counts['duplicates_removed']} duplicates and {counts['empty_removed']} empty rows removed, "
            f"{counts['cells_changed']} cells changed, "
            f"{counts['conflicting_duplicates']} rows with contradicting labels ({config.conflicts})"
        )
        ctx.log(summary)
        draft = DatasetDraft(path=ctx.save_table(rows), columns=roles, note=summary)
        metrics = {name: float(counts[name]) for name in METRICS}
        facts = {"conflicts": config.conflicts, "same": ", ".join(config.same) or "every column"}
        return Prepared(datasets=(draft,), evidence=Evidence(metrics=metrics, facts=facts, summary=summary))


def _repaired(ctx: RunContext, table: pa.Table, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The table batch by batch with its texts repaired; counts what was wrong."""
    import pyarrow as pa

    repair = text_repairer()
    done = 0
    for batch in table.to_batches(max_chunksize=BATCH):
        ctx.check_cancelled()
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name in text_columns(table):
            before = columns[name].to_pylist()
            after = [None if text is None else repair(text) for text in before]
            for old, new in zip(before, after, strict=True):
                if new is not None:
                    counts["cells_changed"] += new.text != old
                    counts["mojibake_repaired"] += new.mojibake
                    counts["control_removed"] += new.control
            texts = [None if new is None else new.text for new in after]
            columns[name] = pa.array(texts, type=columns[name].type)
        yield pa.RecordBatch.from_arrays(list(columns.values()), schema=table.schema)
        done += batch.num_rows
        ctx.progress(done, table.num_rows, "rows cleaned")


def _filled(table: pa.Table, names: list[str]) -> pa.ChunkedArray:
    """Per row: whether any of these columns has a value that is not an empty text."""
    from functools import reduce

    import pyarrow.compute as pc

    texts = set(text_columns(table))
    return reduce(
        pc.or_,
        (
            pc.greater(pc.fill_null(pc.utf8_length(table[name]), 0), 0)
            if name in texts
            else table[name].is_valid()
            for name in names
        ),
    )


def _without_duplicates(table: pa.Table, config: CleanConfig, label: str, counts: Counter[str]) -> pa.Table:
    """The first of equal rows only, and none whose label another row contradicts (unless they are kept)."""
    import pyarrow as pa
    import xxhash
    from pyarrow.types import is_nested

    content = [name for name in config.same or table.column_names if name != label]
    labels = table[label].to_pylist() if label else [None] * table.num_rows
    if label and is_nested(table[label].type):
        labels = [None if said is None else repr(said) for said in labels]
    firsts: dict[int, dict[Any, int]] = {}
    for row, (cells, said) in enumerate(zip(_rows(table, content), labels, strict=True)):
        # 128 bits: in a billion rows, two different ones meet with a chance below 1e-20.
        key = xxhash.xxh3_128_intdigest(repr(cells).encode())
        firsts.setdefault(key, {}).setdefault(said, row)

    keep = [False] * table.num_rows
    for rows in firsts.values():
        # A missing label contradicts nothing.
        conflict = len(rows.keys() - {None}) > 1
        counts["conflicting_duplicates"] += len(rows) if conflict else 0
        if not conflict or config.conflicts == "keep":
            for row in rows.values():
                keep[row] = True
    counts["duplicates_removed"] = table.num_rows - sum(map(len, firsts.values()))
    return table.filter(pa.array(keep, pa.bool_()))


def _rows(table: pa.Table, names: list[str]) -> Iterator[tuple[Any, ...]]:
    """The cells of some columns, row by row."""
    if not names:
        return iter([()] * table.num_rows)
    return zip(*(table[name].to_pylist() for name in names), strict=True)
