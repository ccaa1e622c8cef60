"""Watching a run: a live bar at a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    run = registry.run_of(number)
    if not quiet:
        click.echo(f"Run {number}: {run.plugin} on {run.about}")
    with _screen(run.plugin, quiet) as screen:
        try:
            _show(registry.follow(number), screen)
        except KeyboardInterrupt:
            screen.line("Cancelling ...")
            registry.cancel(number)
            for _ in registry.follow(number):
                pass
    ended = registry.run_of(number)
    if ended.state == "succeeded":
        return ended
    if ended.state == "cancelled":
        raise Cancelled(f"run {number} was cancelled", hint=f"phasegate runs logs {number}")
    raise RunFailed(
        f"run {number} ({ended.plugin}) {ended.state}: {ended.reason}", hint=f"phasegate runs logs {number}"
    )


def _show(events: Iterator[dict[str, Any]], screen: Screen) -> None:
    for event in events:
        match event:
            case {"type": "progress", "done": float(done) | int(done), "total": float(total) | int(total)}:
                screen.progress(done, total, legible(str(event.get("message", ""))))
            case {"type": "log", "text": str(text)}:
                screen.line(legible(text))


@contextmanager
def _screen(plugin: str, quiet: bool) -> Iterator[Screen]:
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

    def progress(self, done: float, total: float, message: str) -> None:
        if time.monotonic() - self._said < _EVERY and done < total:
            return
        self._said = time.monotonic()
        share = f"{done / total:4.0%}" if total else ""
        click.echo(f"  {share} {message}".rstrip())

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
