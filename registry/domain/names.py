"""Names that people give to systems, models, datasets, actors and metrics."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from registry.errors import BadName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_MAX = 100


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if a reference, a path and a URL can all hold it.

    Raises:
        BadName: Empty, over 100 characters, or not letters, digits, `.`, `_`, `-` after a letter or digit.
    """
    if not name:
        raise BadName(f"{what} is empty")
    if len(name) > _MAX:
        raise BadName(f"{what} has {len(name)} characters: at most {_MAX} (it begins {name[:24]!r})")
    if not _NAME.match(name) or ".." in name:
        bad = sorted({c for c in name if not re.match(r"[A-Za-z0-9._-]", c)})
        why = (
            f"it holds {', '.join(map(repr, bad))}"
            if bad
            else "it must begin with a letter or digit and hold no '..'"
        )
        raise BadName(f"{what} {name!r} cannot be used: {why}", hint="use letters, digits, '.', '_' and '-'")
    return name


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint sentence for an unknown name: the nearest one, else all of them."""
    options = sorted(known)
    if close := nearest(name, options):
        return f"did you mean {close!r}?"
    return f"known: {', '.join(options)}" if options else ""
