"""`search`: try many settings of a training, and make the best one the version's design."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence

from registry.errors import BadConfig, RunFailed
from registry.extension import DatasetInput, Designed, DesignPlugin, RunContext
from registry.files import write_atomically
from registry.plugins.search.findings import account
from registry.plugins.search.folds import cut_folds
from registry.plugins.search.options import SearchConfig
from registry.plugins.search.study import Study
from registry.plugins.search.trial import Outcome, TrialAtWork, keep, kept

_TICK = 0.1
_GRACE = 12.0


class Search(DesignPlugin[SearchConfig]):
    """Search a training's options by grid, at random or by TPE; the best become the version's design."""

    name = "search"
    evidence = "run.search"
    roles = ("train",)
    requires = ("matplotlib", "optuna", "sklearn")
    extra = "search"
    in_parts = True

    def run(self, ctx: RunContext, config: SearchConfig) -> Designed:
        """Try, judge and choose; with one trial at a time the same seed chooses the same.

        Raises:
            BadConfig: There is nothing to judge by, or no training measured the metric.
            RunFailed: Every trial failed.
            Cancelled: Somebody asked to stop; so do all trials.
        """
        if not config.folds and "validation" not in ctx.data:
            raise BadConfig(
                f"{ctx.subject} names no validation data to judge trials by",
                hint="add --set folds=5 to cross-validate, or --data validation=DATASET/N",
            )
        folds, how = cut_folds(ctx, config) if config.folds else ([], "none: judged on the validation data")
        ctx.log(f"folds: {how}")
        outcomes, study = _Trials(ctx, config, folds).run()
        found = [outcome for outcome in outcomes if outcome.state == "complete"]
        if not found:
            raise RunFailed(
                f"no trial was judged: {_reasons(outcomes)}", hint="look into the trials' log.txt"
            )
        best = (min if config.minimizes else max)(found, key=lambda outcome: outcome.score or 0.0)
        ctx.log(f"trial {best.number} is the best: {best.settings}")
        named = ctx.model.design.get("architecture") or best.architecture or config.plugin
        design = {"plugin": config.plugin, "architecture": named, **config.fixed, **best.values}
        return Designed(design=design, evidence=account(ctx, config, study, outcomes, best, folds=how))


def _reasons(outcomes: Sequence[Outcome]) -> str:
    """Why trials failed, each reason once."""
    why: dict[str, list[str]] = {}
    for outcome in outcomes:
        why.setdefault(outcome.reason or outcome.state, []).append(str(outcome.number))
    return "; ".join(f"{reason} (trial {', '.join(numbers)})" for reason, numbers in why.items())


class _Trials:
    """All trials of a search, some at a time."""

    def __init__(
        self, ctx: RunContext, config: SearchConfig, folds: Sequence[Mapping[str, DatasetInput]]
    ) -> None:
        self.ctx, self.config, self.folds = ctx, config, folds
        self.total = config.count()
        self.study = Study(config, ctx.seed, ctx.folder / "journal.jsonl")
        self.outcomes: dict[int, Outcome] = {}
        self.running: list[TrialAtWork] = []
        self.said: tuple[float, str] | None = None

    def run(self) -> tuple[list[Outcome], Study]:
        """Try them all; returns what came of each, by number."""
        self._remember()
        try:
            while len(self.outcomes) < self.total:
                self.ctx.check_cancelled()
                self._start()
                ended = [(trial, outcome) for trial in self.running if (outcome := trial.look())]
                for trial, outcome in ended:
                    self.running.remove(trial)
                    self._end(outcome)
                self._say()
                if not ended:
                    time.sleep(_TICK)
        except BaseException:
            self._stop()
            raise
        return [self.outcomes[number] for number in sorted(self.outcomes)], self.study

    def _remember(self) -> None:
        """Take over what came of trials before a crash."""
        for number in range(len(self.study.asked)):
            if outcome := kept(self.ctx.folder, number):
                self._end(outcome)
        if not self.study.asked:
            # From here on a crash is gone on from: the supervisor starts again what has a checkpoint.
            folder = self.ctx.folder / "search"
            folder.mkdir(exist_ok=True)
            write_atomically(
                folder / "options.json", json.dumps(self.config.model_dump(mode="json")).encode()
            )
            self.ctx.checkpoint(folder, 0)
        elif self.outcomes:
            self.ctx.log(f"going on after {len(self.outcomes)} of {self.total} trials")

    def _start(self) -> None:
        busy = {trial.number for trial in self.running}
        waiting = [number for number in self.study.open if number not in busy]
        while len(self.running) < self.config.parallel:
            if waiting:
                number = waiting.pop(0)
            elif len(self.study.asked) < self.total:
                number = self.study.ask()
            else:
                return
            trial = TrialAtWork(self.ctx, self.config, self.study, number, self.folds, self._device())
            self.running.append(trial)

    def _device(self) -> str:
        """The device that has the fewest trials."""
        used = [trial.device for trial in self.running]
        return min(self.config.devices or (self.ctx.device,), key=used.count)

    def _end(self, outcome: Outcome) -> None:
        number = outcome.number
        folder = keep(self.ctx.folder, outcome)
        self.outcomes[number] = outcome
        if number in self.study.told:
            return
        self.study.tell(number, outcome.state, outcome.score)
        if outcome.score is not None:
            self.ctx.log_metric("score", outcome.score, number)
        said = f"{self.config.metric} {outcome.score:.4g}" if outcome.score is not None else outcome.reason
        self.ctx.log(f"trial {number} {outcome.state}: {outcome.settings}{f': {said}' if said else ''}")
        self.ctx.checkpoint(folder, len(self.study.told))

    def _say(self) -> None:
        # A trial is not done before it is judged, whatever its training says.
        done = len(self.outcomes) + sum(min(trial.done, 0.99) for trial in self.running)
        scores = [outcome.score for outcome in self.outcomes.values() if outcome.score is not None]
        best = f"best {(min if self.config.minimizes else max)(scores):.4g}" if scores else ""
        now = [f"trial {trial.number} {trial.message}" for trial in self.running[:1]]
        said = (done, ", ".join(filter(None, (best, *now))))
        if said != self.said:
            self.said = said
            self.ctx.progress(done, self.total, said[1])

    def _stop(self) -> None:
        """End all trials; unless a person asked for it, they may save their work first."""
        for trial in self.running:
            trial.stop(saving=not self.ctx.cancelled)
        deadline = time.monotonic() + _GRACE
        with contextlib.suppress(Exception):
            while time.monotonic() < deadline and not all(trial.gone for trial in self.running):
                time.sleep(_TICK)
