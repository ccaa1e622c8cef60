"""`phasegate policy`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.policy_test import test
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell
from registry.domain.digests import short


@click.group()
def policy() -> None:
    """Policies: list, show, check."""


policy.add_command(test)


@policy.command("list", epilog=example("phasegate policy list"))
@with_shell
def list_(shell: Shell) -> None:
    """List policies, and how they are in force."""
    found = shell.registry().policies()
    rows = [
        (row.name, row.stages, len(row.rules), row.bindings or "not in force", short(row.digest), row.title)
        for row in found
    ]
    shell.answer(found, lambda: table(["policy", "into", "rules", "in force", "digest", "title"], rows))


@policy.command(epilog=example("phasegate policy show group-fairness"))
@click.argument("name")
@with_shell
def show(shell: Shell, name: str) -> None:
    """Show one policy and its rules."""
    found = shell.registry().policy(name)

    def say() -> None:
        metadata = found.document["metadata"]
        facts(
            {
                "policy": found.name,
                "title": found.title,
                "digest": found.digest,
                "into": found.stages,
                "when": found.document["match"].get("when", ""),
                "params": found.document["params"],
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
@with_shell
def check(shell: Shell, file: Path) -> int:
    """Check a policy file: every expression is typed against what a gate sees. Exits with 1 for problems."""
    problems = shell.registry().check_policies(file)
    answer = [
        {"file": p.file, "line": p.line, "column": p.column, "problem": p.reason, "hint": p.hint}
        for p in problems
    ]

    def say() -> None:
        for problem in problems:
            click.echo(problem.message + (f" ({problem.hint})" if problem.hint else ""))
        number = len(problems) or "no"
        click.echo(f"{file}: {number} problem{'s' if number != 1 else ''}")

    shell.answer(answer, say)
    return 1 if problems else 0
