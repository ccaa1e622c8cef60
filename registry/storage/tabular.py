"""Reading people's files into tables: CSV, JSON lines, Parquet; nothing half understood."""

from __future__ import annotations

import codecs
import csv
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.csv import InvalidRow

TABLE = "data.parquet"
_MAX_TEXT_BYTES = 2 << 30
_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
}


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table that was read: number of rows, and column name -> type."""

    rows: int
    schema: dict[str, str]


def import_table(
    source: Path, folder: Path, *, encoding: str = "utf-8", columns: Sequence[str] = ()
) -> TableFacts:
    """Read a file and lay it out as `data.parquet` in a folder.

    Args:
        source: `.csv`, `.tsv`, `.jsonl` / `.ndjson` or `.parquet`.
        folder: Where to put the table.
        encoding: Of a text file.
        columns: Names for a CSV file that has no header line.

    Raises:
        BadTable: Missing, empty, binary, wrongly encoded, ragged, without a header or without
            rows, or too large to be read in one piece; says where.
    """
    import pyarrow.parquet as pq

    table = read_table(source, encoding, columns)
    if table.num_rows == 0:
        raise _no_rows(source)
    _check_names(source, table.column_names)
    pq.write_table(table, folder / TABLE, compression="zstd")
    return TableFacts(table.num_rows, {field.name: str(field.type) for field in table.schema})


def read_table(source: Path, encoding: str = "utf-8", columns: Sequence[str] = ()) -> pa.Table:
    """Read a file into memory; see `import_table`."""
    import pyarrow as pa

    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadTable(f"{source} is not a file", hint="name one, or save what comes through a pipe")
        size = status.st_size
        with source.open("rb") as stream:
            start = stream.read(8192)
    except OSError as cause:
        raise BadTable(f"{source} cannot be read: {cause.strerror}") from cause
    if size == 0:
        raise BadTable(f"{source.name} is empty")
    if start.startswith(b"PAR1"):
        return _parquet(source)
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            raise BadTable(f"{source.name} is {what}, not a table", hint="unpack or convert it first")
    if size > (limit := _limit()):
        raise BadTable(
            f"{source.name} has {size:,} bytes: text files are read up to {limit:,}",
            hint="convert it to Parquet first, or set PHASEGATE_MAX_TEXT_BYTES",
        )
    _check_known(encoding)
    if "\x00" in start.decode(encoding, errors="replace"):
        utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        hint = "if it is text: --encoding utf-16" if utf16 else "known: .csv, .tsv, .jsonl, .parquet"
        raise BadTable(f"{source.name} is a binary file, not a table", hint=hint)
    _check_encoding(source, encoding)
    try:
        if source.suffix.lower() in (".jsonl", ".ndjson"):
            return _json_lines(source, encoding)
        return _csv(source, encoding, columns, size)
    except (pa.ArrowInvalid, csv.Error) as cause:
        if "Empty CSV" in str(cause):
            raise _no_rows(source) from cause
        # Arrow counts the lines of a JSON file from nought.
        words = re.sub(r"\.? in row (\d+)", lambda row: f" in line {int(row[1]) + 1}", str(cause))
        raise BadTable(f"{source.name} cannot be read as a table: {words}") from cause


def _parquet(source: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(source)
        table.validate(full=True)  # of text that is none, reading says nothing
        return table
    except (pa.ArrowInvalid, OSError) as cause:
        raise BadTable(f"{source.name} is a damaged Parquet file: {cause}") from cause


def _json_lines(source: Path, encoding: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.json as pj

    text = source.read_bytes().decode(encoding).removeprefix("\ufeff")
    data = text.encode()  # of JSON, Arrow reads UTF-8 only
    return pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(use_threads=False, block_size=_block(len(data))),
        parse_options=pj.ParseOptions(newlines_in_values=False),
    )


def _csv(source: Path, encoding: str, columns: Sequence[str], size: int) -> pa.Table:
    import pyarrow.csv as pc

    ragged: list[InvalidRow] = []

    def keep(row: InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    delimiter = "\t" if source.suffix.lower() == ".tsv" else ","
    if not columns:
        _check_header(source, encoding, delimiter)
    table = pc.read_csv(
        source,
        # One thread, so that a ragged row is named by its number.
        read_options=pc.ReadOptions(
            use_threads=False,
            encoding=encoding,
            column_names=list(columns) or None,
            block_size=_block(size),
        ),
        parse_options=pc.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=keep),
    )
    if ragged:
        first = ragged[0]
        raise BadTable(
            f"{source.name} is ragged: row {first.number} has {first.actual_columns} fields, "
            f"not {first.expected_columns} ({len(ragged):,} such rows): {first.text[:60]!r}",
            hint="quote fields that hold the delimiter",
        )
    return table


def _block(size: int) -> int:
    """Bytes that Arrow parses at a time: enough for the longest row."""
    return max(min(size, 64 << 20), 1)


def _limit() -> int:
    """Most bytes of a text file."""
    text = os.environ.get("PHASEGATE_MAX_TEXT_BYTES") or str(_MAX_TEXT_BYTES)
    if not text.isdecimal():
        raise BadTable(f"PHASEGATE_MAX_TEXT_BYTES is {text!r}", hint="give it a number of bytes")
    return int(text)


def _check_known(encoding: str) -> None:
    try:
        b"a".decode(encoding, errors="replace")
    except (LookupError, UnicodeError):
        raise BadTable(
            f"there is no encoding {encoding!r}", hint="for example utf-8, latin-1, cp1252"
        ) from None


def _check_encoding(source: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    with source.open("rb") as stream:
        while True:
            block = stream.read(1 << 20)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as cause:
                line += block[: cause.start].count(b"\n")
                raise BadTable(
                    f"{source.name} is not {encoding}: byte 0x{cause.object[cause.start]:02x} in line {line}",
                    hint="say what it is with --encoding, for example --encoding latin-1",
                ) from cause
            except UnicodeError as cause:
                raise BadTable(f"{source.name} is not {encoding}: {cause}") from cause
            if not block:
                return
            line += block.count(b"\n")


def _check_header(source: Path, encoding: str, delimiter: str) -> None:
    """A first line that holds data is not taken for names."""
    csv.field_size_limit(1 << 26)
    with source.open(encoding=encoding, newline="") as stream:
        names = next(csv.reader(stream, delimiter=delimiter), [])
    names = [name.removeprefix("\ufeff").strip() for name in names]
    odd = [name for name in names if not name or len(name) > 64 or _is_number(name)]
    if odd:
        raise BadTable(
            f"{source.name} seems to have no header line: {odd[0][:40]!r} is no column name",
            hint="name the columns with --columns NAME,NAME,...",
        )


def _check_names(source: Path, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadTable(f"{source.name} has the column {twice[0]!r} more than once")
    if any(not name.strip() for name in names):
        raise BadTable(f"{source.name} has a column without a name")


def _no_rows(source: Path) -> BadTable:
    return BadTable(f"{source.name} has no rows", hint="a dataset needs at least one")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
