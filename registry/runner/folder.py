"""The run folder: how a run's processes leave word for each other, and survive each other."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from registry.extension.context import CANCEL, CHECKPOINTS, EVENTS
from registry.extension.inputs import RunSpec
from registry.files import sync_folder, write_atomically
from registry.runner.processes import ProcessId


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the supervisor must know beside the spec. No secrets: the database's URL comes by environment.

    Attributes:
        token: The fencing token that it was started with.
        home: Root of the registry's home.
        artifacts: URL of the artifact store.
        max_seconds: Longest time that the plugin may run, 0 for no limit.
        max_bytes: Most that its folder may hold.
        resume: Start the plugin again if it is not alive and has not ended.
        engine: What runs its processes, ...
        engine_options: ... and how, as its user said.
        evidence: Kind of evidence that the plugin makes.
        valid_days: How long that evidence counts.
        parts: The engine that runs its parts, if it has any, ...
        parts_options: ... and that engine's options.
    """

    run: int
    token: int
    engine: str
    evidence: str
    valid_days: int | None
    home: str
    artifacts: str
    max_seconds: float
    max_bytes: int
    engine_options: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    parts: str = "local"
    parts_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a plugin's processes ended.

    Attributes:
        state: One of a run's last states; or `preempted`: its work is saved, it wants to go on;
            or `died`: one of several processes was killed, it may go on from a checkpoint.
    """

    state: str
    reason: str = ""
    hint: str = ""


class RunFolder:
    """One run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.txt"
        self._offset = 0

    def prepare(self, spec: RunSpec, ticket: Ticket) -> None:
        """Lay the folder out."""
        self.path.mkdir(parents=True)
        write_atomically(self.path / "spec.json", spec.model_dump_json(indent=1).encode())
        self.write_ticket(ticket)

    @property
    def prepared(self) -> bool:
        """Whether it was laid out to its end: the ticket comes last."""
        return (self.path / "ticket.json").exists()

    @property
    def spec(self) -> RunSpec:
        return RunSpec.model_validate_json((self.path / "spec.json").read_text("utf-8"))

    @property
    def ticket(self) -> Ticket:
        return Ticket(**self._read("ticket.json"))

    def write_ticket(self, ticket: Ticket) -> None:
        write_atomically(self.path / "ticket.json", json.dumps(asdict(ticket)).encode())

    @property
    def child(self) -> ProcessId | None:
        """The plugin's process, if one was ever started."""
        found = self._read("child.json")
        return ProcessId(**found) if found else None

    def write_child(self, process: ProcessId) -> None:
        write_atomically(self.path / "child.json", json.dumps(asdict(process)).encode())

    @property
    def ended(self) -> Ended | None:
        """How the plugin ended, if it could still say so."""
        found = self._read("exit.json")
        return Ended(**found) if found else None

    def write_ended(self, ended: Ended) -> None:
        """The supervisor's word, whatever was said before."""
        write_atomically(self.path / "exit.json", json.dumps(asdict(ended)).encode())

    def leave_word(self, ended: Ended) -> None:
        """Say how it ended, unless another process has said so already: the first word stands."""
        whole = self.path / f".exit-{secrets.token_hex(4)}"
        write_atomically(whole, json.dumps(asdict(ended)).encode())
        try:
            with contextlib.suppress(FileExistsError):
                os.link(whole, self.path / "exit.json")
                sync_folder(self.path)
        finally:
            whole.unlink(missing_ok=True)

    def take_back_word(self) -> None:
        """The run goes on."""
        (self.path / "exit.json").unlink(missing_ok=True)

    def write_fault(self, rank: int, ended: Ended) -> None:
        """What went wrong in one of several processes, maybe because another one died."""
        write_atomically(self.path / f"fault-{rank}.json", json.dumps(asdict(ended)).encode())

    def forget_fault(self, rank: int) -> None:
        (self.path / f"fault-{rank}.json").unlink(missing_ok=True)

    def faults(self) -> list[tuple[float, Ended]]:
        """What went wrong in single processes, the earliest first: seconds since the epoch, and the word."""
        found = [
            (path.stat().st_mtime, Ended(**json.loads(path.read_text("utf-8"))))
            for path in self.path.glob("fault-*.json")
        ]
        return sorted(found, key=lambda pair: pair[0])

    @property
    def result(self) -> dict[str, Any]:
        return self._read("result.json")

    def write_result(self, result: dict[str, Any]) -> None:
        write_atomically(self.path / "result.json", json.dumps(result).encode())

    def ask_to_cancel(self) -> None:
        """Raise the flag that plugin and supervisor watch."""
        (self.path / CANCEL).touch()

    def take_back_cancel(self) -> None:
        """Lower the flag: the run is wanted again."""
        (self.path / CANCEL).unlink(missing_ok=True)

    @property
    def cancel_asked(self) -> bool:
        return (self.path / CANCEL).exists()

    def ask_to_stop(self) -> None:
        """Raise the flag for processes that no signal reaches: save your work and end."""
        (self.path / "stop").touch()

    def take_back_stop(self) -> None:
        (self.path / "stop").unlink(missing_ok=True)

    @property
    def stop_asked(self) -> bool:
        return (self.path / "stop").exists()

    @property
    def last_step(self) -> int:
        """Of its newest checkpoint; -1 if it has none."""
        return max((int(path.stem) for path in (self.path / CHECKPOINTS).glob("*.json")), default=-1)

    def events(self) -> Iterator[dict[str, Any]]:
        """Events that came since the last call; a line still being written waits for the next.

        The file is the plugin's: a line that is no event, torn by a full disk maybe, is passed over.
        """
        try:
            with (self.path / EVENTS).open("rb") as stream:
                stream.seek(self._offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        return
                    self._offset += len(line)
                    with contextlib.suppress(ValueError):
                        event = json.loads(line)
                        if isinstance(event, dict) and "type" in event:
                            yield event
        except FileNotFoundError:
            return

    def size(self) -> int:
        """Bytes below the folder now; what vanishes while counting does not count."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return found
