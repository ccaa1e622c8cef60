"""Which trial comes next: Optuna, driven by a journal, so that it can be brought back to where it was."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import RunFailed
from registry.plugins.search.options import SearchConfig
from registry.plugins.search.space import Value, distributions, grid

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

# Of a search by TPE, the share of trials that are drawn at random first, and the most of them.
_STARTUP_SHARE, _STARTUP_MOST = 3, 10


class Study:
    """Asks Optuna, tells it, and writes every question and answer down before it counts.

    Samplers are seeded, and their state is what has been asked and told: the journal, read again in
    its order, leads to the same state. A line that was torn by a crash is dropped, its word unsaid.

    Attributes:
        asked: Values of every trial so far, by number.
        told: State of every trial that has ended.
        reported: Evaluations of every trial so far.
        pruned: Trials that are to be stopped, with the step at which that was decided.
    """

    def __init__(self, config: SearchConfig, seed: int, journal: Path) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._config = config
        self._space = distributions(config.train_plugin(), config.space)
        self.sampler, self.pruner = _sampler(config, seed), _pruner(config)
        self.study = optuna.create_study(
            study_name="search",  # Hyperband draws brackets from it
            direction="minimize" if config.minimizes else "maximize",
            sampler=self.sampler,
            pruner=self.pruner,
        )
        self._trials: list[Trial] = []
        self.asked: list[dict[str, Value]] = []
        self.told: dict[int, str] = {}
        self.reported: dict[int, int] = {}
        self.pruned: dict[int, int] = {}
        self._journal: Path | None = None
        for line in _lines(journal):
            self._again(line)
        self._journal = journal

    @property
    def open(self) -> list[int]:
        """Trials that were asked for and have not ended."""
        return [number for number in range(len(self.asked)) if number not in self.told]

    def ask(self) -> int:
        """The next trial; returns its number."""
        trial = self.study.ask(self._space)
        self._trials.append(trial)
        self.asked.append(dict(trial.params))
        number: int = trial.number
        self._write({"ask": number, "values": trial.params})
        return number

    def report(self, number: int, evaluation: int, step: int, loss: float) -> bool:
        """Tell of a validation loss; whether the trial is to be stopped.

        Args:
            evaluation: Counted from 1 within the trial.
            step: Of the training, when it was evaluated.
        """
        self._write({"report": number, "evaluation": evaluation, "step": step, "loss": loss})
        # The pruner compares as the study does: where a high score is good, so is a high figure here.
        self._trials[number].report(loss if self._config.minimizes else -loss, evaluation)
        self.reported[number] = evaluation
        if self._trials[number].should_prune():
            self.pruned[number] = step
        return number in self.pruned

    def tell(self, number: int, state: str, score: float | None) -> None:
        """Tell how a trial ended: `complete` with its score, `pruned` or `failed`."""
        from optuna.trial import TrialState

        self._write({"tell": number, "state": state, "score": score})
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        try:
            self.study.tell(self._trials[number], score, state=states[state])
        except RuntimeError:
            # A grid that is done stops the loop of Optuna's own, which there is none of here.
            if self._config.method != "grid":
                raise
        self.told[number] = state

    def _again(self, line: dict[str, Any]) -> None:
        match line:
            case {"ask": number, "values": values}:
                if self.ask() != number or self.asked[number] != values:
                    raise RunFailed(
                        f"trial {number} would be another one now",
                        hint="start the search anew: Optuna has changed",
                    )
            case {"report": number, "evaluation": evaluation, "step": step, "loss": loss}:
                self.report(number, evaluation, step, loss)
            case {"tell": number, "state": state, "score": score}:
                self.tell(number, state, score)

    def _write(self, line: dict[str, Any]) -> None:
        if self._journal is None:
            return
        with self._journal.open("ab") as stream:
            stream.write(json.dumps(line, sort_keys=True).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def _lines(journal: Path) -> list[dict[str, Any]]:
    """Whole lines of a journal; a torn one is cut off."""
    if not journal.exists():
        return []
    data = journal.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with journal.open("r+b") as stream:
            stream.truncate(len(whole))
    return [json.loads(line) for line in whole.splitlines()]


def _sampler(config: SearchConfig, seed: int) -> BaseSampler:
    from optuna.samplers import GridSampler, RandomSampler, TPESampler

    if config.method == "grid":
        return GridSampler(grid(config.train_plugin(), config.space), seed=seed)
    if config.method == "random":
        return RandomSampler(seed=seed)
    startup = max(1, min(config.count() // _STARTUP_SHARE, _STARTUP_MOST))
    return TPESampler(seed=seed, n_startup_trials=startup)


def _pruner(config: SearchConfig) -> BasePruner:
    from optuna.pruners import HyperbandPruner, NopPruner

    return HyperbandPruner() if config.pruning == "hyperband" else NopPruner()
