"""`phasegate report`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.completion import version_refs
from registry.cli.shell import Shell, example, with_shell


@click.command(
    epilog=example("phasegate report loans/1 -o loans-1.html", "phasegate report loans/1 --format json -o -")
)
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "json"]),
    default="html",
    show_default=True,
    help="For people, or for machines.",
)
@click.option(
    "-o", "--output", default="", help="File to write, - for standard output [reports/ in the home]."
)
@with_shell
def report(shell: Shell, ref: str, form: str, output: str) -> None:
    """Write an audit report on a version. It is one file, and works offline."""
    from registry.errors import BadInput
    from registry.files import write_atomically
    from registry.reports.render import to_html, to_json

    registry = shell.registry()
    facts = registry.report(ref)
    text = to_html(facts) if form == "html" else to_json(facts)
    if output == "-":
        click.echo(text)
        return
    path = Path(output) if output else registry.home.reports / f"{facts.subject.ref.replace('/', '-')}.{form}"
    try:
        write_atomically(path.absolute(), text.encode())
    except OSError as cause:
        raise BadInput(f"{path} cannot be written: {cause.strerror}") from cause
    shell.answer({"report": str(path), "bytes": len(text)}, lambda: click.echo(f"Wrote {path}"))
