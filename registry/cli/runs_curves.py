"""A run's live metrics: at a glance, and as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import click

from registry.cli.shell import NUMBER, Shell, example, with_shell
from registry.errors import BadInput

Curves = Mapping[str, Sequence[tuple[int, float]]]

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 30


@click.command(
    epilog=example("phasegate runs export 7 --tensorboard logs", "phasegate runs export 7 --csv 7.csv")
)
@click.argument("run", type=NUMBER)
@click.option(
    "--tensorboard",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write TensorBoard's event files in DIR/run-N.",
)
@click.option(
    "--csv", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write metric,step,value."
)
@with_shell
def export(shell: Shell, run: int, tensorboard: Path | None, csv: Path | None) -> None:
    """Write a run's live metrics as files that other tools read."""
    if tensorboard is None and csv is None:
        raise BadInput("nothing says where to write", hint="add --tensorboard DIR or --csv FILE")
    written = shell.registry().runs.export(run, tensorboard=tensorboard, csv=csv)
    shell.answer(
        {"run": run, "written": [str(path) for path in written]},
        lambda: click.echo("\n".join(f"Wrote {path}." for path in written)),
    )


def glance(curves: Curves) -> list[tuple[str, int, float, float, float, float, str]]:
    """Of each metric: its name, points, first, lowest, highest and last value, and its curve in little."""
    found = []
    for name, points in curves.items():
        values = [value for _, value in points]
        line = sparkline(values)
        found.append((name, len(values), values[0], min(values), max(values), values[-1], line))
    return found


def sparkline(values: Sequence[float]) -> str:
    """A curve as a line of bars, the lowest value lowest; of many values, the mean of each stretch."""
    count = min(len(values), _WIDTH)
    if count < 2:
        return ""
    edges = [round(place * len(values) / count) for place in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((mean - low) * scale)] for mean in means)
