"""`phasegate demo`: one version's whole life, by the product's own commands, on data made here."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from pathlib import Path

import click

from registry.cli.demo_data import write_applications, write_traffic
from registry.cli.shell import Shell, example, with_shell
from registry.errors import BadInput, Defect
from registry.storage.home import Home

_ROWS = 4000
_SEED = 2024
_TRAINING = "--set epochs=4 --set learning_rate=0.001 --set max_length=64 --set positive=granted"


@click.command(epilog=example("phasegate demo", "phasegate demo --home /tmp/demo"))
@with_shell
def demo(shell: Shell) -> None:
    """Live one version's whole life, refusals included, on data made here. Two to three minutes, offline.

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
    story = _Story(home.root)
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
        for deployment in before.deployments():
            if deployment.state == "active":
                before.stop(deployment.id, "another demonstration begins")
    shutil.rmtree(home)


class _Story:
    """The story, chapter by chapter."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "demo"
        self._began = time.monotonic()

    def tell(self) -> None:
        """Live it."""
        self._plan()
        self._prepare()
        self._train()
        self._refuse_and_repair()
        self._serve()
        self._retire()
        self._end()

    @property
    def seconds(self) -> int:
        """How long it has taken so far."""
        return int(time.monotonic() - self._began)

    @property
    def report(self) -> Path:
        """Where the audit report is."""
        return self._home / "reports" / "loans-1.html"

    def _plan(self) -> None:
        _say("A bank wants loan applications sorted. First: what for, for whom, and how good it must be.")
        self._do("init")
        source = self._data / "applications.csv"
        write_applications(source, _ROWS, _SEED)
        click.echo(f"\n(made {_ROWS} loan applications in {source}, with planted faults)")
        self._do(
            "system add lending --purpose 'sort loan applications for a clerk' --risk-tier limited "
            "--affected-group women --affected-group men --oversight 'a clerk decides' --as dana"
        )
        self._do(
            f"dataset add applications {shlex.quote(str(source))} --text text --label label --sensitive sex "
            "--licence proprietary --as dana"
        )
        self._do(
            "model plan loans --system lending --task text-classification --target 'f1>=0.75' "
            "--target 'accuracy>=0.70' --data raw=applications/1 --as dana"
        )

    def _prepare(self) -> None:
        _say("Is the data fit to be used? The gate into `prepared` wants evidence, and the evidence is bad.")
        self._do("run profile applications/1 --as dana")
        self._do("run pii applications/1 --as dana")
        self._do("promote loans/1 prepared --as dana", expect=1)
        _say(
            "It refused: there are people in the data, and rows twice. Mask, clean, split, and measure again."
        )
        self._do("run mask applications/1 --as dana")
        self._do("run clean applications/2 --as dana")
        self._do(
            "run split applications/3 --set train=0.52 --set validation=0.1 --set test=0.38 "
            "--set stratify=sex --as dana"
        )
        parts = "applications-train/1 applications-validation/1 applications-test/1"
        self._do(f"run profile {parts} --as dana")
        self._do(f"run pii {parts} --as dana")
        self._do(
            "model data loans/1 raw= train=applications-train/1 validation=applications-validation/1 "
            "test=applications-test/1 --as dana"
        )
        self._do("promote loans/1 prepared --as dana")

    def _train(self) -> None:
        _say("Design it, train it, evaluate it.")
        self._do("model design loans/1 --set architecture=bert --set layers=2 --set hidden_size=64 --as dana")
        self._do("promote loans/1 designed --as dana")
        self._do(f"run train-classifier loans/1 {_TRAINING} --as dana")
        self._do("promote loans/1 trained --as dana")
        self._do("run evaluate-classifier loans/1 --as erik")
        self._do("promote loans/1 evaluated --as dana")

    def _refuse_and_repair(self) -> None:
        _say("It meets its targets. But is it fair? The gate into `deployed` refuses, and says by how much.")
        self._do("run scan-artifact loans/1 --as erik")
        self._do("run bias loans/1 --as erik")
        self._do("promote loans/1 deployed --as dana", expect=1)
        _say("Women are turned down where men are not. Back to the design; train with reweighed rows.")
        self._do("promote loans/1 designed --as dana")
        self._do(f"run train-classifier loans/1 {_TRAINING} --set reweigh=sex --as dana")
        self._do("promote loans/1 trained --as dana")
        self._do("run evaluate-classifier loans/1 --as erik")
        self._do("promote loans/1 evaluated --as dana")
        self._do("run scan-artifact loans/1 --as erik")
        self._do("run bias loans/1 --as erik")
        self._do("gate explain loans/1 deployed --as dana", expect=1)
        _say("All that is left is a second pair of eyes.")
        self._do("people grant ruth approver")
        self._do("approve loans/1 deployed --reason 'alike in both groups now' --as ruth")
        self._do("promote loans/1 deployed --as dana")

    def _serve(self) -> None:
        _say("Serve it, ask it, and watch it.")
        self._do("run deploy-local loans/1 --as dana")
        usual, odd = self._data / "usual.csv", self._data / "shifted.csv"
        write_traffic(usual, 200, _SEED + 1, shifted=False)
        write_traffic(odd, 200, _SEED + 2, shifted=True)
        self._do(f"deployment predict 1 --file {shlex.quote(str(usual))} --as dana")
        self._do("run monitor-drift loans/1 --as dana")
        self._do("promote loans/1 monitored --as dana")
        click.echo("\n(now a new online form changes what comes in)")
        self._do(f"deployment predict 1 --file {shlex.quote(str(odd))} --as dana")
        self._do("run monitor-drift loans/1 --set window=200 --as dana")

    def _retire(self) -> None:
        _say("Its inputs have moved away from what it learned: retire it, and prove what happened.")
        self._do(
            "run retire loans/1 --set 'reason=inputs drifted since the new form' "
            "--set 'dependants=branch clerks' --set 'data_migration=none needed' "
            "--set 'resource_release=server stopped' --set 'risk=clerks sort by hand again' --as dana"
        )
        self._do("promote loans/1 retired --as dana")
        self._do("audit verify --artifacts")
        self._do("report loans/1 --as ruth")

    def _end(self) -> None:
        click.echo(f"\nThat took {self.seconds // 60} min {self.seconds % 60} s. Look around:")
        click.echo(f"  export PHASEGATE_HOME={shlex.quote(str(self._home))}")
        for command in (
            "model history loans/1",
            "runs list",
            "policy show group-fairness",
            "audit log -n 20",
        ):
            click.echo(f"  phasegate {command}")
        click.echo(f"  open {self.report} in a browser")

    def _do(self, line: str, *, expect: int = 0) -> None:
        """Print a command, run it, and stop the story if it ends otherwise than the story goes."""
        from registry.cli.main import execute

        click.echo(f"\n$ phasegate {line}")
        code = execute(shlex.split(line))
        if code != expect:
            raise Defect(f"`phasegate {line}` ended with exit code {code}, not {expect}")


def _say(text: str) -> None:
    click.echo(f"\n{click.style('# ' + text, bold=True)}")
