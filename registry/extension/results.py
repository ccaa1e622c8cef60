"""What a plugin returns. The supervisor records it; the plugin never does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from registry.domain.evidence import EvidenceStatus
from registry.extension.inputs import ColumnRoles


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(_Result):
    """A finding about the run's subject.

    Attributes:
        metrics: Finite numbers by name; NaN or infinity is an error, never stored.
        status: `insufficient` when the check could not judge (too few rows, a scanner that skipped):
            no gate passes on it.
        reason: Why it could not judge.
        facts: Words by name: formats, versions, what a scan could see and what not.
        coverage: Share of the subject that was looked at, 0 to 1.
        summary: One sentence for people.
        tables: Named lists of rows for reports, for example one row per group. JSON values only.
        files: Files of the run's folder to keep with the evidence.
    """

    metrics: dict[str, float] = {}
    status: EvidenceStatus = EvidenceStatus.COMPLETE
    reason: str = ""
    facts: dict[str, str] = {}
    coverage: float = Field(default=1.0, ge=0.0, le=1.0)
    summary: str = ""
    tables: dict[str, list[dict[str, Any]]] = {}
    files: tuple[Path, ...] = ()

    @field_validator("metrics")
    @classmethod
    def _finite(cls, metrics: Mapping[str, float]) -> Mapping[str, float]:
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise ValueError(f"metric {name!r} is {value}: only finite numbers can be evidence")
        return metrics


class DatasetDraft(_Result):
    """A dataset version to be registered.

    Attributes:
        path: Folder with `data.parquet`, under the run's folder.
        suffix: Empty: the next version of the subject dataset. `train`: version of `<name>-train`.
        columns: Roles of its columns.
        note: What was done, for its datasheet.
    """

    path: Path
    suffix: str = ""
    columns: ColumnRoles
    note: str = ""


class Prepared(_Result):
    """What a prepare plugin made, and evidence about each of it if it has any.

    Attributes:
        evidence: Counts for every dataset in `datasets`.
    """

    kind: Literal["prepared"] = "prepared"
    datasets: tuple[DatasetDraft, ...]
    evidence: Evidence | None = None


class Designed(_Result):
    """Values for the version's design, and evidence about how they were found.

    Attributes:
        design: Merged into the design that stands.
        evidence: Counts for the version with this design.
    """

    kind: Literal["designed"] = "designed"
    design: dict[str, str | bool | int | float] = Field(min_length=1)
    evidence: Evidence


class Trained(_Result):
    """An artifact folder with a `phasegate.json` in it (see `Predictor`), and evidence about the training."""

    kind: Literal["trained"] = "trained"
    path: Path
    evidence: Evidence


class Replayed(_Result):
    """What a run returns that was told to stop after some steps (`ctx.stop_after`): it made nothing.

    Attributes:
        facts: What it ran on, by the names that evidence of such a run has.
    """

    kind: Literal["replayed"] = "replayed"
    facts: dict[str, str] = {}


class Checked(_Result):
    """Evidence alone; what check, evaluate and monitor plugins' `Evidence` is carried in."""

    kind: Literal["checked"] = "checked"
    evidence: Evidence


class Deployed(_Result):
    """A deployment that answers its health check.

    Attributes:
        target: Where: `local`, ...
        endpoint: URL.
        details: What is needed to find, check and stop it again: process id and start time, port, paths.
    """

    kind: Literal["deployed"] = "deployed"
    target: str
    endpoint: str
    details: dict[str, Any]
    evidence: Evidence


class Retired(_Result):
    """What was released.

    Attributes:
        stopped: Ids of the deployments that no longer run.
        archive: Folder or file to keep in the artifact store, under the run's folder.
    """

    kind: Literal["retired"] = "retired"
    stopped: tuple[int, ...]
    archive: Path
    evidence: Evidence


AnyResult = Prepared | Designed | Trained | Checked | Deployed | Retired
