"""The estimate of a training against trainings that were measured, by tensors and by operations."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from registry.errors import BadConfig
from registry.extension import Estimate
from registry.extension.discovery import load_plugin, read_config
from registry.plugins.train.devices import KINDS, find_kind
from registry.plugins.train.engine.optimizers import build_optimizer, parameter_groups
from registry.plugins.train.tasks.decoders import build_decoder
from registry.plugins.train.tasks.text_classes import build_encoder

# What an estimate of memory may be off by, either way. What lies around for a moment in an operation
# is not estimated, and gradients come while activations go.
FACTOR = 1.25

ENCODER = {
    "hidden_size": 64,
    "layers": 3,
    "heads": 4,
    "vocab_size": 600,
    "max_length": 64,
    "batch_size": 8,
    "dropout": 0.0,  # with it, attention on a CPU is spelled out
}
DECODER = {"hidden_size": 64, "layers": 2, "heads": 4, "vocab_size": 512, "context": 128, "batch_size": 4}


def estimate(
    plugin: str, *, device: str = "h100", rows: int = 100, processes: int = 0, **options: Any
) -> Estimate:
    found = load_plugin(plugin)
    made = found.estimate(read_config(found, options), device=device, rows=rows, processes=processes)
    assert isinstance(made, Estimate)
    return made


class Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive; `peak` is their most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, tuple | list) else [out]:
            if isinstance(each, torch.Tensor):
                self.add(each)
        return out


def real(plugin: str, options: dict[str, Any]) -> tuple[Any, dict[str, torch.Tensor], Any]:
    """A model of the options, a batch at its longest, and the config."""
    config: Any = read_config(load_plugin(plugin), options)
    torch.manual_seed(0)
    if plugin == "train-classifier":
        model, length = build_encoder(["no", "yes"], config.vocab_size, config), config.max_length
    else:
        model, length = (
            build_decoder(config.family, config.vocab_size, 0, config.model_dump()),
            config.context,
        )
    return model, {"input_ids": torch.randint(1, 500, (config.batch_size, length))}, config


def step(model: Any, batch: dict[str, torch.Tensor], optimizer: Any, bf16: bool) -> None:
    cast = torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()
    with cast:
        logits = model(**batch).logits
        loss = torch.nn.functional.cross_entropy(
            logits.float().flatten(0, -2), torch.zeros(logits.shape[:-1], dtype=torch.long).flatten()
        )
    del logits
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@pytest.mark.parametrize(
    ("plugin", "options"),
    [
        ("train-classifier", ENCODER),
        ("train-classifier", {**ENCODER, "precision": "bf16"}),
        ("train-classifier", {**ENCODER, "optimizer": "sgd", "activation_checkpointing": True}),
        ("train-causal-lm", DECODER),
        ("train-causal-lm", {**DECODER, "family": "llama", "kv_heads": 2}),
    ],
    ids=["encoder", "encoder bf16", "encoder checkpointed", "gpt2", "llama"],
)
def test_memory_is_what_a_step_really_takes(plugin: str, options: dict[str, Any]) -> None:
    model, batch, config = real(plugin, options)
    if config.activation_checkpointing:
        model.config.use_cache = False
        model.activation_checkpointing_enable({"use_reentrant": False})
    model.train()
    optimizer = build_optimizer(parameter_groups(dict(model.named_parameters()), config, {}), config)
    living = Living()
    for parameter in model.parameters():
        living.add(parameter)
    with living:
        for _ in range(2):  # the optimizer's state is there from the second step on
            step(model, batch, optimizer, config.precision == "bf16")
    found = estimate(plugin, **options)
    assert found.needed / FACTOR < living.peak < found.needed * FACTOR, found.memory


@pytest.mark.parametrize(
    ("plugin", "options"),
    [("train-classifier", ENCODER), ("train-causal-lm", DECODER)],
    ids=["encoder", "gpt2"],
)
def test_parameters_and_operations_are_those_of_the_model_itself(
    plugin: str, options: dict[str, Any]
) -> None:
    model, batch, _ = real(plugin, options)
    found = estimate(plugin, **options)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    # Attention spelled out: of the kernel that a CPU has, torch counts nothing. In blocks, as it is
    # estimated, its scores are computed once more.
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        model(**batch).logits.sum().backward()
    assert found.flops_per_step == pytest.approx(counter.get_total_flops(), rel=0.04)


def test_operations_are_six_for_each_weight_and_token_and_those_of_attention() -> None:
    """Kaplan et al. (2020), section 2.1; Chowdhery et al. (2022), appendix B."""
    options = {
        "hidden_size": 768,
        "layers": 12,
        "heads": 12,
        "context": 1024,
        "vocab_size": 50257,
        "batch_size": 1,
    }
    found = estimate("train-causal-lm", family="gpt2", **options)
    weights = found.parameters - 1024 * 768  # positions are looked up; the output layer is tied, and counts
    assert found.flops_per_step == pytest.approx(1024 * (6 * weights + 12 * 12 * 768 * 1024), rel=0.03)


def test_steps_hours_and_the_whole_training() -> None:
    found = estimate("train-classifier", rows=100, epochs=3, **{**ENCODER, "batch_size": 32})
    assert found.steps == 3 * 4
    assert found.flops == 12 * found.flops_per_step
    assert found.seconds == pytest.approx(found.flops / (67e12 * 0.4))
    assert estimate("train-classifier", rows=0, **ENCODER).seconds is None
    assert estimate("train-classifier", rows=0, steps=7, **ENCODER).steps == 7
    assert estimate("train-classifier", device="24GiB", **ENCODER).seconds is None


def test_what_processes_share_is_divided() -> None:
    one = estimate("train-classifier", **ENCODER)
    sharded = estimate("train-classifier", shards=4, **ENCODER)
    assert sharded.processes == 4
    assert sharded.memory["optimizer"] == one.memory["optimizer"] // 4
    assert sharded.memory["activations"] == pytest.approx(one.memory["activations"] / 4, rel=0.01)
    assert one.memory["weights"] / 4 < sharded.memory["weights"] < one.memory["weights"]
    tensor = estimate("train-classifier", tensor=2, **ENCODER)
    assert tensor.memory["weights"] == one.memory["weights"] // 2
    assert tensor.memory["activations"] == pytest.approx(one.memory["activations"] / 2, rel=0.01)
    replicas = estimate("train-classifier", processes=2, **ENCODER)
    assert replicas.memory["weights"] == one.memory["weights"]
    assert replicas.seconds is not None
    assert one.seconds is not None
    assert replicas.seconds == pytest.approx(one.seconds / 2)


def bytes_kept(optimizer: torch.optim.Optimizer) -> int:
    """What it remembers of the weights; counters of steps are no matter."""
    return sum(
        4 * value.numel()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor) and value.ndim
    )


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({"optimizer": "adamw"}, 2),
        ({"optimizer": "adadelta"}, 2),
        ({"optimizer": "adagrad"}, 1),
        ({"optimizer": "sgd"}, 1),
        ({"optimizer": "sgd", "beta1": 0}, 0),
        ({"optimizer": "sgd", "beta1": 0, "ema": 0.9}, 1),
    ],
)
def test_what_an_optimizer_keeps(options: dict[str, Any], numbers: int) -> None:
    model, batch, config = real("train-classifier", {**ENCODER, **options})
    optimizer = build_optimizer(parameter_groups(dict(model.named_parameters()), config, {}), config)
    step(model, batch, optimizer, bf16=False)
    kept = bytes_kept(optimizer)
    found = estimate("train-classifier", **ENCODER, **options)
    assert found.memory["optimizer"] == 4 * numbers * found.parameters
    averaged = 4 * found.parameters if config.ema else 0
    assert kept + averaged == found.memory["optimizer"]


def test_adafactor_keeps_rows_and_columns() -> None:
    model, batch, config = real("train-classifier", {**ENCODER, "optimizer": "adafactor"})
    optimizer = build_optimizer(parameter_groups(dict(model.named_parameters()), config, {}), config)
    step(model, batch, optimizer, bf16=False)
    kept = bytes_kept(optimizer)
    assert estimate("train-classifier", **ENCODER, optimizer="adafactor").memory["optimizer"] == kept


class TestWhatWouldMakeItFit:
    BIG = {"hidden_size": 1024, "layers": 8, "heads": 16, "max_length": 512, "batch_size": 256}

    def sizes(self, **options: Any) -> tuple[Estimate, Callable[..., Estimate]]:
        found = estimate("train-classifier", device="24GiB", **self.BIG, **options)
        return found, lambda **more: estimate(
            "train-classifier", device="24GiB", **{**self.BIG, **options, **more}
        )

    def test_each_remedy_is_one(self) -> None:
        found, again = self.sizes()
        assert not found.fits
        assert len(found.remedies) >= 2
        for remedy in found.remedies:
            assert again(**dict(word.split("=") for word in remedy.split())).fits, remedy

    def test_the_largest_micro_batch_is_named(self) -> None:
        found, again = self.sizes()
        (remedy,) = (remedy for remedy in found.remedies if remedy.startswith("micro_batch="))
        size = int(remedy.partition("=")[2])
        assert not again(micro_batch=2 * size).fits

    def test_nothing_is_said_where_nothing_helps(self) -> None:
        found = estimate("train-classifier", device="8MiB", **self.BIG)
        assert (found.fits, found.remedies) == (False, ())

    def test_what_fits_needs_no_remedy(self) -> None:
        found = estimate("train-classifier", **ENCODER)
        assert (found.fits, found.remedies) == (True, ())


class TestDevices:
    def test_this_machine_is_measured(self) -> None:
        found = find_kind("cpu")
        assert found.memory > 2**30
        assert 1e8 < found.speeds["fp32"] < 1e14

    @pytest.mark.parametrize(
        ("words", "size"), [("24GiB", 24 * 2**30), ("1.5 TiB", 1.5 * 2**40), ("512MB", 2**29)]
    )
    def test_memory_alone(self, words: str, size: float) -> None:
        assert find_kind(words).memory == size

    @pytest.mark.parametrize(("name", "hint"), [("h10", "did you mean 'h100'?"), ("abacus", "known: ")])
    def test_no_device(self, name: str, hint: str) -> None:
        with pytest.raises(BadConfig, match=f"there is no device '{name}'") as caught:
            find_kind(name)
        assert caught.value.hint.startswith(hint)

    def test_every_kind_says_where_its_figures_come_from(self) -> None:
        for name, device in KINDS.items():
            assert "datasheet" in device.source
            assert device.speeds["fp32"] <= device.speeds["fp16"], name

    def test_a_precision_that_is_not_there(self) -> None:
        with pytest.raises(BadConfig, match="t4 does not compute in bf16"):
            estimate("train-classifier", device="t4", precision="bf16", **ENCODER)

    def test_processes_that_cannot_be_cut(self) -> None:
        with pytest.raises(BadConfig, match="3 processes cannot be cut"):
            estimate("train-classifier", processes=3, shards=2, **ENCODER)


@pytest.mark.parametrize(
    "name", ["train-classifier", "train-causal-lm", "train-masked-lm", "train-seq2seq", "train-tagger"]
)
def test_every_plugin_of_text_can_be_estimated(name: str) -> None:
    found = estimate(name, activation_checkpointing=True, precision="bf16")
    assert found.fits
    assert found.parameters > 1e5


@pytest.mark.parametrize("name", ["train-image-classifier", "train-detector"])
def test_pictures_can_be_estimated(name: str) -> None:
    assert estimate(name, precision="bf16").parameters > 1e4


def test_a_detector_can_be_estimated_by_a_process_that_loaded_a_model_before(tmp_path: Path) -> None:
    """Transformers replaces linspace while it loads, and torch may remember that for devices ever after."""
    program = f"""
from registry.extension.discovery import load_plugin, read_config
from registry.plugins.train.picture_options import ImageConfig
from registry.plugins.train.tasks.picture_models import build_classifier
config = ImageConfig(family="vit", size=8, channels=1, hidden_size=8, layers=1, heads=1)
model = build_classifier("ab", config)
model.save_pretrained({str(tmp_path)!r})
type(model).from_pretrained({str(tmp_path)!r})
plugin = load_plugin("train-detector")
print(plugin.estimate(read_config(plugin, {{}}), device="h100", rows=1, processes=0).parameters)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1e4


def test_a_network_that_cannot_compute_again_says_so() -> None:
    with pytest.raises(BadConfig, match="cannot do activation_checkpointing"):
        estimate("train-image-classifier", family="resnet", activation_checkpointing=True)
