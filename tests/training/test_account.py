"""What a training says of itself: where it ran, what it took, and the card that lies beside the model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from registry.extension import Trained
from registry.files import sha256_of
from registry.plugins.train import footprint
from registry.plugins.train.footprint import Meter
from registry.plugins.train.provenance import commit, determinism, environment, packages

Train = Callable[..., Trained]


# -- where it ran ------------------------------------------------------------------------------------


def test_packages_are_named_with_version_and_digest(tmp_path: Path) -> None:
    digest = packages(tmp_path / "packages.txt")
    assert digest == sha256_of(tmp_path / "packages.txt") == packages(tmp_path / "again.txt")
    lines = dict(line.split() for line in (tmp_path / "packages.txt").read_text().splitlines())
    for name in ("torch", "transformers", "phasegate"):
        (found,) = (line for line in lines if line.startswith(f"{name}=="))
        assert lines[found].startswith("sha256:")


def test_a_package_whose_code_was_changed_has_another_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its RECORD; the scripts that it installed elsewhere are not its code."""
    info = tmp_path / "thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    digests = []
    for code, script in (("a", "b"), ("a", "c"), ("d", "b")):
        (info / "RECORD").write_text(f"thing.py,sha256={code},1\n../../bin/thing,sha256={script},1\n")
        packages(tmp_path / "packages.txt")
        (line,) = (line for line in (tmp_path / "packages.txt").read_text().splitlines() if "thing==" in line)
        digests.append(line.split()[1])
    assert digests[0] == digests[1] != digests[2]


def test_the_environment_is_told(tiny_trained: Trained) -> None:
    facts = tiny_trained.evidence.facts
    found = environment()
    assert {name: facts[name] for name in found} == found
    assert facts["cpu.kernels"] in ("DEFAULT", "AVX2", "AVX512", "VSX", "ZVECTOR", "SVE256", "NO AVX")
    assert facts["deterministic_algorithms"] == "no"
    assert facts["env.OMP_NUM_THREADS"] == "1"
    assert facts["gpu"] == ("none" if not torch.cuda.is_available() else facts["gpu"])
    assert facts["tokenizer.digest"] == sha256_of(tiny_trained.path / "tokenizer.json")
    assert "chat_template.digest" not in facts


def test_no_secret_of_the_environment_is_told(train_tiny: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijkl")
    trained = train_tiny(epochs=1, steps=2)
    assert "hf_abcdefghijkl" not in trained.evidence.model_dump_json()
    assert b"hf_abcdefghijkl" not in (trained.path / "README.md").read_bytes()


@pytest.mark.parametrize(
    ("facts", "level"),
    [
        ({}, "bitwise"),
        ({"threads": "2"}, "same machine"),
        ({"processes": "2"}, "same machine"),
        ({"compiled": "yes"}, "same machine"),
        ({"device": "cuda:0"}, "statistical"),
        ({"device": "cuda:0", "deterministic_algorithms": "yes"}, "same machine"),
    ],
)
def test_how_exactly_it_comes_again(facts: dict[str, str], level: str) -> None:
    plain = {"device": "cpu", "threads": "1", "processes": "1", "compiled": "no"}
    assert determinism(plain | facts) == level


def test_the_commit_of_a_checkout(tmp_path: Path) -> None:
    import subprocess

    assert commit(tmp_path) == "none"

    def git(*words: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        done = subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)
        return done.stdout.decode().strip()

    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    assert commit(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("two")
    assert commit(tmp_path) == git("rev-parse", "HEAD") + ", changed since"


# -- what it took ------------------------------------------------------------------------------------


def test_arithmetic_is_about_six_for_each_weight_and_token(tiny_trained: Trained) -> None:
    """2 N a token forward, 4 N backward (Kaplan et al. 2020), of what multiplies; and attention."""
    metrics = tiny_trained.evidence.metrics
    width, layers = 32, 1
    # Query, key, value, output, two of the feed-forward block; the pooler and head see one token a text.
    multiplied = layers * (4 + 8) * width**2
    each = metrics["flops"] / metrics["tokens"]
    assert 6 * multiplied < each < 9 * multiplied


def test_energy_says_how_it_was_found(tiny_trained: Trained, train_tiny: Train) -> None:
    evidence = tiny_trained.evidence
    assert 0 < evidence.metrics["energy_kwh"] < 0.01
    assert "RAPL" in evidence.facts["energy.method"] or "estimated" in evidence.facts["energy.method"]
    assert "co2_kg" not in evidence.metrics
    dirty = train_tiny(epochs=1, steps=2, carbon_intensity=500).evidence.metrics
    assert dirty["co2_kg"] == pytest.approx(dirty["energy_kwh"] * 0.5)


def test_a_counter_of_the_machine_is_read_and_may_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, begins in enumerate((1_000_000, 9_000_000)):
        zone = tmp_path / f"intel-rapl:{number}"
        zone.mkdir()
        (zone / "energy_uj").write_text(f"{begins}\n")
        (zone / "max_energy_range_uj").write_text("10000000\n")
    monkeypatch.setattr(footprint, "_POWERCAP", tmp_path)
    meter = Meter(torch.device("cpu"), 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3000000\n")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("1000000\n")
    energy, how = meter.read()
    assert energy * 3.6e6 == pytest.approx(2 + 2)
    assert how.startswith("CPU measured by RAPL")


def test_without_a_counter_it_is_estimated_from_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "_POWERCAP", tmp_path)
    one, three = Meter(torch.device("cpu"), 1), Meter(torch.device("cpu"), 3)
    sum(number * number for number in range(2_000_000))
    energy, how = one.read()
    assert energy > 0
    assert three.read()[0] > 2 * energy
    assert how == "CPU estimated by 10 W for each busy core"


# -- the card ----------------------------------------------------------------------------------------


def test_the_card_is_one_that_hugging_face_reads(tiny_trained: Trained) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard((tiny_trained.path / "README.md").read_text("utf-8"))
    assert card.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["phasegate"],
    }
    for title in ("Data", "Base", "Hyper-parameters", "Results", "Environment", "Limits"):
        assert f"\n## {title}\n" in card.text
    facts, metrics = tiny_trained.evidence.facts, tiny_trained.evidence.metrics
    assert facts["train.digest"] in card.text
    assert f"| validation_loss | {metrics['validation_loss']:.6g} |" in card.text
    assert "| learning_rate | `0.005` |" in card.text
    assert f"| torch | {torch.__version__} |" in card.text


def test_the_card_holds_no_clock_and_no_path(tiny_trained: Trained, tmp_path: Path) -> None:
    text = (tiny_trained.path / "README.md").read_text("utf-8")
    assert str(Path.home()) not in text
    assert str(tiny_trained.path.parents[2]) not in text
    for name in ("seconds", "hours", "energy_kwh", "waited_share", "resumed_from"):
        assert name not in text


def test_the_card_tells_what_is_not_well(train_tiny: Train) -> None:
    text = (train_tiny(learning_rate=1e-10, epochs=1, validation=None).path / "README.md").read_text("utf-8")
    assert "- Its training did not converge." in text
    assert "- Alarms of its training: " in text
    assert "- No data was held out" in text


def test_a_chat_template_is_digested(tiny_trained: Trained, tmp_path: Path) -> None:
    from registry.plugins.train.provenance import files_of

    folder = tmp_path / "artifact"
    shutil.copytree(tiny_trained.path, folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert files_of(folder) == {
        "tokenizer.digest": sha256_of(folder / "tokenizer.json"),
        "chat_template.digest": sha256_of(folder / "chat_template.jinja"),
    }
