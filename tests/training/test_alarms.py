"""Alarms: none rings on a healthy training, each rings on its fault, and what rings is evidence."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import BadConfig, RunFailed
from registry.extension import RunContext, Trained
from registry.extension.inputs import RunSpec
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.history import History
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.watch import ALARMS, REMEDIES, Watch
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.tasks.text_classes import TextClasses

Train = Callable[..., Trained]
Curve = Callable[[int], float]

STEPS = 200


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunContext]:
    spec = RunSpec(run="1", plugin="x", subject="m/1", config={}, seed=0, device="cpu")
    context = RunContext(spec, tmp_path_factory.mktemp("watched"))
    yield context
    context.close()


def told(
    ctx: RunContext,
    loss: Curve,
    *,
    norm: Curve = lambda step: 1.0,
    validation: Curve | None = None,
    rate: Curve = lambda step: 1.0,
    moved: Curve = lambda step: 1e-3,
    waited: Curve = lambda step: 0.1,
    seconds: float = 60.0,
    uninformed: float = math.inf,
    **options: Any,
) -> list[dict[str, Any]]:
    """The alarms of a training of 200 steps whose curves are these, evaluated every 20 steps."""
    history = History()
    config = TorchConfig(steps=STEPS, **options)
    watch = Watch(
        ctx, history, config, steps=STEPS, every=1, uninformed=uninformed, validated=validation is not None
    )
    for step in range(1, STEPS + 1):
        history.step = step
        history.losses.append((step, loss(step)))
        history.norms.append((step, norm(step)))
        watch.after_point(
            rate=rate(step), moved=moved(step), waited=waited(step), seconds=seconds * step / STEPS
        )
        if step % 20 == 0:
            history.epochs.append([sum(value for _, value in history.losses[-20:]), 20])
            if validation:
                history.validation.append((step, validation(step)))
                watch.after_evaluation()
        if watch.ends:
            break
    watch.after_training(history.validation[-1][1] if validation else None)
    return history.alarms


def names(alarms: list[dict[str, Any]]) -> list[str]:
    return [row["alarm"] for row in alarms]


def falling(start: float, end: float, speed: float, noise: float, seed: int) -> Curve:
    """A loss that falls exponentially, with a factor of noise for each batch."""
    dice = random.Random(seed)
    factors = [math.exp(max(-3, min(3, dice.gauss(0, 1))) * noise) for _ in range(STEPS + 1)]
    return lambda step: (end + (start - end) * math.exp(-speed * (step - 1) / STEPS)) * factors[step]


SCHEDULES: dict[str, Curve] = {
    "constant": lambda step: 1.0,
    "linear": lambda step: 1 - (step - 1) / STEPS,
    "cosine": lambda step: (1 + math.cos(math.pi * (step - 1) / STEPS)) / 2,
    "polynomial": lambda step: (1 - (step - 1) / STEPS) ** 2,
}


@settings(max_examples=150, derandomize=True)
@given(
    start=st.floats(0.5, 12),
    share=st.floats(0, 0.6),
    speed=st.floats(4, 60),
    noise=st.floats(0, 0.3),
    gap=st.floats(0, 0.3),
    schedule=st.sampled_from(sorted(SCHEDULES)),
    seed=st.integers(0, 9999),
)
def test_a_healthy_training_rings_none(
    ctx: RunContext,
    start: float,
    share: float,
    speed: float,
    noise: float,
    gap: float,
    schedule: str,
    seed: int,
) -> None:
    """Whatever it begins at, ends at, and however noisy its batches are: also when the loss becomes 0."""
    loss = falling(start, share * start, speed, noise, seed)
    quiet = falling(start, (share + gap) * start, speed, 0.0, seed)
    norm = falling(3.0, 0.3, speed, 0.5, seed + 1)
    alarms = told(ctx, loss, norm=norm, validation=quiet, rate=SCHEDULES[schedule], uninformed=start)
    assert alarms == []


@settings(derandomize=True)
@given(begins=st.integers(30, 140), speed=st.floats(0.02, 0.5), noise=st.floats(0, 0.3))
def test_a_loss_that_climbs_again_has_diverged(
    ctx: RunContext, begins: int, speed: float, noise: float
) -> None:
    healthy = falling(2.0, 0.2, 20, noise, 0)
    alarms = told(ctx, lambda step: healthy(step) + max(0, step - begins) * speed)
    row = next(row for row in alarms if row["alarm"] == "diverged")
    assert begins < row["step"] <= STEPS
    assert row["value"] > row["limit"]


@settings(derandomize=True)
@given(st.floats(0, 0.1), st.integers(0, 9999), st.floats(0, 0.4))
def test_a_loss_that_stays_where_it_began_is_a_plateau(
    ctx: RunContext, noise: float, seed: int, warmup: float
) -> None:
    level = falling(2.0, 2.0, 1, noise, seed)
    alarms = told(ctx, lambda step: level(step) if step > 1 else 2.0, uninformed=2.0, warmup=warmup)
    rang = {row["alarm"]: row for row in alarms}
    # Noise lowers what follows, by luck, in one of some hundred such trainings: then only the end tells.
    assert rang.keys() <= {"plateau", "not_converged", "diverged"}
    if noise < 0.02:
        assert STEPS * (warmup + 0.3) - 1 <= rang["plateau"]["step"] <= STEPS * (warmup + 0.3) + 25


def test_a_training_that_has_learned_may_rest(ctx: RunContext) -> None:
    assert told(ctx, lambda step: 2.0 if step < 10 else 0.5) == []


def test_slow_but_steady_is_no_plateau(ctx: RunContext) -> None:
    assert names(told(ctx, lambda step: 2.0 - 0.0015 * step * 0.6)) == ["not_converged"]


@settings(derandomize=True)
@given(st.integers(15, 190), st.floats(300, 1e6))
def test_a_gradient_that_explodes(ctx: RunContext, at: int, factor: float) -> None:
    norm = falling(3.0, 0.3, 10, 0.2, at)
    (row,) = told(
        ctx, falling(2.0, 0.2, 20, 0, 0), norm=lambda step: norm(step) * (factor if step == at else 1)
    )
    assert (row["alarm"], row["step"]) == ("exploding_gradients", at)


@settings(derandomize=True)
@given(st.integers(30, 170))
def test_a_rate_that_died(ctx: RunContext, at: int) -> None:
    healthy = falling(2.0, 0.2, 20, 0, 0)
    (row,) = told(ctx, healthy, rate=lambda step: 1.0 if step < at else 1e-4)
    assert (row["alarm"], row["step"]) == ("dead_rate", at)
    (row,) = told(ctx, healthy, moved=lambda step: 1e-3 if step < at else 1e-8)
    assert (row["alarm"], row["step"]) == ("dead_rate", at)


def test_a_warm_up_is_no_dead_rate(ctx: RunContext) -> None:
    healthy = falling(2.0, 0.2, 20, 0, 0)
    assert told(ctx, healthy, rate=lambda step: 1e-4 if step <= 60 else 1.0, warmup=0.3) == []


@settings(derandomize=True)
@given(st.integers(2, 6))
def test_learning_by_heart_is_overfitting(ctx: RunContext, turns: int) -> None:
    def validation(step: int) -> float:
        return 1.0 - 0.1 * min(step // 20, turns) + 0.15 * max(0, step // 20 - turns)

    (row,) = told(ctx, falling(1.0, 0.01, 8, 0.05, 0), validation=validation)
    assert row["alarm"] == "overfitted"
    assert 20 * (turns + 2) <= row["step"] <= 20 * (turns + 3)
    # The best weights are kept, if they end with something worse than that it is told at the end.
    (row,) = told(ctx, falling(1.0, 0.01, 8, 0.05, 0), validation=validation, patience=20)
    assert row["step"] == STEPS


def test_one_bad_evaluation_is_no_overfitting(ctx: RunContext) -> None:
    assert told(ctx, falling(1.0, 0.1, 8, 0, 0), validation=lambda step: 0.9 if step == 100 else 0.5) == []


def test_a_model_that_waits_for_its_input_starves_once_there_is_something_to_judge_by(
    ctx: RunContext,
) -> None:
    healthy = falling(2.0, 0.2, 20, 0, 0)
    (row,) = told(ctx, healthy, waited=lambda step: 0.7, seconds=40.0)
    assert (row["alarm"], row["step"]) == ("starved_input", 50)
    assert told(ctx, healthy, waited=lambda step: 0.7, seconds=9.0) == []


def test_each_rings_once_and_ends_the_training_if_asked(ctx: RunContext) -> None:
    def climbs(step: int) -> float:
        return 1.0 if step < 30 else float(step)

    both = told(ctx, climbs, norm=lambda step: 1.0 if step < 100 else 1e3)
    assert names(both) == ["diverged", "plateau", "exploding_gradients", "not_converged"]
    assert both[0]["remedy"] == REMEDIES["diverged"]
    ended = told(ctx, climbs, stop_on=("diverged",))
    assert ended[0]["step"] == both[0]["step"] < 100


@pytest.mark.parametrize(
    ("stop_on", "hint"),
    [("divergd", "did you mean 'diverged'"), ("not_converged", "plateau"), ("overfitted", "validation=")],
)
def test_an_alarm_that_cannot_end_a_training_is_refused_first(
    ctx: RunContext, stop_on: str, hint: str
) -> None:
    with pytest.raises(BadConfig, match=stop_on) as caught:
        told(ctx, lambda step: 1.0, stop_on=(stop_on,))
    assert hint in caught.value.hint


def test_every_remedy_names_options_that_exist() -> None:
    options = set(TrainConfig.model_fields)
    for alarm, remedy in REMEDIES.items():
        named = {
            word.strip("();,") for word in remedy.split() if "_" in word or word.strip("();,") in options
        }
        assert named
        assert named <= options, alarm


# -- real trainings ----------------------------------------------------------------------------------


def test_a_healthy_one(tiny_trained: Trained) -> None:
    evidence = tiny_trained.evidence
    assert {name for name in evidence.metrics if name.startswith("alarms.")} == {
        f"alarms.{alarm}" for alarm in ALARMS
    }
    assert evidence.metrics["alarms"] == 0
    assert (evidence.facts["alarms"], evidence.facts["stopped_by"]) == ("none", "last step")
    assert evidence.tables["alarms"] == []


def test_a_rate_that_is_too_high(train_tiny: Train) -> None:
    evidence = train_tiny(learning_rate=30.0, epochs=4, clip=0).evidence
    assert evidence.metrics["alarms.diverged"] == 1
    stopped = train_tiny(learning_rate=30.0, epochs=4, clip=0, stop_on="diverged").evidence
    assert stopped.facts["stopped_by"] == "diverged"
    (row,) = (row for row in stopped.tables["alarms"] if row["alarm"] == "diverged")
    assert row["step"] == stopped.metrics["steps"] < evidence.metrics["steps"]
    # The same alarm at the same step, whether it ends the training or not.
    assert row in evidence.tables["alarms"]


def test_a_rate_that_is_too_low(train_tiny: Train) -> None:
    evidence = train_tiny(learning_rate=1e-10, epochs=2, schedule="constant").evidence
    assert {"plateau", "dead_rate", "not_converged"} == set(evidence.facts["alarms"].split(", "))


def test_learning_by_heart(train_tiny: Train) -> None:
    dice = random.Random(0)
    texts = [" ".join(f"w{dice.randrange(300)}" for _ in range(8)) for _ in range(300)]
    noise = pa.table({"text": texts, "label": [dice.choice("ab") for _ in texts], "sex": ["f"] * 300})
    options: dict[str, Any] = {"table": noise.slice(0, 200), "validation": noise.slice(200)}
    evidence = train_tiny(**options, epochs=30, positive="a", dropout=0.0, stop_on="overfitted").evidence
    assert evidence.facts["stopped_by"] == "overfitted"
    assert evidence.metrics["epochs"] < 30


def test_no_number_ends_it_at_once(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(task: TextClasses, outputs: Any, batch: Any, *, training: bool) -> Any:
        seen.append(1)
        return real(task, outputs, batch, training=training) * (math.nan if len(seen) == 14 else 1)

    seen: list[int] = []
    real = TextClasses.loss_of
    monkeypatch.setattr(TextClasses, "loss_of", spoilt)
    with pytest.raises(RunFailed, match="the loss is nan at step 14") as caught:
        train_tiny(validation=None)
    assert "learning_rate" in caught.value.hint
    assert len(seen) == 14


def test_slow_input(train_tiny: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Slow(TrainClassifier):
        def build(self, ctx: RunContext, config: TrainConfig) -> Any:
            task = super().build(ctx, config)
            batch = task.batch

            def slowly(*arguments: Any) -> Any:
                time.sleep(0.05)
                return batch(*arguments)

            task.batch = slowly  # type: ignore[method-assign]
            return task

    monkeypatch.setattr("registry.plugins.train.engine.watch.STARVED_AFTER", 0.2)
    evidence = train_tiny(plugin=Slow(), validation=None, epochs=1, folder=tmp_path).evidence
    assert evidence.metrics["alarms.starved_input"] == 1
    assert evidence.metrics["waited_share"] > 0.5


def test_words_that_no_batch_holds_do_not_stand_for_the_model(train_tiny: Train) -> None:
    """Most rows of an embedding stand still in a healthy training: they are not what is watched."""
    evidence = train_tiny(vocab_size=5000, weight_decay=0.0, epochs=2).evidence
    assert evidence.metrics["alarms.dead_rate"] == 0
