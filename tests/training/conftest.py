"""Trainings of a tiny model, on one process or on several, which are started once for many trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plugins.conftest import sentiment_test, sentiment_train, tiny_options, tiny_trained, train_tiny

__all__ = ["sentiment_test", "sentiment_train", "tiny_options", "tiny_trained", "train_tiny"]

Results = dict[str, Any]
TESTS = Path(__file__).parents[1]

# Four steps, the third of which has too few rows for everybody's micro-batches.
BASE = {
    "steps": 4, "batch_size": 16, "micro_batch": 4, "learning_rate": 3e-3, "weight_decay": 0.1, "clip": 0.5,
    "evaluate_every": 2,
}  # fmt: skip


@pytest.fixture(scope="session")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Results]:
    """`one_process(case, folder)`: the training in this process; once for each case without a folder."""
    known: dict[str, Results] = {}

    def train(case: dict[str, Any], folder: Path | None = None) -> Results:
        from training.on_many import run

        key = json.dumps(case, sort_keys=True)
        if folder is None and key in known:
            return known[key]
        place = folder or tmp_path_factory.mktemp("one")
        result = {**run(case, place), "folder": place}
        if folder is None:
            known[key] = result
        return result

    return train


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, list[Results]]]:
    """`together(2, cases)`: every case's result on every process.

    The processes are started once for all cases, and all of pytest's workers share what they did.

    Args:
        processes: How many.
        cases: Or what makes them in a new folder.
    """
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def train(processes: int, prepare: Callable[[Path], dict[str, Any]]) -> dict[str, list[Results]]:
        place = folder / f"on-{processes}"
        file = place / "cases.json"
        with FileLock(f"{place}.lock"):
            if not (place / "done").exists():
                place.mkdir()
                cases = prepare(place)
                file.write_text(json.dumps(cases))
                start(processes, file)
                (place / "done").touch()
        cases = json.loads(file.read_text())
        return {name: read(place / case.get("folder", name), name, processes) for name, case in cases.items()}

    return train


def read(folder: Path, name: str, processes: int) -> list[Results]:
    files = [folder / f"{name}-{rank}.json" for rank in range(processes)]
    return [{**json.loads(file.read_text()), "folder": folder} for file in files]


def start(processes: int, file: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes),
            "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--local-addr", "localhost",
            str(TESTS / "training" / "on_many.py"), str(file),
        ],
        env={**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
