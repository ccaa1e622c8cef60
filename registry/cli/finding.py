"""`phasegate finding`: the challenge log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.completion import version_refs
from registry.cli.render import facts, table
from registry.cli.shell import NUMBER, Shell, example, with_shell
from registry.cli.times import TIME, read_time

if TYPE_CHECKING:
    from registry.usecases.look_exceptions import FindingView


@click.group()
def finding() -> None:
    """Findings: what somebody says is wrong, and how that ended."""


@finding.command(
    epilog=example(
        "phasegate finding add loans/1 --title 'no test on people over 70' --severity high "
        "--owner alice --due 30d --as ruth",
        "phasegate finding add --system lending --title 'nobody can object' --severity medium "
        "--owner alice --due 2027-01-31",
    )
)
@click.argument("ref", required=False, default="", metavar="[MODEL/N]", shell_complete=version_refs)
@click.option("--system", default="", help="About this system, instead of one version.")
@click.option("--title", required=True, help="What is wrong, in a line.")
@click.option("--severity", required=True, help="low, medium, high or critical.")
@click.option("--owner", required=True, help="Who shall deal with it.")
@click.option("--due", required=True, metavar="TIME", help=f"Until when. {TIME}")
@click.option("--text", default="", help="More about it.")
@with_shell
def add(
    shell: Shell, ref: str, system: str, title: str, severity: str, owner: str, due: str, text: str
) -> None:
    """Raise a finding about a version or a system. Anybody may; it takes somebody else to close it."""
    made = shell.registry().findings.add(
        title,
        ref=ref,
        system=system,
        severity=severity,
        owner=owner,
        due=read_time(due, "--due"),
        text=text,
    )
    said = f"Finding {made.id} ({made.severity}) raised about {made.about}, due {made.due:%Y-%m-%d}."
    shell.answer(made, lambda: click.echo(said))


@finding.command("list", epilog=example("phasegate finding list --open --about loans/1"))
@click.option(
    "--about",
    default="",
    metavar="MODEL/N",
    help="Only those that apply to this version.",
    shell_complete=version_refs,
)
@click.option("--system", default="", help="Only those about this system.")
@click.option("--open", "only_open", is_flag=True, help="Only those that are not closed.")
@with_shell
def list_(shell: Shell, about: str, system: str, only_open: bool) -> None:
    """List findings; those that are overdue are marked."""
    found = shell.registry().findings.all(ref=about, system=system, only_open=only_open)
    rows = [(row.id, row.about, row.severity, _says(row), row.due, row.owner, row.title) for row in found]
    shell.answer(found, lambda: table(["finding", "about", "severity", "now", "due", "owner", "title"], rows))


@finding.command(epilog=example("phasegate finding show 2"))
@click.argument("number", type=NUMBER)
@with_shell
def show(shell: Shell, number: int) -> None:
    """Show one finding."""
    found = shell.registry().findings.one(number)
    shell.answer(found, lambda: _say(found))


@finding.command(
    epilog=example(
        "phasegate finding close 2 --evidence 41 --as ruth",
        "phasegate finding close 2 --reason 'the form asks for no age any more' --as ruth",
    )
)
@click.argument("number", type=NUMBER)
@click.option("--evidence", type=NUMBER, help="Number of evidence made since, about the version or its data.")
@click.option("--reason", default="", help="Why it is none any more.")
@with_shell
def close(shell: Shell, number: int, evidence: int | None, reason: str) -> None:
    """Close a finding, once: takes a reviewer or approver who neither owns it nor developed the version."""
    found = shell.registry().findings.close(number, evidence=evidence, reason=reason)
    shell.answer(found, lambda: _say(found))


def _says(row: FindingView) -> str:
    if row.open:
        return "open, overdue" if row.overdue else "open"
    return "closed"


def _say(row: FindingView) -> None:
    closed = f"{row.closed_at:%Y-%m-%d %H:%M} by {row.closed_by}" if row.closed_at else ""
    facts(
        {
            "finding": row.id,
            "about": row.about,
            "title": row.title,
            "text": row.text,
            "severity": row.severity,
            "now": _says(row),
            "owner": row.owner,
            "due": row.due,
            "raised": f"{row.raised_at:%Y-%m-%d %H:%M} by {row.raised_by}",
            "closed": closed,
            "closure": row.closure,
            "evidence": row.evidence,
        }
    )
