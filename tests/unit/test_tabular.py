"""People's files: read as they are meant, or refused with the place and the way out."""

from __future__ import annotations

import csv
import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.errors import BadTable
from registry.storage.tabular import TABLE, import_table, read_table

GOOD = "text,label\nfine,pos\nawful,neg\n"
cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    return made


def written(tmp_path: Path, content: str | bytes, name: str = "reviews.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path, folder: Path, **how: object) -> BadTable:
    """The refusal of a file, which has left nothing behind."""
    with pytest.raises(BadTable) as caught:
        import_table(path, folder, **how)  # type: ignore[arg-type]
    assert list(folder.iterdir()) == []
    assert path.name in caught.value.message or str(path) in caught.value.message
    return caught.value


def test_a_csv_becomes_a_table(tmp_path: Path, folder: Path) -> None:
    facts = import_table(written(tmp_path, GOOD), folder)
    assert (facts.rows, facts.schema) == (2, {"text": "string", "label": "string"})
    assert pq.read_table(folder / TABLE).to_pylist() == [
        {"text": "fine", "label": "pos"},
        {"text": "awful", "label": "neg"},
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(cells, cells.filter(str.strip)), min_size=1, max_size=8))
def test_what_was_quoted_properly_comes_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "any.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(["text", "label"])
        # A word that no reader takes for a number or a date keeps the columns text.
        writer.writerows([("~" + text, "~" + label) for text, label in rows])
    found = read_table(path).to_pydict()
    assert list(zip(found["text"], found["label"], strict=True)) == [("~" + a, "~" + b) for a, b in rows]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("reviews.tsv", GOOD.replace(",", "\t")),
        ("reviews.jsonl", '{"text": "fine", "label": "pos"}\n{"text": "awful", "label": "neg"}\n'),
        ("reviews.ndjson", '{"text": "fine", "label": "pos"}\n{"text": "awful", "label": "neg"}'),
        ("reviews.csv", "\ufeff" + GOOD),
        ("reviews.csv", GOOD.replace("\n", "\r\n")),
        ("REVIEWS.CSV", GOOD.rstrip("\n")),
    ],
)
def test_every_usual_form_is_the_same_table(tmp_path: Path, name: str, content: str) -> None:
    assert read_table(written(tmp_path, content, name)).to_pydict() == {
        "text": ["fine", "awful"],
        "label": ["pos", "neg"],
    }


def test_parquet_is_taken_whatever_it_is_called(tmp_path: Path, folder: Path) -> None:
    table = pa.table({"text": ["fine"], "score": [1.5]})
    pq.write_table(table, tmp_path / "reviews.data")
    facts = import_table(tmp_path / "reviews.data", folder)
    assert facts.schema == {"text": "string", "score": "double"}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "schön"),
        ("cp1252", "“quoted” €"),
        ("utf-16", "ünïcode"),
        ("utf-16-le", "x"),
        ("gb18030", "你好"),
    ],
)
def test_other_encodings_are_read_when_named(tmp_path: Path, encoding: str, text: str) -> None:
    path = written(tmp_path, f"text,label\n{text},pos\n".encode(encoding))
    assert read_table(path, encoding).to_pydict() == {"text": [text], "label": ["pos"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_json_lines_in_other_encodings_too(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, '{"text": "schön"}\n'.encode(encoding), "reviews.jsonl")
    assert read_table(path, encoding).to_pydict() == {"text": ["schön"]}


def test_another_encoding_is_named_with_its_place(tmp_path: Path, folder: Path) -> None:
    error = refused(written(tmp_path, "text,label\nfine,pos\nschön,pos\n".encode("latin-1")), folder)
    assert error.message == "reviews.csv is not utf-8: byte 0xf6 in line 3"
    assert error.hint == "say what it is with --encoding, for example --encoding latin-1"


def test_the_place_is_right_beyond_the_first_block(tmp_path: Path, folder: Path) -> None:
    lines = 1 << 17
    content = b"text,label\n" + b"some,words\n" * lines + b"sch\xf6n,pos\n"
    assert len(content) > 1 << 20
    error = refused(written(tmp_path, content), folder)
    assert error.message == f"reviews.csv is not utf-8: byte 0xf6 in line {lines + 2}"


@pytest.mark.parametrize("encoding", ["utf-99", "rot13", "base64", "hex"])
def test_an_encoding_that_is_none(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(BadTable, match=f"there is no encoding '{encoding}'") as caught:
        read_table(written(tmp_path, GOOD), encoding)
    assert caught.value.hint == "for example utf-8, latin-1, cp1252"


def test_utf_16_that_is_none(tmp_path: Path, folder: Path) -> None:
    assert "is not utf-16" in refused(written(tmp_path, GOOD), folder, encoding="utf-16").message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"text,label\n", "has no rows"),
        (b"\n\n\n", "has no rows"),
        (b"text,label\nfine,pos\nawful\n", "is ragged: row 3 has 1 fields, not 2 (1 such rows): 'awful'"),
        (b"text,label\nfine,pos,f\nawful,neg,m\n", "is ragged: row 2 has 3 fields, not 2 (2 such rows)"),
        (b"fine,1\nawful,0\n", "seems to have no header line: '1' is no column name"),
        (b"text,,label\na,b,c\n", "seems to have no header line: '' is no column name"),
        (
            b"a film that I liked more than all of the others that I ever saw in my life,pos\nx,neg\n",
            "no header",
        ),
        (b"text,text\na,b\n", "has the column 'text' more than once"),
        (bytes(range(256)) * 10, "is a binary file, not a table"),
        (b"PK\x03\x04rest of a zip", "is a zip archive, not a table"),
        (gzip.compress(GOOD.encode(), mtime=0), "is a gzip file, not a table"),
        (b"%PDF-1.7", "is a PDF, not a table"),
        (b"\x89PNG\r\n", "is a picture, not a table"),
        (b"PAR1 and then nothing of the kind", "is a damaged Parquet file"),
        (b'text,label\n"never closed,pos\nx,neg\n', "reviews.csv"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_what_is_no_table_says_why(tmp_path: Path, folder: Path, content: bytes, says: str) -> None:
    assert says in refused(written(tmp_path, content), folder).message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"text": "fine"}\n{"text": \n', "cannot be read as a table"),
        ('{"text": "fine"}\n{"text": 7}\n', "cannot be read as a table"),
        ("[1, 2]\n", "cannot be read as a table"),
        ("no json\n", "cannot be read as a table"),
    ],
)
def test_json_lines_that_are_none(tmp_path: Path, folder: Path, content: str, says: str) -> None:
    assert says in refused(written(tmp_path, content, "reviews.jsonl"), folder).message


def test_a_file_without_a_header_line_gets_names(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path, "fine,1\nawful,0\n")
    assert refused(path, folder).hint == "name the columns with --columns NAME,NAME,..."
    facts = import_table(path, folder, columns=["text", "label"])
    assert (facts.rows, list(facts.schema)) == (2, ["text", "label"])


def test_what_is_not_there_or_no_file(tmp_path: Path, folder: Path) -> None:
    assert "cannot be read: No such file" in refused(tmp_path / "nowhere.csv", folder).message
    (tmp_path / "a-folder").mkdir()
    assert "is not a file" in refused(tmp_path / "a-folder", folder).message


def test_a_text_file_that_is_too_large(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_MAX_TEXT_BYTES", "20")
    error = refused(written(tmp_path, GOOD), folder)
    assert error.message == f"reviews.csv has {len(GOOD)} bytes: text files are read up to 20"
    assert error.hint == "convert it to Parquet first, or set PHASEGATE_MAX_TEXT_BYTES"
    pq.write_table(pa.table({"text": ["fine"] * 100}), tmp_path / "large.parquet")
    assert import_table(tmp_path / "large.parquet", folder).rows == 100


def test_a_limit_that_is_no_number(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_MAX_TEXT_BYTES", "much")
    with pytest.raises(BadTable, match="PHASEGATE_MAX_TEXT_BYTES is 'much'"):
        import_table(written(tmp_path, GOOD), folder)


def test_a_table_larger_than_a_block_is_read_whole(tmp_path: Path) -> None:
    dice = random.Random(0)
    rows = [{"text": "word " * dice.randint(1, 60), "label": "pos"} for _ in range(20_000)]
    lines = "\n".join(json.dumps(row) for row in rows)
    assert read_table(written(tmp_path, lines, "large.jsonl")).to_pylist() == rows
    path = tmp_path / "large.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    assert read_table(path).to_pylist() == rows


@pytest.mark.parametrize("name", ["long.csv", "long.jsonl"])
def test_a_row_of_megabytes_is_a_row(tmp_path: Path, name: str) -> None:
    long = "x" * (3 << 20)
    content = {
        "long.csv": f"text,label\n{long},a\ny,b\n",
        "long.jsonl": f'{{"text": "{long}"}}\n{{"text": "y"}}\n',
    }
    assert read_table(written(tmp_path, content[name], name)).column("text").to_pylist() == [long, "y"]


def test_line_breaks_within_quotes_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, 'text,label\n"two\nlines",pos\n')
    assert read_table(path).to_pydict() == {"text": ["two\nlines"], "label": ["pos"]}


def test_an_empty_cell_is_told_from_no_cell(tmp_path: Path) -> None:
    path = written(tmp_path, "text,label\n,pos\nfine,\n")
    assert read_table(path).num_rows == 2


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_lists_of_words_and_of_messages_are_columns(tmp_path: Path, folder: Path, suffix: str) -> None:
    """What taggers and instruction tuning read."""
    rows = [
        {"words": ["a", "b"], "tags": ["O", "B-X"], "chat": [{"role": "user", "content": "hi"}]},
        {"words": ["c"], "tags": ["O"], "chat": [{"role": "assistant", "content": None}]},
    ]
    if suffix == "jsonl":
        source = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "rows.jsonl")
    else:
        source = tmp_path / "rows.parquet"
        pq.write_table(pa.Table.from_pylist(rows), source)
    import_table(source, folder)
    assert pq.read_table(folder / TABLE).to_pylist() == rows


def test_a_column_that_is_a_list_in_one_line_and_a_text_in_another(tmp_path: Path, folder: Path) -> None:
    path = written(tmp_path, '{"text": ["a"]}\n{"text": "b"}\n', "rows.jsonl")
    assert "in line 2" in refused(path, folder).message
