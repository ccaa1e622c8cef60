"""`phasegate sign`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from registry.cli.completion import version_refs
from registry.cli.render import table
from registry.cli.shell import NUMBER, Shell, example, with_shell
from registry.errors import BadInput


@click.command(
    epilog=example(
        "phasegate sign loans/1 --key ~/.phasegate/rita.key",
        "phasegate sign loans/1 --key awskms:1234abcd-12ab-34cd-56ef-1234567890ab --decision 41",
    )
)
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.option("--key", metavar="FILE|URI", help="The private key [$PHASEGATE_SIGNING_KEY].")
@click.option(
    "--public",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Its public key, where a URI's keeper does not tell it.",
)
@click.option("--decision", type=NUMBER, metavar="N", help="Sign this decision, and nothing else.")
@with_shell
def sign(shell: Shell, ref: str, key: str | None, public: Path | None, decision: int | None) -> None:
    """Sign what a version is now: artifact, provenance, current evidence, and your approvals.

    What the key has signed already is left as it is. A signature counts in a gate while the key is trusted
    (phasegate key trust), and while what was signed is what is there.
    """
    where = key or os.environ.get("PHASEGATE_SIGNING_KEY")
    if not where:
        raise BadInput("no key is named", hint="--key FILE, or make one: phasegate key make FILE")
    signed = shell.registry().keys.sign(ref, where, public=public, decision=decision or 0)
    rows = [
        (row.about, row.row, row.name, f"not signed: {row.why_not}" if row.why_not else row.envelope)
        for row in signed
    ]

    def say() -> None:
        if signed:
            table(["about", "row", "of", "envelope"], rows)
        else:
            click.echo("Nothing to sign: this key has signed it all.")

    shell.answer(signed, say)
