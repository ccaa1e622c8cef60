"""Telling what went wrong, into the log of whoever it went wrong for."""

from __future__ import annotations

import contextlib
import traceback


def tell() -> None:
    """Print the error that is being handled; a log on a full disk must not hide how a run ended."""
    with contextlib.suppress(OSError):
        traceback.print_exc()
