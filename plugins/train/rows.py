"""Rows of a dataset as plugins read them: some of them, and those of two datasets as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar, cast

R = TypeVar("R")


@dataclass(frozen=True)
class Rows:
    """A frozen dataclass of lists of one length: each field says something of every row."""

    def only(self, rows: Sequence[int]) -> Self:
        """Some of the rows."""
        return type(self)(*(only(field, rows) for field in self._fields()))

    def __add__(self, more: Self) -> Self:
        return type(self)(*map(joined, self._fields(), more._fields()))

    def _fields(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(self)]


def only(rows: R, numbers: Sequence[int]) -> R:
    """Some rows of a list, of several lists that belong together, or of what has a method `only`."""
    found: Any = rows
    if isinstance(found, list):
        found = [found[number] for number in numbers]
    elif isinstance(found, tuple):
        found = tuple(only(each, numbers) for each in found)
    else:
        found = found.only(numbers)
    return cast("R", found)


def joined(rows: R, more: R) -> R:
    """The rows of both, one after the other."""
    one: Any = rows
    other: Any = more
    if isinstance(one, tuple):
        return cast("R", tuple(map(joined, one, other)))
    return cast("R", one + other)
