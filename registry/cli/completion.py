"""`phasegate completion`, and what the shell completes."""

from __future__ import annotations

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


def version_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Model versions of the registry in reach."""
    registry = _registry(ctx)
    return _matching([version.ref for version in registry.versions()] if registry else [], incomplete)


def dataset_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Dataset versions of the registry in reach."""
    registry = _registry(ctx)
    return _matching([dataset.ref for dataset in registry.datasets()] if registry else [], incomplete)


def any_refs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Model and dataset versions."""
    return version_refs(ctx, param, incomplete) + dataset_refs(ctx, param, incomplete)


def stages(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Stages that the version typed before can go to, else all of them."""
    registry = _registry(ctx)
    if registry is None:
        return []
    if ref := ctx.params.get("ref"):
        return _matching(registry.version(ref).following, incomplete)
    return _matching(registry.stages(), incomplete)


def _registry(ctx: click.Context) -> Registry | None:
    """The registry that the command line so far names; none is no reason to fail while completing."""
    from registry.cli.shell import Shell
    from registry.errors import RegistryError

    try:
        return Shell(False, None, ctx.params.get("home"), ctx.params.get("database")).registry()
    except RegistryError:
        return None


def _matching(options: list[str], incomplete: str) -> list[str]:
    return [option for option in options if option.startswith(incomplete)]
