"""`phasegate approve` and `phasegate reject`."""

from __future__ import annotations

import click

from registry.cli.completion import stages, version_refs
from registry.cli.shell import Shell, example, with_shell
from registry.domain.digests import short


@click.command(epilog=example("phasegate approve loans/1 deployed --as ruth --reason 'fair in both groups'"))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("stage", shell_complete=stages)
@click.option("--reason", default="", help="Why, for the record.")
@with_shell
def approve(shell: Shell, ref: str, stage: str, reason: str) -> None:
    """Say yes to a version's step. It counts for what the version is now: a later change makes it stale."""
    registry = shell.registry()
    registry.approve(ref, stage, reason)
    _answer(shell, registry.actor, "approved", ref, stage, registry.version(ref).digest)


@click.command(
    epilog=example("phasegate reject loans/1 deployed --as ruth --reason 'no test on older people'")
)
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("stage", shell_complete=stages)
@click.option("--reason", required=True, help="Why.")
@with_shell
def reject(shell: Shell, ref: str, stage: str, reason: str) -> None:
    """Say no to a version's step, with a reason."""
    registry = shell.registry()
    registry.reject(ref, stage, reason)
    _answer(shell, registry.actor, "rejected", ref, stage, registry.version(ref).digest)


def _answer(shell: Shell, actor: str, verdict: str, ref: str, stage: str, digest: str) -> None:
    shell.answer(
        {"actor": actor, "verdict": verdict, "version": ref, "stage": stage, "digest": digest},
        lambda: click.echo(f"{actor} {verdict} {ref} for {stage}, as it is now ({short(digest)})."),
    )
