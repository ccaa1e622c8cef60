"""Statements: what is said of one digest, as in-toto Statement v1.

Each of ours names the row that it is about and the row's digest, under `phasegate_row`:
so it stops counting when the row is not what was signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from registry.domain.digests import canonical
from registry.errors import BadInput

STATEMENT = "https://in-toto.io/Statement/v1"
EVIDENCE = "https://phasegate.dev/evidence/v1"
APPROVAL = "https://phasegate.dev/approval/v1"
_ROW = "phasegate_row"


@dataclass(frozen=True, slots=True)
class RowRef:
    """A row as the ledger names it, `evidence:7`, and the digest of all that it holds."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Statement:
    """Something said of a digest.

    Attributes:
        name: What the digest is of, for people: `loans/1`.
        digest: `sha256:<hex>`.
        predicate_type: URI that says what the predicate means.
    """

    name: str
    digest: str
    predicate_type: str
    predicate: Mapping[str, Any]

    @classmethod
    def about(cls, name: str, digest: str, type: str, predicate: Mapping[str, Any], row: RowRef) -> Self:
        """A statement that is bound to a row."""
        return cls(name, digest, type, {**predicate, _ROW: {"name": row.name, **digests(row.digest)}})

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read a statement about one subject.

        Raises:
            BadInput: It is none.
        """
        try:
            value = json.loads(payload)
            (subject,) = value["subject"]
            if value["_type"] != STATEMENT or not isinstance(value["predicate"], dict):
                raise ValueError
            digest = f"sha256:{subject['digest']['sha256']}"
            return cls(str(subject["name"]), digest, str(value["predicateType"]), value["predicate"])
        except (KeyError, TypeError, ValueError) as cause:
            raise BadInput("this is no in-toto statement about one subject") from cause

    @property
    def row(self) -> RowRef | None:
        """The row that it is bound to, if it is to one."""
        try:
            found = self.predicate[_ROW]
            return RowRef(found["name"], f"sha256:{found['digest']['sha256']}")
        except (KeyError, TypeError):
            return None

    def payload(self) -> bytes:
        """Its bytes, as they are signed."""
        return canonical(
            {
                "_type": STATEMENT,
                "subject": [{"name": self.name, **digests(self.digest)}],
                "predicateType": self.predicate_type,
                "predicate": self.predicate,
            }
        )


def digests(digest: str) -> dict[str, dict[str, str]]:
    """`sha256:<hex>` as in-toto writes it."""
    return {"digest": {"sha256": digest.removeprefix("sha256:")}}


def uri(subject: str) -> str:
    """Something of the registry, as the ledger names it, as a URI."""
    return f"phasegate:{subject}"


def moment(at: datetime) -> str:
    """A time as in-toto writes it: RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
