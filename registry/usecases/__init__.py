"""One verb each: what the registry can do, as functions on an open transaction.

Submodules load when they are named (`usecases.plan.plan_version`): looking at a
list of models does not pay for running plugins.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.usecases import (
        aliases,
        approve,
        audit,
        datasets,
        decide,
        deployments,
        estimate,
        examine,
        export_run,
        follow,
        log,
        look,
        look_decisions,
        look_runs,
        plan,
        policies,
        policy_views,
        predict,
        recovery,
        replay,
        runs,
        setup,
        systems,
    )

__all__ = [
    "aliases",
    "approve",
    "audit",
    "datasets",
    "decide",
    "deployments",
    "estimate",
    "examine",
    "export_run",
    "follow",
    "log",
    "look",
    "look_decisions",
    "look_runs",
    "plan",
    "policies",
    "policy_views",
    "predict",
    "recovery",
    "replay",
    "runs",
    "setup",
    "systems",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"registry.usecases.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
