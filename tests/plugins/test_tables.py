"""Text columns: each plugin says what kind of text it reads, and is given no other."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from registry.errors import BadTable
from registry.extension.tables import TextKind, kind_of_text, read_rows
from registry.extension.testing import dataset_input

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("name", pa.string())]))
KINDS: list[tuple[pa.DataType, TextKind | None]] = [
    (pa.string(), "text"),
    (pa.large_string(), "text"),
    (pa.list_(pa.string()), "words"),
    (pa.large_list(pa.large_string()), "words"),
    (MESSAGES, "messages"),
    (pa.list_(pa.struct([("role", pa.string())])), None),
    (pa.list_(pa.struct([("role", pa.string()), ("content", pa.int64())])), None),
    (pa.list_(pa.int64()), None),
    (pa.int64(), None),
    (pa.struct([("role", pa.string()), ("content", pa.string())]), None),
]


@pytest.mark.parametrize(("type", "kind"), KINDS, ids=lambda value: str(value)[:40])
def test_kinds_of_text(type: pa.DataType, kind: TextKind | None) -> None:
    assert kind_of_text(type) == kind


@pytest.mark.parametrize(
    ("type", "plain"),
    [
        (pa.list_(pa.dictionary(pa.int32(), pa.string())), pa.list_(pa.string())),
        (pa.large_list(pa.string_view()), pa.large_list(pa.string())),
    ],
    ids=str,
)
def test_words_become_plain(tmp_path: Path, type: pa.DataType, plain: pa.DataType) -> None:
    data = dataset_input(tmp_path, pa.table({"text": pa.array([["a", "b"], None], type)}), text="text")
    table = read_rows(data, ("words",))
    assert table["text"].type.value_type == plain.value_type
    assert table["text"].to_pylist() == [["a", "b"], None]


def test_what_is_not_asked_for_is_refused_by_name(tmp_path: Path) -> None:
    data = dataset_input(tmp_path, pa.table({"text": [["a"]]}), text="text")
    with pytest.raises(BadTable, match=r"holds list<.*>, not text$"):
        read_rows(data)
    with pytest.raises(BadTable, match="not text or lists of messages with role and content"):
        read_rows(data, ("text", "messages"))
