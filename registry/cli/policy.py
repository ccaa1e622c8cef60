"""`phasegate policy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.policy_binding import bind, publish, unbind
from registry.cli.policy_replay import replay
from registry.cli.policy_test import test
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell
from registry.domain.digests import short

if TYPE_CHECKING:
    from registry.errors import BadDocument
    from registry.usecases.views import EntryView


@click.group()
def policy() -> None:
    """Policies: check, test, publish, bind, replay."""


@policy.command("list", epilog=example("phasegate policy list", "phasegate policy list --history"))
@click.option("--history", is_flag=True, help="What was published, put in force, taken out of it, and why.")
@with_shell
def list_(shell: Shell, history: bool) -> None:
    """List policies, and how they are in force."""
    registry = shell.registry()
    if history:
        entries = registry.gate.history()
        columns = ["entry", "when", "who", "about", "happened"]
        told = [(one.index, one.at, one.actor, one.subject, _happened(one)) for one in entries]
        shell.answer(entries, lambda: table(columns, told))
        return
    found = registry.policies()
    older = {one.policy: "an older version" for one in registry.gate.bindings() if one.outdated}
    rows = [
        (
            row.name,
            row.stages,
            len(row.rules),
            row.bindings or older.get(row.name, "not in force"),
            short(row.digest),
            row.title,
        )
        for row in found
    ]
    shell.answer(found, lambda: table(["policy", "into", "rules", "in force", "digest", "title"], rows))


@policy.command(
    epilog=example("phasegate policy show group-fairness", "phasegate policy show group-fairness@9f2c41")
)
@click.argument("name", metavar="NAME[@DIGEST]")
@with_shell
def show(shell: Shell, name: str) -> None:
    """Show one policy and its rules: the newest version, or the one of a digest."""
    registry = shell.registry()
    found = registry.gate.version(name)
    versions = registry.gate.versions(found.name)

    def say() -> None:
        metadata = found.document["metadata"]
        facts(
            {
                "policy": found.name,
                "title": found.title,
                "digest": found.digest,
                "versions": [short(digest) for digest in versions] if len(versions) > 1 else "",
                "into": found.stages,
                "when": found.document["match"].get("when", ""),
                "params": found.document["params"],
                "waivers": _waivers(found.document),
                "controls": metadata.get("controls", []),
                "in force": found.bindings or "no",
            }
        )
        if text := metadata.get("description"):
            click.echo(f"\n{text.strip()}")
        for rule in found.document["validations"]:
            click.echo(f"\n{found.name}/{rule['id']}")
            facts({f"  {key}": value for key, value in rule.items() if key != "id"})

    shell.answer(found, say)


@policy.command(epilog=example("phasegate policy check fairness.yaml"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--lifecycle",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Whose stages there are [the registry's, or the shipped one].",
)
@with_shell
def check(shell: Shell, file: Path, lifecycle: Path | None) -> int:
    """Check a policy file: every expression is typed against what a gate sees. Exits with 1 for problems.

    Where there is no registry, it is held against the shipped lifecycle.
    """
    problems, told = _check(shell, file, lifecycle)
    answer = [
        {"file": p.file, "line": p.line, "column": p.column, "problem": p.reason, "hint": p.hint}
        for p in problems
    ]

    def say() -> None:
        if told:
            click.echo(told, err=True)
        for problem in problems:
            click.echo(problem.message + (f" ({problem.hint})" if problem.hint else ""))
        number = len(problems) or "no"
        click.echo(f"{file}: {number} problem{'s' if number != 1 else ''}")

    shell.answer(answer, say)
    return 1 if problems else 0


def _check(shell: Shell, file: Path, lifecycle: Path | None) -> tuple[list[BadDocument], str]:
    """The problems of a file, and against what it was held if that was no registry."""
    from registry.usecases.policy_files import check_policy_file, lifecycle_of

    registry = None if lifecycle else shell.registry_if_any()
    if registry is not None:
        return registry.check_policies(file), ""
    told = "" if lifecycle else "There is no registry here: checked against the shipped lifecycle."
    return check_policy_file(file, lifecycle_of(lifecycle)), told


def _happened(entry: EntryView) -> str:
    reason = entry.payload.get("reason", "")
    return f"{entry.text}: {reason}" if reason and reason not in entry.text else entry.text


def _waivers(document: object) -> str:
    assert isinstance(document, dict)
    days = document.get("waivers", {}).get("max_days")
    return "" if days is None else f"for at most {days} days" if days else "none"


for command in (test, publish, bind, unbind, replay):
    policy.add_command(command)
