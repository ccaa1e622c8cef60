"""What every command shares: who acts, on which registry, and how it answers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from registry.api import Registry


# Numbers of runs and deployments, as databases hold them; and how many rows to show, 0 for all.
NUMBER = click.IntRange(1, 2**31 - 1)
COUNT = click.IntRange(0)


class Shell:
    """One command's surroundings.

    Attributes:
        as_json: Whether to answer with JSON on standard output.
    """

    def __init__(self, as_json: bool, actor: str | None, home: str | None, database: str | None) -> None:
        self.as_json = as_json
        self._actor = actor
        self._home = home
        self._database = database

    def registry(self, *, unchecked: bool = False) -> Registry:
        """The registry that the options or the environment name."""
        from registry.api import Registry, default_actor
        from registry.storage.home import Home

        opened = Registry(Home.at(self._home, database=self._database), self._actor or default_actor())
        if (command := click.get_current_context(silent=True)) is not None:
            command.call_on_close(opened.close)
        if not unchecked:
            opened.check()
        return opened

    def registry_if_any(self) -> Registry | None:
        """The registry, or None where there is none and none was named; an unusable one is an error."""
        from registry.storage.home import Home

        named = self._home or self._database or os.environ.get("PHASEGATE_DATABASE")
        if not named and not (Home.at().root / "registry.db").exists():
            return None
        return self.registry()

    def answer(self, value: Any, say: Callable[[], None]) -> None:
        """Print `value` as JSON if that was asked for, else let `say` print it for people."""
        if self.as_json:
            click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))
        else:
            say()


def plain(value: Any) -> Any:
    """Facts as JSON values."""
    from datetime import datetime

    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


_COMMON: Sequence[Callable[[Any], Any]] = (
    click.option("--json", "as_json", is_flag=True, help="Answer with JSON, for machines."),
    click.option("--as", "actor", metavar="ACTOR", help="Who acts [the operating system's user]."),
    click.option("--home", metavar="DIR", help="The registry's folder [$PHASEGATE_HOME or ./.phasegate]."),
    click.option("--database", metavar="URL", help="SQLAlchemy URL [registry.db in the home]."),
    click.option("--debug", is_flag=True, help="Show a traceback when something fails."),
)


def with_shell(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that every command has, as one `Shell`."""

    @wraps(function)
    def wrapper(
        as_json: bool, actor: str | None, home: str | None, database: str | None, debug: bool, **rest: Any
    ) -> Any:
        return function(Shell(as_json, actor, home, database), **rest)

    for option in reversed(_COMMON):
        wrapper = option(wrapper)
    return wrapper


def example(*lines: str) -> str:
    """A help epilog with examples, one per line."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def pairs(values: Sequence[str], what: str) -> dict[str, str]:
    """Read `KEY=VALUE` arguments.

    Raises:
        BadInput: One has no `=`, or a key comes twice.
    """
    from registry.errors import BadInput

    found: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInput(f"{text!r} is no {what}", hint=f"write {what}")
        if key in found:
            raise BadInput(f"{key!r} is given twice: {found[key]!r} and {value!r}")
        found[key] = value
    return found
