"""Several processes by Ray Train: on a cluster ($RAY_ADDRESS), or on one that is started here."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from registry.errors import BadInput, Cancelled
from registry.extension.context import RunContext
from registry.runner.folder import RunFolder
from registry.runner.launchers.base import EngineOptions, Launcher
from registry.runner.launchers.settling import settle
from registry.runner.rank import run_rank
from registry.runner.starting import DEFAULTS, MARK

if TYPE_CHECKING:
    from ray.train.torch import TorchTrainer

_LOOK = 0.5  # seconds between looks at the flag that says to stop
_OBJECTS = 80 << 20  # bytes of Ray's store of objects; nothing goes through it


class RayOptions(EngineOptions):
    """Options of Ray Train."""

    min_processes: int = Field(
        default=0, ge=0, description="go on with no fewer than these when there is no room for all; 0: all"
    )
    retries: int = Field(default=2, ge=0, description="how often a set of processes that failed starts again")
    cpus: float = Field(default=1.0, gt=0, description="CPUs that each process reserves")
    gpus: float = Field(default=0.0, ge=0, description="GPUs that each process reserves")


class Ray(Launcher[RayOptions]):
    """Ray Train's controller starts the processes and starts them again; checkpoints are the run's own."""

    name = "ray"
    options_type = RayOptions
    requires = ("ray", "torch")
    extra = "ray"

    def check(self, processes: int, options: RayOptions) -> None:
        super().check(processes, options)
        if options.min_processes > processes:
            raise BadInput(
                f"min_processes is {options.min_processes}, more than the {processes} processes asked for",
                hint=f"add --processes {options.min_processes}",
            )

    def run(self, folder: RunFolder, processes: int, options: RayOptions) -> int:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if not os.environ.get("RAY_ADDRESS"):
            # Ray's word for: all processes are on this machine, and meet at its own address alone.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        import ray
        from ray.train import WorkerGroupError

        folder.take_back_stop()
        try:
            _join(folder, processes, options)
            # Ray's own handler ends the processes before they have saved anything.
            signal.signal(signal.SIGTERM, lambda number, frame: folder.ask_to_stop())
            _trainer(folder, processes, options).fit()
        except WorkerGroupError as failed:
            return settle(folder, {rank: _status(error) for rank, error in failed.worker_failures.items()})
        finally:
            ray.shutdown()
            shutil.rmtree(_session(folder), ignore_errors=True)
        ended = folder.ended
        return 0 if ended is not None and ended.state in ("succeeded", "preempted") else 3

    def clear(self, folder: RunFolder) -> None:
        super().clear(folder)
        shutil.rmtree(_session(folder), ignore_errors=True)


def _join(folder: RunFolder, processes: int, options: RayOptions) -> None:
    """Join the cluster of $RAY_ADDRESS, or start one that is just large enough, on this machine alone."""
    import ray

    if os.environ.get("RAY_ADDRESS"):
        ray.init()
        return
    ray.init(
        address="local",
        num_cpus=max(1, round(processes * options.cpus)),
        include_dashboard=False,
        object_store_memory=_OBJECTS,
        _temp_dir=str(_session(folder)),
    )


def _trainer(folder: RunFolder, processes: int, options: RayOptions) -> TorchTrainer:
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.backend import Backend
    from ray.train.torch import TorchConfig, TorchTrainer

    class NoGroup(TorchConfig):
        """Torch's group of processes is the plugin's to make: it knows its shape."""

        @property
        def backend_cls(self) -> Any:
            return Backend

    least = options.min_processes
    reserved = {"CPU": options.cpus, **({"GPU": options.gpus} if options.gpus else {})}
    return TorchTrainer(
        _work,
        train_loop_config={"folder": str(folder.path)},
        torch_config=NoGroup(),
        scaling_config=ScalingConfig(
            num_workers=(least, processes) if 0 < least < processes else processes,
            use_gpu=options.gpus > 0,
            resources_per_worker=reserved,
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(folder.path),
            failure_config=FailureConfig(max_failures=options.retries),
            worker_runtime_env={"env_vars": {**DEFAULTS, MARK: str(folder.path)}},
        ),
    )


def _work(config: dict[str, Any]) -> None:
    """What each of Ray's workers does: be one process of the run.

    Raises:
        RuntimeError: Something that another try may not meet again.
    """
    import ray.train
    from ray.train.collective import broadcast_from_rank_zero

    context = ray.train.get_context()
    rank = context.get_world_rank()
    meeting = broadcast_from_rank_zero(_free_address() if rank == 0 else None)
    assert meeting is not None
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(context.get_world_size()),
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "MASTER_ADDR": meeting[0],
        "MASTER_PORT": meeting[1],
    }
    folder = RunFolder(Path(config["folder"]))
    status = run_rank(folder, heed=_heed_flag)
    if status and folder.ended is None:
        raise RuntimeError(f"process {rank} ended with status {status}: its log tells why")


def _free_address() -> tuple[str, str]:
    import ray.util

    with socket.socket() as probe:
        probe.bind(("", 0))
        return ray.util.get_node_ip_address(), str(probe.getsockname()[1])


@contextlib.contextmanager
def _heed_flag(ctx: RunContext) -> Iterator[None]:
    """The plugin runs in a thread of Ray's worker, where no signal arrives: a flag in the folder tells it."""
    over = threading.Event()

    def look() -> None:
        folder = RunFolder(ctx.folder)
        while not over.wait(_LOOK):
            if folder.stop_asked:
                with contextlib.suppress(Cancelled):
                    ctx.on_signal()
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _status(error: Exception) -> int | None:
    """None of a process that is gone, as `settle` takes it."""
    from ray.exceptions import RayActorError

    causes = (error, error.__cause__, getattr(error, "health_check_failure", None))
    return None if any(isinstance(cause, RayActorError) for cause in causes) else 3


def _session(folder: RunFolder) -> Path:
    """Where Ray keeps its sockets: their paths must be short, so not in the folder."""
    name = hashlib.sha256(str(folder.path).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"phasegate-ray-{name}"
