"""`phasegate key`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.completion import version_refs
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell


@click.group()
def key() -> None:
    """Keys that sign: make them, trust them, check what they signed."""


@key.command(epilog=example("phasegate key make ~/.phasegate/rita.key"))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--owner", default="", metavar="NAME", help="Trust it at once, as NAME's; takes an admin.")
@click.option("--ed25519", is_flag=True, help="An Ed25519 key: it signs statements, but no artifact.")
@with_shell
def make(shell: Shell, file: Path, owner: str, ed25519: bool) -> None:
    """Write a new private key, and its public key beside it. The registry never sees the private one."""
    from registry.storage.pem_files import public_beside

    made = shell.registry().keys.make(file, owner=owner, ed25519=ed25519)
    public = public_beside(file)
    shown = {
        "private key": f"{file} (for nobody else)",
        "public key": str(public),
        "key id": made.keyid,
        "scheme": made.scheme,
        "trusted": f"as {owner}'s" if owner else f"not yet -> phasegate key trust {public} --owner NAME",
    }
    answer = {"file": str(file), "public": str(public), "keyid": made.keyid, "scheme": made.scheme}
    shell.answer({**answer, "owner": owner}, lambda: facts(shown))


@key.command(
    epilog=example(
        "phasegate key trust rita.pub --owner rita",
        "phasegate key trust awskms:1234abcd-12ab-34cd-56ef-1234567890ab --owner ci",
    )
)
@click.argument("public", metavar="PUBLIC|URI")
@click.option("--owner", required=True, metavar="NAME", help="Whose signature it makes.")
@with_shell
def trust(shell: Shell, public: str, owner: str) -> None:
    """Take what a key signs for somebody's word. Takes an admin."""
    keyid = shell.registry().keys.trust(public, owner)
    shell.answer(
        {"keyid": keyid, "owner": owner}, lambda: click.echo(f"Trusted as {owner}'s: the key {keyid}.")
    )


@key.command("list", epilog=example("phasegate key list"))
@with_shell
def list_(shell: Shell) -> None:
    """Keys that are or were trusted."""
    found = shell.registry().keys.known()
    rows = [
        (
            row.keyid[:12],
            row.owner,
            row.scheme,
            row.trusted,
            row.created_at,
            row.created_by,
            row.ended_at,
            row.ended_by,
        )
        for row in found
    ]
    columns = ["key", "owner", "scheme", "trusted", "since", "by", "until", "ended by"]
    shell.answer(found, lambda: table(columns, rows))


@key.command(epilog=example("phasegate key distrust 93727de6a1b2 --reason 'laptop stolen'"))
@click.argument("keyid", metavar="KEYID")
@click.option("--reason", required=True, help="Why; the ledger tells it.")
@with_shell
def distrust(shell: Shell, keyid: str, reason: str) -> None:
    """Let nothing count any more that a key signed, whenever that was. Takes an admin."""
    found = shell.registry().keys.distrust(keyid, reason)
    shell.answer(
        {"keyid": found, "reason": reason}, lambda: click.echo(f"Not trusted any more: the key {found}.")
    )


@key.command(epilog=example("phasegate key check loans/1 -o signatures"))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write signatures and public keys to files, for other tools.",
)
@with_shell
def check(shell: Shell, ref: str, folder: Path | None) -> int:
    """Check every signature over what a version is now. Exits with 4 if one is not valid."""
    found = shell.registry().keys.check(ref, folder)
    rows = [
        (row.about, row.row, row.signer, row.keyid[:12], row.trusted, row.valid, row.problem or row.file)
        for row in found
    ]
    columns = ["about", "row", "signer", "key", "trusted", "valid", "file or problem"]
    shell.answer(
        found, lambda: table(columns, rows, nothing=f"nobody has signed {ref} -> phasegate sign {ref}")
    )
    return 4 if any(row.signer and not row.valid for row in found) else 0
