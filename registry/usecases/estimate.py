"""What a design takes, asked of the plugin that would train it, before anything is launched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy.orm import Session

from registry.domain.design import choices
from registry.domain.references import Ref
from registry.errors import BadConfig, BadInput, Conflict, DoesNotFit
from registry.extension.contract import TrainPlugin
from registry.extension.discovery import check_requirements, load_plugin, read_config
from registry.extension.estimates import Estimate
from registry.storage import find
from registry.storage.lifecycles import current_lifecycle

_GIB = 2**30
_ALIKE = 0.75


@dataclass(frozen=True, slots=True)
class EstimatedDesign:
    """An estimate, and what it is an estimate of.

    Attributes:
        estimate: What the plugin said.
        design: What is recorded beside the values that were given: the plugin, and the architecture.
        standing: The design that stood when it was made.
        values: What was given.
    """

    estimate: Estimate
    design: Mapping[str, str]
    standing: Mapping[str, Any]
    values: Mapping[str, str]

    def check(self, standing: Mapping[str, Any], values: Mapping[str, str]) -> None:
        """See that it may be recorded.

        Raises:
            DoesNotFit: With the numbers, and what would make it fit.
            Conflict: It is of another design.
        """
        if (self.standing, self.values) != (standing, values):
            raise Conflict("the design has changed since it was estimated", hint="do it again")
        found = self.estimate
        if not found.fits:
            parts = ", ".join(f"{name} {size / _GIB:.1f}" for name, size in found.memory.items())
            ways = " or ".join(f"--set {' --set '.join(way.split())}" for way in found.remedies)
            raise DoesNotFit(
                f"a training takes {found.needed / _GIB:.1f} GiB ({parts}), and {found.device} "
                f"gives it {found.capacity / _GIB:.1f} GiB",
                hint=ways or "design something smaller, or for another --device",
            )


def estimate_design(
    session: Session,
    ref: Ref,
    values: Mapping[str, str],
    *,
    plugin: str,
    device: str,
    processes: int = 0,
) -> EstimatedDesign:
    """Ask a train plugin what a version's design, with some values added, takes on a device.

    Raises:
        NotFound: No such version or plugin.
        WrongStage: The lifecycle fixes the design before the version's stage.
        MissingExtra: The plugin's packages are not installed.
        BadInput: The plugin trains nothing, or estimates nothing.
        BadConfig: A value that the plugin refuses, a key that is misspelt, or an unknown device.
    """
    found = load_plugin(plugin)
    if not isinstance(found, TrainPlugin):
        raise BadInput(f"plugin {plugin!r} trains nothing", hint="phasegate plugin list")
    check_requirements(found)
    version = find.version(session, ref)
    current_lifecycle(session).check_work("design", version.stage, str(ref))
    options = found.config_type.model_fields
    for key in values:
        # A design has other words, too; what is very like an option was meant as one.
        if key not in options and (near := get_close_matches(key, options, 1, _ALIKE)):
            raise BadConfig(f"plugin {plugin!r} has no option {key!r}", hint=f"did you mean {near[0]!r}?")
    merged = {**choices(version.design), **values}
    config = read_config(found, {key: value for key, value in merged.items() if key in options})
    data = find.data_of(session, version.id)
    rows = data["train"].rows if "train" in data else 0
    estimate = found.estimate(config, device=device, rows=rows, processes=processes)
    if estimate is None:
        raise BadInput(
            f"plugin {plugin!r} estimates nothing",
            hint=f"record the design without: phasegate model design {ref}",
        )
    same = version.design.get("plugin", plugin) == plugin
    architecture = (
        merged["architecture"] if "architecture" in values or (same and "architecture" in merged) else ""
    )
    return EstimatedDesign(
        estimate=estimate,
        design={"plugin": plugin, "architecture": architecture or estimate.architecture},
        standing=version.design,
        values=values,
    )
