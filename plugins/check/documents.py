"""Documents that people write: read, held against the headings that they must have, and kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from registry.domain.digests import digest_bytes
from registry.domain.evidence import EvidenceStatus
from registry.errors import BadInput
from registry.extension import Evidence, RunContext
from registry.files import write_atomically
from registry.plugins.check.document_kinds import Heading
from registry.plugins.check.ngrams import TOKEN

_LARGEST = 1 << 20
_SUFFIXES = (".md", ".markdown", ".txt")
# What stands where something is still to be written.
_UNWRITTEN = {"todo", "tbd", "tba", "fixme", "xxx", "to be done", "to be defined", "n a"}

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(```|~~~)")
_HASHES = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)\s*$")
_OWNER = re.compile(r"^[\s>*_-]*(?:owner|author)s?[*_]*\s*:[*_]*\s*(\S.*?)[\s*_]*$", re.IGNORECASE)
_TITLE = re.compile(r"^title\s*:\s*[\"']?(\S.*?)[\"']?\s*$", re.IGNORECASE)


def _there(path: Path) -> Path:
    """An absolute path to a text file: the run's process starts elsewhere."""
    path = path.expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"there is no file {path.name!r} in {path.parent}")
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{path.name!r} is no Markdown or text file ({', '.join(_SUFFIXES)})")
    return path


DocumentFile = Annotated[
    Path, AfterValidator(_there), Field(description="the document: Markdown or plain text, in UTF-8")
]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is written below it, subsections included but for a title's."""

    level: int
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read.

    Attributes:
        owner: Whom a line `Owner: NAME` or `Author: NAME` names; empty without one.
    """

    data: bytes
    title: str
    owner: str
    words: int
    sections: tuple[Section, ...]

    def missing(self, required: Sequence[Heading]) -> list[Heading]:
        """Headings that are not there, or have nothing written below them."""
        return [each for each in required if not any(_answers(section, each) for section in self.sections)]


def read_document(path: Path) -> Document:
    """Read Markdown or plain text.

    Raises:
        BadInput: It is empty, larger than 1 MiB, or no UTF-8 text.
    """
    with path.open("rb") as stream:
        data = stream.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise BadInput(
            f"{path.name} is larger than {_LARGEST >> 20} MiB: a document is text that people read"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise BadInput(
            f"{path.name} is no UTF-8 text: {cause}", hint="save it as Markdown in UTF-8"
        ) from cause
    if "\0" in text or text.startswith("%PDF"):
        raise BadInput(f"{path.name} is no text, whatever its name says", hint="save it as Markdown in UTF-8")
    lines = _COMMENT.sub("", text).splitlines()
    words = len(TOKEN.findall(" ".join(lines)))
    if not words:
        raise BadInput(f"{path.name} is empty")
    sections = _sections(_without_front_matter(lines))
    return Document(data, _title(lines, sections), _first(_OWNER, lines), words, sections)


def document_evidence(
    ctx: RunContext, path: Path, kind: str, required: Sequence[Heading], facts: dict[str, str]
) -> Evidence:
    """Evidence that a document was handed in; insufficient while headings of it are missing."""
    found = read_document(path)
    kept = ctx.folder / f"{kind}{path.suffix.lower()}"
    write_atomically(kept, found.data)
    missing = found.missing(required)
    names = ", ".join(heading.name for heading in missing)
    asks = "; ".join(
        f"{heading.name} ({heading.asks})" if heading.asks else heading.name for heading in missing
    )
    owner = f", owner {found.owner}" if found.owner else ""
    return Evidence(
        metrics={
            "words": float(found.words),
            "headings_required": float(len(required)),
            "headings_missing": float(len(missing)),
        },
        status=EvidenceStatus.INSUFFICIENT if missing else EvidenceStatus.COMPLETE,
        reason=f"nothing is written under these headings: {asks}" if missing else "",
        facts={
            "title": found.title,
            "owner": found.owner,
            "file": path.name,
            "sha256": digest_bytes(found.data),
            "missing": names or "none",
            **facts,
        },
        summary=f"{found.title!r}, {found.words} words{owner}"
        + (f"; missing: {names}" if missing else ", every heading is there"),
        tables={
            "headings": [
                {"heading": heading.name, "asks": heading.asks, "written": heading not in missing}
                for heading in required
            ]
        },
        files=(kept,),
    )


def _without_front_matter(lines: Sequence[str]) -> Sequence[str]:
    """The lines after a block of `name: value` between two `---` at the top."""
    if not lines or lines[0].strip() != "---":
        return lines
    end = next((at for at, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)
    return lines[end + 1 :] if end else lines


def _sections(lines: Sequence[str]) -> tuple[Section, ...]:
    """Headings with the lines below each, up to the next heading of the same level or above.

    A title that stands above all other headings has only the lines up to the first of them.
    """
    heads: list[tuple[int, int, str]] = []
    fenced = ""
    for number, line in enumerate(lines):
        if fence := _FENCE.match(line):
            fenced = "" if fenced == fence[1] else fenced or fence[1]
        elif fenced:
            continue
        elif hashes := _HASHES.match(line):
            heads.append((number, len(hashes[1]), hashes[2]))
        elif (under := _UNDERLINE.match(line)) and number and lines[number - 1].strip():
            heads.append((number - 1, 1 if under[1][0] == "=" else 2, lines[number - 1].strip()))
        elif (
            line.rstrip().endswith(":")
            and len(line.split()) <= 6
            and not line.startswith((" ", "\t", "-", "*"))
        ):
            # Plain text has no other headings: a short line of its own that ends in a colon.
            heads.append((number, 7, line.strip().rstrip(":")))
    titled = all(depth > heads[0][1] for _, depth, _ in heads[1:])
    headed = {number for number, _, _ in heads}
    sections = []
    for place, (number, level, heading) in enumerate(heads):
        deepest = 7 if titled and not place else level
        end = next((other for other, depth, _ in heads[place + 1 :] if depth <= deepest), len(lines))
        below = [
            line
            for at, line in enumerate(lines[number + 1 : end], number + 1)
            if at not in headed and not _UNDERLINE.match(line)
        ]
        sections.append(Section(level, heading, "\n".join(below)))
    return tuple(sections)


def _answers(section: Section, required: Heading) -> bool:
    heading = f" {_plain(section.heading)} "
    if not any(f" {_plain(word)} " in heading for word in (required.name, *required.also)):
        return False
    written = _plain(section.text)
    return bool(written) and written not in _UNWRITTEN


def _plain(text: str) -> str:
    """Words of a text, in lower case, with one space between."""
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _title(lines: Sequence[str], sections: Sequence[Section]) -> str:
    given = _first(_TITLE, lines)
    first = next((line.strip(" #*_") for line in lines if line.strip(" #*_-=")), "")
    return (given or (sections[0].heading if sections and sections[0].level == 1 else first))[:200]


def _first(pattern: re.Pattern[str], lines: Sequence[str]) -> str:
    return next((found[1][:200] for line in lines if (found := pattern.match(line))), "")
