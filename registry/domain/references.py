"""References: `loans/3`, `loans@champion`, and MLflow's `models:/loans/3`, `models:/loans@champion`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.domain.names import check_name
from registry.errors import BadReference

_PREFIX = "models:/"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A version of a model or of a dataset."""

    name: str
    number: int

    @classmethod
    def parse(cls, text: str) -> Ref:
        """Read `name/3` or `models:/name/3`.

        Raises:
            BadReference: No slash, or what follows it is no positive number.
            BadName: The name could not be stored.
        """
        name, slash, number = text.removeprefix(_PREFIX).rpartition("/")
        if not slash:
            known = number.partition("@")[0] or "NAME"
            raise BadReference(f"{text!r} names no version", hint=f"write {known}/1 for its first version")
        if not _NUMBER.match(number):
            raise BadReference(f"{text!r}: {number!r} is no version number", hint="versions are 1, 2, 3, ...")
        return cls(check_name(name, "the name in the reference"), int(number))

    def __str__(self) -> str:
        return f"{self.name}/{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class AliasRef:
    """Whatever version of a model an alias points to; only a transaction can say which."""

    name: str
    alias: str

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}"


def parse_reference(text: str) -> Ref | AliasRef:
    """Read a reference by number or by alias.

    Raises:
        BadReference: It is neither.
        BadName: A name could not be stored.
    """
    name, at, alias = text.removeprefix(_PREFIX).partition("@")
    if not at or "/" in name:
        return Ref.parse(text)
    return AliasRef(check_name(name, "the name in the reference"), check_name(alias, "the alias"))
