"""Several processes by Slurm, submitted with submitit. The home must be on a disk that all nodes share."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from registry.errors import BadInput, RunFailed
from registry.files import write_atomically
from registry.runner.folder import RunFolder
from registry.runner.launchers.base import EngineOptions, Launcher
from registry.runner.launchers.settling import settle
from registry.runner.rank import run_rank

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

_TICK = 0.5
_ASK = 60.0  # seconds between questions to Slurm; a result on the shared disk is seen at once
_PATIENCE = 120.0  # seconds for a file to appear on the shared disk, or for a cancelled job to be gone
_LIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED")


class SlurmOptions(EngineOptions):
    """Options of Slurm."""

    cluster: Literal["slurm", "local"] = Field(
        default="slurm", description="`local` runs the job on this machine, to try it without a cluster"
    )
    partition: str = Field(default="", description="where it queues")
    account: str = Field(default="", description="who pays")
    qos: str = Field(default="", description="quality of service")
    constraint: str = Field(default="", description="features that its nodes must have")
    time: int = Field(
        default=60, ge=1, description="minutes that one job may take; the run goes on in the next"
    )
    nodes: int = Field(default=1, ge=1, description="nodes; each takes an equal share of the processes")
    gpus: int = Field(default=0, ge=0, description="GPUs of each node")
    cpus: int = Field(default=1, ge=1, description="CPUs of each process")
    memory: float = Field(default=0.0, ge=0, description="giB of each node; 0: as the partition has it")
    grace: int = Field(
        default=90, ge=10, description="seconds before its time is up in which it saves its work"
    )
    setup: tuple[str, ...] = Field(default=(), description="lines of shell before it starts")


class Slurm(Launcher[SlurmOptions]):
    """A job of Slurm, waited for by the run's first process, which stays where it was asked for.

    Slurm must not start the job again by itself: the supervisor does, when nothing of it is left.
    """

    name = "slurm"
    options_type = SlurmOptions
    requires = ("submitit",)
    extra = "slurm"

    def check(self, processes: int, options: SlurmOptions) -> None:
        super().check(processes, options)
        if processes % options.nodes:
            raise BadInput(
                f"{processes} processes cannot be shared equally by {options.nodes} nodes",
                hint=f"give --processes {options.nodes * (processes // options.nodes + 1)}",
            )
        if options.cluster == "local" and options.nodes > 1:
            raise BadInput("cluster=local has one node", hint="leave nodes out")
        missing = [name for name in ("sbatch", "srun", "sacct", "scancel") if shutil.which(name) is None]
        if options.cluster == "slurm" and missing:
            raise BadInput(
                f"engine 'slurm' needs {', '.join(missing)} on the PATH",
                hint="ask for the run on a login node, or try it here: --engine-set cluster=local",
            )

    def run(self, folder: RunFolder, processes: int, options: SlurmOptions) -> int:
        job = _executor(folder, processes, options).submit(_Task(str(folder.path)))
        # Tasks begin once their job is on record: whoever is killed before leaves none that does anything.
        record = {"id": job.job_id, "cluster": options.cluster, "processes": processes}
        write_atomically(_place(folder) / "job.json", json.dumps(record).encode())
        asked = time.monotonic()
        while not job.done(force_check=time.monotonic() - asked > _ASK):
            if time.monotonic() - asked > _ASK:
                asked = time.monotonic()
            time.sleep(_TICK)
        statuses = {rank: _status(job.task(rank)) for rank in range(processes)}
        bad = {rank: status for rank, status in statuses.items() if status != 0}
        if bad:
            print(f"job {job.job_id} ended as {job.state}", flush=True)  # noqa: T201 -- into the run's log
        return settle(folder, bad) if bad else 0

    def clear(self, folder: RunFolder) -> None:
        super().clear(folder)
        try:
            record = json.loads((_place(folder) / "job.json").read_text("utf-8"))
        except FileNotFoundError:
            return
        if record["cluster"] == "local":
            return  # its processes were found by what they inherited
        from submitit import SlurmJob

        job: Job[int] = SlurmJob(_place(folder), record["id"])
        job.cancel(check=False)
        deadline = time.monotonic() + _PATIENCE
        while job.watcher.get_state(job.job_id, mode="force").split()[0] in _LIVE:
            if time.monotonic() > deadline:
                raise RunFailed(f"job {job.job_id} of an earlier start does not end", hint="scancel it")
            time.sleep(_TICK)


@dataclass(frozen=True)
class _Task:
    """What each of a job's tasks does: be one process of the run."""

    folder: str

    def __call__(self) -> int:
        import submitit

        here = submitit.JobEnvironment()
        folder = RunFolder(Path(self.folder))
        if here.global_rank == 0:
            _speak_into(folder.log)
        record = _wait_for(_place(folder) / "job.json", "id", here.job_id)
        os.environ |= {
            "RANK": str(here.global_rank),
            "WORLD_SIZE": str(here.num_tasks),
            "LOCAL_RANK": str(here.local_rank),
            **_meet(folder, here.job_id, here.global_rank, near=record["cluster"] == "local"),
        }
        return run_rank(folder)


def _executor(folder: RunFolder, processes: int, options: SlurmOptions) -> AutoExecutor:
    from submitit import AutoExecutor

    executor = AutoExecutor(folder=_place(folder), cluster=options.cluster)
    executor.update_parameters(
        name=f"phasegate-run-{folder.path.name}",
        timeout_min=options.time,
        nodes=options.nodes,
        tasks_per_node=processes // options.nodes,
        gpus_per_node=options.gpus,
        cpus_per_task=options.cpus,
        mem_gb=options.memory or None,
        stderr_to_stdout=True,
        slurm_partition=options.partition or None,
        slurm_account=options.account or None,
        slurm_qos=options.qos or None,
        slurm_constraint=options.constraint or None,
        slurm_signal_delay_s=options.grace,
        slurm_additional_parameters={"no-requeue": True},
        slurm_srun_args=["--kill-on-bad-exit=1"],
        slurm_setup=list(options.setup) or None,
        local_setup=list(options.setup) or None,
    )
    return executor


def _status(task: Job[int]) -> int | None:
    """What a task returned; None if it was killed."""
    if not task.paths.result_pickle.exists():
        return None
    return 3 if task.exception() else task.result()


def _place(folder: RunFolder) -> Path:
    """Where submitit keeps what it needs."""
    return folder.path / "slurm"


def _wait_for(path: Path, key: str, value: str) -> dict[str, Any]:
    """A JSON file on the shared disk, once it says what we wait for."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if path.exists():
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if found[key] == value:
                return found
        time.sleep(_TICK)
    raise RunFailed(f"{path} never said that {key} is {value}")


def _meet(folder: RunFolder, job: str, rank: int, *, near: bool) -> dict[str, str]:
    """Where the processes of a job find each other: the first one says it to the others."""
    path = _place(folder) / "meeting.json"
    if rank == 0:
        host = "127.0.0.1" if near else socket.gethostname()
        with socket.socket() as probe:
            probe.bind((host, 0))
            port = probe.getsockname()[1]
        write_atomically(path, json.dumps({"job": job, "host": host, "port": port}).encode())
    meeting = _wait_for(path, "job", job)
    return {"MASTER_ADDR": meeting["host"], "MASTER_PORT": str(meeting["port"])}


def _speak_into(log: Path) -> None:
    """What the first process says is what `phasegate runs logs` shows; the others' is beside the job."""
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
