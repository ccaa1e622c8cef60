"""The `phasegate` command. Subcommands load when they are used, so that help answers at once."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
from collections.abc import Mapping, Sequence

import click

from registry.errors import BadInput, Defect, RegistryError

# Name -> (where it is, what `--help` says of it; a test holds both to the command itself).
COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("registry.cli.init:init", "Make a registry: database, lifecycle and default policies."),
    "demo": (
        "registry.cli.demo:demo",
        "Live one version's whole life, refusals included, on data made here.",
    ),
    "doctor": ("registry.cli.init:doctor", "Say what is installed, what works, and what would help."),
    "system": ("registry.cli.system:system", "AI systems: what models are for, and for whom."),
    "dataset": ("registry.cli.dataset:dataset", "Datasets and their versions."),
    "model": ("registry.cli.model:model", "Models: plan versions, name their data, look at them."),
    "run": ("registry.cli.run:run", "Run a plugin on dataset or model versions."),
    "runs": ("registry.cli.runs:runs", "Runs: list, show, logs, cancel, resume, replay, export."),
    "gate": ("registry.cli.gate:gate", "Gates: what is missing for a stage, and what supplies it."),
    "promote": ("registry.cli.gate:promote", "Move a version to a stage, if its gate agrees."),
    "approve": ("registry.cli.approve:approve", "Say yes to a version's step."),
    "reject": ("registry.cli.approve:reject", "Say no to a version's step, with a reason."),
    "policy": ("registry.cli.policy:policy", "Policies: check, test, publish, bind, replay."),
    "people": ("registry.cli.people:people", "People: roles, groups, and who stands in for whom."),
    "waive": (
        "registry.cli.waiver:waive",
        "Ask for an exception to one rule.",
    ),
    "waiver": ("registry.cli.waiver:waiver", "Waivers: list, show, approve, reject, revoke."),
    "finding": ("registry.cli.finding:finding", "Findings: what somebody says is wrong, and how that ended."),
    "risk": ("registry.cli.risk:risk", "Risks: the register of what could go wrong with systems."),
    "deployment": ("registry.cli.deployment:deployment", "Deployments: list, show, predict, stop."),
    "sign": (
        "registry.cli.sign:sign",
        "Sign what a version is now: artifact, provenance, current evidence, and your approvals.",
    ),
    "key": ("registry.cli.key:key", "Keys that sign: make them, trust them, check what they signed."),
    "audit": ("registry.cli.audit:audit", "The ledger: what happened, and whether it still says so."),
    "report": ("registry.cli.report:report", "Write an audit report on a version."),
    "plugin": ("registry.cli.plugin:plugin", "Plugins: list, show."),
    "db": ("registry.cli.db:db", "The database's schema."),
    "completion": ("registry.cli.completion:completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from registry.domain.names import did_you_mean

            ctx.fail(f"there is no command {args[0]!r}: {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with: phasegate demo. Exit codes: 0 done, 1 a gate or check said no, 2 bad input, "
    "3 a run failed, 4 integrity violated, 70 a defect of ours.",
)
@click.version_option(package_name="phasegate", prog_name="phasegate")
def cli() -> None:
    """A model registry that can say no.

    Models move through stages; policies decide on evidence whether they may; a ledger proves what happened.
    """


def run(arguments: Sequence[str] | None = None) -> None:
    """Entry point: run a command and exit with its code."""
    # Importing makes many objects and no garbage: collecting it meanwhile would cost an eighth of the time.
    gc.set_threshold(100_000, 50, 50)
    sys.exit(execute(sys.argv[1:] if arguments is None else arguments))


def execute(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; what went wrong is said on standard error."""
    as_json = "--json" in arguments
    try:
        result = cli.main(list(arguments), prog_name="phasegate", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        if as_json:
            return _say(BadInput(error.format_message(), hint="phasegate --help"), as_json)
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except SystemExit as done:
        # Click exits by itself when it has completed words for a shell, and when a pipe is broken: the
        # reader has seen enough. That is no error, and Python must not complain while it closes the output.
        if done.code and sys.__stdout__ is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        return 0
    except Exception as error:
        if "--debug" in arguments or os.environ.get("PHASEGATE_DEBUG"):
            import traceback

            traceback.print_exc()
        if isinstance(error, RegistryError):
            return _say(error, as_json)
        defect = Defect(
            f"{type(error).__name__}: {error}", hint="this is a defect of ours; --debug shows where it is"
        )
        return _say(defect, as_json)


def _say(error: RegistryError, as_json: bool) -> int:
    if as_json:
        body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        click.echo(json.dumps(body), err=True)
    else:
        click.echo(f"Error: {error.message}", err=True)
        if error.hint:
            click.echo(f"  -> {error.hint}", err=True)
    return error.exit_code
