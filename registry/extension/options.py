"""Kinds of options that many plugins have."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def _split(value: Any) -> Any:
    """Text as a list of words; what is no text stays as it is."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Several names: a list, or one text with commas between them."""

Numbers = Annotated[tuple[int, ...], BeforeValidator(_split)]
"""Several whole numbers: a list, or one text with commas between them."""
