"""What is searched: values and ranges of a plugin's options, checked before anything is tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from registry.domain.names import did_you_mean
from registry.errors import BadConfig
from registry.extension import PluginConfig
from registry.extension.discovery import AnyPlugin, read_config

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = bool | int | float | str

# Above so many, corners are checked one option at a time.
_MOST_CORNERS = 512


class Range(BaseModel):
    """Numbers from `low` to `high`, both included; `step` apart, or even on a logarithmic scale."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float
    high: float
    log: bool = False
    step: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _whole(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, not at {self.low:g}")
        if self.log and self.step:
            raise ValueError("a range is either logarithmic or has a step")
        return self


def _plain(value: Any) -> Any:
    """A list as one value: words with commas, as it is written on a command line."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _choices(value: Any) -> Any:
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _mapping(value: Any) -> Any:
    """A mapping; as text it is YAML."""
    if not isinstance(value, str):
        return value
    import yaml

    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as cause:
        raise ValueError(f"it cannot be read as YAML: {' '.join(str(cause).split())}") from cause


def _form(value: Any) -> str | None:
    if isinstance(value, Range | dict):
        return "range"
    return "values" if isinstance(value, list | tuple) and value else None


Choices = Annotated[tuple[Value, ...], BeforeValidator(_choices)]
Searched = Annotated[
    Annotated[Choices, Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(
        _form,
        custom_error_type="no_space",
        custom_error_message="give a list of values, or {low: ..., high: ...}",
    ),
]
Space = Annotated[dict[str, Searched], BeforeValidator(_mapping), Field(min_length=1)]
Fixed = Annotated[dict[str, Annotated[Value, BeforeValidator(_plain)]], BeforeValidator(_mapping)]


def check_space(plugin: AnyPlugin, space: Mapping[str, Any], fixed: Mapping[str, Value]) -> None:
    """Refuse what the plugin would refuse, for every value and every corner.

    Raises:
        BadConfig: An option that it has not (with the nearest name), that is given twice, or a value.
    """
    fields = plugin.config_type.model_fields
    for name in (*space, *fixed):
        if name not in fields:
            raise BadConfig(f"plugin {plugin.name!r} has no option {name!r}", hint=did_you_mean(name, fields))
    if twice := sorted({*space} & {*fixed}):
        raise BadConfig(f"option {twice[0]!r} is searched and fixed", hint="leave it out of one of them")
    for name, values in space.items():
        if isinstance(values, Range):
            _check_range(name, values, fields[name].annotation)
        elif len({str(value) for value in values}) < len(values):
            raise BadConfig(f"option {name!r} has a value twice: {', '.join(map(str, values))}")
    for values in _samples(plugin.config_type, space):
        read_config(plugin, {**fixed, **values})


def _check_range(name: str, values: Range, kind: Any) -> None:
    if kind not in (int, float):
        raise BadConfig(f"option {name!r} is no number: a range says nothing", hint="list its values")
    numbers = (values.low, values.high, values.step or 1)
    if kind is int and any(number != int(number) for number in numbers):
        raise BadConfig(f"option {name!r} takes whole numbers", hint="low, high and step must be whole")


def _samples(config: type[PluginConfig], space: Mapping[str, Any]) -> Iterator[dict[str, Value]]:
    """Settings that show whether the plugin takes all of the space."""
    corners = {name: _corners(config, name, values) for name, values in space.items()}
    first = {name: values[0] for name, values in corners.items()}
    for name, values in corners.items():
        for value in values:
            yield {**first, name: value}
    if math.prod(map(len, corners.values())) <= _MOST_CORNERS:
        for values in itertools.product(*corners.values()):
            yield dict(zip(corners, values, strict=True))


def _corners(config: type[PluginConfig], name: str, values: Any) -> tuple[Value, ...]:
    if not isinstance(values, Range):
        return tuple(values)
    whole = config.model_fields[name].annotation is int
    return tuple(int(end) if whole else end for end in (values.low, values.high))


def distributions(plugin: AnyPlugin, space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """The space as Optuna draws from it, in the order of the options' names."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, values in sorted(space.items()):
        if not isinstance(values, Range):
            found[name] = CategoricalDistribution(values)
        elif plugin.config_type.model_fields[name].annotation is int:
            step = int(values.step or 1)
            found[name] = IntDistribution(int(values.low), int(values.high), log=values.log, step=step)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=values.log, step=values.step)
    return found


def grid(plugin: AnyPlugin, space: Mapping[str, Any]) -> dict[str, list[Value]]:
    """Every value of every option.

    Raises:
        BadConfig: A range without a step has no end of values.
    """
    found: dict[str, list[Value]] = {}
    for name, values in sorted(space.items()):
        if not isinstance(values, Range):
            found[name] = list(values)
            continue
        whole = plugin.config_type.model_fields[name].annotation is int
        step = values.step or (1 if whole and not values.log else None)
        if step is None:
            raise BadConfig(f"a grid of option {name!r} needs a step", hint="add a step, or list its values")
        count = math.floor((values.high - values.low) / step + 1e-9) + 1
        numbers = [values.low + number * step for number in range(count)]
        found[name] = [int(number) if whole else number for number in numbers]
    return found
