"""What a running plugin holds in its hands."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from registry.errors import BadConfig, Cancelled, RunFailed
from registry.extension.inputs import (
    TABLE,
    BaseInput,
    DatasetInput,
    DeploymentInput,
    EvidenceInput,
    ModelInput,
    RunSpec,
)
from registry.files import manifest_of, write_atomically

if TYPE_CHECKING:
    import pyarrow as pa

    from registry.extension.parts import Part
    from registry.extension.predictor import Predictor

T = TypeVar("T")

EVENTS = "events.jsonl"
CHECKPOINTS = "checkpoints"
CANCEL = "cancel"


class RunContext:
    """Resolved inputs, a folder to write in, and ways to be heard. No database, no secrets.

    Attributes:
        folder: The run's own folder; everything that is written goes below it.
        seed: Use it for every random choice, so that the run replays.
        device: `cpu` or a torch device name.
        dataset: The dataset version that the run is about (dataset plugins).
        data: The version's datasets by role, `--data ROLE=REF` applied (version plugins).
        model: The model version that the run is about (version plugins).
        deployments: Its deployments that have not been stopped.
        keep: A folder that outlives the run (deploy plugins).
        rank: Number of this process among the run's, from 0. Only process 0 is heard: what the
            others log, report or declare a checkpoint is dropped, so that a plugin need not ask.
        processes: How many there are.
    """

    def __init__(
        self, spec: RunSpec, folder: Path, start: Callable[[RunSpec, Path], Part] | None = None
    ) -> None:
        self._spec = spec
        self._start = start
        self.folder = folder
        self.seed = spec.seed
        self.device = spec.device
        self.rank = int(os.environ.get("RANK", "0"))
        self.processes = int(os.environ.get("WORLD_SIZE", "1"))
        self._saves_first = False
        self._told_to_stop = False
        self._lock = threading.Lock()
        self._sequence = 0
        self._said = 0.0
        self._stream: BinaryIO | None = None

    # -- inputs ---------------------------------------------------------------

    @property
    def run(self) -> str:
        """Id of this run."""
        return self._spec.run

    @property
    def subject(self) -> str:
        """Reference of what the run is about."""
        return self._spec.subject

    @property
    def dataset(self) -> DatasetInput:
        return self._given(self._spec.dataset, "dataset")

    @property
    def model(self) -> ModelInput:
        return self._given(self._spec.model, "model")

    @property
    def artifact(self) -> Path:
        """Folder of the version's current artifact."""
        return self._given(self.model.artifact, "artifact")

    @property
    def data(self) -> Mapping[str, DatasetInput]:
        return self._spec.data

    @property
    def deployments(self) -> tuple[DeploymentInput, ...]:
        return self._spec.deployments

    @property
    def base(self) -> BaseInput | None:
        """What a training begins with; None from scratch."""
        return self._spec.base

    @property
    def stop_after(self) -> int:
        """Steps after which a replay has seen enough; 0 for all of them."""
        return self._spec.stop_after

    @property
    def keep(self) -> Path:
        return self._given(self._spec.keep, "kept folder")

    def role(self, *roles: str) -> DatasetInput:
        """The version's dataset for the first of `roles` that it names.

        Raises:
            BadConfig: It names none of them.
        """
        for role in roles:
            if role in self.data:
                return self.data[role]
        known = ", ".join(f"{role}={data.ref}" for role, data in self.data.items()) or "none"
        raise BadConfig(
            f"{self.subject} names no {' or '.join(roles)} data (it names: {known})",
            hint=f"phasegate model data {self.subject} {roles[0]}=DATASET/N, or --data {roles[0]}=DATASET/N",
        )

    def evidence(self, kind: str) -> EvidenceInput | None:
        """Current evidence of a kind about the subject, if the plugin named it in `reads_evidence`."""
        return self._spec.evidence.get(kind)

    def predictor(self) -> Predictor:
        """The version's artifact, loaded and ready to predict, whatever its format."""
        from registry.extension.predictor import load_predictor

        return load_predictor(self.artifact, self.device)

    def stop(self, deployment: DeploymentInput) -> None:
        """Stop a deployment by the plugin that made it."""
        from registry.extension.discovery import load_deployer

        load_deployer(deployment.plugin).stop(deployment)

    # -- parts ----------------------------------------------------------------

    def start_part(
        self,
        name: str,
        plugin: str,
        config: Mapping[str, Any],
        *,
        data: Mapping[str, DatasetInput] | None = None,
        device: str = "",
    ) -> Part:
        """Run another plugin as a part of this run, on the run's engine; or find it again after a crash.

        It sees what this run sees: the same version, seed and base.

        Args:
            name: Of its folder, below the run's; with the same name a resumed run finds the same part.
            plugin: The plugin's name.
            config: Its options.
            data: Its data by role, instead of the version's.
            device: Another than the run's.
        """
        if self._start is None:
            raise BadConfig("parts are started by the runner, and this run has none")
        changes = {
            "plugin": plugin,
            "config": dict(config),
            "data": dict(self.data if data is None else data),
            "device": device or self.device,
        }
        return self._start(self._spec.model_copy(update=changes), self.folder / name)

    # -- being heard ----------------------------------------------------------

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Record a number of this run, live.

        Raises:
            RunFailed: It is NaN or infinite: such a run has failed, and says so at once.
        """
        if not math.isfinite(value):
            raise RunFailed(
                f"metric {name!r} is {value} at step {step}", hint="look at the data and the learning rate"
            )
        self._emit("metric", name=name, value=float(value), step=step)

    def progress(self, done: float, total: float, message: str = "") -> None:
        """Say how far it is. Cheap to call often: at most ten a second are kept."""
        now = time.monotonic()
        if done < total and now - self._said < 0.1:
            return
        self._said = now
        self._emit("progress", done=done, total=total, message=message)

    def log(self, text: str) -> None:
        """A line for people."""
        self._emit("log", text=text)

    # -- files ----------------------------------------------------------------

    def output(self, name: str) -> Path:
        """A new folder for something that the run makes."""
        path = self.folder / "outputs" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def save_table(self, table: pa.Table, name: str = "table") -> Path:
        """Write a table where a `DatasetDraft` can take it; returns the folder."""
        import pyarrow.parquet as pq

        folder = self.output(name)
        pq.write_table(table, folder / TABLE, compression="zstd")
        return folder

    # -- long work ------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the run to stop."""
        return (self.folder / CANCEL).exists()

    def check_cancelled(self) -> None:
        """Stop here if asked to.

        Raises:
            Cancelled: Somebody asked.
        """
        if self.cancelled:
            raise Cancelled("cancelled on request")

    @contextmanager
    def saving_first(self) -> Iterator[None]:
        """Within it, a signal to end (a machine going down, a job pre-empted) only sets `told_to_stop`.

        The plugin then has a few seconds to declare a checkpoint and to raise `Preempted`.
        A person's wish to cancel ends it at once, here too.
        """
        self._saves_first = True
        try:
            yield
        finally:
            self._saves_first = False

    @property
    def told_to_stop(self) -> bool:
        """Whether a signal to end came in `saving_first`."""
        return self._told_to_stop

    def on_signal(self) -> None:
        """What the runner does when a signal to end comes.

        Raises:
            Cancelled: Unless the plugin is to save its work first.
        """
        if not self._saves_first or self.cancelled:
            raise Cancelled("cancelled on request")
        self._told_to_stop = True

    def checkpoint(self, path: Path, step: int) -> None:
        """Declare a folder a complete checkpoint: from now on a crash resumes from it.

        Its files are hashed into a manifest, which is what makes it one: a
        checkpoint without a manifest, or one that does not match, never is resumed from.
        """
        if self.rank:
            return
        manifest = {"step": step, "path": str(path.relative_to(self.folder)), "files": manifest_of(path)}
        target = self.folder / CHECKPOINTS / f"{step:012d}.json"
        write_atomically(target, json.dumps(manifest, sort_keys=True).encode())
        self._emit("checkpoint", step=step)

    def resume_from(self) -> Path | None:
        """The last checkpoint whose files still match their manifest, if any."""
        for note in sorted((self.folder / CHECKPOINTS).glob("*.json"), reverse=True):
            manifest = json.loads(note.read_text())
            path = self.folder / manifest["path"]
            if path.is_dir() and manifest_of(path) == manifest["files"]:
                return Path(path)
        return None

    def close(self) -> None:
        """Let the event file go. Whoever made the context does this when the plugin has ended."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    # -- inside ---------------------------------------------------------------

    def _given(self, value: T | None, what: str) -> T:
        if value is None:
            raise BadConfig(f"this run has no {what}: {self.subject}")
        return value

    def _emit(self, kind: str, **fields: Any) -> None:
        """Append one numbered line; it is in the file before this returns."""
        if self.rank:
            return
        with self._lock:
            if self._stream is None:
                path = self.folder / EVENTS
                self._sequence = _last_sequence(path)
                self._stream = path.open("ab", buffering=0)
            self._sequence += 1
            line = {"seq": self._sequence, "at": time.time(), "type": kind, **fields}
            self._stream.write(json.dumps(line).encode() + b"\n")


def _last_sequence(path: Path) -> int:
    """Number of the last whole line, so that a resumed run counts on; a torn last line is cut off."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) != len(data):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    lines = whole.splitlines()
    return int(json.loads(lines[-1])["seq"]) if lines else 0
