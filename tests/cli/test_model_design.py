"""`phasegate model design --plugin`: what a training would take, told before it is launched."""

from __future__ import annotations

import pytest
from cli.command import Phasegate

SMALL = ("--set", "layers=2", "--set", "hidden_size=64", "--set", "vocab_size=400")


def test_an_estimate_is_told_and_recorded(phasegate: Phasegate, version: str) -> None:
    out = phasegate("model", "design", version, "--plugin", "train-classifier", "--device", "l4", *SMALL).out
    lines = dict(line.split(None, 1) for line in out.splitlines()[:5])
    assert lines["architecture"] == "BertForSequenceClassification"
    assert lines["device"] == "l4"
    assert lines["memory"].endswith("MiB of 22.1 GiB")
    assert "the training   4 steps" in out  # four rows are a step, and there are four epochs
    assert "l4: NVIDIA L4 datasheet" in out
    assert "\nIt fits.\n" in out
    shown = phasegate("model", "show", version).out
    assert "plugin=train-classifier, architecture=BertForSequenceClassification" in shown
    assert "estimate   device=l4, processes=1, parameters=" in shown
    design = phasegate("model", "show", version, "--json").json["design"]
    assert design["layers"] == "2"
    assert lines["parameters"] == f"{design['estimated_parameters']:,}"
    phasegate.verify()


def test_what_cannot_fit_is_refused(phasegate: Phasegate, version: str) -> None:
    large = ("--set", "layers=8", "--set", "hidden_size=512", "--set", "batch_size=256", "--device", "2GiB")
    before = phasegate.state()
    answer = phasegate("model", "design", version, "--plugin", "train-classifier", *large, expect=1)
    assert phasegate.state() == before
    assert "Refused: it takes" in answer.out
    remedies = [line.split("-> ")[1] for line in answer.out.splitlines() if "-> " in line]
    assert any(remedy.startswith("--set micro_batch=") for remedy in remedies)
    # What it names does help, word for word.
    words = ("model", "design", version, "--plugin", "train-classifier", *large, *remedies[0].split())
    assert "It fits." in phasegate(*words).out


def test_a_dry_run_records_nothing(phasegate: Phasegate, version: str) -> None:
    before = phasegate.state()
    words = ("model", "design", version, "--plugin", "train-classifier", "--dry-run", "--device", "h100")
    found = phasegate(*words, *SMALL, "--json").json
    assert phasegate.state() == before
    assert (found["fits"], found["recorded"], found["processes"]) == (True, False, 1)
    assert found["needed"] == sum(found["memory"].values())
    assert found["flops"] == found["steps"] * found["flops_per_step"]
    assert found["seconds"] == pytest.approx(found["flops"] / (67e12 * 0.4))


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("--plugin train-classifier --set layer=2", "has no option 'layer'", "did you mean 'layers'?"),
        (
            "--plugin train-classifier --set layers=none",
            "option 'layers': Input should be a valid integer",
            "",
        ),
        ("--plugin train-classifier --set heads=3", "3 heads do not divide a hidden_size of 128", ""),
        (
            "--plugin train-clasifier",
            "there is no plugin 'train-clasifier'",
            "did you mean 'train-classifier'?",
        ),
        ("--plugin pii", "plugin 'pii' trains nothing", ""),
        ("--plugin train-classifier --device h10", "there is no device 'h10'", "did you mean 'h100'?"),
        ("--plugin train-classifier --device cuda:9", "", "--device cpu"),
        (
            "--plugin train-classifier --set shards=2 --processes 3",
            "3 processes cannot be cut",
            "multiple of 2",
        ),
        ("--plugin train-classifier --processes 0", "Invalid value for '--processes'", ""),
    ],
)
def test_what_is_refused(words: str, message: str, hint: str, phasegate: Phasegate, version: str) -> None:
    err = phasegate.refuses("model", "design", version, *words.split()).err
    assert message in err
    assert hint in err


def test_words_that_are_no_options_are_kept(phasegate: Phasegate, version: str) -> None:
    words = ("--set", "architecture=bert", "--set", "paradigm=from-scratch")
    phasegate("model", "design", version, "--plugin", "train-classifier", *SMALL, *words)
    design = phasegate("model", "show", version, "--json").json["design"]
    assert (design["architecture"], design["paradigm"]) == ("bert", "from-scratch")
