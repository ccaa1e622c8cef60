"""Parameters that people type, `max_age_days=30`, as values of the types that a policy declares."""

from __future__ import annotations

import math
from collections.abc import Mapping

from registry.domain.names import did_you_mean
from registry.errors import BadInput
from registry.policy.policies import GatePolicy, ParamValue, Scalar, param_type

_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


def read_settings(policy: GatePolicy, texts: Mapping[str, str]) -> dict[str, ParamValue]:
    """Parameters of a binding from texts; a list is separated by commas.

    Raises:
        BadInput: The policy has no such parameter, or it is of another type.
    """
    found: dict[str, ParamValue] = {}
    for name, text in texts.items():
        if name not in policy.params:
            hint = did_you_mean(name, policy.params) or "it has none"
            raise BadInput(f"policy {policy.name!r} has no parameter {name!r}", hint=hint)
        kind = param_type(policy.params[name])
        if kind.startswith("list of "):
            parts = [part.strip() for part in text.split(",") if part.strip()]
            each = kind.removeprefix("list of ")
            found[name] = tuple(_scalar(name, part, each) for part in parts)  # type: ignore[assignment]
        else:
            found[name] = _scalar(name, text, kind)
    return found


def _scalar(name: str, text: str, kind: str) -> Scalar:
    value: Scalar | None = text
    if kind == "truth value":
        value = _TRUTH.get(text.lower())
    elif kind == "number":
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        value = number if math.isfinite(number) else None
    if value is None:
        raise BadInput(f"parameter {name!r} is a {kind}, and {text!r} is none")
    return value
