"""Watching a run: a live bar at a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import click

from registry.cli.render import legible
from registry.errors import Cancelled, RunFailed

if TYPE_CHECKING:
    from registry.api import Registry
    from registry.usecases.views import RunView

_EVERY = 2.0


class Screen(Protocol):
    """Where progress is shown."""

    def progress(self, done: float, total: float, message: str) -> None: ...

    def line(self, text: str) -> None: ...


def watch(registry: Registry, number: int, *, quiet: bool) -> RunView:
    """Follow a run to its end; Ctrl-C cancels it.

    Raises:
        RunFailed: It did not succeed; says why.
        Cancelled: It was cancelled.
    """
    run = registry.runs.one(number)
    if not quiet:
        click.echo(f"Run {number}: {run.plugin} on {run.about}")
    with screen_for(run.plugin, quiet=quiet) as screen:
        try:
            _show(registry.runs.follow(number), screen)
        except KeyboardInterrupt:
            screen.line("Cancelling ...")
            registry.runs.cancel(number)
            for _ in registry.runs.follow(number):
                pass
    ended = registry.runs.one(number)
    if ended.state == "succeeded":
        return ended
    if ended.state == "cancelled":
        raise Cancelled(f"run {number} was cancelled", hint=f"phasegate runs logs {number}")
    raise RunFailed(
        f"run {number} ({ended.plugin}) {ended.state}: {ended.reason}", hint=f"phasegate runs logs {number}"
    )


def _show(events: Iterator[dict[str, Any]], screen: Screen) -> None:
    for event in events:
        show(event, screen)


def show(event: dict[str, Any], screen: Screen) -> None:
    """Put an event of a run on the screen, if it is for people."""
    match event:
        case {"type": "metric", "name": "validation_loss", "value": float(value), "step": int(step)}:
            screen.line(f"validation loss {value:.4f} at step {step}")
        case {"type": "progress", "done": float(done) | int(done), "total": float(total) | int(total)}:
            screen.progress(done, total, legible(str(event.get("message", ""))))
        case {"type": "log", "text": str(text)}:
            screen.line(legible(text))


@contextmanager
def screen_for(plugin: str, *, quiet: bool) -> Iterator[Screen]:
    """Where a plugin's progress is shown: a bar at a terminal, lines in a pipe, nowhere if it is quiet."""
    if quiet:
        yield _Silent()
    elif not sys.stdout.isatty():
        yield _Plain()
    else:
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[message]}"),
        )
        with Progress(*columns, transient=True) as progress:
            yield _Bar(progress, progress.add_task(plugin, total=None, message="starting"))


class _Silent:
    def progress(self, done: float, total: float, message: str) -> None:
        """Say nothing."""

    def line(self, text: str) -> None:
        """Say nothing."""


class _Plain:
    """A line now and then, and always the last one."""

    def __init__(self) -> None:
        self._said = 0.0
        self._first: tuple[float, float] | None = None

    def progress(self, done: float, total: float, message: str) -> None:
        now = time.monotonic()
        self._first = self._first or (now, done)
        if now - self._said < _EVERY and done < total:
            return
        self._said = now
        share = f"{done / total:4.0%}" if total else ""
        click.echo("  " + ", ".join(filter(None, (share, message, self._left(now, done, total)))))

    def _left(self, now: float, done: float, total: float) -> str:
        """How long the rest takes if it goes on as since the first word; nothing at the end."""
        assert self._first is not None
        began, had = self._first
        if not had < done < total:
            return ""
        return f"{timedelta(seconds=round((total - done) * (now - began) / (done - had)))} left"

    def line(self, text: str) -> None:
        click.echo(f"  {text}")


class _Bar:
    def __init__(self, progress: Any, task: Any) -> None:
        self._progress = progress
        self._task = task

    def progress(self, done: float, total: float, message: str) -> None:
        self._progress.update(self._task, completed=done, total=total, message=message)

    def line(self, text: str) -> None:
        self._progress.console.print(f"  {text}", highlight=False, markup=False)
