"""Adding datasets."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from registry.domain.names import check_name, did_you_mean
from registry.errors import BadInput
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.pictures import import_pictures
from registry.storage.register import register_dataset
from registry.storage.tables import DatasetVersion
from registry.storage.tabular import import_table


def add_dataset(
    database: Database,
    store: ArtifactStore,
    home: Home,
    actor: str,
    name: str,
    source: Path,
    *,
    text: str = "",
    image: str = "",
    label: str = "",
    sensitive: Sequence[str] = (),
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
    licence: str = "",
    note: str = "",
) -> DatasetVersion:
    """Read a file, or a folder of pictures, store it, and record it as the next version of a dataset.

    Args:
        text: The column that a model reads; `text` if there is one of that name.
        image: The column of pictures that a model reads; `image` if there is one of that name.
        label: The column that it learns; `label` if there is one of that name.
        sensitive: Columns that name a group of people.
        columns: Names for a CSV file without a header line.

    Raises:
        BadTable: The file is no table, or the folder not one of pictures; says where.
        BadInput: A column that is not there.
    """
    check_name(name, "the dataset's name")
    home.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.root, prefix=".adding-") as folder:
        if source.is_dir():
            facts = import_pictures(source, Path(folder))
        else:
            facts = import_table(source, Path(folder), encoding=encoding, columns=columns)
        roles = {
            "text": _column(text, "text", facts.schema, source),
            "image": _column(image, "image", facts.schema, source),
            "label": _column(label, "label", facts.schema, source),
            "sensitive": [_column(column, "", facts.schema, source) for column in sensitive],
        }
        stored = store.put(Path(folder))
    with database.write(actor) as work:
        return register_dataset(
            work,
            name,
            stored,
            rows=facts.rows,
            columns=roles,
            schema=facts.schema,
            source=source.name,
            licence=licence,
            note=note,
        )


def _column(asked: str, usual: str, schema: Mapping[str, str], source: Path) -> str:
    if asked and asked not in schema:
        raise BadInput(f"{source.name} has no column {asked!r}", hint=did_you_mean(asked, schema))
    return asked or (usual if usual in schema else "")
