"""For plugin authors: run a plugin on files, without a registry, and hold it to the contract."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.extension.context import RunContext
from registry.extension.contract import Plugin
from registry.extension.discovery import AnyPlugin, kind_of_evidence, read_config
from registry.extension.inputs import (
    TABLE,
    BaseInput,
    ColumnRoles,
    DatasetInput,
    DeploymentInput,
    EvidenceInput,
    ModelInput,
    OriginInput,
    RunSpec,
)
from registry.files import manifest_of

if TYPE_CHECKING:
    import pyarrow as pa


def dataset_input(
    folder: Path,
    table: pa.Table,
    *,
    ref: str = "data/1",
    role: str = "subject",
    licence: str = "",
    source: str = "",
    parents: tuple[OriginInput, ...] = (),
    **columns: Any,
) -> DatasetInput:
    """Lay a table out as a dataset version; keywords name columns, such as `text=`, `sensitive=`."""
    import pyarrow.parquet as pq

    from registry.domain.digests import digest_of

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / TABLE)
    digest = digest_of(manifest_of(folder))
    return DatasetInput(
        ref=ref,
        role=role,
        digest=digest,
        path=folder,
        rows=table.num_rows,
        columns=ColumnRoles(**columns),
        lineage=(OriginInput(ref=ref, digest=digest, licence=licence, source=source), *parents),
    )


def run_plugin(
    plugin: AnyPlugin,
    folder: Path,
    *,
    config: Mapping[str, Any] | None = None,
    dataset: DatasetInput | None = None,
    data: Mapping[str, DatasetInput] | None = None,
    artifact: Path | None = None,
    plan: Mapping[str, Any] | None = None,
    design: Mapping[str, Any] | None = None,
    evidence: Mapping[str, EvidenceInput] | None = None,
    deployments: tuple[DeploymentInput, ...] = (),
    base: BaseInput | None = None,
    seed: int = 0,
) -> Any:
    """Run a plugin in this process, as the supervisor would in its own, and return its result."""
    folder.mkdir(parents=True, exist_ok=True)
    keep = folder / "keep"
    keep.mkdir(exist_ok=True)
    model = None
    if plugin.subject == "version":
        from registry.domain.digests import digest_of

        model = ModelInput(
            ref="model/1",
            stage="designed",
            digest=digest_of("model/1"),
            artifact=artifact,
            artifact_digest=digest_of(manifest_of(artifact)) if artifact else "",
            plan=dict(plan or {}),
            design=dict(design or {}),
            targets=(),
        )
    spec = RunSpec(
        run="test",
        plugin=plugin.name,
        subject=dataset.ref if dataset else "model/1",
        config=dict(config or {}),
        seed=seed,
        device="cpu",
        dataset=dataset,
        data=dict(data or {}),
        model=model,
        evidence=dict(evidence or {}),
        deployments=deployments,
        base=base,
        keep=keep,
        # Started as one of several (RANK, WORLD_SIZE), it is one of several, as its context is.
        processes=int(os.environ.get("WORLD_SIZE", "1")),
    )
    options = read_config(plugin, spec.config)
    kind_of_evidence(plugin, options)
    with contextlib.closing(RunContext(spec, folder)) as ctx:
        return plugin.run(ctx, plugin.settle(spec, options))


class PluginContract:
    """Inherit this in a test class and set `plugin`: the tests hold it to the contract.

    ```python
    class TestMine(PluginContract):
        plugin = Mine
    ```
    """

    plugin: type[Plugin[Any]]
    heavy = (
        "torch",
        "transformers",
        "numpy",
        "pandas",
        "presidio_analyzer",
        "spacy",
        "fairlearn",
        "sklearn",
        "onnx",
    )

    def test_says_what_it_is(self) -> None:
        assert self.plugin.name
        assert self.plugin.kind in (
            "prepare",
            "design",
            "train",
            "check",
            "evaluate",
            "deploy",
            "monitor",
            "retire",
        )
        assert self.plugin.subject in ("dataset", "version")
        assert (self.plugin.__doc__ or "").strip(), "its docstring is what `plugin list` prints"

    def test_every_option_has_a_default_or_is_documented(self) -> None:
        for name, field in self.plugin.config_type.model_fields.items():
            assert field.description or not field.is_required(), (
                f"option {name!r} is required and not described"
            )

    def test_imports_nothing_heavy(self) -> None:
        code = (
            f"import sys, {self.plugin.__module__}\n"
            f"print([name for name in {self.heavy!r} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
