"""`phasegate completion`, and what the shell completes."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from registry.api import Registry


@click.command(epilog='\b\nExample:\n  eval "$(phasegate completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from registry.cli.main import cli

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(cli, {}, "phasegate", "_PHASEGATE_COMPLETE").source())


def plugin_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Installed plugins."""
    return [
        point.name for point in entry_points(group="phasegate.plugins") if point.name.startswith(incomplete)
    ]


def engine_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Engines that run a plugin."""
    from registry.runner.launchers.find import LAUNCHERS

    return [name for name in LAUNCHERS if name.startswith(incomplete)]


def version_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Model versions of the registry in reach, by number and by alias."""

    def look(registry: Registry) -> list[str]:
        found = registry.versions()
        aliases = [f"{row.ref.rpartition('/')[0]}@{alias}" for row in found for alias in row.aliases]
        return [row.ref for row in found] + aliases

    return _known(ctx, incomplete, look)


def dataset_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Dataset versions of the registry in reach."""
    return _known(ctx, incomplete, lambda registry: [dataset.ref for dataset in registry.datasets()])


def any_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Model and dataset versions."""
    return version_refs(ctx, param, incomplete) + dataset_refs(ctx, param, incomplete)


def stages(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Stages that the version typed before can go to, else all of them."""
    ref = ctx.params.get("ref")
    return _known(
        ctx,
        incomplete,
        lambda registry: registry.version(ref).following if ref else registry.stages(),
    )


def _known(ctx: click.Context, incomplete: str, look: Callable[[Registry], list[str]]) -> list[str]:
    """What the registry that the command line names knows; to know nothing is no reason to fail."""
    from registry.cli.shell import Shell
    from registry.errors import RegistryError

    try:
        found = look(Shell(False, None, ctx.params.get("home"), ctx.params.get("database")).registry())
    except RegistryError:
        return []
    return [option for option in found if option.startswith(incomplete)]
