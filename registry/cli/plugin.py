"""`phasegate plugin`. Works without a registry, and without the packages that plugins need."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click

from registry.cli.completion import plugin_names
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell


@click.group()
def plugin() -> None:
    """Plugins: list, show."""


@plugin.command("list", epilog=example("phasegate plugin list"))
@with_shell
def list_(shell: Shell) -> None:
    """List installed plugins, and what those that cannot run here need."""
    from registry.extension.discovery import find_plugins

    found = find_plugins()
    answer = [
        {
            "name": row.name,
            "kind": row.plugin.kind if row.plugin else "",
            "subject": row.plugin.subject if row.plugin else "",
            "summary": row.summary,
            "distribution": row.distribution,
            "problem": row.problem,
        }
        for row in found
    ]
    rows = [(a["name"], a["kind"], a["problem"] or a["summary"]) for a in answer]
    shell.answer(answer, lambda: table(["plugin", "kind", "what it does"], rows))


@plugin.command(epilog=example("phasegate plugin show bias"))
@click.argument("name", shell_complete=plugin_names)
@with_shell
def show(shell: Shell, name: str) -> None:
    """Show one plugin and its options."""
    from registry.extension.discovery import load_plugin, missing_modules

    found = load_plugin(name)
    options = [_option(key, field) for key, field in found.config_type.model_fields.items()]
    answer = {
        "name": found.name,
        "kind": found.kind,
        "version": found.version,
        "subject": found.subject,
        "summary": (found.__doc__ or "").strip(),
        "evidence": found.evidence,
        "data roles": list(found.roles),
        "needs": missing_modules(found),
        "options": options,
    }

    def say() -> None:
        click.echo(f"{answer['summary']}\n")
        facts({key: value for key, value in answer.items() if key not in ("summary", "options")})
        click.echo()
        rows = [
            (option["name"], option["type"], option["default"], option["description"]) for option in options
        ]
        table(["option", "type", "default", "what it does"], rows, nothing="It has no options.")

    shell.answer(answer, say)


def _type(kind: Any) -> str:
    """A type as people call it: `one of linear, cosine`, `list of str`, `mapping`."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(str(each) for each in inner if each != "")
    if origin is Annotated:
        return _type(inner[0])
    if origin in (Union, UnionType):
        return " or ".join(_type(each) for each in inner if each is not NoneType)
    if origin in (list, tuple):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return "mapping"
    return str(getattr(kind, "__name__", kind))


def _option(name: str, field: Any) -> dict[str, Any]:
    kind = field.annotation
    default = "required" if field.is_required() else field.get_default(call_default_factory=True)
    return {
        "name": name,
        "type": _type(kind),
        "default": default,
        "description": field.description or "",
    }
