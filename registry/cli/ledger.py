"""`phasegate audit key|checkpoint|witness|prove|verifier|erase`: the ledger, proven to people elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.render import facts
from registry.cli.shell import Shell, example, with_shell
from registry.errors import BadInput

# So many of a long list; all of it is in --json.
_SHOWN = 20
_FILE = click.Path(dir_okay=False, path_type=Path)
_KEY = click.option(
    "--key",
    "key_file",
    type=_FILE,
    metavar="FILE",
    help="The signing key [$PHASEGATE_LEDGER_KEY or keys/ledger.key in the home].",
)
_FROM = click.option(
    "--checkpoint", "checkpoints", type=_FILE, metavar="FILE", help="File of checkpoints [the home's]."
)


@click.command(
    epilog=example(
        "phasegate audit key --name example.com/ledger",
        "phasegate audit key --rotate --reason 'yearly change'",
    )
)
@_KEY
@click.option("--name", default="", help="The ledger's name for ever, like example.com/ledger [made up].")
@click.option(
    "--rotate", is_flag=True, help="Put a new key in its place; the old one signs that, and is gone."
)
@click.option("--lost", is_flag=True, help="With --rotate: the old key cannot sign that, because it is lost.")
@click.option("--reason", default="", help="With --rotate: why; the ledger tells it.")
@with_shell
def key(shell: Shell, key_file: Path | None, name: str, rotate: bool, lost: bool, reason: str) -> None:
    """Show the key that signs the ledger, or make it.

    It lies in a file of its own, never in the database. Give the verifier key to everybody who shall verify
    proofs, by a way that they trust.
    """
    if (lost or reason) and not rotate:
        raise BadInput("--lost and --reason belong to --rotate")
    if rotate and name:
        raise BadInput("the ledger's name is for ever: --name does not go with --rotate")
    ledger = shell.registry().ledger
    if rotate:
        found = ledger.rotate_key(key_file, reason=reason, lost=lost)
    else:
        known = None if name else ledger.key(key_file)
        found = known or ledger.make_key(key_file, name=name)
    shown = {
        "ledger": found.origin,
        "verifier key": found.verifier,
        **{f"before {n}": old for n, old in enumerate(found.earlier, 1)},
        "signing key": f"{found.file} ({'here' if found.here else 'not here'})",
    }
    shell.answer(found, lambda: facts(shown))


@click.command(epilog=example("phasegate audit checkpoint --git ../ledger-checkpoints"))
@_KEY
@click.option(
    "-o", "--output", "files", type=_FILE, multiple=True, metavar="FILE", help="Append it to this file, too."
)
@click.option(
    "--git",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Commit it to the git repository in this folder, too.",
)
@with_shell
def checkpoint(shell: Shell, key_file: Path | None, files: tuple[Path, ...], git: Path | None) -> None:
    """Sign the ledger as it is now, and export that.

    What was exported to where the database's owner cannot change it finds a truncated or rewritten ledger:
    audit verify compares. Exits with 4, signing nothing, if the ledger is not the one that was signed before.
    """
    made = shell.registry().ledger.checkpoint(key_file, files=files, git=git)
    shown = {
        "ledger": made.origin,
        "entries": made.size,
        "root": made.root,
        "signed by": ", ".join(made.signed_by),
        "files": ", ".join(made.files),
        "commit": made.commit,
    }
    shell.answer(made, lambda: facts(shown))


@click.command(
    epilog=example("phasegate audit witness --trust 'example.com/ledger+93727de6+AQOhB7+zzhC+...' --as wendy")
)
@click.option(
    "--key", "key_file", type=_FILE, metavar="FILE", help="The witness's own key [made if missing]."
)
@click.option("--state", type=_FILE, metavar="FILE", help="What the witness remembers [made if missing].")
@click.option("--name", default="", help="Of the witness, when its key is made [witness/ACTOR].")
@click.option(
    "--trust", multiple=True, metavar="KEY", help="Verifier key of the ledger; needed once. Repeatable."
)
@_FROM
@click.option(
    "-o",
    "--output",
    type=_FILE,
    metavar="FILE",
    help="Put the cosigned checkpoint here [where it came from].",
)
@with_shell
def witness(
    shell: Shell,
    key_file: Path | None,
    state: Path | None,
    name: str,
    trust: tuple[str, ...],
    checkpoints: Path | None,
    output: Path | None,
) -> None:
    """Cosign the newest checkpoint, if the ledger only grew since the last time.

    A witness is somebody other than the ledger's owner, with a key and a memory of their own, in
    $PHASEGATE_WITNESS or ~/.phasegate-witness. It reads the database and trusts nothing in it. Exits with 4,
    signing nothing, if the ledger shrank or forked; the checkpoint that proves it is kept.
    """
    made = shell.registry().ledger.witness(
        key_file=key_file, state=state, name=name, trust=trust, checkpoints=checkpoints, to=output
    )
    seen = "for the first time" if made.since is None else f"{made.size - made.since} more than the last time"
    shown = {
        "ledger": made.origin,
        "entries": f"{made.size}, {seen}",
        "root": made.root,
        "witness": made.witness,
        "files": ", ".join(made.files),
    }
    shell.answer(made, lambda: facts(shown))


@click.command(epilog=example("phasegate audit prove 214 --payload -o entry-214.tlog-proof"))
@click.argument("entry", type=click.IntRange(0))
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="The proof file [entry-ENTRY.tlog-proof].")
@click.option("--payload", is_flag=True, help="Tell what the entry commits to, too; it may be personal.")
@_FROM
@_KEY
@with_shell
def prove(
    shell: Shell,
    entry: int,
    output: Path | None,
    payload: bool,
    checkpoints: Path | None,
    key_file: Path | None,
) -> None:
    """Prove that an entry is in the ledger, to somebody who has neither the database nor this program.

    The proof holds the entry, and a checkpoint that covers it: the best signed one of the home, or one that
    is signed now. The script that audit verifier writes verifies it offline.
    """
    from registry.files import write_atomically

    file = output or Path(f"entry-{entry}.tlog-proof")
    proof = shell.registry().ledger.prove(entry, payload=payload, checkpoints=checkpoints, key_file=key_file)
    try:
        write_atomically(file, proof.text.encode())
    except OSError as cause:
        raise BadInput(f"{file} cannot be written: {cause.strerror}") from cause
    shown = {
        "proof": str(file),
        "entry": f"{entry} of {proof.size}",
        "payload": "told" if payload else "not told (--payload)",
        "signed by": ", ".join(proof.signed_by),
        "verify": f"python3 verify_proof.py {file} --key '{proof.key}'",
        "script": "phasegate audit verifier -o verify_proof.py",
    }
    shell.answer({"file": str(file), "proof": proof}, lambda: facts(shown))


@click.command(epilog=example("phasegate audit verifier -o verify_proof.py"))
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Where to [standard output].")
@with_shell
def verifier(shell: Shell, output: Path | None) -> None:
    """Write the script that verifies proofs: one file, only Python's standard library, to read before use."""
    from registry.files import write_atomically
    from registry.usecases.prove import verifier_script

    script = verifier_script()
    if output is None:
        shell.answer({"script": script}, lambda: click.echo(script, nl=False))
        return
    try:
        write_atomically(output, script.encode())
    except OSError as cause:
        raise BadInput(f"{output} cannot be written: {cause.strerror}") from cause
    shell.answer({"file": str(output)}, lambda: click.echo(f"Written: {output}"))


@click.command(
    epilog=example(
        "phasegate audit erase jane --reason 'asked on 2026-05-01'",
        "phasegate audit erase dataset:visitors/1 --reason 'consent withdrawn'",
    )
)
@click.argument("subject")
@click.option("--reason", required=True, help="The ledger keeps it; it must not name the subject.")
@click.option("--mentions", is_flag=True, help="Erase other entries that name the subject, too.")
@with_shell
def erase(shell: Shell, subject: str, reason: str, mentions: bool) -> None:
    """Erase what the ledger holds about SUBJECT, an actor's name or a ledger subject; it takes an admin.

    Payload and salt of the entries go, and an actor's name. Headers, root and all proofs stay, audit verify
    still holds. What stays is said, with the reason; what names the subject elsewhere is listed.
    """
    found = shell.registry().ledger.erase(subject, reason, mentions=mentions)

    def say() -> None:
        facts(
            {
                "subject": found.subject,
                "erased": f"payloads of entries {_few(found.entries)}",
                "name": f"{found.name} from now on" if found.name else "",
                "accounted for": f"{found.restated} rows, stated again by the entry that tells of it",
            }
        )
        for line in found.stays:
            click.echo(f"Stays: {line}.")
        if found.mentions:
            click.echo(f"Not erased, but naming it, too: entries {_few(found.mentions)} (--mentions).")
        if found.rows:
            click.echo(f"Cannot be erased, being history: {len(found.rows)} places in tables name it:")
            for place in found.rows[:_SHOWN]:
                click.echo(f"  {place}")
            if len(found.rows) > _SHOWN:
                click.echo(f"  and {len(found.rows) - _SHOWN} more (--json)")

    shell.answer(found, say)


def _few(numbers: list[int]) -> str:
    more = f", and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return ", ".join(map(str, numbers[:_SHOWN])) + more
