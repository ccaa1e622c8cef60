"""Writes docs/reference.md from the commands and plugins themselves: `make reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from registry.cli.main import cli
from registry.extension.discovery import find_plugins

_COMMON = ("--json", "--as", "--home", "--database", "--debug", "--help")


def lines() -> Iterator[str]:
    """The page, line by line."""
    yield "# Reference"
    yield "Made by `make reference`; a test sees that it is current."
    yield ""
    yield "## Commands"
    yield ("Every command also takes `--json`, `--as ACTOR`, `--home DIR`, `--database URL` and `--debug`.")
    yield from _commands(cli, click.Context(cli, info_name="phasegate"))
    yield ""
    yield "## Plugins"
    for found in find_plugins():
        plugin = found.plugin
        if plugin is None:
            raise SystemExit(f"{found.name}: {found.problem}")
        yield f"\n### {plugin.name}"
        yield found.summary
        yield f"- kind `{plugin.kind}`, about a {plugin.subject}, evidence `{plugin.evidence}`"
        for name, field in plugin.config_type.model_fields.items():
            default = (
                "required"
                if field.is_required()
                else f"default `{field.get_default(call_default_factory=True)!r}`"
            )
            yield f"- `--set {name}=`: {field.description or ''} ({default})"


def _commands(group: click.Group, context: click.Context) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
            continue
        yield f"\n### {inner.command_path}"
        yield " ".join((command.help or "").split())
        yield "```\n" + " ".join(command.get_usage(inner).split()).removeprefix("Usage: ") + "\n```"
        for parameter in command.params:
            record = parameter.get_help_record(inner)
            if record and record[1] and not set(parameter.opts) & set(_COMMON):
                yield f"- `{record[0]}`: {record[1]}"


def main() -> None:
    """Write the page, or print it if the argument is `-`."""
    text = "\n".join(lines()) + "\n"
    if sys.argv[1:] == ["-"]:
        sys.stdout.write(text)
    else:
        (Path(__file__).parent / "reference.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
