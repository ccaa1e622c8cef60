"""Cross-validation: the training data cut into folds, each once held out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from registry.domain.digests import digest_of
from registry.errors import BadConfig
from registry.extension import DatasetInput, RunContext
from registry.extension.inputs import TABLE
from registry.extension.tables import check_columns, groups_of, read_rows
from registry.files import manifest_of
from registry.plugins.search.options import SearchConfig

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "folds"


def cut_folds(ctx: RunContext, config: SearchConfig) -> tuple[list[dict[str, DatasetInput]], str]:
    """Data by role for each fold, and how it was cut, in words.

    Classes are spread evenly over the folds where the label is a class that has a row for each of them.

    Raises:
        BadConfig: Fewer rows or groups than folds, or no such column.
        BadTable: The data cannot be read.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    source = ctx.role("train")
    if config.group_by:
        check_columns(source, [config.group_by])
    table = read_rows(source)
    groups = groups_of(table[config.group_by]) if config.group_by else None
    kinds, what = (len(set(groups)), "groups") if groups else (table.num_rows, "rows")
    if kinds < config.folds:
        raise BadConfig(f"{source.ref} has {kinds} {what}: too few for {config.folds} folds")
    classes = _classes(source, table, config.folds)
    kind = (
        (StratifiedGroupKFold if groups else StratifiedKFold)
        if classes
        else (GroupKFold if groups else KFold)
    )
    cutter = kind(n_splits=config.folds, shuffle=True, random_state=ctx.seed)
    folds = [
        {
            role: _part(source, table.take(rows), ctx.folder / FOLDER / f"{number}" / role, number, role)
            for role, rows in (("train", kept), ("validation", held_out))
        }
        for number, (kept, held_out) in enumerate(cutter.split(range(table.num_rows), classes, groups), 1)
    ]
    by = f", grouped by {config.group_by}" if groups else ""
    even = f"stratified by {source.columns.label}" if classes else "not stratified"
    return folds, f"{config.folds} ({kind.__name__}, {even}{by})"


def _classes(source: DatasetInput, table: pa.Table, folds: int) -> list[str] | None:
    """Each row's class, if the label is one and every class has a row for each fold."""
    import pyarrow as pa

    if not source.columns.label:
        return None
    column = table[source.columns.label]
    named = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if not (named or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        return None
    labels = groups_of(column)
    return labels if min(Counter(labels).values()) >= folds else None


def _part(source: DatasetInput, rows: pa.Table, folder: Path, number: int, role: str) -> DatasetInput:
    """Some rows as a dataset of their own; written once, whole or not at all."""
    import pyarrow.parquet as pq

    if not (folder / TABLE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder.with_suffix(".unfinished")
        pq.write_table(rows, unfinished, compression="zstd")
        os.replace(unfinished, folder / TABLE)
    changes = {
        "ref": f"{source.ref}#fold-{number}",
        "role": role,
        "digest": digest_of(manifest_of(folder)),
        "path": folder,
        "rows": rows.num_rows,
    }
    return source.model_copy(update=changes)
