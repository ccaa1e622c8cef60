"""`phasegate model`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.alias import alias
from registry.cli.completion import plugin_names, stages, version_refs
from registry.cli.estimate import say_estimate
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, pairs, plain, with_shell
from registry.cli.times import TIME, read_time
from registry.domain.design import ESTIMATED, choices
from registry.domain.digests import short
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.usecases.views import ApprovalView


@click.group()
def model() -> None:
    """Models: plan versions, name their data, look at them."""


@model.command(
    epilog=example(
        "phasegate model plan spam --system inbox --task text-classification "
        "--target 'f1>=0.90' --data source=sms/1"
    )
)
@click.argument("name")
@click.option("--system", required=True, help="The system that it is for.")
@click.option("--purpose", default="", help="What it is for [the system's purpose].")
@click.option("--task", default="", help="For example text-classification.")
@click.option(
    "--target", "targets", multiple=True, metavar="METRIC>=N", help="Fixed from now on; repeatable."
)
@click.option("--data", multiple=True, metavar="ROLE=DATASET/N", help="Its data, by role; repeatable.")
@click.option("--budget-hours", type=float, help="Hours of computing that it may take.")
@click.option("--tag", "tags", multiple=True, help="A word that bindings of policies can name; repeatable.")
@with_shell
def plan(
    shell: Shell,
    name: str,
    system: str,
    purpose: str,
    task: str,
    targets: tuple[str, ...],
    data: tuple[str, ...],
    budget_hours: float | None,
    tags: tuple[str, ...],
) -> None:
    """Plan the next version of model NAME, with targets fixed before anything is evaluated."""
    made = shell.registry().plan(
        name,
        system=system,
        purpose=purpose,
        task=task,
        targets=targets,
        data=pairs(data, "ROLE=DATASET/N"),
        budget_hours=budget_hours,
        tags=tags,
    )

    def say() -> None:
        click.echo(f"Planned {made.ref} for {made.system}, risk tier {made.risk_tier}.")
        facts({"  targets": made.targets or "none", "  data": made.data or "none"})
        click.echo(f"Next: phasegate gate explain {made.ref} {made.following[0]}")

    shell.answer(made, say)


@model.command(epilog=example("phasegate model data spam/1 train=sms-train/1 test=sms-test/1 source="))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("data", nargs=-1, required=True, metavar="ROLE=DATASET/N...")
@with_shell
def data(shell: Shell, ref: str, data: tuple[str, ...]) -> None:
    """Name a version's data by role; ROLE= with nothing after it takes a role away."""
    given = {role: text or None for role, text in pairs(data, "ROLE=DATASET/N").items()}
    made = shell.registry().link_data(ref, given)
    shell.answer(made, lambda: facts({made.ref: made.data or "no data"}))


@model.command(
    epilog=example(
        "phasegate model design spam/1 --set architecture=bert --set layers=2",
        "phasegate model design spam/1 --plugin train-classifier --device h100 --set layers=4 --dry-run",
    )
)
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="Repeatable.")
@click.option(
    "--plugin",
    default="",
    help="Who will train it: then what that takes is estimated.",
    shell_complete=plugin_names,
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="With --plugin: what it must fit. cpu or cuda:0 of this machine, a kind such as h100, or 24GiB.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="With --plugin: devices that share the work [as many as tensor, pipeline and shards multiply to].",
)
@click.option("--dry-run", is_flag=True, help="With --plugin: estimate, and record nothing.")
@with_shell
def design(
    shell: Shell,
    ref: str,
    values: tuple[str, ...],
    plugin: str,
    device: str,
    processes: int | None,
    dry_run: bool,
) -> int:
    """Record a version's design; training takes its defaults from it.

    With --plugin, parameters, memory, FLOPs and hours of such a training are estimated and recorded, too, and
    a design that does not fit the device is refused: it exits with 1.
    """
    registry, given = shell.registry(), pairs(values, "KEY=VALUE")
    if not plugin:
        if not given:
            raise BadInput("a design needs at least one value", hint="--set KEY=VALUE, or --plugin PLUGIN")
        if dry_run:
            raise BadInput("--dry-run only estimates", hint="add --plugin PLUGIN")
        made = registry.design(ref, given)
        shell.answer(made, lambda: facts({made.ref: made.design}))
        return 0
    found = registry.estimate(ref, given, plugin=plugin, device=device, processes=processes or 0)
    estimate = found.estimate
    recorded = registry.design(ref, given, estimated=found) if estimate.fits and not dry_run else None

    def say() -> None:
        say_estimate(estimate)
        if recorded is not None:
            facts({recorded.ref: choices(recorded.design)})

    answer = {
        **plain(estimate),
        "needed": estimate.needed,
        "fits": estimate.fits,
        "flops": estimate.flops,
        "recorded": recorded is not None,
    }
    shell.answer(answer, say)
    return 0 if estimate.fits else 1


@model.command("list", epilog=example("phasegate model list --stage deployed"))
@click.option("--stage", default="", help="Only versions at this stage.", shell_complete=stages)
@click.option("--model", "name", default="", help="Only versions of this model.")
@with_shell
def list_(shell: Shell, stage: str, name: str) -> None:
    """List model versions."""
    found = shell.registry().versions(stage=stage, model=name)
    rows = [
        (
            row.ref,
            row.stage,
            row.system,
            row.risk_tier,
            row.targets,
            short(row.artifact),
            [f"@{alias}" for alias in row.aliases],
            row.created_at,
        )
        for row in found
    ]
    columns = ["version", "stage", "system", "risk", "targets", "artifact", "aliases", "planned"]
    shell.answer(found, lambda: table(columns, rows))


@model.command(epilog=example("phasegate model show spam/1"))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@with_shell
def show(shell: Shell, ref: str) -> None:
    """Show one version, the evidence about what it is now, and who approved it."""
    registry = shell.registry()
    found = registry.version(ref)
    evidence, approvals = registry.evidence(found.ref), registry.approvals(found.ref)

    def say() -> None:
        facts(
            {
                "version": found.ref,
                "stage": found.stage,
                "aliases": [f"@{alias}" for alias in found.aliases],
                "system": f"{found.system} ({found.risk_tier} risk)",
                "purpose": found.purpose,
                "task": found.task,
                "targets": found.targets,
                "data": found.data,
                "design": choices(found.design),
                "estimate": _estimate(found.design),
                "artifact": found.artifact or "none yet",
                "digest": found.digest,
                "planned": f"{found.created_at:%Y-%m-%d %H:%M} by {found.created_by}",
                "can go to": found.following,
            }
        )
        if evidence:
            click.echo()
            rows = [(row.kind, row.status, row.summary or row.metrics, row.run) for row in evidence]
            table(["evidence", "status", "found", "run"], rows)
        if approvals:
            click.echo()
            columns = ["who", "for", "said", "to", "independent", "counts", "reason", "when"]
            table(columns, [_word(given) for given in approvals])

    shell.answer({**plain(found), "evidence": evidence, "approvals": approvals}, say)


@model.command(epilog=example("phasegate model fetch spam/1 spam-model"))
@click.argument("ref", metavar="MODEL/N", shell_complete=version_refs)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@with_shell
def fetch(shell: Shell, ref: str, folder: Path) -> None:
    """Copy a version's artifact into a new FOLDER; every byte is verified on the way."""
    digest, files = shell.registry().fetch(ref, folder)
    shell.answer(
        {"artifact": digest, "folder": str(folder), "files": files},
        lambda: click.echo(f"{len(files)} files of {short(digest)} are in {folder}."),
    )


@model.command(
    epilog=example(
        "phasegate model history spam/1",
        "phasegate model history spam --at 2026-05-01T12:00Z --prove proofs/",
    )
)
@click.argument("of", metavar="MODEL[/N]", shell_complete=version_refs)
@click.option("--at", default="", metavar="TIME", help=f"What held which stage and alias then. {TIME}")
@click.option(
    "--prove",
    "proofs",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="With --at: write a proof of every entry that made it so.",
)
@with_shell
def history(shell: Shell, of: str, at: str, proofs: Path | None) -> None:
    """Everything that happened to a version, its runs, its data and its deployments, refusals included.

    With --at: which version held which stage and which alias at that moment, the ledger's entry and the
    decision that made it so, and a signed checkpoint that covers the entry. It exits with 4 if tables and
    ledger disagree. A moment ends with the last entry whose time is not after it.
    """
    if at:
        return _moment(shell, of, read_time(at, "--at", past=True), proofs)
    if proofs:
        raise BadInput("--prove belongs to --at", hint="phasegate audit prove ENTRY proves one entry")
    found = shell.registry().history(of)
    rows = [(row.index, row.at, row.actor, row.subject, row.text) for row in found]
    shell.answer(found, lambda: table(["entry", "when", "who", "what", "happened"], rows))
    return None


def _estimate(design: Mapping[str, Any]) -> dict[str, Any]:
    """What was estimated of a design."""
    chosen = choices(design)
    return {key.removeprefix(ESTIMATED): value for key, value in design.items() if key not in chosen}


def _moment(shell: Shell, of: str, at: datetime, proofs: Path | None) -> None:
    found = shell.registry().ledger.held(of, at, proofs=proofs)
    columns = ["version", "held", "since", "by", "decision", "entry", "leaf", "checkpoint"]
    rows = [
        (
            row.version,
            f"@{row.name}" if row.what == "alias" else row.name,
            row.since,
            row.actor,
            row.decision,
            row.entry,
            row.leaf[:16],
            f"of {row.checkpoint} entries" if row.checkpoint else "none covers it",
        )
        for row in found.held
    ]

    def say() -> None:
        click.echo(
            f"{found.of} at {at:%Y-%m-%d %H:%M:%S} UTC, after the ledger's first {found.entries} entries:"
        )
        table(columns, rows, nothing="no version yet")
        for row in found.held:
            if row.proof:
                click.echo(f"Proof of entry {row.entry}: {row.proof}")

    shell.answer(found, say)


def _word(given: ApprovalView) -> tuple[object, ...]:
    changed = ", ".join(given.changed) or "the version"
    return (
        given.actor,
        given.on_behalf_of,
        given.verdict,
        given.to,
        given.independent,
        "yes" if given.current else f"stale: {changed} changed",
        given.reason,
        given.at,
    )


model.add_command(alias)
