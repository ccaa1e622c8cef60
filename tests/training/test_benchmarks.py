"""The training benchmarks still run, at a size that says nothing of their figures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks" / "training"
RUNS = {
    "recording.py --rows 64 --layers 1 --hidden 48": r"recording +[\d.]+ s +[\d.]+%",
    "overhead.py --rounds 1 --steps 6 minilm gpt2": r"(?s)MiniLM.*hand / engine.*GPT-2.*hand / engine",
    "ragged.py --rounds 1 --steps 6": r"engine [\d,]+ samples/s, Trainer with static padding \d+",
    "gpu.py --tiny --rounds 1 --steps 4": r"tokens_per_second.*by_hand",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("run", RUNS)
def test_it_prints_its_figures(run: str, tmp_path: Path) -> None:
    script, *options = run.split()
    if script == "gpu.py":
        options += ["--out", str(tmp_path / "figures.json")]
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(RUNS[run], done.stdout), done.stdout
