"""What a training ran on and learned from: enough to do it again, and to see that it was done on this."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import distributions, version
from pathlib import Path

from registry.domain.digests import digest_bytes
from registry.extension import DatasetInput
from registry.files import write_atomically


def packages(path: Path) -> tuple[Path, str]:
    """Write every installed package with its version, one a line; returns the file and its digest."""
    installed = sorted({f"{found.name}=={found.version}" for found in distributions()}, key=str.casefold)
    data = "".join(f"{line}\n" for line in installed).encode()
    write_atomically(path, data)
    return path, digest_bytes(data)


def environment() -> dict[str, str]:
    """Versions of what decides the bytes."""
    return {
        "python": platform.python_version(),
        "transformers": version("transformers"),
        "tokenizers": version("tokenizers"),
    }


def learned_from(data: Mapping[str, DatasetInput]) -> dict[str, str]:
    """The data that was read, by role and digest: `--data` may name other data than the version."""
    facts = {}
    for role in ("train", "validation", "replay"):
        facts[role] = data[role].ref if role in data else "none"
        facts[f"{role}.digest"] = data[role].digest if role in data else "none"
    return facts


def determinism(facts: Mapping[str, str]) -> str:
    """Where the same run gives the same bytes again: everywhere, or on the same machine.

    With several threads, on a GPU, and compiled, numbers are added in an order that depends on the machine.

    Args:
        facts: As the engine gives them: where it really ran.
    """
    plain = facts["device"] == "cpu" and facts["threads"] == "1" and facts["compiled"] == "no"
    return "bitwise" if plain else "same machine"
