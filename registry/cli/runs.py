"""`phasegate runs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.render import facts, legible, table
from registry.cli.runs_again import replay
from registry.cli.runs_curves import export, glance
from registry.cli.shell import COUNT, NUMBER, Shell, example, with_shell
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.usecases.views import RunView

_TAIL = 256 << 10


# Of a training's evidence: how it really ran, whatever was asked for.
_REALLY = ("strategy", "device", "precision", "compiled", "resumed_from", "determinism")


@click.group()
def runs() -> None:
    """Runs: list, show, logs, cancel, resume, replay, export."""


@runs.command("list", epilog=example("phasegate runs list --about loans/1"))
@click.option("--about", default="", metavar="REF", help="Only runs on this version or dataset.")
@click.option("--state", default="", help="queued, running, succeeded, failed, cancelled or lost.")
@click.option(
    "-n", "limit", type=COUNT, default=50, show_default=True, help="At most so many, newest first; 0 for all."
)
@with_shell
def list_(shell: Shell, about: str, state: str, limit: int) -> None:
    """List runs, newest first. Runs that nobody looks after any more are taken care of."""
    from registry.storage.tables.runs import STATES

    if state and state not in STATES:
        raise BadInput(f"there is no run state {state!r}", hint=f"known: {', '.join(STATES)}")
    registry = shell.registry()
    registry.runs.recover()
    found = registry.runs.all(about=about, state=state, limit=limit)
    rows = [
        (row.id, row.plugin, row.about, row.state, row.created_by, row.created_at, row.seconds)
        for row in found
    ]
    shell.answer(found, lambda: table(["run", "plugin", "about", "state", "by", "queued", "seconds"], rows))


@runs.command(epilog=example("phasegate runs show 7"))
@click.argument("run", type=NUMBER)
@with_shell
def show(shell: Shell, run: int) -> None:
    """Show one run."""
    registry = shell.registry()
    registry.runs.recover()
    found = registry.runs.one(run)
    curves = registry.runs.curves(run)
    really = {k: v for told in registry.runs.evidence(run)[:1] for k, v in told.facts.items() if k in _REALLY}

    def say() -> None:
        facts(
            {
                "run": found.id,
                "plugin": f"{found.plugin}@{found.plugin_version}",
                "about": found.about,
                "state": found.state,
                "why": found.reason,
                "config": found.config or "defaults",
                "seed": found.seed,
                "engine": _engine(found),
                "inputs": found.inputs,
                "made": found.outputs,
                "queued": f"{found.created_at:%Y-%m-%d %H:%M:%S} by {found.created_by}",
                "seconds": found.seconds,
                "ran as": really,
                "python": found.environment["python"],
                "packages": found.environment["packages"],
            }
        )
        if curves:
            click.echo()
            table(["metric", "points", "first", "lowest", "highest", "last", "curve"], glance(curves))

    shell.answer(found, say)


@runs.command(epilog=example("phasegate runs logs -f 7"))
@click.argument("run", type=NUMBER)
@click.option("-f", "--follow", "follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--all", "whole", is_flag=True, help="The whole log, however long [its last 256 KiB].")
@with_shell
def logs(shell: Shell, run: int, follow: bool, whole: bool) -> None:
    """Print what a run's process wrote."""
    registry = shell.registry()
    registry.runs.one(run)
    path = registry.runs.log(run)
    offset = _print_from(path, _start(path, whole))
    while follow and registry.runs.one(run).state in ("queued", "running"):
        time.sleep(0.3)
        offset = _print_from(path, offset)
        registry.runs.recover()
    _print_from(path, offset)


@runs.command(epilog=example("phasegate runs cancel 7"))
@click.argument("run", type=NUMBER)
@with_shell
def cancel(shell: Shell, run: int) -> None:
    """Stop a run."""
    registry = shell.registry()
    registry.runs.cancel(run)
    for _ in registry.runs.follow(run):
        pass
    state = registry.runs.one(run).state
    shell.answer({"run": run, "state": state}, lambda: click.echo(f"Run {run}: {state}."))


@runs.command(epilog=example("phasegate runs resume 7"))
@click.argument("run", type=NUMBER)
@with_shell
def resume(shell: Shell, run: int) -> None:
    """Start a lost run again, from its last verified checkpoint if it made one."""
    from registry.cli.follow import watch

    registry = shell.registry()
    registry.runs.resume(run)
    ended = watch(registry, run, quiet=shell.as_json)
    shell.answer(ended, lambda: click.echo(f"Run {run} ({ended.plugin}) succeeded."))


def _engine(run: RunView) -> str:
    """`torchrun, 2 processes, restarts=1`."""
    several = [f"{run.processes} processes"] if run.processes > 1 else []
    return ", ".join([run.engine, *several, *(f"{key}={value}" for key, value in run.engine_options.items())])


def _start(path: Path, whole: bool) -> int:
    size = path.stat().st_size if path.exists() else 0
    if whole or size <= _TAIL:
        return 0
    click.echo(f"... the last 256 KiB of {size:,} bytes; --all shows all of {path}")
    return size - _TAIL


def _print_from(path: Path, offset: int) -> int:
    """Print what a log holds beyond an offset; a bar that was drawn over and over gets a line each time."""
    if not path.exists():
        return offset
    with path.open("rb") as stream:
        stream.seek(offset)
        text = stream.read().decode("utf-8", errors="replace")
        end = stream.tell()
    click.echo(legible(text.replace("\r\n", "\n").replace("\r", "\n")), nl=False)
    return end


for command in (replay, export):
    runs.add_command(command)
