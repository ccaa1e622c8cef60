"""Finding plugins by entry point. Nothing heavy is imported, and nothing of `plugins/` is named here."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput, MissingExtra, NotFound
from registry.extension.contract import GROUP, DeployPlugin, Plugin, PluginConfig

AnyPlugin = Plugin[Any]

M = TypeVar("M", bound=BaseModel)

# What may stand after the dot of a kind of evidence.
_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Found:
    """One installed plugin.

    Attributes:
        plugin: Its class, None if its module cannot be imported.
        problem: Why not, or which packages it still needs.
    """

    name: str
    distribution: str
    plugin: type[AnyPlugin] | None
    problem: str

    @property
    def summary(self) -> str:
        doc = (self.plugin.__doc__ or "") if self.plugin else ""
        return doc.strip().split("\n", 1)[0]


def find_plugins() -> list[Found]:
    """Every installed plugin by name, those that cannot run here included."""
    return [_look_at(point) for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)]


def load_plugin(name: str) -> AnyPlugin:
    """An instance of the plugin.

    Raises:
        NotFound: No such plugin; the nearest name is in the hint.
        BadInput: Its module cannot be imported, or it is no plugin.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise NotFound(f"there is no plugin {name!r}", hint=did_you_mean(name, points))
    found = _look_at(points[name])
    if found.plugin is None:
        raise BadInput(f"plugin {name!r} cannot be loaded: {found.problem}")
    return found.plugin()


def load_deployer(name: str) -> DeployPlugin[Any]:
    """The plugin that made a deployment.

    Raises:
        BadInput: It is no deploy plugin.
    """
    plugin = load_plugin(name)
    if not isinstance(plugin, DeployPlugin):
        raise BadInput(f"plugin {name!r} deploys nothing")
    return plugin


def check_requirements(plugin: AnyPlugin | type[AnyPlugin]) -> None:
    """Refuse a plugin whose packages are not installed, before anything is started.

    Raises:
        MissingExtra: Says which package and what installs it.
    """
    if missing := missing_modules(plugin):
        extra = plugin.extra or "all"
        raise MissingExtra(
            f"plugin {plugin.name!r} needs {', '.join(missing)}", hint=f"pip install 'phasegate[{extra}]'"
        )


def missing_modules(plugin: AnyPlugin | type[AnyPlugin]) -> list[str]:
    """Modules that the plugin needs and this environment lacks; nothing is imported to find out."""
    return [name for name in plugin.requires if importlib.util.find_spec(name) is None]


def read_config(plugin: AnyPlugin, values: dict[str, Any]) -> PluginConfig:
    """Check the options of a run.

    Raises:
        BadConfig: A misspelt key (with the nearest name) or a value of the wrong type.
    """
    name = plugin.name
    return read_values(f"plugin {name!r}", plugin.config_type, values, hint=f"phasegate plugin show {name}")


def read_values(what: str, model: type[M], values: dict[str, Any], *, hint: str) -> M:
    """Check options against the model that describes them.

    Args:
        what: Whose options they are, in words.
        model: Their names and types.
        values: As they were given.
        hint: What tells which there are.

    Raises:
        BadConfig: A misspelt name (with the nearest one) or a value that cannot be.
    """
    fields = model.model_fields
    for key in values:
        if key not in fields:
            raise BadConfig(
                f"{what} has no option {key!r}", hint=did_you_mean(key, fields) or "it has no options"
            )
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "config"
        problem = first["msg"].removeprefix("Value error, ")
        raise BadConfig(
            f"{what}, option {name!r}: {problem} (got {first.get('input')!r})", hint=hint
        ) from error


def kind_of_evidence(plugin: AnyPlugin, config: PluginConfig) -> str:
    """The kind of evidence that a run with these options will record.

    It is settled before the run starts, and never from what the run returns.

    Raises:
        BadConfig: The plugin chose a kind outside of what it declares.
    """
    kind, declared = plugin.evidence_kind(config), plugin.evidence
    if kind == declared and not declared.endswith("*"):
        return kind
    below, dot, word = kind.partition(".")
    if declared != f"{below}.*" or not below or not dot or not _WORDS.fullmatch(word):
        raise BadConfig(
            f"plugin {plugin.name!r} declares evidence {declared!r} and cannot make {kind!r}",
            hint=f"phasegate plugin show {plugin.name}",
        )
    return kind


def list_options(plugin: AnyPlugin) -> frozenset[str]:
    """Options that take several values: on a command line they are written with commas."""
    found = set()
    for name, option in plugin.config_type.model_fields.items():
        hints = (option.annotation, *get_args(option.annotation))
        if any(get_origin(hint) in (list, tuple, set, frozenset) for hint in hints):
            found.add(name)
    return frozenset(found)


def _look_at(point: EntryPoint) -> Found:
    distribution = point.dist.name if point.dist else ""
    try:
        plugin = point.load()
    except Exception as cause:
        return Found(point.name, distribution, None, f"{type(cause).__name__}: {cause}")
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        return Found(point.name, distribution, None, f"{point.value} is no Plugin class")
    if plugin.name != point.name:
        return Found(point.name, distribution, None, f"{point.value} calls itself {plugin.name!r}")
    missing = missing_modules(plugin)
    problem = f"needs {', '.join(missing)}: pip install 'phasegate[{plugin.extra}]'" if missing else ""
    return Found(point.name, distribution, plugin, problem)
