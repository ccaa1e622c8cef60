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
        lifecycle: Whose stages they must fit; the default one if not given.

    Raises:
        BadDocument: A policy names a stage that another lifecycle does not have.
    """
    lifecycle = lifecycle or shipped_lifecycle()
    texts = shipped_texts()
    order = [f"{stage}.yaml" for stage in lifecycle.stages]
    names = sorted(
        set(texts) - {LIFECYCLE}, key=lambda name: (order.index(name) if name in order else len(order), name)
    )
    read = [parse_documents(texts[name], name, lifecycle) for name in names]
    return PolicyFile(
        tuple(policy for file in read for policy in file.policies),
        tuple(binding for file in read for binding in file.bindings),
    )
