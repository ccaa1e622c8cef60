"""What language tasks learn from, read from a dataset and checked before anything is computed on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from registry.domain.names import did_you_mean
from registry.errors import BadTable
from registry.extension import DatasetInput
from registry.extension.tables import TextKind, kind_of_text, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

ROLES = ("system", "user", "assistant", "tool")
Chat = list[dict[str, str]]


def kind_of(data: DatasetInput, *kinds: TextKind) -> TextKind:
    """Which of `kinds` the text column holds.

    Raises:
        BadTable: None of them.
        BadConfig: The dataset does not say which column is its text.
    """
    name = data.column("text")
    kind = kind_of_text(read_rows(data, kinds)[name].type)
    assert kind
    return kind


def read_texts(data: DatasetInput) -> list[str]:
    """The text column of plain strings; none is empty.

    Raises:
        BadTable: It holds something else, or rows without text.
    """
    name = data.column("text")
    return _texts(data, name, read_rows(data)[name])


def read_pairs(data: DatasetInput) -> tuple[list[str], list[str]]:
    """Texts, and the texts that they are to become.

    Raises:
        BadTable: A column holds something else, or rows without text.
    """
    text, label = data.column("text"), data.column("label")
    table = read_rows(data)
    if kind_of_text(table[label].type) != "text":
        raise BadTable(f"the label column {label!r} of {data.ref} holds {table[label].type}, not text")
    return _texts(data, text, table[text]), _texts(data, label, table[label])


def read_tagged(data: DatasetInput) -> tuple[list[list[str]], list[list[str]]]:
    """Words, and a tag for each of them; tags that are numbers become words.

    Raises:
        BadTable: A column holds something else, a row has no words, empty ones, as many tags as it has
            no words, or a tag below 0.
    """
    text, label = data.column("text"), data.column("label")
    table = read_rows(data, ("words",))
    words, tags = table[text].to_pylist(), table[label].to_pylist()
    if not _is_list_of_tags(table[label].type):
        raise BadTable(
            f"the label column {label!r} of {data.ref} holds {table[label].type}, not lists of tags"
        )
    _refuse(data, words, lambda row: not row, f"have no words in {text!r}")
    _refuse(data, words, lambda row: not all(word and word.strip() for word in row), "have an empty word")
    for number, (row, marks) in enumerate(zip(words, tags, strict=True)):
        if marks is None or len(marks) != len(row):
            count = "no" if marks is None else len(marks)
            raise BadTable(
                f"row {number} of the {data.role} data {data.ref} has {len(row)} words and {count} tags",
                hint="each word needs one tag; O is one",
            )
    _refuse(data, tags, lambda row: any(tag is None or tag == "" for tag in row), "have an empty tag")
    _refuse(data, tags, lambda row: any(not isinstance(t, str) and t < 0 for t in row), "have a tag below 0")
    return words, [[str(tag) for tag in row] for row in tags]


def read_chats(data: DatasetInput) -> list[Chat]:
    """The text column of chat messages, each with a role and content.

    Raises:
        BadTable: It holds something else, an unknown role, a message without content, or a row without
            an answer of the assistant.
    """
    name = data.column("text")
    rows = read_rows(data, ("messages",))[name].to_pylist()
    chats = []
    for number, row in enumerate(rows):
        where = f"row {number} of the {data.role} data {data.ref}"
        if not row:
            raise BadTable(f"{where} has no messages", hint="drop such rows")
        for message in row:
            role, content = message["role"], message["content"]
            if role not in ROLES:
                raise BadTable(
                    f"{where} has a message of role {role!r}",
                    hint=did_you_mean(str(role), ROLES),
                )
            if not (content or "").strip():
                raise BadTable(f"{where} has an empty message of {role}", hint="drop such rows")
        if all(message["role"] != "assistant" for message in row):
            raise BadTable(f"{where} has no message of the assistant to learn", hint="drop such rows")
        # A field that this message lacks and others have is null in the table.
        chats.append([{key: value for key, value in m.items() if value is not None} for m in row])
    return chats


def _texts(data: DatasetInput, name: str, column: pa.ChunkedArray) -> list[str]:
    texts: list[str] = column.to_pylist()
    _refuse(data, texts, lambda text: not (text or "").strip(), f"have no {name!r}")
    return texts


def _refuse(data: DatasetInput, rows: Sequence[Any], bad: Callable[[Any], bool], what: str) -> None:
    found = [number for number, row in enumerate(rows) if bad(row)]
    if found:
        raise BadTable(
            f"{len(found)} of {len(rows)} rows of the {data.role} data {data.ref} {what}; "
            f"the first is row {found[0]}",
            hint=f"drop them: phasegate run clean {data.ref}",
        )


def _is_list_of_tags(type: pa.DataType) -> bool:
    import pyarrow as pa

    if kind_of_text(type) == "words":
        return True
    is_list = pa.types.is_list(type) or pa.types.is_large_list(type)
    return bool(is_list and pa.types.is_integer(type.value_type))
