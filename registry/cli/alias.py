"""`phasegate model alias`."""

from __future__ import annotations

import click

from registry.cli.completion import version_refs
from registry.cli.gate import answer_decision
from registry.cli.render import table
from registry.cli.shell import Shell, example, with_shell
from registry.errors import BadInput


@click.command(
    epilog=example(
        "phasegate model alias loans/2 champion",
        "phasegate model alias loans champion --remove --reason 'withdrawn after incident 7'",
        "phasegate model alias loans",
    )
)
@click.argument("ref", metavar="MODEL[/N]", shell_complete=version_refs)
@click.argument("name", required=False, metavar="[ALIAS]")
@click.option("--remove", is_flag=True, help="Take the alias away, without a successor.")
@click.option("--reason", default="", help="With --remove: why; the ledger keeps it.")
@with_shell
def alias(shell: Shell, ref: str, name: str | None, remove: bool, reason: str) -> int:
    """Point an alias to a version, if the gate into @ALIAS agrees; or show a model's aliases.

    The lifecycle says which aliases are guarded; every other one moves freely. Exits with 1 if the gate does
    not agree; that is recorded, too. To take a guarded alias away takes no gate, but a deployer or an admin,
    and a reason. From then on MODEL@ALIAS stands for the version wherever MODEL/N does.
    """
    if reason and not remove:
        raise BadInput("--reason belongs to --remove")
    if name is None:
        if remove:
            raise BadInput("which alias?", hint=f"phasegate model alias {ref} ALIAS --remove --reason WHY")
        return _show(shell, ref)
    name = name.removeprefix("@")
    if not remove:
        return answer_decision(shell, shell.registry().move_alias(ref, name))
    if "/" in ref or "@" in ref:
        raise BadInput(
            f"{ref} is one version; an alias is taken from a model",
            hint=f"phasegate model alias {ref.partition('/')[0].partition('@')[0]} {name} --remove",
        )
    shell.registry().remove_alias(ref, name, reason)
    shell.answer(
        {"model": ref, "alias": name, "version": "", "reason": reason},
        lambda: click.echo(f"{ref}@{name} points to no version any more."),
    )
    return 0


def _show(shell: Shell, ref: str) -> int:
    found = shell.registry().aliases(ref.partition("/")[0])
    rows = [
        (
            f"@{row.alias}",
            row.version or "(none)",
            "now" if row.in_force else "before",
            row.guarded,
            row.decision or "",
            row.at,
            row.by,
        )
        for row in found
    ]
    columns = ["alias", "version", "", "guarded", "decision", "since", "by"]
    shell.answer(found, lambda: table(columns, rows, nothing="no alias yet"))
    return 0
