"""Short forms of a case: `f1>=0.9 measured 0.93` for a target, a rule's id for a waiver."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from registry.domain.names import did_you_mean
from registry.domain.targets import Target
from registry.errors import BadTarget
from registry.policy.policies import GatePolicy
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

_MEASURED = re.compile(r"(?P<target>.*?)(?:\s+measured\s+(?P<value>\S+))?\s*\Z", re.DOTALL)


def read_target(source: Source, node: Node) -> dict[str, Any] | None:
    """Fields of a target that is told as a text; None, and a problem, if it is none."""
    text = source.text_of(node, "a target")
    if text is None:
        return None
    found = _MEASURED.match(text)
    assert found is not None
    try:
        target = Target.parse(found["target"])
        value = float(found["value"]) if found["value"] else math.nan
    except (BadTarget, ValueError):
        source.report(node, f"{text!r} is no target", "write 'f1>=0.9' or 'f1>=0.9 measured 0.93'")
        return None
    made = {"metric": target.metric, "op": target.op, "threshold": target.value}
    return {**made, "measured": True, "value": value} if found["value"] else made


def read_waived(source: Source, node: Node | None, policy: GatePolicy) -> str | None:
    """The rule of a waiver as dossiers have it: `policy/id`. An id alone is of the policy under test."""
    rule = source.text_of(node, "the rule of a waiver")
    if rule is None or node is None:
        return None
    own = f"{policy.name}/"
    if "/" in rule.partition("[")[0] and not rule.startswith(own):
        return rule  # of another policy: to show that it does not count here
    name = rule.removeprefix(own)
    known = [validation.id for validation in policy.validations]
    if name.partition("[")[0] not in known:
        source.report(node, f"{policy.name} has no rule {name!r}", did_you_mean(name, known))
        return None
    return own + name
