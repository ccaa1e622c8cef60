"""Optimizers, decay, schedules and averages against torch's and transformers' own, and against hand work."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim

from registry.errors import BadConfig
from registry.extension import RunContext, Trained
from registry.extension.context import EVENTS
from registry.plugins.train.engine import average
from registry.plugins.train.engine.optimizers import (
    add_l1,
    build_optimizer,
    decay_coupled,
    decay_decoupled,
    parameter_groups,
    set_rate,
)
from registry.plugins.train.engine.options import OPTIMIZERS, SCHEDULES, TorchConfig
from registry.plugins.train.engine.schedules import Plateau, rate_factor

Train = Callable[..., Trained]
RATE, DECAY = 0.05, 0.1


class Net(nn.Module):
    """Two matrices, a bias, a norm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Linear(5, 4)
        self.norm = nn.LayerNorm(4)
        self.two = nn.Linear(4, 1, bias=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.two(torch.tanh(self.norm(self.one(rows))))


def rows(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    dice = torch.Generator().manual_seed(step)
    inputs = torch.randn(8, 5, generator=dice)
    return inputs, inputs.sum(1, keepdim=True)


def ours(steps: int = 6, **options: Any) -> Net:
    """A net after some steps as the loop takes them."""
    net = Net()
    config = TorchConfig(learning_rate=RATE, **options)
    optimizer = build_optimizer(parameter_groups(dict(net.named_parameters()), config, {}), config)
    for step in range(steps):
        set_rate(optimizer, config, 1.0)
        inputs, wanted = rows(step)
        nn.functional.mse_loss(net(inputs), wanted).backward()
        if config.l1:
            add_l1(optimizer.param_groups, config.l1)
        decay_coupled(optimizer)
        decay_decoupled(optimizer)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return net


def theirs(
    build: Callable[[list[dict[str, Any]]], optim.Optimizer], steps: int = 6, decay: float = 0.0
) -> Net:
    """A net after some steps of an optimizer of torch's own: biases and norms are not decayed."""
    net = Net()
    groups = [
        {"params": [net.one.weight, net.two.weight], "weight_decay": decay},
        {"params": [net.one.bias, *net.norm.parameters()], "weight_decay": 0.0},
    ]
    optimizer = build(groups)
    for step in range(steps):
        inputs, wanted = rows(step)
        nn.functional.mse_loss(net(inputs), wanted).backward()
        optimizer.step()
        optimizer.zero_grad()
    return net


def alike(one: nn.Module, other: nn.Module, tolerance: float = 1e-6) -> None:
    for (name, mine), yours in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(mine, yours, rtol=tolerance, atol=tolerance), name


# Torch's own, from the formulas in plain Python (no fused kernel, no foreach).
THEIRS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda groups: optim.SGD(groups, lr=RATE, momentum=0.9, foreach=False),
    "adagrad": lambda groups: optim.Adagrad(groups, lr=RATE, foreach=False),
    "adadelta": lambda groups: optim.Adadelta(groups, lr=RATE, rho=0.999, foreach=False),
    "adam": lambda groups: optim.Adam(groups, lr=RATE, betas=(0.9, 0.999), foreach=False),
    "adamw": lambda groups: optim.AdamW(groups, lr=RATE, betas=(0.9, 0.999), foreach=False),
    "adafactor": lambda groups: optim.Adafactor(groups, lr=RATE, foreach=False),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_without_decay_it_is_torchs(name: str) -> None:
    alike(ours(optimizer=name, weight_decay=0.0), theirs(THEIRS[name]))


@pytest.mark.parametrize("name", ["sgd", "adagrad", "adadelta", "adam"])
def test_coupled_decay_is_torchs(name: str) -> None:
    """L2: what these optimizers of torch call weight_decay."""
    alike(ours(optimizer=name, weight_decay=DECAY, decay="coupled"), theirs(THEIRS[name], decay=DECAY))


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_decoupled_decay_is_torchs(name: str) -> None:
    alike(ours(optimizer=name, weight_decay=DECAY), theirs(THEIRS[name], decay=DECAY))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decoupled_decay_shrinks_matrices_beside_the_step(name: str) -> None:
    """Loshchilov and Hutter (2019), algorithm 1: w - rate * decay * w, then the step of the bare gradient."""
    plain = ours(steps=1, optimizer=name, weight_decay=0.0)
    decayed = ours(steps=1, optimizer=name, weight_decay=DECAY)
    begun = Net()
    for (key, start), without, with_decay in zip(
        begun.named_parameters(), plain.parameters(), decayed.parameters(), strict=True
    ):
        shrunk = RATE * DECAY * start if start.ndim > 1 else torch.zeros_like(start)
        assert torch.allclose(with_decay, without - shrunk, atol=1e-6), key


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_coupled_decay_is_in_the_gradient(name: str) -> None:
    """For each optimizer, Adafactor too: the same as adding half the squared norm of matrices to the loss."""
    net = Net()
    config = TorchConfig(learning_rate=RATE, optimizer=name, weight_decay=0.0)
    optimizer = build_optimizer(parameter_groups(dict(net.named_parameters()), config, {}), config)
    for step in range(4):
        inputs, wanted = rows(step)
        squares = sum(weight.square().sum() for weight in (net.one.weight, net.two.weight))
        (nn.functional.mse_loss(net(inputs), wanted) + DECAY / 2 * squares).backward()
        optimizer.step()
        optimizer.zero_grad()
    alike(ours(steps=4, optimizer=name, weight_decay=DECAY, decay="coupled"), net, 1e-5)


def test_l1_is_in_the_gradient() -> None:
    net = Net()
    optimizer = optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
    for step in range(4):
        inputs, wanted = rows(step)
        sizes = sum(weight.abs().sum() for weight in (net.one.weight, net.two.weight))
        (nn.functional.mse_loss(net(inputs), wanted) + 0.02 * sizes).backward()
        optimizer.step()
        optimizer.zero_grad()
    alike(ours(steps=4, optimizer="sgd", weight_decay=0.0, l1=0.02), net)


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("sgd", lambda g: RATE * g),
        ("adagrad", lambda g: RATE * g / (abs(g) + 1e-10)),
        ("adam", lambda g: RATE * g / (abs(g) + 1e-8)),
        # The mean square of the steps is 0 yet; rho 0.999.
        ("adadelta", lambda g: RATE * g * math.sqrt(1e-6) / math.sqrt(0.001 * g * g + 1e-6)),
    ],
)
def test_a_first_step_by_hand(name: str, moved: Callable[[float], float]) -> None:
    weight = nn.Parameter(torch.tensor([[2.0]], dtype=torch.float64))
    config = TorchConfig(learning_rate=RATE, optimizer=name, weight_decay=0.0)
    optimizer = build_optimizer([{"params": [weight], "share": 1.0, "weight_decay": 0.0, "lr": RATE}], config)
    weight.grad = torch.tensor([[0.3]], dtype=torch.float64)
    optimizer.step()
    assert weight.item() == pytest.approx(2.0 - moved(0.3), rel=1e-9)


def test_rates_by_name_and_frozen_weights() -> None:
    net = Net()
    net.two.weight.requires_grad_(False)
    config = TorchConfig(learning_rate=RATE)
    groups = parameter_groups(dict(net.named_parameters()), config, {"one.weight": 0.1})
    assert sum(len(group["params"]) for group in groups) == 4
    optimizer = build_optimizer(groups, config)
    assert set_rate(optimizer, config, 0.5) == RATE / 2
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert rates[id(net.one.weight)] == pytest.approx(RATE / 20)
    assert rates[id(net.one.bias)] == pytest.approx(RATE / 2)


# -- schedules ---------------------------------------------------------------------------------------


def factors(steps: int, **options: Any) -> list[float]:
    config = TorchConfig(**options)
    return [rate_factor(config, step, steps) for step in range(steps)]


def transformers_factors(name: str, steps: int, warm: int, **more: Any) -> list[float]:
    import transformers

    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    make = getattr(transformers, f"get_{name}_schedule_with_warmup")
    schedule = make(optimizer, num_warmup_steps=warm, num_training_steps=steps, **more)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("ours", "theirs", "more"),
    [("linear", "linear", {}), ("cosine", "cosine", {}), ("polynomial", "polynomial_decay", {"power": 2.0})],
)
@pytest.mark.parametrize("warm", [0, 10])
def test_after_the_warm_up_it_is_transformers(
    ours: str, theirs: str, more: dict[str, float], warm: int
) -> None:
    given_end = {"lr_end": 1e-12} if ours == "polynomial" else {}
    found = transformers_factors(theirs, 100, warm, **more, **given_end)
    assert factors(100, schedule=ours, warmup=warm / 100)[warm:] == pytest.approx(found[warm:], abs=1e-9)


def test_a_warm_up_rises_to_the_peak_and_wastes_no_step() -> None:
    for schedule in set(SCHEDULES) - {"one-cycle"}:
        found = factors(100, schedule=schedule, warmup=0.1)
        assert found[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
        assert found[10] == 1.0


def test_one_cycle_is_torchs() -> None:
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    # Its rise ends at step `pct_start * total_steps - 1`, ours at the end of the warm-up.
    schedule = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=100, pct_start=0.21, div_factor=25, final_div_factor=400,
        cycle_momentum=False,
    )  # fmt: skip
    found = []
    for _ in range(100):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert factors(100, schedule="one-cycle", warmup=0.2) == pytest.approx(found, abs=1e-9)


def test_step_decay_is_torchs() -> None:
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=25, gamma=0.3)
    found = []
    for _ in range(100):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert factors(100, schedule="step", warmup=0) == pytest.approx(found)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=40), st.integers(1, 4))
def test_plateau_is_torchs(losses: list[float], patience: int) -> None:
    """Torch's patience is of evaluations that are allowed to be bad: one fewer than those that drop it."""
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.3, patience=patience - 1, threshold=0.0, min_lr=0.01, eps=0.0
    )
    mine = Plateau(TorchConfig(schedule="plateau", rate_factor=0.3, rate_patience=patience, final_rate=0.01))
    for number, loss in enumerate(losses):
        if number == len(losses) // 2:  # a resumed run goes on
            state = json.loads(json.dumps(mine.state()))
            mine = Plateau(
                TorchConfig(schedule="plateau", rate_factor=0.3, rate_patience=patience, final_rate=0.01)
            )
            mine.load(state)
        schedule.step(loss)
        mine.see(loss)
        assert mine.factor == pytest.approx(optimizer.param_groups[0]["lr"])


@given(
    st.sampled_from(SCHEDULES), st.integers(1, 300), st.floats(0, 0.9), st.floats(0, 0.9), st.integers(1, 9)
)
def test_every_rate_is_a_share_of_the_peak(
    schedule: str, steps: int, warmup: float, final: float, drops: int
) -> None:
    found = factors(steps, schedule=schedule, warmup=warmup, final_rate=final, rate_steps=drops)
    assert all(0 < factor <= 1 for factor in found)
    if schedule != "one-cycle":
        warm = math.ceil(warmup * steps)
        assert all(factor >= final for factor in found[warm:])
        assert all(a >= b for a, b in zip(found[warm:], found[warm + 1 :], strict=False))


# -- averages ----------------------------------------------------------------------------------------


def test_the_average_is_torchs() -> None:
    net = Net()
    mean = optim.swa_utils.AveragedModel(net, multi_avg_fn=optim.swa_utils.get_ema_multi_avg_fn(0.8))
    optimizer = optim.SGD(net.parameters(), lr=RATE)
    for step in range(8):
        inputs, wanted = rows(step)
        nn.functional.mse_loss(net(inputs), wanted).backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update(optimizer, 0.8)
        mean.update_parameters(net)
    kept = [weight.detach().clone() for weight in net.parameters()]
    with average.averaged(optimizer):
        alike(net, mean.module)
    assert all(torch.equal(weight, old) for weight, old in zip(net.parameters(), kept, strict=True))
    average.settle(optimizer)
    alike(net, mean.module)


def test_what_is_kept_is_the_average(train_tiny: Train) -> None:
    """Its validation loss is that which the last evaluation told, of the averaged weights."""
    plain, averaged = (train_tiny(ema=ema, epochs=1).evidence.metrics for ema in (0.0, 0.999))
    assert averaged["validation_loss"] > plain["validation_loss"]  # it lags behind
    assert averaged["train_loss"] == plain["train_loss"]  # and the training does not see it


# -- the loop ----------------------------------------------------------------------------------------


def told(trained: Trained, name: str) -> list[float]:
    lines = (trained.path.parents[1] / EVENTS).read_text().splitlines()
    return [event["value"] for event in map(json.loads, lines) if event.get("name") == name]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_added_up_are_those_of_one_large_batch(train_tiny: Train, smoothing: float) -> None:
    options = {"epochs": 1, "dropout": 0.0, "label_smoothing": smoothing, "class_weight": "balanced"}
    one = train_tiny(**options)
    for size in (7, 32):
        parts = train_tiny(**options, micro_batch=size)
        for name in ("loss", "gradient_norm"):
            assert told(parts, name) == pytest.approx(told(one, name), rel=2e-4)


def test_a_clipped_gradient_moves_no_further(train_tiny: Train) -> None:
    """With plain SGD, the first step is `rate * clip` long, whatever the gradient was."""
    options = {"epochs": 1, "optimizer": "sgd", "beta1": 0.0, "weight_decay": 0.0, "warmup": 0.0}
    long, short = (train_tiny(**options, steps=1, learning_rate=1.0, clip=clip) for clip in (0.0, 0.01))
    from safetensors.torch import load_file

    begun = load_file(train_tiny(**options, steps=1, learning_rate=1e-9).path / "model.safetensors")

    def distance(trained: Trained) -> float:
        now = load_file(trained.path / "model.safetensors")
        return math.sqrt(sum(float((now[name] - begun[name]).square().sum()) for name in begun))

    (norm,) = told(long, "gradient_norm")
    assert told(short, "gradient_norm") == [norm]  # told as it was before
    assert distance(long) == pytest.approx(norm, rel=1e-3)
    assert distance(short) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_the_same(train_tiny: Train, precision: str) -> None:
    trained = train_tiny(precision=precision)
    assert trained.evidence.metrics["converged"] == 1.0
    assert trained.evidence.metrics["validation_loss"] < 0.4
    name = {"bf16": "bfloat16", "fp16": "float16"}[precision]
    assert trained.evidence.facts["precision"] == f"float32, autocast to {name}"


def test_fp16_that_overflows_leaves_the_step_out_and_goes_on(
    train_tiny: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scale begins at 65536 and is halved at each overflow, which is no fault of the training."""
    from registry.plugins.train.tasks.text_classes import TextClasses

    real = TextClasses.loss_of
    monkeypatch.setattr(TextClasses, "loss_of", lambda *given, **more: real(*given, **more) * 1e4)
    trained = train_tiny(precision="fp16")
    norms, losses = told(trained, "gradient_norm"), told(trained, "loss")
    assert all(map(math.isfinite, norms))
    assert 0 < len(norms) < len(losses)
    assert losses[-1] < 0.8 * losses[0]


def test_tf32_needs_a_gpu_that_has_it(train_tiny: Train) -> None:
    with pytest.raises(BadConfig, match="tf32"):
        train_tiny(precision="tf32", epochs=1)


def test_activations_computed_twice_give_the_same(train_tiny: Train) -> None:
    one, other = (
        told(train_tiny(epochs=1, activation_checkpointing=twice), "loss") for twice in (False, True)
    )
    assert one == other


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_resumes_bit_by_bit(train_tiny: Train, name: str, tmp_path: Path) -> None:
    """Its state goes through a checkpoint and back: killed after an epoch, it ends with the same weights."""
    from registry.errors import Cancelled
    from registry.extension.context import CANCEL
    from registry.plugins.train.classifier import TrainClassifier

    options = {"optimizer": name, "epochs": 2, "decay": "coupled" if name == "adafactor" else "decoupled"}
    whole = train_tiny(**options, ema=0.5)
    real = RunContext.checkpoint

    def dies(ctx: RunContext, folder: Path, step: int) -> None:
        real(ctx, folder, step)
        (ctx.folder / CANCEL).touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunContext, "checkpoint", dies)
        with pytest.raises(Cancelled):
            train_tiny(**options, ema=0.5, folder=tmp_path, plugin=TrainClassifier())
    (tmp_path / "run" / CANCEL).unlink()
    resumed = train_tiny(**options, ema=0.5, folder=tmp_path)
    assert resumed.evidence.facts["resumed_from"] != "start"
    for file in ("model.safetensors", "README.md"):
        assert (resumed.path / file).read_bytes() == (whole.path / file).read_bytes()
