"""Processes that share a training: as one process does it, or not at all; and none is left waiting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from training.conftest import BASE, Results

from registry.errors import BadConfig
from registry.extension.testing import dataset_input
from registry.plugins.train.engine.batches import share
from registry.plugins.train.engine.join import check_sizes
from registry.plugins.train.engine.options import TorchConfig

OneProcess = Callable[..., Results]
Together = Callable[..., dict[str, list[Results]]]

# Whatever acts on weights in pieces: a moving average, L1, decay beside the step, momentum, a tied head.
RICH = {
    **BASE,
    "ema": 0.8,
    "l1": 1e-4,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "activation_checkpointing": True,
}
TWO: dict[str, dict[str, Any]] = {
    "DDP x 2": {"config": BASE},
    "FSDP2 x 2 (Shard(0))": {"config": {**BASE, "shards": 2}},
    "TP x 2": {"config": {**BASE, "tensor": 2}},
    "pipeline 1F1B x 2, 2 stages of 2 layers": {"config": {**BASE, "pipeline": 2}},
    "ddp bf16": {"config": {**BASE, "precision": "bf16"}},
    "shards rich": {"config": {**RICH, "shards": 2}, "shape": {"tied": True}},
    "tensor rich": {"config": {**RICH, "tensor": 2}, "shape": {"tied": True}},
    "pipeline rich": {"config": {**RICH, "pipeline": 2}, "model": "gpt2"},
    "pipeline bf16": {"config": {**BASE, "pipeline": 2, "precision": "bf16"}},
    "shards fp16": {"config": {**BASE, "shards": 2, "precision": "fp16"}},
}
FOUR: dict[str, dict[str, Any]] = {
    "DDP x 4": {"config": {**BASE, "micro_batch": 2}},
    "FSDP2 x 4 (Replicate x 2, Shard(0))": {"config": {**BASE, "shards": 2, "micro_batch": 2}},
    "TP x 2 x FSDP2 x 2 (Shard(0))": {"config": {**BASE, "steps": 3, "tensor": 2, "shards": 2}},
    "TP x 2 x FSDP2 x 2 (Replicate x 2)": {"config": {**BASE, "steps": 3, "tensor": 2}},
    "pipeline 1F1B x 2, 2 stages of 2 layers x DDP x 2": {"config": {**BASE, "pipeline": 2}},
    "pipeline 1F1B x 2, 2 stages of 2 layers x FSDP2 x 2 (Shard(0))": {
        "config": {**BASE, "pipeline": 2, "shards": 2},
        "shape": {"tied": True},
    },
    "pipeline 1F1B x 2, 2 stages of 2 layers x TP x 2": {
        "config": {**BASE, "steps": 3, "pipeline": 2, "tensor": 2}
    },
    "pipeline 1F1B x 4, 4 stages of 1 layers": {"config": {**BASE, "pipeline": 4, "micro_batch": 2}},
}
HALFWAY = {"rank": 0, "step": 2, "what": "told"}
RESUMED: dict[str, dict[str, Any]] = {
    # Begun here with some sizes, ended with others; or begun by one process and ended here.
    "shards begin": {"config": {**RICH, "shards": 2}, "happens": HALFWAY, "folder": "from shards"},
    "pipeline begin": {"config": {**BASE, "pipeline": 2}, "happens": HALFWAY, "folder": "from stages"},
    "shards end": {"config": {**RICH, "shards": 2}, "folder": "to shards"},
    "pipeline end": {"config": {**BASE, "pipeline": 2}, "folder": "to stages"},
    "stages to tensors, begin": {"config": {**BASE, "pipeline": 2}, "happens": HALFWAY, "folder": "between"},
    "stages to tensors, end": {"config": {**BASE, "tensor": 2}, "folder": "between"},
}
STOPPED: dict[str, dict[str, Any]] = {
    "told": {"config": BASE, "happens": {"rank": 1, "step": 3, "what": "told"}},
    "cancelled": {"config": {**BASE, "pipeline": 2}, "happens": {"rank": 1, "step": 1, "what": "cancelled"}},
    "nan": {"config": {**BASE, "shards": 2, "optimizer": "sgd", "learning_rate": 1e30, "clip": 0}},
    "differs": {"config": BASE, "differs": True},
    "dies": {"config": BASE, "happens": {"rank": 1, "step": 1, "what": "dies"}},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no plan": ({"config": {**BASE, "tensor": 2}, "model": "gpt2"}, "no plan for tensor parallelism"),
    "plan for nothing": ({"config": {**BASE, "tensor": 2}, "plan": {}}, "got tensor x 1"),
    # Each process would see its half of the vocabulary.
    "wrong plan": ({"config": {**BASE, "tensor": 2}, "plan": {"lm_head": "colwise"}}, "cannot be shared"),
    "strange plan": (
        {"config": {**BASE, "tensor": 2}, "plan": {"model.layers.*.mlp": "moe_tp_experts"}},
        "asks for moe_tp_experts, which is not supported",
    ),
    "heads": (
        {"config": {**BASE, "tensor": 2}, "shape": {"heads": 3, "width": 48}},
        "does not divide num_attention_heads 3",
    ),
    "few batches": ({"config": {**BASE, "pipeline": 2, "micro_batch": 0}}, "2 stages need as many"),
    "few layers": ({"config": {**BASE, "pipeline": 2}, "shape": {"layers": 1}}, "the model has 1 layers"),
    "compile": ({"config": {**BASE, "shards": 2, "compile": True}}, "compile works with data parallelism"),
    "adafactor": ({"config": {**BASE, "shards": 2, "optimizer": "adafactor"}}, "adafactor looks at whole"),
    "tf32": ({"config": {**BASE, "precision": "tf32"}}, "tf32"),
}
CLASSIFIER = {
    "epochs": 1, "batch_size": 16, "hidden_size": 16, "layers": 2, "heads": 2, "vocab_size": 270,
    "dropout": 0.0, "max_length": 16, "learning_rate": 3e-3,
}  # fmt: skip
PLUGIN: dict[str, dict[str, Any]] = {
    "plugin shards": {"config": {**CLASSIFIER, "shards": 2}},
    "plugin ddp": {"config": CLASSIFIER},
}


@pytest.fixture(scope="module")
def sentiments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Datasets of a tiny classifier, as JSON."""
    texts = [f"{'good' if row % 2 else 'bad'} film number {row}" for row in range(41)]
    table = pa.table({"text": texts, "label": ["+" if row % 2 else "-" for row in range(41)]})
    folder = tmp_path_factory.mktemp("sentiments")
    return {
        role: dataset_input(folder / role, table, role=role, text="text", label="label").model_dump(
            mode="json"
        )
        for role in ("train", "validation")
    }


@pytest.fixture(scope="module")
def two(together: Together, one_process: OneProcess, sentiments: dict[str, Any]) -> dict[str, list[Results]]:
    def prepare(folder: Path) -> dict[str, Any]:
        for config, name in ((RICH, "to shards"), (BASE, "to stages")):
            told = one_process({"config": config, "happens": HALFWAY}, folder / name)
            assert told["error"] == "Preempted"
        refused = {name: case for name, (case, _) in REFUSED.items()}
        plugin = {name: {**case, "data": sentiments} for name, case in PLUGIN.items()}
        return {**TWO, **RESUMED, **refused, **plugin, **STOPPED}

    return together(2, prepare)


@pytest.fixture(scope="module")
def four(together: Together) -> dict[str, list[Results]]:
    return together(4, lambda folder: FOUR)


def alone(case: dict[str, Any]) -> dict[str, Any]:
    """The same training without what shares it."""
    config = {k: v for k, v in case["config"].items() if k not in ("tensor", "pipeline", "shards")}
    return {k: v for k, v in {**case, "config": config}.items() if k not in ("folder", "happens")}


def same(ours: Results, one: Results, name: str, *, within: float = 5e-5) -> None:
    """Losses and norms of every step, validation losses, and every weight at the end."""
    assert "error" not in ours, ours
    assert ours["losses"] == pytest.approx(one["losses"], abs=within)
    assert ours["norms"] == pytest.approx(one["norms"], abs=10 * within)
    assert [loss for _, loss in ours["validation"]] == pytest.approx(
        [loss for _, loss in one["validation"]], abs=within
    )
    ended, expected = (
        load_file(ours["folder"] / f"{name}.safetensors"),
        load_file(one["folder"] / "one.safetensors"),
    )
    assert ended.keys() == expected.keys()
    for key, weight in ended.items():
        torch.testing.assert_close(weight, expected[key], atol=100 * within, rtol=0, msg=key)


class TestSameAsOneProcess:
    @pytest.mark.parametrize("name", TWO)
    def test_on_two(self, name: str, two: dict[str, list[Results]], one_process: OneProcess) -> None:
        # Half precision rounds at other places when sums are split.
        within = 5e-3 if "16" in name else 5e-5
        same(two[name][0], one_process(alone(TWO[name])), name, within=within)

    @pytest.mark.parametrize("name", FOUR)
    def test_on_four(self, name: str, four: dict[str, list[Results]], one_process: OneProcess) -> None:
        same(four[name][0], one_process(alone(FOUR[name])), name)

    def test_the_last_rows_do_not_suffice_for_everybody(self) -> None:
        # What the trainings above are compared on: 41 rows in steps of 16 leave 9.
        assert [] in share(range(9), 1, 2, 4)
        assert [] in share(range(9), 3, 4, 2)

    @pytest.mark.parametrize("name", [name for name in (*TWO, *FOUR) if " x " in name])
    def test_what_ran_is_read_from_what_ran(
        self, name: str, two: dict[str, list[Results]], four: dict[str, list[Results]]
    ) -> None:
        facts = {**two, **four}[name][0]["facts"]
        assert facts["strategy"] == name
        assert facts["processes"] == ("2" if name in TWO else "4")
        assert facts["backend"] == "gloo"

    def test_a_mesh_is_told_by_its_sizes(self, four: dict[str, list[Results]]) -> None:
        assert four["FSDP2 x 4 (Replicate x 2, Shard(0))"][0]["facts"]["mesh"] == "data 2, shard 2"


class TestPlugin:
    @pytest.mark.parametrize("name", PLUGIN)
    def test_the_first_process_saves_and_gives_account(
        self, name: str, two: dict[str, list[Results]], one_process: OneProcess, sentiments: dict[str, Any]
    ) -> None:
        first, other = two[name]
        one = one_process({"config": CLASSIFIER, "data": sentiments})
        for metric in ("first_loss", "train_loss", "validation_loss"):
            assert first["metrics"][metric] == pytest.approx(one["metrics"][metric], abs=5e-5)
        for metric in ("tokens", "parameters", "parameters.trained", "label_audit.mismatches"):
            assert first["metrics"][metric] == one["metrics"][metric]
        assert first["metrics"]["parity.max_difference"] < 1e-5
        assert first["artifact"] == one["artifact"]
        assert other["metrics"] == {}


class TestOtherSizes:
    def test_begun_with_shards_ended_alone(
        self, two: dict[str, list[Results]], one_process: OneProcess
    ) -> None:
        began = two["shards begin"][0]
        assert began["error"] == "Preempted"
        ended = one_process({"config": RICH}, began["folder"])
        assert ended["resumed_from"] == "step-000000002"
        same(ended, one_process({"config": RICH}), "one")

    def test_begun_with_stages_ended_alone(
        self, two: dict[str, list[Results]], one_process: OneProcess
    ) -> None:
        ended = one_process({"config": BASE}, two["pipeline begin"][0]["folder"])
        assert ended["resumed_from"] == "step-000000002"
        same(ended, one_process({"config": BASE}), "one")

    @pytest.mark.parametrize("name", ["shards end", "pipeline end", "stages to tensors, end"])
    def test_begun_otherwise_ended_together(
        self, name: str, two: dict[str, list[Results]], one_process: OneProcess
    ) -> None:
        assert two[name][0]["resumed_from"] == "step-000000002"
        same(two[name][0], one_process(alone(RESUMED[name])), name)


class TestAllStopAlike:
    def test_told_on_one_process_saves_on_all(self, two: dict[str, list[Results]]) -> None:
        assert [result["error"] for result in two["told"]] == ["Preempted", "Preempted"]
        assert (two["told"][0]["folder"] / "training" / "step-000000003").is_dir()

    def test_cancelled_on_one_process(self, two: dict[str, list[Results]]) -> None:
        assert [result["error"] for result in two["cancelled"]] == ["Cancelled", "Cancelled"]

    def test_a_loss_that_is_no_number(self, two: dict[str, list[Results]]) -> None:
        assert [result["error"] for result in two["nan"]] == ["RunFailed", "RunFailed"]

    def test_who_is_left_alone_leaves_the_word_to_who_failed(self, two: dict[str, list[Results]]) -> None:
        assert [result["error"] for result in two["dies"]] == ["Preempted", "KeyError"]

    def test_processes_that_built_different_things(self, two: dict[str, list[Results]]) -> None:
        assert [result["error"] for result in two["differs"]] == ["RunFailed", "RunFailed"]
        assert "process 1 is not that of process 0" in two["differs"][0]["says"]


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED)
    def test_what_would_not_happen(self, name: str, two: dict[str, list[Results]]) -> None:
        for result in two[name]:
            assert result["error"] == "BadConfig"
            assert REFUSED[name][1] in result["says"]
            assert result["hint"]

    @pytest.mark.parametrize(
        ("processes", "sizes", "says", "hint"),
        [
            (1, {"tensor": 2}, "tensor 2, and the run has one process", "--processes 2"),
            (1, {"tensor": 2, "shards": 3}, "tensor 2 x shards 3", "--processes 6"),
            (4, {"pipeline": 3}, "pipeline 3 does not divide the run's 4 processes", "--processes 6"),
            (2, {"tensor": 2, "pipeline": 2}, "tensor 2 x pipeline 2 = 4", "--processes 4"),
            (8, {"batch_size": 4}, "a batch_size of 4 leaves some of 8 processes", "batch_size=8"),
        ],
    )
    def test_sizes_that_do_not_multiply(
        self, processes: int, sizes: dict[str, int], says: str, hint: str
    ) -> None:
        with pytest.raises(BadConfig, match=says) as refused:
            check_sizes(processes, TorchConfig(**sizes))
        assert hint in (refused.value.hint or "")

    def test_sizes_that_do(self) -> None:
        check_sizes(8, TorchConfig(tensor=2, pipeline=2, shards=2))
        check_sizes(8, TorchConfig(shards=2))
