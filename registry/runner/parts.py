"""Parts: runs within a run, started by its own process; nothing of them reaches the registry."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from registry.extension.context import CHECKPOINTS
from registry.extension.inputs import RunSpec
from registry.extension.parts import Part, PartEnd
from registry.extension.results import AnyResult
from registry.runner.folder import Ended, RunFolder
from registry.runner.starting import start_child

_RESULT: TypeAdapter[AnyResult] = TypeAdapter(AnyResult)
_GRACE = 8.0
_RESTARTS = 2
# How a part ends that was stopped, and can go on.
_STOPPED = ("cancelled", "preempted")
# Words after which it goes on by itself, if it can.
_UNFINISHED = ("preempted", "died")


def start_part(run: RunFolder, spec: RunSpec, path: Path) -> RunPart:
    """Start a part of a run; or find it as a crash of the run has left it, and let it go on."""
    folder = RunFolder(path)
    if not folder.prepared:
        shutil.rmtree(path, ignore_errors=True)
        ticket = run.ticket
        folder.prepare(spec, replace(ticket, engine=ticket.parts, engine_options=ticket.parts_options))
    return RunPart(folder)


class RunPart(Part):
    """A part with a run folder, on the engine that its ticket names."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder.path
        self._files = folder
        self._restarts = 0
        self._stopping: float | None = None
        self._status: int | None = None
        ended = folder.ended
        if ended is not None and ended.state in _STOPPED:
            # It was stopped with its run, which goes on now.
            folder.take_back_word()
            folder.take_back_cancel()
            ended = None
        if ended is None and not self._alive:
            self._begin()

    def look(self) -> PartEnd | None:
        alive = self._alive
        ended = self._files.ended
        if alive:
            if self._stopping is not None and time.monotonic() > self._stopping:
                self._end(signal.SIGKILL)
            return None
        if ended is not None and ended.state not in _UNFINISHED:
            return self._told(ended)
        if self._stopping is not None:
            return PartEnd("cancelled", "it was stopped")
        self._restarts += 1
        if any((self.folder / CHECKPOINTS).glob("*.json")) and self._restarts <= _RESTARTS:
            self._files.take_back_word()
            self._begin()
            return None
        if ended is not None:
            return PartEnd("failed", ended.reason)
        how = f"killed by {signal.Signals(self._status).name}" if self._status else "gone without a word"
        return PartEnd("failed", f"its process was {how}: see {self._files.log}")

    def events(self) -> Iterator[dict[str, Any]]:
        return self._files.events()

    def stop(self, *, saving: bool = False) -> None:
        if self._stopping is not None:
            return
        if not saving:
            self._files.ask_to_cancel()
        self._stopping = time.monotonic() + _GRACE
        self._end(signal.SIGTERM)

    def _begin(self) -> None:
        start_child(self._files)

    @property
    def _alive(self) -> bool:
        child = self._files.child
        if child is None:
            return False
        with contextlib.suppress(ChildProcessError):  # it may be no child of ours, but of a run before us
            found, status = os.waitpid(child.pid, os.WNOHANG)
            if found and os.WIFSIGNALED(status):
                self._status = os.WTERMSIG(status)
        return child.alive

    def _end(self, number: signal.Signals) -> None:
        """Signal its process; SIGKILL also to all that it started, which would outlive it."""
        child = self._files.child
        if child is None or not child.alive:
            return
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(child.pid)
            if number is signal.SIGKILL:
                for each in process.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        each.kill()
            process.send_signal(number)

    def _told(self, ended: Ended) -> PartEnd:
        if ended.state != "succeeded":
            return PartEnd(ended.state, "; ".join(filter(None, (ended.reason, ended.hint))))
        try:
            return PartEnd("succeeded", result=_RESULT.validate_python(self._files.result))
        except ValidationError as cause:
            return PartEnd("failed", f"its result cannot be read: {cause.errors()[0]['msg']}")
