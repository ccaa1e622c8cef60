"""Server processes: started on probation, found again by id and start time, stopped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from registry.errors import RunFailed
from registry.plugins.deploy.client import serves
from registry.plugins.deploy.server import KEEP
from registry.plugins.deploy.service import LOG, PROCESS, TRAFFIC, Service

# A start time is computed from the wall clock, which may be set; no process id is used again this soon.
_CLOCK_SLACK_S = 2.0
_POLL_S = 0.02

# What a server inherits: how to find Python and its packages. It lives long: no credentials go with it.
_ENVIRONMENT = re.compile(
    r"(PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|PYTHON\w*|LD_LIBRARY_PATH|SYSTEMROOT)\Z"
)


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers, on probation until `keep` is called.

    Attributes:
        started: Unix time at which the process began, seconds.
        seconds: From its start to its first answer.
    """

    pid: int
    started: float
    port: int
    endpoint: str
    seconds: float
    keep: Callable[[], None]


@contextmanager
def on_probation(
    folder: Path, service: Service, digest: str, *, timeout_s: float, alive: Callable[[], None]
) -> Iterator[Started]:
    """Start the server of a folder in a session of its own, and wait until it answers.

    Whatever is raised inside stops it; so does the death of this process, by any signal,
    before `keep`. After `keep` it outlives this process.

    Args:
        folder: What the server serves and writes in.
        service: The folder's description.
        digest: Of that description: the server refuses another.
        timeout_s: How long it may take to answer.
        alive: Called while waiting; may raise.

    Raises:
        RunFailed: It ended, or did not answer in time; with the last lines of its log.
    """
    folder = folder.resolve()
    for left in (PROCESS, LOG, TRAFFIC):
        (folder / left).unlink(missing_ok=True)
    begun = time.monotonic()
    inherited = {name: value for name, value in os.environ.items() if _ENVIRONMENT.match(name)}
    command = [sys.executable, "-P", "-m", "registry.plugins.deploy.server", str(folder), "--digest", digest]
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [*command, "--probation"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=inherited | {"TOKENIZERS_PARALLELISM": "false"},
            start_new_session=True,
            bufsize=0,
        )
    kept = False

    def wait(ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + timeout_s
        while not ready():
            alive()
            if process.poll() is not None:
                raise RunFailed(f"the server ended (exit {process.returncode}): {_tail(folder)}")
            if time.monotonic() > deadline:
                raise RunFailed(f"the server did not answer within {timeout_s:g} s: {_tail(folder)}")
            time.sleep(_POLL_S)

    def keep() -> None:
        nonlocal kept
        if process.stdin is not None:
            # If it has ended, the wait says so, with its log.
            with suppress(BrokenPipeError):
                process.stdin.write(KEEP)
            process.stdin.close()
        wait((folder / TRAFFIC).exists)
        kept = True

    try:
        wait((folder / PROCESS).exists)
        note = json.loads((folder / PROCESS).read_bytes())
        endpoint = f"http://{service.host}:{note['port']}"
        wait(lambda: serves(endpoint, service.model, service.version))
        yield Started(note["pid"], note["started"], note["port"], endpoint, time.monotonic() - begun, keep)
    finally:
        if kept:
            process.returncode = 0  # let go: else subprocess warns of a child that still runs, as it should
        else:
            _end(process)


def stop(pid: int, started: float, grace_s: float) -> None:
    """End the process that has this id and began at that time; anything else is left alone.

    SIGTERM first, SIGKILL after `grace_s` seconds. One that is gone already is no error.

    Raises:
        RunFailed: It is not ours to stop, or does not end.
    """
    process = _find(pid, started)
    if process is None:
        return
    try:
        for signal in (process.terminate, process.kill):
            signal()
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline:
                if _find(pid, started) is None:
                    return
                time.sleep(_POLL_S)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as cause:
        raise RunFailed(
            f"process {pid} belongs to somebody else: {cause}", hint="stop it as its owner"
        ) from cause
    raise RunFailed(f"process {pid} does not end, not even killed", hint="it may wait for a disk: try again")


def _find(pid: int, started: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _CLOCK_SLACK_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _end(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(folder: Path, lines: int = 5) -> str:
    text = (folder / LOG).read_text("utf-8", "replace").strip()
    return " | ".join(text.splitlines()[-lines:]) or "its log is empty"
