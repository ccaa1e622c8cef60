"""One trial: a training for each fold, one after another, each in processes of its own."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from registry.domain.names import did_you_mean
from registry.errors import BadConfig
from registry.extension import DatasetInput, Part, PartEnd, RunContext, Trained
from registry.files import write_atomically
from registry.plugins.search.options import SearchConfig
from registry.plugins.search.space import Value
from registry.plugins.search.study import Study

# What is kept of a training that has been judged; weights and checkpoints are not.
_KEPT = ("spec.json", "ticket.json", "child.json", "events.jsonl", "result.json", "exit.json", "log.txt")
_OUTCOME = "trial.json"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: `complete`, `pruned` or `failed`.
        scores: Of each fold that was judged.
        steps: Optimizer steps, over all folds.
        seconds: By the clock.
        architecture: Of the model that it trained, in words.
        reason: Why it failed.
    """

    number: int
    state: str
    values: Mapping[str, Value]
    scores: Sequence[float]
    steps: int
    seconds: float
    reason: str = ""
    architecture: str = ""

    @property
    def score(self) -> float | None:
        """Mean over the folds; None unless all of them were judged."""
        return statistics.fmean(self.scores) if self.state == "complete" else None

    @property
    def std(self) -> float:
        """Standard deviation over the folds, of the sample; 0 where there is one."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0

    @property
    def settings(self) -> str:
        """Its values in words."""
        return ", ".join(f"{name}={_short(value)}" for name, value in sorted(self.values.items()))


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


class TrialAtWork:
    """A trial that has not ended; a resumed search finds it where it was."""

    def __init__(
        self,
        ctx: RunContext,
        config: SearchConfig,
        study: Study,
        number: int,
        folds: Sequence[Mapping[str, DatasetInput]],
        device: str,
    ) -> None:
        self.number = number
        self.device = device
        self.done = 0.0
        self.message = ""
        self._ctx, self._config, self._study, self._folds = ctx, config, study, folds
        self._folder = trial_folder(ctx.folder, number)
        self._began = time.monotonic()
        self._scores: list[float] = []
        self._steps = 0
        self._architecture = ""
        self._evaluations = 0
        self._last_step = -1
        self._part: Part | None = None
        if number not in study.pruned:
            self._part = self._start()

    def look(self) -> Outcome | None:
        """What came of it; None while it runs.

        Raises:
            BadConfig: The training measured no such metric as the search is to judge by.
        """
        if self._part is None:
            return self._outcome("pruned")
        end = self._part.look()  # before its last words are read, so that none is missed
        self._listen(self._part)
        if end is None:
            return None
        if self.number in self._study.pruned:
            return self._outcome("pruned")
        if end.state != "succeeded":
            return self._outcome("failed", end.reason)
        self._scores.append(self._judge(end))
        if len(self._scores) < max(len(self._folds), 1):
            self._part = self._start()
            return None
        return self._outcome("complete")

    def stop(self, *, saving: bool) -> None:
        """Ask it to end."""
        if self._part is not None:
            self._part.stop(saving=saving)

    @property
    def gone(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._part is None or self._part.look() is not None

    def _start(self) -> Part:
        fold = len(self._scores)
        name = f"{self._folder.relative_to(self._ctx.folder)}" + (f"/fold-{fold + 1}" if self._folds else "")
        config = {**self._config.fixed, **self._study.asked[self.number]}
        data = {**self._ctx.data, **self._folds[fold]} if self._folds else None
        return self._ctx.start_part(name, self._config.plugin, config, data=data, device=self.device)

    def _listen(self, part: Part) -> None:
        """Hear what it measures; a loss of the first fold may be its end."""
        for event in part.events():
            match event:
                case {"type": "progress", "done": done, "total": total, "message": message} if total:
                    self.done = (len(self._scores) + done / total) / max(len(self._folds), 1)
                    self.message = message
                case {"type": "metric", "name": "validation_loss", "value": loss, "step": int(step)}:
                    if not self._scores and step > self._last_step:
                        self._evaluate(part, step, loss)

    def _evaluate(self, part: Part, step: int, loss: float) -> None:
        self._last_step = step
        self._evaluations += 1
        if self._evaluations <= self._study.reported.get(self.number, 0):
            return  # said before a crash
        if self._config.pruning == "none" or self.number in self._study.pruned:
            return
        if self._study.report(self.number, self._evaluations, step, loss):
            part.stop()

    def _judge(self, end: PartEnd) -> float:
        assert isinstance(end.result, Trained)
        metrics = end.result.evidence.metrics
        self._architecture = end.result.evidence.facts.get("architecture", "")
        self._steps += int(metrics.get("steps", 0))
        metric = self._config.metric
        if metric not in metrics:
            raise BadConfig(
                f"{self._config.plugin} measured no {metric!r}; it measured {', '.join(sorted(metrics))}",
                hint=did_you_mean(metric, metrics),
            )
        return metrics[metric]

    def _outcome(self, state: str, reason: str = "") -> Outcome:
        return Outcome(
            number=self.number,
            state=state,
            values=self._study.asked[self.number],
            scores=self._scores,
            steps=self._steps or self._study.pruned.get(self.number, max(self._last_step, 0)),
            seconds=time.monotonic() - self._began,
            reason=reason,
            architecture=self._architecture,
        )


def trial_folder(search: Path, number: int) -> Path:
    """Where a trial's trainings are."""
    return search / "trials" / f"{number:04d}"


def keep(search: Path, outcome: Outcome) -> Path:
    """Write down how a trial ended, and let go of what its trainings made; returns its folder."""
    folder = trial_folder(search, outcome.number)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _OUTCOME, json.dumps(asdict(outcome), indent=1).encode())
    for part in [folder, *folder.glob("fold-*")]:
        for path in part.iterdir():
            if path.is_dir() and not path.name.startswith("fold-"):
                shutil.rmtree(path)
            elif path.is_file() and path.name not in (*_KEPT, _OUTCOME):
                path.unlink()
    return folder


def kept(search: Path, number: int) -> Outcome | None:
    """How a trial ended, if that was written down."""
    path = trial_folder(search, number) / _OUTCOME
    return Outcome(**json.loads(path.read_text("utf-8"))) if path.exists() else None
