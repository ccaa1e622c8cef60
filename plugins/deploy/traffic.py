"""The traffic log of a deployment: what was asked, and what was answered.

One JSON object a line, one line a row of a request:

    {"at": 1753000000.123, "id": "42", "row": 0, "label": "spam", "score": 0.98,
     "characters": 27, "words": 5, "text": "win a prize, call 555 now"}

`at` is Unix time in seconds, `id` the request's, `score` the probability of the
positive label. Texts may hold personal data: without `log_inputs` no `text` is
written, and only the lengths remain for monitoring. Only the owner may read the file.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

_log = logging.getLogger(__name__)


class TrafficLog:
    """Appends rows; bounded, and never in the way of a prediction.

    A request's lines are handed to the kernel in one unbuffered append before the answer
    leaves, so the death of the process loses at most a line that was being written. A disk
    that is full costs lines, never answers: they are counted in `dropped`, and a part that
    was written is taken back.

    Attributes:
        dropped: Rows that could not be written since the server started.
    """

    def __init__(self, path: Path, *, max_bytes: int, log_inputs: bool) -> None:
        """Nothing is written before `open`.

        Args:
            path: The log; when it is full it becomes `<stem>.1<suffix>` and replaces the part before.
            max_bytes: Size at which that happens.
            log_inputs: Whether texts are written.
        """
        self.dropped = 0
        self._path = path
        self._older = path.with_name(f"{path.stem}.1{path.suffix}")
        self._max_bytes = max_bytes
        self._log_inputs = log_inputs
        self._lock = threading.Lock()
        self._begun = False
        self._handle = -1
        self._size = 0

    def open(self) -> None:
        """Begin to write. What is there already stays; a torn last line is ended."""
        with self._lock:
            self._reopen()
            self._begun = True
            if self._size and os.pread(self._handle, 1, self._size - 1) != b"\n":
                self._size += os.write(self._handle, b"\n")

    def append(self, request: str, rows: Iterable[tuple[str, str, float]]) -> None:
        """Log the rows of one request: text, label and score of each. Never raises for a disk's sake."""
        now = round(time.time(), 3)
        lines = [self._line(now, request, number, *row) for number, row in enumerate(rows)]
        with self._lock:
            if not self._begun:
                return
            try:
                self._write("".join(lines).encode())
            except OSError as cause:
                if not self.dropped:
                    _log.warning("traffic is not logged: %s", cause)
                self.dropped += len(lines)

    def _line(self, at: float, request: str, number: int, text: str, label: str, score: float) -> str:
        line: dict[str, object] = {
            "at": at,
            "id": request,
            "row": number,
            "label": label,
            "score": round(score, 6),
            "characters": len(text),
            "words": len(text.split()),
        }
        if self._log_inputs:
            line["text"] = text
        return json.dumps(line) + "\n"

    def _write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > self._max_bytes:
            os.replace(self._path, self._older)
            os.close(self._handle)
            self._handle = -1
        if self._handle < 0:
            self._reopen()
        written = os.write(self._handle, data)
        if written != len(data):
            os.ftruncate(self._handle, self._size)
            raise OSError(f"{written} of {len(data)} bytes were written")
        self._size += written

    def _reopen(self) -> None:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._handle).st_size
