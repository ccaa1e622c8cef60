"""`phasegate demo`: one version's whole life, by the product's own commands, on data made here."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import click

from registry.cli.demo_story import Story
from registry.cli.shell import Shell, example, with_shell
from registry.errors import BadInput
from registry.storage.home import Home


@click.command(epilog=example("phasegate demo", "phasegate demo --home /tmp/demo"))
@with_shell
def demo(shell: Shell) -> None:
    """Live one version's whole life, refusals included, on data made here. Three minutes, offline.

    Works in $PHASEGATE_HOME, else in ./phasegate-demo. Every command that it prints is run as printed:
    afterwards the registry is yours to look around in.
    """
    # A demonstration stays in its folder, whatever registry this shell is set up for.
    for name in ("PHASEGATE_DATABASE", "PHASEGATE_ARTIFACTS"):
        os.environ.pop(name, None)
    os.environ.setdefault("PHASEGATE_HOME", "phasegate-demo")
    home = shell.registry(unchecked=True).home
    if home != Home.at(home.root):
        raise BadInput("a demonstration keeps its database in its folder: --database does not apply")
    os.environ["PHASEGATE_HOME"] = str(home.root)
    if (home.root / "registry.db").exists():
        _make_way(home.root)
    story = Story(home.root)
    with contextlib.redirect_stdout(sys.stderr if shell.as_json else sys.stdout):
        story.tell()
    if shell.as_json:
        found = {"home": str(home.root), "report": str(story.report), "seconds": story.seconds}
        shell.answer(found, lambda: None)


def _make_way(home: Path) -> None:
    """Make way for another demonstration, but never for anything else."""
    import shutil

    import registry

    if not (home / "demo").is_dir():
        raise BadInput(
            f"{home} holds a registry that is no demonstration",
            hint="name another folder: phasegate demo --home DIR",
        )
    # One that was cut off may have left its server running.
    with registry.open(home) as before:
        for deployment in before.deployments.all():
            if deployment.state == "active":
                before.deployments.stop(deployment.id, "another demonstration begins")
    shutil.rmtree(home)
