"""`phasegate policy publish|bind|unbind`: what is in force."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry.cli.render import facts
from registry.cli.shell import Shell, example, pairs, with_shell
from registry.domain.digests import short

if TYPE_CHECKING:
    from registry.usecases.policy_publishing import Published
    from registry.usecases.policy_views import BindingView

# A scope's fields, and the options that give them.
_OPTIONS = {
    "to": "--to",
    "from": "--from",
    "risk_tiers": "--risk-tier",
    "systems": "--system",
    "tags": "--tag",
}


@click.command(
    epilog=example(
        "phasegate policy publish fairness.yaml", "phasegate policy publish policies/*.yaml --no-bind"
    )
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--no-bind", is_flag=True, help="Publish only: put no binding of the files in force.")
@with_shell
def publish(shell: Shell, files: tuple[Path, ...], no_bind: bool) -> None:
    """Publish policies, and put the bindings of their files in force.

    A published policy never changes and is known by its digest; a changed file is a new version. What pins an
    older one stays in force until it is bound again. Takes the role admin. Exits with 2, having done nothing,
    if anything is wrong in the files.
    """
    made = shell.registry().gate.publish(files, binding=not no_bind)

    def say() -> None:
        for one in made:
            _say_published(one)

    shell.answer(made, say)


@click.command(
    epilog=example(
        "phasegate policy bind group-fairness --action warn",
        "phasegate policy bind group-fairness@9f2c41 --name fairness-lending --set max_dp_difference=0.05 "
        "--risk-tier high --tag lending --action deny",
    )
)
@click.argument("policy", metavar="NAME[@DIGEST]")
@click.option("--name", default="", help="Of the binding; what is bound under it ends [the policy's].")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A parameter. Repeatable.")
@click.option("--to", multiple=True, metavar="STAGE", help="Only into this stage or @alias. Repeatable.")
@click.option("--from", "origin", multiple=True, metavar="STAGE", help="Only from this stage. Repeatable.")
@click.option("--risk-tier", multiple=True, help="Only for this risk tier. Repeatable.")
@click.option("--system", multiple=True, help="Only for this system's models. Repeatable.")
@click.option("--tag", multiple=True, help="Only for what has this tag. Repeatable.")
@click.option(
    "--action",
    required=True,
    type=click.Choice(["audit", "warn", "deny"]),
    help="What becomes of a rule that does not hold: recorded, warned of, or the step refused.",
)
@with_shell
def bind(
    shell: Shell,
    policy: str,
    name: str,
    settings: tuple[str, ...],
    to: tuple[str, ...],
    origin: tuple[str, ...],
    risk_tier: tuple[str, ...],
    system: tuple[str, ...],
    tag: tuple[str, ...],
    action: str,
) -> None:
    """Put a published policy in force: the newest version, or the one of a digest.

    The binding pins that version. Of several options of one kind, one must fit; of each kind that is given,
    one. Takes the role admin.
    """
    from registry.domain.decision import Action
    from registry.policy import GateBinding
    from registry.policy.scopes import BindingScope
    from registry.usecases.policy_views import split_reference

    policy, digest = split_reference(policy)
    scope = BindingScope(to=to, origin=origin, risk_tiers=risk_tier, systems=system, tags=tag)
    binding = GateBinding(name or policy, policy, Action(action), scope=scope)
    bound = shell.registry().gate.bind(binding, digest, settings=pairs(settings, "KEY=VALUE"))
    shown = {
        "binding": bound.name,
        "policy": f"{bound.policy} ({short(bound.digest)})",
        "action": bound.action,
        "params": bound.params,
        "scope": "; ".join(f"{key} {', '.join(values)}" for key, values in bound.scope.items())
        or "everything",
    }
    shell.answer(bound, lambda: facts(shown))


@click.command(epilog=example("phasegate policy unbind group-fairness --reason 'replaced by fairness-2'"))
@click.argument("binding")
@click.option("--reason", required=True, help="Why; the ledger tells it.")
@with_shell
def unbind(shell: Shell, binding: str, reason: str) -> None:
    """Take a binding out of force. Takes the role admin.

    It stays in the history. A step that no policy governs any more is refused.
    """
    shell.registry().gate.unbind(binding, reason)
    shell.answer({"unbound": binding}, lambda: click.echo(f"{binding} is no longer in force."))


def _scope(bound: BindingView) -> str:
    return "; ".join(f"{key} {', '.join(values)}" for key, values in bound.scope.items()) or "everything"


def _say_published(one: Published) -> None:
    if one.digest:
        news = "published" if one.new else "is published already"
        click.echo(f"{one.name}: {news} ({short(one.digest)})")
    for name in one.bound:
        click.echo(f"  in force: {name}")
    if not (one.bound or one.behind):
        click.echo(f"  not in force: phasegate policy bind {one.name} --action audit")
    for old in one.behind:
        click.echo(f"  {old.name} stays in force with the older version {short(old.digest)}, {old.action}")
        click.echo(f"    -> {_again(old)}")


def _again(old: BindingView) -> str:
    """The command that binds the newest version as an older one is bound."""
    options = [("--set", f"{key}={_typed(value)}") for key, value in old.params.items()]
    options += [(_OPTIONS[key], value) for key, values in old.scope.items() for value in values]
    words = ["phasegate", "policy", "bind", old.policy, "--name", old.name]
    words += [word for option in options for word in option]
    return shlex.join([*words, "--action", old.action])


def _typed(value: object) -> str:
    """A parameter as `--set` takes it."""
    if isinstance(value, list):
        return ",".join(_typed(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
