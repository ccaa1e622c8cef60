"""Plugins that return what cannot be recorded."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

from registry.extension import (
    CheckPlugin,
    DatasetDraft,
    Evidence,
    PluginConfig,
    Prepared,
    PreparePlugin,
    RunContext,
)
from registry.extension.inputs import ColumnRoles


class _Dataset(CheckPlugin[PluginConfig]):
    subject = "dataset"
    evidence = "check.bad"


class NanMetric(_Dataset):
    """Logs a loss that is no number."""

    name = "nan-metric"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        ctx.log_metric("loss", 0.5, step=1)
        ctx.log_metric("loss", math.nan, step=2)
        return Evidence()


class NanEvidence(_Dataset):
    """Finds something that is no number."""

    name = "nan-evidence"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        return Evidence(metrics={"share": math.inf})


class NanTable(_Dataset):
    """Hides a NaN where the contract does not look: in a table for reports."""

    name = "nan-table"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        return Evidence(tables={"groups": [{"group": "f", "rate": math.nan}]})


class ImpossibleCoverage(_Dataset):
    """Looked at twice as much as there is."""

    name = "impossible-coverage"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        return Evidence(coverage=2.0)


class WrongType(_Dataset):
    """Returns a dictionary."""

    name = "wrong-type"

    def run(self, ctx: RunContext, config: PluginConfig) -> Any:
        return {"metrics": {"f1": 1.0}}


class EvidenceElsewhere(_Dataset):
    """Names a file that is not in its folder."""

    name = "evidence-elsewhere"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        return Evidence(files=(Path("/etc/hostname"),))


class _Prepare(PreparePlugin[PluginConfig]):
    evidence = "data.bad"

    def folder(self, ctx: RunContext) -> Path:
        raise NotImplementedError

    def run(self, ctx: RunContext, config: PluginConfig) -> Prepared:
        draft = DatasetDraft(path=self.folder(ctx), columns=ColumnRoles(text="text"))
        return Prepared(datasets=(draft,), evidence=Evidence(metrics={"rows": 4.0}))


class DatasetElsewhere(_Prepare):
    """Gives out its input as what it made."""

    name = "dataset-elsewhere"

    def folder(self, ctx: RunContext) -> Path:
        return ctx.dataset.path


class DatasetBehindALink(_Prepare):
    """Puts a link to its input where its output should be."""

    name = "dataset-behind-a-link"

    def folder(self, ctx: RunContext) -> Path:
        folder = ctx.output("linked")
        os.symlink(ctx.dataset.table_path, folder / "data.parquet")
        return folder


class DamagedDataset(_Prepare):
    """Makes a table that nobody can read."""

    name = "damaged-dataset"

    def folder(self, ctx: RunContext) -> Path:
        folder = ctx.output("damaged")
        (folder / "data.parquet").write_bytes(b"PAR1 and no more")
        return folder


class EmptyFolder(_Prepare):
    """Makes nothing."""

    name = "empty-folder"

    def folder(self, ctx: RunContext) -> Path:
        return ctx.output("nothing")


class GoesElsewhere(_Prepare):
    """Changes the working folder, writes there by relative names, and returns one."""

    name = "goes-elsewhere"

    def folder(self, ctx: RunContext) -> Path:
        os.chdir(ctx.folder)
        shutil.copytree(ctx.dataset.path, "made here")
        return Path("made here")


class OwnEvidenceFolder(_Dataset):
    """Keeps its evidence in a folder of an obvious name."""

    name = "own-evidence-folder"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        file = ctx.folder / "evidence" / "rows.txt"
        file.parent.mkdir()
        file.write_text("1\n2\n")
        return Evidence(metrics={"rows": 2.0}, files=(file,))
