"""Plugins that end badly, or not at all."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time

from registry.errors import BadConfig
from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext


class _Dataset(CheckPlugin[PluginConfig]):
    subject = "dataset"
    evidence = "check.bad"


class Raises(_Dataset):
    """Raises what no contract names, with a message that no terminal should see whole."""

    name = "raises"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        raise ZeroDivisionError("divided\x1b[31m by zero " + "again and " * 10_000)


class Declines(_Dataset):
    """Raises what the contract names, with a hint."""

    name = "declines"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        raise BadConfig("this dataset is too small to be checked", hint="add rows")


class HangConfig(PluginConfig):
    stubborn: bool = False


class Hangs(CheckPlugin[HangConfig]):
    """Waits for ever; a stubborn one does not listen to SIGTERM either."""

    name = "hangs"
    subject = "dataset"
    evidence = "check.bad"

    def run(self, ctx: RunContext, config: HangConfig) -> Evidence:
        if config.stubborn:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sys.stdout.write("not listening\n")
        ctx.log("waiting")
        while True:
            time.sleep(60)


class Lingers(_Dataset):
    """Returns, and leaves a thread that keeps its process from ending."""

    name = "lingers"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        threading.Thread(target=time.sleep, args=(600,)).start()
        return Evidence(metrics={"done": 1.0}, summary="done")


class Holds(_Dataset):
    """Returns, and leaves something that only the garbage collector lets go; then it says when that was."""

    name = "holds"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        gc.disable()
        held = _Held()
        held.itself = held
        return Evidence(summary="done")


class _Held:
    itself: _Held

    def __del__(self) -> None:
        os.write(1, f"let go, the interpreter ends: {sys.is_finalizing()}\n".encode())


class KillsItself(_Dataset):
    """Ends as the kernel ends a process that takes too much memory."""

    name = "kills-itself"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        os.kill(os.getpid(), signal.SIGKILL)
        return Evidence()


class LeavesQuietly(_Dataset):
    """Says with its exit code that all is well, and brings no result."""

    name = "leaves-quietly"

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        sys.exit(0)
