"""Files that are no tables: what is said, and that nothing of them is kept."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.command import Phasegate

GOOD = b"text,label\ngood,yes\nbad,no\n"
LATIN = "text,label\nfine,yes\ncafé,no\n".encode("latin-1")


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.csv", GOOD)
    return stream.getvalue()


def parquet(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


SOUND = parquet(pa.table({"text": ["a", "b"], "label": ["x", "y"]}))
# An array of bytes that claims to be text.
NO_TEXT = pa.Array.from_buffers(pa.string(), 1, pa.array([b"caf\xe9"], pa.binary()).buffers())

BAD = {
    "nothing.csv": (b"", "nothing.csv is empty", ""),
    "blank.csv": (b"\n\n", "blank.csv has no rows", "a dataset needs at least one"),
    "header.csv": (b"text,label\n", "header.csv has no rows", "a dataset needs at least one"),
    "header-only.csv": (b"text,label", "header-only.csv has no rows", "a dataset needs at least one"),
    "binary.csv": (bytes(range(256)) * 9, "binary.csv is a binary file, not a table", ".csv, .tsv, .jsonl"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n...", "picture.csv is a picture, not a table", "convert it first"),
    "archive.csv": (zipped(), "archive.csv is a zip archive, not a table", "unpack or convert it first"),
    "packed.csv.gz": (gzip.compress(GOOD), "packed.csv.gz is a gzip file, not a table", "unpack"),
    "latin.csv": (LATIN, "latin.csv is not utf-8: byte 0xe9 in line 3", "--encoding latin-1"),
    "latin.jsonl": (
        '{"text": "café"}\n'.encode("latin-1"),
        "latin.jsonl is not utf-8: byte 0xe9",
        "--encoding",
    ),
    "wide.csv": (GOOD.decode().encode("utf-16"), "wide.csv is a binary file", "--encoding utf-16"),
    "ragged.csv": (
        GOOD + b"one,two,three\nfour\n",
        "ragged.csv is ragged: row 4 has 3 fields, not 2 (2 such rows): 'one,two,three'",
        "quote fields that hold the delimiter",
    ),
    "headless.csv": (
        b"1,good\n2,bad\n",
        "headless.csv seems to have no header line: '1' is no column name",
        "name the columns with --columns NAME,NAME,...",
    ),
    "long-first-field.csv": (
        b"x" * 20_000_000 + b",yes\n",
        "seems to have no header line: 'xxxx",
        "--columns",
    ),
    "twice.csv": (b"text,text\na,b\n", "twice.csv has the column 'text' more than once", ""),
    "cut.jsonl": (b'{"text": "a"}\n{"text": "b', "cut.jsonl cannot be read as a table", "line 2"),
    "mixed.jsonl": (b'{"text": "a"}\n{"text": 3}\n', "changed from string to number in line 2", ""),
    "array.jsonl": (b'[{"text": "a"}]\n', "array.jsonl cannot be read as a table", "line 1"),
    "blank.jsonl": (b"\n", "blank.jsonl has no rows", ""),
    "cut.parquet": (SOUND[: len(SOUND) // 2], "cut.parquet is a damaged Parquet file", ""),
    "changed.parquet": (SOUND[:30] + bytes(9) + SOUND[39:], "changed.parquet is a damaged Parquet file", ""),
    "no-text.parquet": (
        parquet(pa.table({"text": NO_TEXT})),
        "no-text.parquet is a damaged Parquet file",
        "UTF8",
    ),
    "no-rows.parquet": (
        parquet(pa.table({"text": pa.array([], "string")})),
        "no-rows.parquet has no rows",
        "",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_is_refused(name: str, phasegate: Phasegate, tmp_path: Path) -> None:
    data, message, hint = BAD[name]
    file = tmp_path / name
    file.write_bytes(data)
    answer = phasegate.refuses("dataset", "add", "words", file)
    assert message in answer.err
    assert hint in answer.err
    assert len(answer.err) < 600, "an error is read by people"
    assert file.read_bytes() == data


RIGHT = {
    "latin.csv": (LATIN, ("--encoding", "latin-1"), ["fine", "café"]),
    "latin.jsonl": ('{"text": "café"}\n'.encode("latin-1"), ("--encoding", "latin-1"), ["café"]),
    "wide.csv": ("text\ncafé\n".encode("utf-16"), ("--encoding", "utf-16"), ["café"]),
    "marked.csv": (b"\xef\xbb\xbf" + GOOD, (), ["good", "bad"]),
    "marked.jsonl": (b'\xef\xbb\xbf{"text": "a"}\n', (), ["a"]),
    "headless.csv": (b"1,good\n2,bad\n", ("--columns", "id, text"), ["good", "bad"]),
    "quoted.csv": (b'text,label\n"a, ""b""\nc",yes\n', (), ['a, "b"\nc']),
    "tabs.tsv": (b"text\tlabel\na,b\tyes\n", (), ["a,b"]),
    "windows.csv": (GOOD.replace(b"\n", b"\r\n"), (), ["good", "bad"]),
    "sound.parquet": (SOUND, (), ["a", "b"]),
    "sound.jsonl": (b'{"text": "a"}\n{"text": "b"}\n', (), ["a", "b"]),
    "field.csv": (b"text,label\n" + b"x" * 20_000_000 + b",yes\n", (), ["x" * 20_000_000]),
    "field.jsonl": (b'{"text": "' + b"x" * 20_000_000 + b'"}\n', (), ["x" * 20_000_000]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_a_table_is_understood(name: str, phasegate: Phasegate, tmp_path: Path) -> None:
    import registry

    data, options, texts = RIGHT[name]
    (tmp_path / name).write_bytes(data)
    made = phasegate("dataset", "add", "words", tmp_path / name, *options, "--json").json
    assert (made["ref"], made["rows"], made["columns"]["text"]) == ("words/1", len(texts), "text")
    with registry.open(phasegate.home) as opened:
        (stored,) = (phasegate.home / "artifacts").rglob("*/??/*")
        assert pq.read_table(stored)["text"].to_pylist() == texts
        assert opened.verify(artifacts=True).ok


def test_a_huge_text_file_is_not_even_opened(
    phasegate: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "huge.csv"
    file.write_bytes(GOOD * 100)
    monkeypatch.setenv("PHASEGATE_MAX_TEXT_BYTES", "1000")
    answer = phasegate.refuses("dataset", "add", "words", file)
    assert answer.err == (
        "Error: huge.csv has 2,700 bytes: text files are read up to 1,000\n"
        "  -> convert it to Parquet first, or set PHASEGATE_MAX_TEXT_BYTES\n"
    )
    monkeypatch.setenv("PHASEGATE_MAX_TEXT_BYTES", "2 GB")
    assert "PHASEGATE_MAX_TEXT_BYTES is '2 GB'" in phasegate.refuses("dataset", "add", "words", file).err
    monkeypatch.setenv("PHASEGATE_MAX_TEXT_BYTES", "2700")
    phasegate("dataset", "add", "words", file)


@pytest.mark.parametrize("encoding", ["latin-9x", "hex", "base64", "rot13", "undefined", "idna"])
def test_an_encoding_that_is_none(encoding: str, phasegate: Phasegate, tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_bytes(GOOD)
    answer = phasegate.refuses("dataset", "add", "words", tmp_path / "words.csv", "--encoding", encoding)
    assert f"there is no encoding '{encoding}'" in answer.err


def test_what_is_no_file(phasegate: Phasegate, tmp_path: Path) -> None:
    missing = phasegate.refuses("dataset", "add", "words", tmp_path / "missing.csv")
    assert f"{tmp_path}/missing.csv cannot be read: No such file or directory" in missing.err
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "words.csv").write_bytes(GOOD)
    folder = phasegate.refuses("dataset", "add", "words", tmp_path / "folder")
    assert "words.csv lies in folder outside the folder of a class" in folder.err
    os.mkfifo(tmp_path / "pipe.csv")
    pipe = phasegate.refuses("dataset", "add", "words", tmp_path / "pipe.csv")
    assert "save what comes through a pipe" in pipe.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--text", "txet"), "no column 'txet'\n  -> did you mean 'text'?"),
        (("--label", "stars"), "no column 'stars'\n  -> known: label, text"),
        (("--sensitive", "label", "--sensitive", "sex"), "no column 'sex'"),
        (("--columns", "text"), "row 1 has 2 fields, not 1 (3 such rows)"),
        (("--columns", "text,text"), "has the column 'text' more than once"),
    ],
)
def test_a_column_that_is_not_there(
    options: tuple[str, ...], message: str, phasegate: Phasegate, tmp_path: Path
) -> None:
    (tmp_path / "words.csv").write_bytes(GOOD)
    assert message in phasegate.refuses("dataset", "add", "words", tmp_path / "words.csv", *options).err
