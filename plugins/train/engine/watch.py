"""What goes wrong in a training, seen while it goes wrong, and what helps.

Each alarm is a rule over the history, a pure function, so that a training that is resumed or replayed rings
the same ones at the same steps. Only `starved_input` looks at a clock.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, RunFailed
from registry.extension import RunContext
from registry.plugins.train.engine.history import History
from registry.plugins.train.engine.options import TorchConfig

if TYPE_CHECKING:
    import torch

# Learned something: the loss is at most this share of the first step's and of the uninformed loss.
WELL_BELOW = 0.9
# A loss that is this many times the lowest one is worse, and not only another sample.
WORSE = 1.1
# Standard errors by which two means of noisy losses must differ: one in thousands does by chance.
SURE = 6.0
# Below this share of where it began, losses are noise about nothing: 0.002 after 0.001 is no overfitting.
FLOOR = 0.02
# While it goes on: it has lost again this share of what it had won, or a quarter of where it began.
LOST, CLIMBED = 0.5, 0.25
# Losses are judged by this share of the curve's points at a time, for one batch says little.
WINDOW, FEWEST, MOST = 0.1, 5, 20
# Not falling: for this share of the run, after the warm-up, by less than this share of where it began.
STILL, FALLS = 0.3, 0.02
# A gradient this many times its median, both of late and in the beginning. Healthy ones stay within 5.
EXPLODED, NORMS, FIRST_NORMS = 10.0, 50, 10
# A rate below this share of its peak, or weights of which less than this moves in a step (that of fp32's
# rounding is 6e-8, healthy ones move 1e-4 to 1e-2), while this share of the steps is still to come.
DEAD_RATE, DEAD_MOVE, REMAINING = 1e-3, 1e-6, 0.1
# Weights that are watched: enough to tell moving from standing still, and a copy of them costs nothing.
_SAMPLE = 4096
# Waiting for input more than computing, once there are so many seconds to judge by.
STARVED, STARVED_AFTER = 0.5, 10.0

REMEDIES: Mapping[str, str] = {
    "not_a_number": "look for numbers in the data that are none; lower learning_rate, or raise warmup",
    "diverged": "lower learning_rate, or clip harder (clip)",
    "plateau": "raise learning_rate, shorten warmup, or look whether the labels fit the data",
    "not_converged": "train longer (epochs), or with a higher learning_rate",
    "overfitted": "raise weight_decay, dropout or label_smoothing, or stop early (patience)",
    "exploding_gradients": "lower clip or learning_rate, or raise warmup",
    "dead_rate": "raise learning_rate or final_rate, or train for fewer steps",
    "starved_input": "raise threads, lower the work per row (max_length), or put the data on a faster disk",
}
ALARMS = tuple(REMEDIES)

Verdict = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Moment:
    """A training at a point of its curve.

    Attributes:
        history: All that it has seen.
        lows: For each point of the curve, the lowest mean of `width` points that there was by then.
        steps: That it is to do.
        warm: Of them, those of the warm-up.
        every: Steps between points of the curve.
        uninformed: Mean loss of a model that has learned nothing.
        rate: Share of the peak rate now.
        moved: Relative change per step of some weights since the last point; infinite if it is not known.
        waited: Share of the time in which the model waited for its input.
        seconds: That it took so far.
    """

    history: History
    lows: Sequence[float]
    steps: int
    warm: int = 0
    every: int = 1
    uninformed: float = math.inf
    rate: float = 1.0
    moved: float = math.inf
    waited: float = 0.0
    seconds: float = 0.0

    @property
    def start(self) -> float:
        """The loss of what has learned nothing."""
        return beginning(self.history, self.uninformed)

    @property
    def width(self) -> int:
        """Points of the curve that are judged together."""
        return width(self.steps, self.every)

    @property
    def recent(self) -> list[float]:
        """The last of them."""
        return [loss for _, loss in self.history.losses[-self.width :]]


def beginning(history: History, uninformed: float) -> float:
    """The loss that a training began with, or that of knowing nothing if that is lower.

    The first batch alone may be a lucky one, so the next few have a say.
    """
    first = [loss for _, loss in history.losses[:FEWEST]]
    return min(max(first[0], fmean(first)), uninformed)


def width(steps: int, every: int) -> int:
    """Points of a curve that are judged together: a tenth of it, within bounds."""
    return max(FEWEST, min(MOST, int(WINDOW * steps / every)))


def lows(losses: Sequence[tuple[int, float]], width: int, known: list[float]) -> None:
    """Go on with `known`, the lowest mean of `width` losses up to each point."""
    for point in range(len(known) + 1, len(losses) + 1):
        part = losses[max(0, point - width) : point]
        mean = sum(loss for _, loss in part) / len(part) if point >= width else math.inf
        known.append(min(mean, known[-1]) if known else mean)


def diverged(now: Moment) -> Verdict:
    """Most of the last losses are far above the lowest mean that there was."""
    lowest = now.lows[-1]
    if len(now.lows) < 2 * now.width:
        return None
    # The lower quartile: single batches may be as bad as they like.
    value = sorted(now.recent)[now.width // 4]
    return _above(value, lowest + max(LOST * (now.start - lowest), CLIMBED * now.start))


def plateau(now: Moment) -> Verdict:
    """The loss is where it began, and has not fallen for a share of the run."""
    since = now.history.step - STILL * now.steps
    points = bisect_right(now.history.losses, since, key=lambda point: point[0])
    if since < max(now.warm, 1) or points < now.width:
        return None
    fallen = now.lows[points - 1] - now.lows[-1]
    return _above(fmean(now.recent), WELL_BELOW * now.start) if fallen < FALLS * now.start else None


def exploding_gradients(now: Moment) -> Verdict:
    """The gradient is many times what it was of late, and what it was in the beginning."""
    norms = [norm for _, norm in now.history.norms]
    if len(norms) <= FIRST_NORMS:
        return None
    usual = max(median(norms[:FIRST_NORMS]), median(norms[-NORMS - 1 : -1]))
    return _above(norms[-1], EXPLODED * usual)


def dead_rate(now: Moment) -> Verdict:
    """The rate is next to nothing, or the weights stand still, with much of the run to come."""
    done = now.history.step
    if done <= now.warm or now.steps - done < REMAINING * now.steps:
        return None
    if now.rate < DEAD_RATE:
        return now.rate, DEAD_RATE
    return (now.moved, DEAD_MOVE) if now.moved < DEAD_MOVE else None


def starved_input(now: Moment) -> Verdict:
    """The model waits for its input longer than it computes."""
    return _above(now.waited, STARVED) if now.seconds >= STARVED_AFTER else None


def overfitted(now: Moment) -> Verdict:
    """Twice in a row the validation loss is above its lowest, while the training loss has gone down."""
    seen = now.history.validation
    if len(seen) < 3:
        return None
    lowest = min(loss for _, loss in seen[:-2])
    limit = lowest + _margin(lowest, seen[0][1], now.uninformed)
    if min(loss for _, loss in seen[-2:]) <= limit:
        return None
    best = next(step for step, loss in seen if loss == lowest)
    then = [loss for step, loss in now.history.losses if step <= best][-now.width :]
    return (seen[-1][1], limit) if fmean(now.recent) < fmean(then or [math.inf]) else None


def not_converged_at_end(now: Moment) -> Verdict:
    """The last epoch's loss is where it began."""
    return _above(now.history.epoch_losses[-1], WELL_BELOW * now.start)


def diverged_at_end(now: Moment) -> Verdict:
    """The last epoch's loss is above another epoch's, by more than its batches' noise, or where it began."""
    losses = now.history.epoch_losses
    lowest = min(losses)
    points = [loss for _, loss in now.history.losses]
    jumps = [abs(one - other) for one, other in pairwise(points[len(points) // 2 :])]
    # The median of |a - b| for two normal numbers is about their standard deviation.
    error = median(jumps or [0.0]) / math.sqrt(max(1, len(points) / len(losses)))
    limit = min(lowest + _margin(lowest, now.start), max(now.history.first_loss, now.start))
    return _above(losses[-1], max(limit, lowest + SURE * error))


ON_THE_WAY: Mapping[str, Callable[[Moment], Verdict]] = {
    "diverged": diverged,
    "plateau": plateau,
    "exploding_gradients": exploding_gradients,
    "dead_rate": dead_rate,
    "starved_input": starved_input,
}


class Watch:
    """Looks at a training as it goes; each alarm rings once, is logged, and is kept in the history."""

    def __init__(
        self,
        ctx: RunContext,
        history: History,
        config: TorchConfig,
        *,
        steps: int,
        every: int,
        uninformed: float,
        validated: bool,
    ) -> None:
        """Watch a training that is about to begin, or to go on.

        Args:
            ctx: The run.
            history: What the alarms are judged by, and kept in.
            config: Its options.
            steps: That it is to do.
            every: Steps between points of its curve.
            uninformed: Mean loss of a model that has learned nothing.
            validated: Whether it has validation data.

        Raises:
            BadConfig: `stop_on` names an alarm that is none, or that cannot ring before the end.
        """
        _check(config.stop_on, validated)
        self._ctx = ctx
        self._history = history
        self._config = config
        self._steps = steps
        self._every = every
        self._uninformed = uninformed
        self._lows: list[float] = []
        self._sample: tuple[int, torch.Tensor] | None = None

    def after_point(self, *, rate: float, moved: float, waited: float, seconds: float) -> None:
        """Look at a new point of the curve.

        Several processes must say the same, for they end together or wait for each other forever.

        Args:
            rate: Share of the peak rate.
            moved: As `moved` gave it.
            waited: Share of the time in which the model waited for its input.
            seconds: That it took so far.
        """
        now = self._now(rate=rate, moved=moved, waited=waited, seconds=seconds)
        for alarm, rule in ON_THE_WAY.items():
            self._judge(alarm, rule(now))

    def after_evaluation(self) -> None:
        """Look at a new validation loss. With `patience` the best weights are kept, so nothing is amiss."""
        if not self._config.patience:
            self._judge("overfitted", overfitted(self._now()))

    def after_training(self, kept_loss: float | None) -> None:
        """Judge the whole of a training.

        Args:
            kept_loss: Validation loss of the weights that are kept; None without validation data.
        """
        now = self._now()
        self._judge("not_converged", not_converged_at_end(now))
        self._judge("diverged", diverged_at_end(now))
        if kept_loss is not None:
            lowest, first = self._history.lowest, self._history.validation[0][1]
            self._judge("overfitted", _above(kept_loss, lowest + _margin(lowest, first, self._uninformed)))

    def moved(self, optimizer: torch.optim.Optimizer) -> float:
        """How far some of the trained weights moved per step since the last point, relative to their size.

        Infinite at the first point, and where it cannot be said.
        """
        import torch

        step = self._history.step
        with torch.no_grad():
            # The last matrix of those that learn fastest: every row of the data moves all of it, which is
            # not so of embeddings. Of a sharded weight, what is here.
            fastest = max(optimizer.param_groups, key=lambda group: group["lr"])["params"]
            last = next((weight for weight in reversed(fastest) if weight.ndim > 1), fastest[-1])
            here = getattr(last, "_local_tensor", last)
            flat = here.detach().reshape(-1)[:_SAMPLE].float().clone()
        (then, before), self._sample = self._sample or (step, flat), (step, flat)
        size = float(flat.norm())
        return float((flat - before).norm()) / size / (step - then) if size and step > then else math.inf

    def check_number(self, what: str, value: float, step: int) -> None:
        """End the training at a loss, or a gradient, that is no number.

        Raises:
            RunFailed: It is NaN or infinite; says at which step, and what helps.
        """
        if not math.isfinite(value):
            self._ctx.log(f"alarm: not_a_number, the {what} is {value} at step {step}")
            raise RunFailed(f"the {what} is {value} at step {step}", hint=REMEDIES["not_a_number"])

    @property
    def ends(self) -> str:
        """The alarm that rang and that `stop_on` names; empty if there is none."""
        return stopped_by(self._history, self._config)

    def _now(self, **more: Any) -> Moment:
        warm = math.ceil(self._config.warmup * self._steps)
        lows(self._history.losses, width(self._steps, self._every), self._lows)
        return Moment(self._history, self._lows, self._steps, warm, self._every, self._uninformed, **more)

    def _judge(self, alarm: str, verdict: Verdict) -> None:
        """Ring an alarm if its rule says so, unless it rings already."""
        if verdict is None or any(row["alarm"] == alarm for row in self._history.alarms):
            return
        value, limit = verdict
        step, remedy = self._history.step, REMEDIES[alarm]
        self._history.alarms.append(
            {"alarm": alarm, "step": step, "value": value, "limit": limit, "remedy": remedy}
        )
        self._ctx.log(f"alarm: {alarm} at step {step}, {value:.4g} beyond {limit:.4g}: {remedy}")


def stopped_by(history: History, config: TorchConfig) -> str:
    """The alarm that ended a training early; empty if none did."""
    rang = [row["alarm"] for row in history.alarms]
    return next((alarm for alarm in rang if alarm in config.stop_on), "")


def _check(names: Sequence[str], validated: bool) -> None:
    for name in names:
        if name not in ALARMS:
            raise BadConfig(f"stop_on names {name!r}, which is no alarm", hint=did_you_mean(name, ALARMS))
        if name == "not_converged":
            raise BadConfig(
                "stop_on names not_converged, which is judged when a training has ended",
                hint="plateau is its like while it goes on",
            )
        if name == "overfitted" and not validated:
            raise BadConfig(
                "stop_on names overfitted, which needs validation data",
                hint="--data validation=DATASET/N",
            )


def _above(value: float, limit: float) -> Verdict:
    return (value, limit) if value > limit else None


def _margin(lowest: float, *starts: float) -> float:
    """By how much a loss must exceed the lowest one before it counts as worse."""
    return max((WORSE - 1) * lowest, FLOOR * min(starts))
