"""`registry.runs`: plugins at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import usecases
from registry.api.opened import Opened
from registry.errors import BadInput
from registry.storage import find

if TYPE_CHECKING:
    from registry.domain.replays import Replay
    from registry.usecases.runs import RunOptions
    from registry.usecases.views import EvidenceView, RunView


class RunsApi:
    """Runs of plugins; `registry.run` starts one and waits for it."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def start(
        self,
        plugin: str,
        ref: str,
        *,
        data: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        base: str = "",
        options: RunOptions | None = None,
    ) -> int:
        """Start a plugin's run in processes of its own; returns the run's number at once.

        A training begins with `base` if that is named: `minilm/1`, `minilm@champion`, or `./folder`.
        """
        with self._opened.read() as session:
            named = find.ref(session, ref)
        return usecases.runs.start_run(
            self._opened.database,
            self._opened.store,
            self._opened.home,
            self._opened.actor,
            plugin,
            named,
            data=data,
            config=config,
            base=base,
            options=options,
        )

    def manifest(
        self, plugin: str, *, config: Mapping[str, Any] | None = None, options: RunOptions | None = None
    ) -> str:
        """The YAML that a run with these options would have Kubernetes apply; starts nothing."""
        return usecases.runs.write_manifest(self._opened.home, plugin, config=config, options=options)

    def follow(self, number: int) -> Iterator[dict[str, Any]]:
        """A run's events as they come, until it has ended."""
        return usecases.follow.follow_run(self._opened.database, self._opened.home, number)

    def all(self, *, about: str = "", state: str = "", limit: int = 0) -> list[RunView]:
        with self._opened.read() as session:
            if "@" in about:
                about = str(find.ref(session, about))
            return usecases.look_runs.runs(session, about=about, state=state, limit=limit)

    def one(self, number: int) -> RunView:
        with self._opened.read() as session:
            return usecases.look_runs.run(session, number)

    def evidence(self, number: int) -> list[EvidenceView]:
        """Evidence that a run made."""
        with self._opened.read() as session:
            return usecases.look.evidence_of_run(session, number)

    def log(self, number: int) -> Path:
        """Where a run's output is."""
        return usecases.recovery.open_folder(self._opened.home, number).log

    def cancel(self, number: int) -> None:
        """Ask a run to stop."""
        usecases.recovery.cancel_run(self._opened.database, self._opened.home, number)

    def resume(self, number: int) -> None:
        """Start a lost run again, from its last verified checkpoint."""
        usecases.recovery.resume_run(self._opened.database, self._opened.home, self._opened.actor, number)

    def replay(
        self, number: int, steps: int = 10, *, hear: Callable[[dict[str, Any]], None] | None = None
    ) -> Replay:
        """Do the first steps of a training again, and compare its numbers with those recorded.

        Evidence of kind `run.replay`, whatever came of it. `hear` is told every event as it comes.
        """
        return usecases.replay.replay_run(
            self._opened.database,
            self._opened.store,
            self._opened.home,
            self._opened.actor,
            number,
            steps,
            hear=hear,
        )

    def curves(self, number: int) -> dict[str, list[tuple[int, float]]]:
        """A run's live metrics by name: (step, value) in order."""
        with self._opened.read() as session:
            find.run(session, number)
            return usecases.look_runs.curves(session, number)

    def export(self, number: int, *, tensorboard: Path | None = None, csv: Path | None = None) -> list[Path]:
        """Write a run's live metrics as TensorBoard's files in `tensorboard/run-N`, or as CSV; returns where.

        Raises:
            BadInput: It has recorded no metrics, or a file cannot be written.
            MissingExtra: TensorBoard's package is not installed.
        """
        run, curves = self.one(number), self.curves(number)
        if not curves:
            raise BadInput(f"run {number} has recorded no metrics")
        written = []
        if csv is not None:
            usecases.export_run.write_csv(curves, csv)
            written.append(csv)
        if tensorboard is not None:
            folder = tensorboard / f"run-{number}"
            usecases.export_run.write_events(curves, folder, run.started_at or run.created_at)
            written.append(folder)
        return written

    def recover(self) -> list[int]:
        """Take care of runs that nobody looks after any more; returns which."""
        return usecases.recovery.recover_runs(self._opened.database, self._opened.home)
