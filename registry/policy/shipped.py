"""The policies and the lifecycle that come with Phasegate."""

from __future__ import annotations

from importlib.resources import files

from registry.domain.lifecycle import Lifecycle
from registry.policy.documents import PolicyFile, parse_documents
from registry.policy.lifecycles import parse_lifecycle

LIFECYCLE = "lifecycle.yaml"


def shipped_texts() -> dict[str, str]:
    """Every shipped YAML file's text by its name."""
    folder = files("registry.policies")
    return {
        item.name: item.read_text("utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".yaml")
    }


def shipped_lifecycle() -> Lifecycle:
    """The default lifecycle."""
    return parse_lifecycle(shipped_texts()[LIFECYCLE], LIFECYCLE)


def shipped_policies(lifecycle: Lifecycle | None = None) -> PolicyFile:
    """The default policies and their bindings, gate by gate in the order of the lifecycle.

    Args:
        lifecycle: Only policies whose stages it has are given; the default one if not given.
    """
    default = shipped_lifecycle()
    lifecycle = lifecycle or default
    texts = shipped_texts()
    order = [f"{stage}.yaml" for stage in lifecycle.stages]
    names = sorted(
        set(texts) - {LIFECYCLE}, key=lambda name: (order.index(name) if name in order else len(order), name)
    )
    read = [parse_documents(texts[name], name, default) for name in names]
    goals = set(lifecycle.goals)
    policies = [policy for file in read for policy in file.policies]
    fitting = [policy for policy in policies if goals.issuperset((*policy.match.to, *policy.match.origin))]
    bound = {policy.name for policy in fitting}
    return PolicyFile(
        tuple(fitting),
        tuple(binding for file in read for binding in file.bindings if binding.policy in bound),
    )
