"""The predictor of the `text-classifier` format: right rows, whole artifacts only, no code, no network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from registry.errors import BadInput
from registry.extension.predictor import load_predictor


@pytest.fixture
def copy(tiny_artifact: Path, tmp_path: Path) -> Path:
    """A copy of the artifact to be spoilt."""
    return Path(shutil.copytree(tiny_artifact, tmp_path / "artifact"))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_answers_in_the_order_of_the_rows(tiny_artifact: Path, sentiment_test: pa.Table) -> None:
    predictor = load_predictor(tiny_artifact)
    together = predictor.probabilities(sentiment_test)
    one_by_one = [predictor.probabilities(sentiment_test.slice(row, 1))[0] for row in range(0, 200, 20)]
    assert together.shape == (200, 2)
    assert together.dtype == np.float64
    np.testing.assert_allclose(together.sum(axis=1), 1.0)
    # Batches differ in padding, which the model must not see.
    np.testing.assert_allclose(together[::20], one_by_one, atol=1e-6)


def test_has_learned_what_the_labels_mean(tiny_artifact: Path, sentiment_test: pa.Table) -> None:
    predictor = load_predictor(tiny_artifact)
    answers = [predictor.labels[best] for best in predictor.probabilities(sentiment_test).argmax(axis=1)]
    right = sum(a == b for a, b in zip(answers, sentiment_test["label"].to_pylist(), strict=True))
    assert right / len(answers) > 0.95


@pytest.mark.parametrize(
    "text", ["", " ", "日本語 🙂", "\x00", "w " * 5000], ids=["empty", "space", "kanji", "nul", "long"]
)
def test_any_text_has_an_answer(tiny_artifact: Path, text: str) -> None:
    answer = load_predictor(tiny_artifact).probabilities(pa.table({"text": [text]}))
    np.testing.assert_allclose(answer.sum(axis=1), [1.0])


def test_no_rows_give_no_answers(tiny_artifact: Path) -> None:
    assert load_predictor(tiny_artifact).probabilities(
        pa.table({"text": pa.array([], pa.string())})
    ).shape == (0, 2)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"text": ["a", None, None]}), "2 of 3 rows have no 'text'"),
        (pa.table({"txt": ["a"]}), "no column 'text'"),
        (pa.table({"text": [1]}), "holds int64"),
    ],
    ids=["null", "column", "type"],
)
def test_refuses_rows_that_it_cannot_read(tiny_artifact: Path, table: pa.Table, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load_predictor(tiny_artifact).probabilities(table)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_refuses_an_artifact_without_one_of_its_files(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BadInput, match=f"no {name}"):
        load_predictor(copy)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_refuses_an_artifact_with_a_cut_file(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_predictor(copy)


def test_never_fills_missing_weights_with_random_ones(copy: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=r"classifier\.weight"):
        load_predictor(copy)


def test_never_loads_a_pickle(copy: Path, tmp_path: Path) -> None:
    """Weights in `pytorch_model.bin` alone are not looked at, whatever they would do."""
    import torch

    torch.save({"a": torch.zeros(1)}, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"no model\.safetensors"):
        load_predictor(copy)


def test_never_runs_code_that_the_artifact_brings(copy: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(trace)!r}, 'w')\n")
    edit(
        copy / "config.json",
        lambda config: config.update(
            model_type="evil",
            auto_map={"AutoConfig": "evil.C", "AutoModelForSequenceClassification": "evil.M"},
        ),
    )
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_predictor(copy)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["neg"]}, "two or more"),
        ({"labels": ["neg", "neg"]}, "twice"),
        ({"labels": ["neg", "pos", "new"]}, "2 outputs, its card 3"),
        ({"positive": "good"}, "'good', none of the labels"),
        ({"columns": {}}, "'columns'"),
        ({"max_length": 1}, "'max_length'"),
        ({"max_length": 4096}, "4096 tokens, the model 32"),
        ({"format": "text-clasifier"}, "no predictor for format"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_refuses_a_card_that_does_not_fit(copy: Path, change: dict[str, Any], message: str) -> None:
    edit(copy / "phasegate.json", lambda card: card.update(change))
    with pytest.raises(BadInput, match=message):
        load_predictor(copy)
