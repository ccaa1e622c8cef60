"""Runs of the language plugins for tests: on a table, from scratch or from a base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from registry.domain.digests import digest_of
from registry.extension import Trained
from registry.extension.discovery import AnyPlugin
from registry.extension.inputs import BaseInput
from registry.extension.testing import dataset_input, run_plugin
from registry.files import manifest_of

TINY = {"hidden_size": 32, "layers": 1, "heads": 2, "vocab_size": 400}
"""The shape of a model from scratch."""
QUICK = {"batch_size": 16, "learning_rate": 1e-2}


def train(
    plugin: AnyPlugin,
    folder: Path,
    rows: dict[str, list[Any]] | pa.Table,
    validation: dict[str, list[Any]] | pa.Table | None = None,
    *,
    base: Path | None = None,
    **options: Any,
) -> Trained:
    """Train on rows of columns `text` and perhaps `label`; options beside `TINY` and `QUICK`."""
    data = {}
    for role, given in (("train", rows), ("validation", validation)):
        if given is not None:
            table = given if isinstance(given, pa.Table) else pa.table(given)
            roles = {name: name for name in ("text", "label") if name in table.column_names}
            data[role] = dataset_input(folder / role, table, role=role, ref=f"{role}/1", **roles)
    given = BaseInput(ref="base/1", digest=digest_of(manifest_of(base)), path=base) if base else None
    config = ({} if base else TINY) | QUICK | options
    trained: Trained = run_plugin(plugin, folder / "run", config=config, data=data, base=given)
    return trained


def audit(trained: Trained) -> list[dict[str, Any]]:
    """The label audit with its texts."""
    found: list[dict[str, Any]] = json.loads((trained.path.parents[1] / "label_audit.json").read_text())
    return found
