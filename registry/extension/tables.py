"""Tables as plugins read them: checked, and with one idea of what text is and when two texts are the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadTable
from registry.extension.inputs import ColumnRoles, DatasetInput

if TYPE_CHECKING:
    import pyarrow as pa

_NO_WORD = re.compile(r"[\W_]+")

MISSING = "(missing)"
"""The group of rows that name none."""

TextKind = Literal["text", "words", "messages"]
"""What a text column may hold: strings, lists of words, or lists of chat messages (`role`, `content`)."""

ANY_TEXT: tuple[TextKind, ...] = ("text", "words", "messages")

_IN_WORDS = {
    "text": "text",
    "words": "lists of words",
    "messages": "lists of messages with role and content",
}


def read_rows(data: DatasetInput, text: Sequence[TextKind] = ("text",)) -> pa.Table:
    """The dataset's table; dictionary-encoded columns and string views become plain ones.

    Args:
        data: The dataset.
        text: What its text column may hold.

    Raises:
        BadTable: It has no rows, lacks a column that the dataset gives a role to, or its text column holds
            something else.
    """
    import pyarrow as pa

    table = data.read()
    if not table.num_rows:
        raise BadTable(f"{data.ref} has no rows")
    roles = data.columns
    for role, name in [
        ("text", roles.text),
        ("image", roles.image),
        ("label", roles.label),
        *(("sensitive", n) for n in roles.sensitive),
    ]:
        if name and name not in table.column_names:
            raise BadTable(
                f"{data.ref} has no column {name!r}, which is its {role} column",
                hint=did_you_mean(name, table.column_names),
            )
    table = table.cast(pa.schema([field.with_type(_plain(field.type)) for field in table.schema]))
    if roles.text and table[roles.text].null_count == table.num_rows:
        raise BadTable(f"the text column {roles.text!r} of {data.ref} holds no values")
    if roles.text and kind_of_text(table[roles.text].type) not in text:
        wanted = " or ".join(_IN_WORDS[kind] for kind in text)
        raise BadTable(
            f"the text column {roles.text!r} of {data.ref} holds {table[roles.text].type}, not {wanted}"
        )
    return table


def kind_of_text(type: pa.DataType) -> TextKind | None:
    """Which kind of text a column of a type holds, in a table as `read_rows` gives it; None if none."""
    import pyarrow as pa

    def is_string(type: pa.DataType) -> bool:
        return type in (pa.string(), pa.large_string())

    if is_string(type):
        return "text"
    if not _is_list(type):
        return None
    inner = type.value_type
    if is_string(inner):
        return "words"
    if pa.types.is_struct(inner):
        fields = {field.name: field.type for field in inner}
        if all(name in fields and is_string(fields[name]) for name in ("role", "content")):
            return "messages"
    return None


def text_columns(table: pa.Table) -> list[str]:
    """Names of the columns that hold text, in order, of a table as `read_rows` gives it."""
    return [field.name for field in table.schema if kind_of_text(field.type) == "text"]


def readable_columns(table: pa.Table) -> list[str]:
    """Names of the columns that hold text of any kind, in order, of a table as `read_rows` gives it."""
    return [field.name for field in table.schema if kind_of_text(field.type)]


def texts_of(column: pa.ChunkedArray) -> list[str | None]:
    """Each row's text, whatever kind it is: words with blanks between them, messages line by line."""
    values = column.to_pylist()
    match kind_of_text(column.type):
        case "words":
            return [None if words is None else " ".join(word or "" for word in words) for words in values]
        case "messages":
            return [
                None if row is None else "\n".join(message["content"] or "" for message in row if message)
                for row in values
            ]
    return list(values)


def check_columns(data: DatasetInput, columns: Sequence[str]) -> None:
    """Refuse columns that the dataset does not have.

    Raises:
        BadConfig: The first of them, with the nearest name.
    """
    import pyarrow.parquet as pq

    known = pq.read_schema(data.table_path).names
    for column in columns:
        if column not in known:
            raise BadConfig(f"{data.ref} has no column {column!r}", hint=did_you_mean(column, known))


def groups_of(column: pa.ChunkedArray) -> list[str]:
    """Each row's value as a word; a null is a group of its own."""
    return [MISSING if value is None else str(value) for value in column.to_pylist()]


def text_key(text: str) -> str:
    """What two texts share that differ only in case, space, punctuation or Unicode form.

    A text without a letter or digit stands for itself, so that `:-)` and `?!` stay two texts.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NO_WORD.sub("", folded) or folded.strip()


def row_keys(table: pa.Table, roles: ColumnRoles) -> list[str | None]:
    """What makes a row the same as another to a model, which must not learn one and be judged by the other.

    The text without case, space and punctuation (`text_key`); of pictures the file's digest; of a table
    without either the values of all columns but the label. None where there is no text or picture.
    """
    if roles.text:
        return [None if text is None else text_key(text) for text in texts_of(table[roles.text])]
    if roles.image:
        return [
            None if data is None else hashlib.sha256(data).hexdigest()
            for data in table[roles.image].to_pylist()
        ]
    names = [name for name in table.column_names if name != roles.label]
    return [repr(values) for values in zip(*(table[name].to_pylist() for name in names), strict=True)]


def _plain(type: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_dictionary(type):
        return _plain(type.value_type)
    if _is_list(type):
        build = pa.large_list if pa.types.is_large_list(type) else pa.list_
        return build(type.value_field.with_type(_plain(type.value_type)))
    if pa.types.is_struct(type):
        return pa.struct([field.with_type(_plain(field.type)) for field in type])
    return pa.string() if type == pa.string_view() else type


def _is_list(type: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(type) or pa.types.is_large_list(type))
