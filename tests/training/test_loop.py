"""The loop on one process: what it adds up, keeps, goes on from, and is fed."""

from __future__ import annotations

import math
import re
import shutil
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training.conftest import BASE, Results

from registry.errors import BadConfig, RunFailed
from registry.plugins.train.engine.device import check_compiler
from registry.plugins.train.engine.feed import Feed, Portion
from registry.plugins.train.engine.scaling import LossScale

OneProcess = Callable[..., Results]

RESUMED: dict[str, dict[str, Any]] = {
    "dropout": {"config": {**BASE, "steps": 7}, "model": "gpt2", "shape": {"dropout": 0.2}},
    "plateau, average, patience": {
        "config": {
            **BASE, "steps": 8, "schedule": "plateau", "rate_patience": 1, "learning_rate": 0.05, "ema": 0.7,
            "patience": 9, "evaluate_every": 1,
        },
    },
    "fp16": {"config": {**BASE, "steps": 6, "precision": "fp16", "clip": 0, "learning_rate": 0.01}},
    "adafactor": {"config": {**BASE, "optimizer": "adafactor"}},
    "sgd without momentum": {"config": {**BASE, "optimizer": "sgd", "beta1": 0.0}},
    "adagrad": {"config": {**BASE, "optimizer": "adagrad"}},
}  # fmt: skip


def checkpoints_in(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in (folder / "training").iterdir())


class TestAccumulation:
    def test_micro_batches_add_up_to_the_large_batch(self, one_process: OneProcess) -> None:
        large = one_process({"config": {**BASE, "micro_batch": 0}})
        # 3 divides neither the 16 rows of a step nor the 9 of the last.
        small = one_process({"config": {**BASE, "micro_batch": 3}})
        assert small["losses"] == pytest.approx(large["losses"], abs=1e-5)
        assert small["norms"] == pytest.approx(large["norms"], abs=1e-4)


class TestResume:
    @pytest.mark.parametrize("name", RESUMED)
    def test_every_bit_is_the_same(self, name: str, one_process: OneProcess, tmp_path: Path) -> None:
        case = RESUMED[name]
        whole = one_process(case)
        told = {**case, "happens": {"rank": 0, "step": 3, "what": "told"}}
        assert one_process(told, tmp_path)["error"] == "Preempted"
        resumed = one_process(case, tmp_path)
        assert resumed["resumed_from"] == "step-000000003"
        for key in ("losses", "norms", "validation", "kept"):
            assert resumed[key] == whole[key]
        ours, theirs = (load_file(result["folder"] / "one.safetensors") for result in (resumed, whole))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)

    def test_the_plateau_drops_the_rate_in_what_is_resumed(self, one_process: OneProcess) -> None:
        losses = [loss for _, loss in one_process(RESUMED["plateau, average, patience"])["validation"]]
        assert any(later >= earlier for earlier, later in pairwise(losses))


class TestSpace:
    def test_a_disk_that_is_too_small_is_found_before_training(
        self, one_process: OneProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = shutil.disk_usage(tmp_path)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
        done = one_process({"config": {**BASE, "checkpoints": 2}}, tmp_path)
        assert done["error"] == "RunFailed"
        assert re.fullmatch(
            r"2 checkpoints and the artifact need [\d,]+ bytes, and .* has 1,000,000", done["says"]
        )
        assert done["hint"].startswith("keep fewer (--set checkpoints=1)")
        assert checkpoints_in(tmp_path) == []


class TestIntervals:
    def test_that_do_not_divide_each_other(self, one_process: OneProcess) -> None:
        done = one_process({"config": {**BASE, "steps": 7, "evaluate_every": 3, "checkpoint_every": 2}})
        assert [step for step, _ in done["validation"]] == [3, 6, 7]
        assert checkpoints_in(done["folder"]) == [6, 7]

    def test_the_best_is_kept_however_old_it_is(self, one_process: OneProcess) -> None:
        worse = {"schedule": "constant", "learning_rate": 0.05, "weight_decay": 0.0, "warmup": 0.3}
        done = one_process(
            {
                "config": {
                    **BASE, **worse, "steps": 12, "patience": 20, "checkpoints": 1,
                    "checkpoint_every": 1, "evaluate_every": 1,
                }
            }
        )  # fmt: skip
        best, lowest = min(done["validation"], key=lambda row: row[1])
        assert best < 11, "it went on getting better: this shows nothing"
        assert checkpoints_in(done["folder"]) == [best, 12]
        assert done["kept"] == lowest

    def test_what_a_killed_run_left_half_written_makes_room(
        self, one_process: OneProcess, tmp_path: Path
    ) -> None:
        case = {"config": {**BASE, "checkpoints": 1, "checkpoint_every": 1}}
        one_process({**case, "happens": {"rank": 0, "step": 2, "what": "told"}}, tmp_path)
        torn = tmp_path / "training" / "step-000000009"
        torn.mkdir()
        assert one_process(case, tmp_path)["resumed_from"] == "step-000000002"
        assert checkpoints_in(tmp_path) == [4]


class TestFeed:
    @pytest.mark.parametrize("ahead", [0, 2])
    def test_portions_come_in_order(self, ahead: int) -> None:
        made: list[int] = []

        def make(step: int) -> Portion:
            made.append(step)
            return Portion([], step, 0)

        feed = Feed(make, 3, 8, ahead)
        assert [feed.take().count for _ in range(5)] == [3, 4, 5, 6, 7]
        feed.close()
        assert made == [3, 4, 5, 6, 7]
        assert feed.waited >= 0

    def test_made_ahead_is_made_elsewhere_and_ends_when_closed(self) -> None:
        threads: set[str] = set()

        def make(step: int) -> Portion:
            threads.add(threading.current_thread().name)
            return Portion([], 0, 0)

        feed = Feed(make, 0, 100, 2)
        feed.take()
        feed.close()
        assert all(name.startswith("feed") for name in threads)
        assert not any(thread.name.startswith("feed") for thread in threading.enumerate())

    def test_what_goes_wrong_ahead_is_told(self) -> None:
        def make(step: int) -> Portion:
            raise RunFailed("row 7 is no picture")

        feed = Feed(make, 0, 9, 2)
        with pytest.raises(RunFailed, match="row 7"):
            feed.take()
        feed.close()


class TestLossScale:
    def test_it_halves_when_gradients_overflow_and_leaves_the_step_out(self) -> None:
        scale = LossScale()
        before = scale.factor
        assert not scale.judge(math.inf)
        assert scale.judge(1.0)
        assert (scale.factor, scale.skipped) == (before / 2, 1)

    def test_it_doubles_after_long_peace(self) -> None:
        scale = LossScale()
        before = scale.factor
        assert all(scale.judge(1.0) for _ in range(2000))
        assert scale.factor == 2 * before

    def test_gradients_that_always_overflow_are_no_question_of_scale(self) -> None:
        scale = LossScale()
        with pytest.raises(RunFailed, match="however small"):
            any(scale.judge(math.nan) for _ in range(100))

    def test_a_step_left_out_changes_no_weight(self, one_process: OneProcess) -> None:
        # Gradients this large overflow fp16 at the scale that training begins with.
        done = one_process({"config": {**BASE, "precision": "fp16"}, "shape": {"layers": 1}, "steep": 1e4})
        assert len(done["norms"]) < len(done["losses"])


class TestCompile:
    def test_no_compiler(self) -> None:
        from torch._inductor import config, cpp_builder

        cpp_builder.cpp_compiler_search.cache_clear()
        with config.patch({"cpp.cxx": ("/no/such/compiler",)}), pytest.raises(BadConfig) as refused:
            check_compiler(torch.device("cpu"))
        cpp_builder.cpp_compiler_search.cache_clear()
        assert "no C++ compiler" in refused.value.message
        assert "compile=false" in (refused.value.hint or "")

    @pytest.mark.slow
    # Torch's compiler still uses what torch has deprecated.
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_compiled_is_the_same_training_and_resumes(self, one_process: OneProcess, tmp_path: Path) -> None:
        case = {"config": {**BASE, "compile": True}, "shape": {"layers": 1}}
        plain = one_process({"config": BASE, "shape": {"layers": 1}})
        whole = one_process(case)
        assert "error" not in whole, whole
        assert whole["losses"] == pytest.approx(plain["losses"], abs=1e-4)
        assert whole["facts"]["compiled"].startswith("yes")
        one_process({**case, "happens": {"rank": 0, "step": 2, "what": "told"}}, tmp_path)
        resumed = one_process(case, tmp_path)
        assert resumed["losses"] == pytest.approx(whole["losses"], abs=1e-6)
