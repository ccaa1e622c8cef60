"""An estimate as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.render import facts

if TYPE_CHECKING:
    from registry.extension.estimates import Estimate


def say_estimate(found: Estimate) -> None:
    """Tell what a training takes; the last line says whether it fits, and what else would."""
    each = " on each" if found.processes > 1 else ""
    devices = f"{found.processes} x {found.device}" if found.processes > 1 else found.device
    trained = "" if found.trained == found.parameters else f", {found.trained:,} of them trained"
    facts(
        {
            "architecture": found.architecture,
            "parameters": f"{found.parameters:,}{trained}",
            "device": devices,
            f"memory{each}": f"{size(found.needed)} of {size(found.capacity)}",
            **{f"  {name}": size(value) for name, value in found.memory.items()},
            "a step": f"{found.flops_per_step:.3g} FLOPs",
            "the training": f"{found.steps:,} steps, {found.flops:.3g} FLOPs" if found.steps else "",
            "time": "" if found.seconds is None else duration(found.seconds),
        }
    )
    for sentence in found.assumed:
        click.echo(f"  {sentence}")
    if found.fits:
        click.echo("It fits.")
        return
    click.echo(f"Refused: it takes {size(found.needed)}, and there are {size(found.capacity)}.")
    for remedy in found.remedies:
        click.echo(f"  -> --set {' --set '.join(remedy.split())}")
    if not found.remedies:
        click.echo("  -> design something smaller, or for another --device")


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} seconds"
