"""What a run is given: facts and local paths, never a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from registry.errors import BadConfig

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "data.parquet"


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnRoles(_Input):
    """Which columns of a dataset mean what.

    Attributes:
        text: The column that a model reads: text, a list of words, or a list of messages.
        image: The column of pictures that a model reads, each an encoded file (PNG, JPEG, ...).
        label: The column that it learns: a class, a number, a list of tags, a text, a list of boxes.
        sensitive: Columns that name a group of people.
    """

    text: str = ""
    image: str = ""
    label: str = ""
    sensitive: tuple[str, ...] = ()


class OriginInput(_Input):
    """Where a dataset version comes from, as it was registered; empty where nobody said.

    Attributes:
        licence: As its owner named it, an SPDX expression if all went well.
    """

    ref: str
    digest: str
    licence: str
    source: str


class DatasetInput(_Input):
    """One dataset version, verified and laid out on local disk (read-only).

    Attributes:
        ref: `reviews/2`.
        role: `train`, `test`, ... for a version's data; `subject` for the dataset that a run is about.
        digest: Of its manifest.
        path: Folder with its files; a table is `data.parquet` in it.
        rows: Number of rows.
        lineage: The dataset version itself, then all that it was made from.
    """

    ref: str
    role: str
    digest: str
    path: Path
    rows: int
    columns: ColumnRoles = ColumnRoles()
    lineage: tuple[OriginInput, ...] = ()

    @property
    def table_path(self) -> Path:
        return self.path / TABLE

    def read(self) -> pa.Table:
        """The whole table in memory."""
        import pyarrow.parquet as pq

        return pq.read_table(self.table_path)

    def column(self, role: str) -> str:
        """Name of the column with a role (`text`, `image` or `label`).

        Raises:
            BadConfig: The dataset does not say.
        """
        name: str = getattr(self.columns, role)
        if not name:
            raise BadConfig(
                f"{self.ref} does not say which column is its {role}",
                hint=f"add it again: phasegate dataset add {self.ref.split('/')[0]} FILE --{role} COLUMN",
            )
        return name


class EvidenceInput(_Input):
    """Current evidence about the run's subject, made by an earlier run.

    Attributes:
        path: Folder with the files that the evidence came with, if any.
    """

    kind: str
    run: str
    status: str
    metrics: dict[str, float]
    facts: dict[str, str]
    path: Path | None = None


class BaseInput(_Input):
    """The model that a training begins with: a version's artifact, or a folder that was handed in.

    Attributes:
        ref: `minilm/2`, or the folder's name.
        digest: Of its files' manifest.
        path: Folder with its files (read-only).
        licence: As the version's plan or the folder's owner named it; empty where nobody said.
        data: What it was trained on, as far as the registry knows: each dataset's reference and digest.
    """

    ref: str
    digest: str
    path: Path
    licence: str = ""
    data: tuple[OriginInput, ...] = ()


class DeploymentInput(_Input):
    """A deployment of the version that has not been stopped.

    Attributes:
        folder: Where its server keeps log, traffic and process id.
        details: What the deploy plugin returned when it made it.
    """

    id: int
    target: str
    endpoint: str
    plugin: str
    folder: Path
    details: dict[str, Any]


class ModelInput(_Input):
    """The model version that a run is about.

    Attributes:
        artifact: Folder of the current artifact (read-only), None while there is none.
        targets: As `metric`, `op`, `value`, fixed before this run.
        descendants: Versions that were tuned from it and are not retired.
    """

    ref: str
    stage: str
    digest: str
    artifact: Path | None
    artifact_digest: str
    plan: dict[str, Any]
    design: dict[str, Any]
    targets: tuple[dict[str, Any], ...]
    history: tuple[dict[str, Any], ...] = ()
    descendants: tuple[str, ...] = ()


class RunSpec(_Input):
    """Everything that a run's processes need; `spec.json` of its run folder.

    Attributes:
        processes: How many processes run the plugin together.
        base: What a training begins with, None from scratch.
        stop_after: Steps after which a replay has seen enough, 0 for all.
    """

    run: str
    plugin: str
    subject: str
    config: dict[str, Any]
    seed: int
    device: str
    processes: int = 1
    base: BaseInput | None = None
    stop_after: int = 0
    dataset: DatasetInput | None = None
    data: dict[str, DatasetInput] = {}
    model: ModelInput | None = None
    evidence: dict[str, EvidenceInput] = {}
    deployments: tuple[DeploymentInput, ...] = ()
    # A folder that outlives the run, for what a deployment keeps: server log, process id, traffic.
    keep: Path | None = None
