"""`phasegate system`."""

from __future__ import annotations

import click

from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell
from registry.cli.tier import assess, questions, tier


@click.group()
def system() -> None:
    """AI systems: what models are for, and for whom."""


@system.command(
    epilog=example(
        "phasegate system add lending --purpose 'decide small loans' --risk-tier high "
        "--affected-group women --affected-group men"
    )
)
@click.argument("name")
@click.option("--purpose", required=True, help="What it is for, in a sentence.")
@click.option(
    "--risk-tier", required=True, help="minimal, limited or high, as declared; `system assess` computes it."
)
@click.option("--owner", default="", help="Who answers for it [the actor].")
@click.option("--affected-group", "affected", multiple=True, help="People that it affects; repeatable.")
@click.option(
    "--prohibited-use", "prohibited", multiple=True, help="What it must not be used for; repeatable."
)
@click.option("--oversight", default="", help="How people watch and stop it.")
@click.option("--tag", "tags", multiple=True, help="A word that bindings of policies can name; repeatable.")
@with_shell
def add(
    shell: Shell,
    name: str,
    purpose: str,
    risk_tier: str,
    owner: str,
    affected: tuple[str, ...],
    prohibited: tuple[str, ...],
    oversight: str,
    tags: tuple[str, ...],
) -> None:
    """Record a system."""
    made = shell.registry().add_system(
        name,
        purpose=purpose,
        risk_tier=risk_tier,
        owner=owner,
        affected_groups=affected,
        prohibited_uses=prohibited,
        oversight=oversight,
        tags=tags,
    )
    shell.answer(made, lambda: click.echo(f"Added system {made.name}, risk tier {made.risk_tier}."))


@system.command(
    epilog=example("phasegate system change lending --affected-group women --affected-group men --as dana")
)
@click.argument("name")
@click.option("--owner", help="Who answers for it.")
@click.option(
    "--affected-group", "affected", multiple=True, help="People that it affects, all of them; repeatable."
)
@click.option(
    "--prohibited-use", "prohibited", multiple=True, help="What it must not be used for, all; repeatable."
)
@click.option("--oversight", help="How people watch and stop it.")
@click.option("--tag", "tags", multiple=True, help="Words that bindings can name, all; repeatable.")
@with_shell
def change(
    shell: Shell,
    name: str,
    owner: str | None,
    affected: tuple[str, ...],
    prohibited: tuple[str, ...],
    oversight: str | None,
    tags: tuple[str, ...],
) -> None:
    """Say otherwise whom a system affects and the like: its owner may, or an admin.

    What is not named stays. Its purpose stays, too: another purpose is another system; its tier comes from
    `system assess`. Approvals that were given before go stale.
    """
    made = shell.registry().change_system(
        name,
        owner=owner,
        affected_groups=affected or None,
        prohibited_uses=prohibited or None,
        oversight=oversight,
        tags=tags or None,
    )
    shell.answer(made, lambda: click.echo(f"Changed system {made.name}."))


@system.command("list", epilog=example("phasegate system list"))
@with_shell
def list_(shell: Shell) -> None:
    """List systems."""
    found = shell.registry().systems()
    rows = [(row.name, row.risk_tier, row.owner, row.purpose, row.models) for row in found]
    shell.answer(found, lambda: table(["system", "risk tier", "owner", "purpose", "models"], rows))


@system.command(epilog=example("phasegate system show lending"))
@click.argument("name")
@with_shell
def show(shell: Shell, name: str) -> None:
    """Show one system."""
    found = shell.registry().system(name)
    shell.answer(
        found,
        lambda: facts(
            {
                "system": found.name,
                "purpose": found.purpose,
                "risk tier": f"{found.risk_tier} ({found.tier_basis})",
                "owner": found.owner,
                "affected groups": found.affected_groups,
                "prohibited uses": found.prohibited_uses,
                "oversight": found.oversight,
                "tags": found.tags,
                "models": found.models,
                "added": f"{found.created_at:%Y-%m-%d} by {found.created_by}",
            }
        ),
    )


for command in (questions, assess, tier):
    system.add_command(command)
