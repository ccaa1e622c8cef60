"""Several processes on this machine, under torch's elastic agent, which is the run's first process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from registry.runner.folder import RunFolder
from registry.runner.launchers.base import EngineOptions, Launcher
from registry.runner.launchers.settling import settle

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

_HERE = "127.0.0.1"


class TorchrunOptions(EngineOptions):
    """Options of torchrun."""

    restarts: int = Field(
        default=0,
        ge=0,
        description="how often the agent starts its processes again before the supervisor does",
    )
    grace: int = Field(default=30, ge=1, description="seconds in which a process must end when told to")


class Torchrun(Launcher[TorchrunOptions]):
    """As `torchrun --standalone --nproc-per-node N` does it, within this machine alone."""

    name = "torchrun"
    options_type = TorchrunOptions
    requires = ("torch",)
    extra = "train"

    def run(self, folder: RunFolder, processes: int, options: TorchrunOptions) -> int:
        from torch.distributed.elastic.multiprocessing import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        os.environ.setdefault("GLOO_SOCKET_IFNAME", _own_interface())
        with _meeting_place() as port:
            config = LaunchConfig(
                min_nodes=1,
                max_nodes=1,
                nproc_per_node=processes,
                run_id=uuid.uuid4().hex,
                rdzv_backend="static",
                rdzv_endpoint=f"{_HERE}:{port}",
                rdzv_configs={"rank": 0},
                local_addr=_HERE,
                max_restarts=options.restarts,
                shutdown_timeout=options.grace,
                signals_to_handle="SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2",
            )
            command = ("-P", "-m", "registry.runner.rank", str(folder.path))
            try:
                elastic_launch(config, sys.executable)(*command)
            except SignalException as told:
                return 128 + int(told.sigval)
            except ChildFailedError as failed:
                return settle(folder, _own(folder, failed.failures, options.grace))
        return 0


def _own(folder: RunFolder, failures: Mapping[int, ProcessFailure], grace: int) -> dict[int, int]:
    """Exit statuses without those of processes that the agent ended because another one had failed.

    It sends SIGTERM at once, and SIGKILL when its patience is over.
    """
    statuses = {rank: failure.exitcode for rank, failure in failures.items()}
    faults = folder.faults()
    if faults and time.time() - faults[0][0] >= grace:
        statuses = {rank: status for rank, status in statuses.items() if status != -signal.SIGKILL}
    told = (-signal.SIGTERM, 128 + signal.SIGTERM)
    return {rank: status for rank, status in statuses.items() if status not in told} or statuses


def _own_interface() -> str:
    """Name of the network interface that only this machine sees: `lo`, or as the system has it."""
    import psutil

    found = psutil.net_if_addrs().items()
    return next(name for name, addresses in found if any(each.address == _HERE for each in addresses))


@contextlib.contextmanager
def _meeting_place() -> Iterator[int]:
    """A store at which the processes find each other, listening on this machine's own address alone.

    The agent would make one that listens on all addresses; it takes one of the same port that is there.
    """
    from torch.distributed import TCPStore

    with socket.socket() as listener:
        listener.bind((_HERE, 0))
        port: int = listener.getsockname()[1]
        listener.listen()
        store = TCPStore(
            _HERE,
            port,
            is_master=True,
            wait_for_workers=False,
            multi_tenant=True,
            master_listen_fd=listener.detach(),
        )
    try:
        yield port
    finally:
        del store
