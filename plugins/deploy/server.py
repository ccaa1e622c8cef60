"""The server of a local deployment: `python -m registry.plugins.deploy.server FOLDER`.

It loads only files whose digests match the deployment, writes `server.json` as soon as it
has a port, and answers until SIGTERM. On probation (`--probation`) it logs no traffic, and
ends by itself when its standard input closes before saying `keep`: so a deployer that is
killed half way leaves nothing running.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from registry.errors import BadInput, RegistryError
from registry.files import write_atomically
from registry.plugins.deploy.classifier import OnnxClassifier
from registry.plugins.deploy.service import PROCESS, TRAFFIC, Service
from registry.plugins.deploy.traffic import TrafficLog

if TYPE_CHECKING:
    import uvicorn

KEEP = b"keep\n"

# Seconds that requests under way have to finish after SIGTERM.
_GRACE = 5

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a folder until told to stop; returns the exit code if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m registry.plugins.deploy.server", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--digest", default="", help="digest that deployment.json must have")
    parser.add_argument("--probation", action="store_true", help="end unless standard input says 'keep'")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        serve(asked.folder, digest=asked.digest, probation=asked.probation)
    except RegistryError as error:
        _log.error("refused to start: %s", error.message)
        return error.exit_code
    return 0


def serve(folder: Path, *, digest: str, probation: bool) -> None:
    """Load, listen, answer.

    Raises:
        IntegrityViolated: The folder does not hold what was deployed.
        BadInput: The folder is no deployment, or the port is taken.
    """
    import uvicorn

    from registry.plugins.deploy.app import create_app

    service = Service.read(folder, digest)
    classifier = OnnxClassifier.load(folder, service)
    traffic = TrafficLog(folder / TRAFFIC, max_bytes=service.traffic_bytes, log_inputs=service.log_inputs)
    listener = _listen(service.host, service.port)
    config = uvicorn.Config(
        create_app(service, classifier, traffic),
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACE,
    )
    server = uvicorn.Server(config)
    if probation:
        threading.Thread(target=_await_word, args=(server, traffic), daemon=True).start()
    else:
        traffic.open()
    started = psutil.Process().create_time()
    note = {"pid": os.getpid(), "started": started, "port": listener.getsockname()[1]}
    write_atomically(folder / PROCESS, json.dumps(note).encode())
    _log.info("serving %s/%s on port %d", service.model, service.version, note["port"])
    server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off (40 ms an answer) only on sockets whose protocol says TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as cause:
        listener.close()
        raise BadInput(f"cannot listen on {host}:{port}: {cause.strerror}", hint="--set port=0") from cause
    return listener


def _await_word(server: uvicorn.Server, traffic: TrafficLog) -> None:
    """Wait for the deployer's word, or for its end, whichever comes first."""
    # Read without Python's buffered stdin: its lock must not be held when the interpreter ends.
    try:
        if os.read(0, len(KEEP)) == KEEP:
            traffic.open()
            return
        _log.warning("the deployer ended before it kept this server: stopping")
    except OSError as cause:
        _log.error("the traffic log cannot be written: %s: stopping", cause)
    server.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
