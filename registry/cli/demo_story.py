"""The demonstration's story, act by act: a bank, its model, and the people who may say no to it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import click

from registry.cli.demo_data import write_applications, write_traffic
from registry.cli.demo_documents import write_documents
from registry.errors import Defect

_ROWS = 4000
_SEED = 2024
_TRAINING = "--set epochs=4 --set learning_rate=0.001 --set max_length=64 --set positive=granted"
_LICENCE = "LicenseRef-BankCustomers"


class Story:
    """Dana builds, Erik evaluates, Rosa reviews, Ruth approves; whoever runs it is the admin."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "demo"
        self._began = time.monotonic()

    def tell(self) -> None:
        """Live it."""
        self._documents = {
            kind: shlex.quote(str(file)) for kind, file in write_documents(self._data / "documents").items()
        }
        self._plan()
        self._refuse_personal_data()
        self._prepare()
        self._train()
        self._refuse_unfairness()
        self._repair()
        self._challenge()
        self._agree()
        self._serve()
        self._retire()
        self._prove()
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
        _say(
            "A bank wants loan applications sorted. Who may say no? What for, for whom, how good, what risk?"
        )
        self._do("init")
        self._do("people grant ruth approver")
        self._do("people grant rosa reviewer")
        source = self._data / "applications.csv"
        write_applications(source, _ROWS, _SEED)
        click.echo(f"\n(made {_ROWS} loan applications in {source}, with planted faults)")
        self._do(
            "system add lending --purpose 'sort loan applications for a clerk' --risk-tier limited "
            "--affected-group women --affected-group men --prohibited-use 'to decide without a clerk' "
            "--oversight 'a clerk decides' --as dana"
        )
        self._do(
            "risk add lending --category training/bias --title 'women are turned down where men are not' "
            "--likelihood 4 --severity 4 --controls 'a clerk looks at every refusal' --residual 3x3 "
            "--owner dana --review-by 180d --as dana"
        )
        self._do(
            f"dataset add applications {shlex.quote(str(source))} --text text --label label --sensitive sex "
            f"--licence {_LICENCE} --as dana"
        )
        self._do(
            "model plan loans --system lending --task text-classification --target 'f1>=0.75' "
            "--target 'accuracy>=0.70' --budget-hours 1 --data raw=applications/1 --as dana"
        )

    def _refuse_personal_data(self) -> None:
        _say("Is the data fit to be used? The gate into `prepared` wants evidence, and the evidence is bad.")
        self._do("run profile applications/1 --as dana")
        self._do("run pii applications/1 --as dana")
        self._do(f"run licences applications/1 --set allowed={_LICENCE} --as dana")
        self._do("promote loans/1 prepared --as dana", expect=1)

    def _prepare(self) -> None:
        _say("There are people in the data, and rows twice. Mask, clean, split, and measure again.")
        self._do("run mask applications/1 --as dana")
        self._do("run clean applications/2 --as dana")
        self._do(
            "run split applications/3 --set train=0.52 --set validation=0.1 --set test=0.38 "
            "--set stratify=sex --as dana"
        )
        parts = "applications-train/1 applications-validation/1 applications-test/1"
        self._do(f"run profile {parts} --as dana")
        self._do(f"run pii {parts} --as dana")
        self._do(f"run licences {parts} --set allowed={_LICENCE} --as dana")
        self._do(f"run datasheet {parts} --set file={self._documents['datasheet']} --as dana")
        self._do("run represent applications-train/1 --data reference=applications/3 --as dana")
        self._do("run contamination applications-test/1 --data train=applications-train/1 --as dana")
        self._do(
            "model data loans/1 raw= train=applications-train/1 validation=applications-validation/1 "
            "test=applications-test/1 --as dana"
        )
        self._do("promote loans/1 prepared --as dana")

    def _train(self) -> None:
        _say(
            "It passes, with a warning: texts made from templates are nearly alike. Design, train, evaluate."
        )
        self._do("model design loans/1 --set architecture=bert --set layers=2 --set hidden_size=64 --as dana")
        self._do(self._document("design-review", "erik"))
        self._do("promote loans/1 designed --as dana")
        self._do(f"run train-classifier loans/1 {_TRAINING} --as dana")
        self._do("promote loans/1 trained --as dana")
        self._do("run evaluate-classifier loans/1 --as erik")
        self._do("promote loans/1 evaluated --as dana")

    def _refuse_unfairness(self) -> None:
        _say("It meets its targets. But is it fair? The gate into `deployed` refuses, and says by how much.")
        self._do("run scan-artifact loans/1 --as erik")
        self._do("run bias loans/1 --as erik")
        self._do("promote loans/1 deployed --as dana", expect=1)

    def _repair(self) -> None:
        _say("Women are turned down where men are not. Back to the design; train with reweighed rows.")
        self._do("promote loans/1 designed --as dana")
        self._do(f"run train-classifier loans/1 {_TRAINING} --set reweigh=sex --as dana")
        self._do("promote loans/1 trained --as dana")
        self._do("run evaluate-classifier loans/1 --as erik")
        self._do("promote loans/1 evaluated --as dana")
        self._do("run scan-artifact loans/1 --as erik")
        self._do("run bias loans/1 --as erik")
        self._do(self._document("rollback-plan", "dana"))
        self._do(self._document("monitoring-plan", "dana"))

    def _challenge(self) -> None:
        _say("Now a reviewer challenges it. What does the gate say?")
        self._do(
            "finding add loans/1 --title 'nobody looked at the slices' --severity high --owner dana "
            "--due 30d --as rosa"
        )
        self._do("gate explain loans/1 deployed --as dana", expect=1)
        _say("First the finding: Erik looks at the slices, and the reviewer closes it.")
        self._do("run slices loans/1 --as erik")
        self._do("finding close 1 --reason 'worst are the refused; a clerk looks at each of them' --as rosa")
        _say("Then the risk, which an approver accepts as it remains.")
        self._do("risk accept 1 --reason 'a clerk looks at every refusal' --as ruth")
        _say(
            "Who is selected is even now, but not who is wronged, by the labels of the past, which are "
            "unfair themselves. An exception: asked for by one, granted by another, with an end; no pass."
        )
        self._do(
            "waive loans/1 group-fairness/odds-difference --reason 'the labels are unfair to women' "
            "--control 'a clerk looks at every refusal' --until 10d --as dana"
        )
        self._do("waiver approve 1 --reason 'the clerks are there' --as ruth")

    def _agree(self) -> None:
        _say("All that is left is a second pair of eyes: not Dana's, who built it.")
        self._do("approve loans/1 deployed --reason 'I built it well' --as dana", expect=1)
        self._do("approve loans/1 deployed --reason 'selected alike in both groups now' --as ruth")
        self._do("promote loans/1 deployed --as dana")

    def _serve(self) -> None:
        _say("Serve it, ask it, watch it, and let everybody's name for it stand for it.")
        self._do("run deploy-local loans/1 --as dana")
        usual, odd = self._data / "usual.csv", self._data / "shifted.csv"
        write_traffic(usual, 200, _SEED + 1, shifted=False)
        write_traffic(odd, 200, _SEED + 2, shifted=True)
        self._do(f"deployment predict 1 --file {shlex.quote(str(usual))} --as dana")
        self._do("run monitor-drift loans/1 --as dana")
        self._do("promote loans/1 monitored --as dana")
        self._do("model alias loans/1 champion --as dana")
        click.echo("\n(now a new online form changes what comes in)")
        self._do(f"deployment predict 1 --file {shlex.quote(str(odd))} --as dana")
        self._do("run monitor-drift loans/1 --set window=200 --as dana")

    def _retire(self) -> None:
        _say("Its inputs have moved away from what it learned. Plan its successor, and retire it.")
        self._do(
            "model plan loans --system lending --target 'f1>=0.75' --target 'accuracy>=0.70' "
            "--budget-hours 1 --as dana"
        )
        self._do(
            "run retire loans/1 --set 'reason=inputs drifted since the new form' "
            "--set 'dependants=branch clerks' --set successor=loans/2 --set 'data_migration=none needed' "
            "--set 'resource_release=server stopped' --set 'risk=clerks sort by hand until then' --as dana"
        )
        self._do("promote loans/1 retired --as dana", expect=1)
        self._do("model alias loans champion --remove --reason 'retired before its successor is there'")
        self._do("promote loans/1 retired --as dana")

    def _prove(self) -> None:
        _say("And prove what happened.")
        self._do("audit verify --artifacts")
        self._do("report loans/1 --as ruth")

    def _end(self) -> None:
        click.echo(f"\nThat took {self.seconds // 60} min {self.seconds % 60} s. Look around:")
        click.echo(f"  export PHASEGATE_HOME={shlex.quote(str(self._home))}")
        for command in (
            "model history loans/1",
            "waiver show 1",
            "policy show group-fairness",
            "audit log -n 20",
        ):
            click.echo(f"  phasegate {command}")
        click.echo(f"  open {self.report} in a browser")

    def _document(self, kind: str, who: str) -> str:
        return f"run document loans/1 --set kind={kind} --set file={self._documents[kind]} --as {who}"

    def _do(self, line: str, *, expect: int = 0) -> None:
        """Print a command, run it, and stop the story if it ends otherwise than the story goes."""
        from registry.cli.main import execute

        click.echo(f"\n$ phasegate {line}")
        code = execute(shlex.split(line))
        if code != expect:
            raise Defect(f"`phasegate {line}` ended with exit code {code}, not {expect}")


def _say(text: str) -> None:
    click.echo(f"\n{click.style('# ' + text, bold=True)}")
