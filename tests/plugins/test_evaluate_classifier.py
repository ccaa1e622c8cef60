"""Evaluation: scikit-learn's figures, intervals that hold what they promise, and no verdict on too little."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig, BadInput
from registry.extension import Evidence
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.evaluate.classifier import EvaluateClassifier
from registry.plugins.evaluate.scores import brier, calibration, confusion, correlation, intervals, rates

COLUMNS = {"text": "text", "label": "label", "sensitive": ("sex",)}


def evaluate(
    artifact: Path, folder: Path, test: pa.Table, train: pa.Table | None = None, **options: Any
) -> Evidence:
    data = {"test": dataset_input(folder / "test", test, role="test", ref="reviews-test/1", **COLUMNS)}
    if train is not None:
        data["train"] = dataset_input(folder / "train", train, role="train", ref="reviews-train/1", **COLUMNS)
    evidence: Evidence = run_plugin(
        EvaluateClassifier(), folder / "run", artifact=artifact, data=data, config=options
    )
    return evidence


@pytest.fixture(scope="module")
def evidence(
    tiny_artifact: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tmp_path_factory: Any
) -> Evidence:
    return evaluate(tiny_artifact, tmp_path_factory.mktemp("evaluate"), sentiment_test, sentiment_train)


class TestContract(PluginContract):
    plugin = EvaluateClassifier


class TestTwoLabels:
    def test_a_model_that_learned_does_well(self, evidence: Evidence) -> None:
        assert evidence.status is EvidenceStatus.COMPLETE
        assert evidence.metrics["rows"] == 200
        for name in ("accuracy", "precision", "recall", "f1", "auroc", "mcc"):
            assert evidence.metrics[name] > 0.9, name
        assert evidence.metrics["brier"] < 0.05
        assert evidence.facts["average"] == "binary, positive 'pos'"

    def test_every_figure_of_the_contract_is_there(self, evidence: Evidence) -> None:
        names = {
            "rows",
            "accuracy",
            "precision",
            "recall",
            "f1",
            "auroc",
            "mcc",
            "brier",
            "ece",
            "ece.bins",
            "confidence",
            "leaked_rows",
        }
        ends = {
            f"{name}.{end}"
            for name in ("accuracy", "precision", "recall", "f1")
            for end in ("lower", "upper")
        }
        assert set(evidence.metrics) == names | ends
        assert evidence.metrics["f1.lower"] <= evidence.metrics["f1"] <= evidence.metrics["f1.upper"]

    def test_tables_add_up(self, evidence: Evidence) -> None:
        tables = evidence.tables
        assert sum(row["predicted neg"] + row["predicted pos"] for row in tables["confusion"]) == 200
        assert sum(row["rows"] for row in tables["classes"]) == 200
        assert sum(row["rows"] for row in tables["calibration"]) == 200
        assert {(row["column"], row["group"]) for row in tables["groups"]} == {("sex", "f"), ("sex", "m")}
        assert sum(row["rows"] for row in tables["groups"]) == 200
        assert all(row["lower"] <= row["accuracy"] <= row["upper"] for row in tables["groups"])
        json.dumps(tables)

    def test_repeats_itself(
        self,
        evidence: Evidence,
        tiny_artifact: Path,
        sentiment_train: pa.Table,
        sentiment_test: pa.Table,
        tmp_path: Path,
    ) -> None:
        assert evaluate(tiny_artifact, tmp_path, sentiment_test, sentiment_train) == evidence


class TestLeakage:
    def test_rows_that_were_trained_on_are_counted(
        self, tiny_artifact: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        seen = sentiment_train.slice(0, 7)
        shouted = seen.set_column(0, "text", [[f"  {text.upper()}!" for text in seen["text"].to_pylist()]])
        test = pa.concat_tables([sentiment_test, shouted])
        evidence = evaluate(tiny_artifact, tmp_path, test, sentiment_train)
        assert evidence.metrics["leaked_rows"] == 7
        assert "reviews-train/1" in evidence.facts["leakage"]

    def test_is_not_claimed_where_it_was_not_measured(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        evidence = evaluate(tiny_artifact, tmp_path, sentiment_test)
        assert "leaked_rows" not in evidence.metrics
        assert "not measured" in evidence.facts["leakage"]


class TestTooLittle:
    def test_few_rows(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        evidence = evaluate(tiny_artifact, tmp_path, sentiment_test.slice(0, 29))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == "29 test rows, fewer than 30"

    def test_how_few_is_an_option(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        evidence = evaluate(tiny_artifact, tmp_path, sentiment_test.slice(0, 29), min_rows=29)
        assert evidence.status is EvidenceStatus.COMPLETE

    def test_a_label_that_no_row_has(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        negative = sentiment_test.filter(pa.compute.equal(sentiment_test["label"], "neg"))
        evidence = evaluate(tiny_artifact, tmp_path, negative)
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == "no test row has the label 'pos'"
        assert "auroc" not in evidence.metrics


class TestBadInput:
    ROW: ClassVar = {"text": ["good"], "label": ["pos"], "sex": ["f"]}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"label": ["positive"]}, "does not know: 'positive'"),
            ({"label": pa.array([None], pa.string())}, "1 of 1 rows .* have no 'label'"),
            ({"text": pa.array([None], pa.string())}, "text"),
            ({name: pa.array([], pa.string()) for name in ROW}, "no rows"),
        ],
        ids=["unknown-label", "null-label", "null-text", "empty"],
    )
    def test_of_data(self, tiny_artifact: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        with pytest.raises(BadInput, match=message):
            evaluate(tiny_artifact, tmp_path, pa.table(self.ROW | change))

    def test_no_test_data(self, tiny_artifact: Path, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match="names no test data"):
            run_plugin(EvaluateClassifier(), tmp_path, artifact=tiny_artifact)


class TestManyLabels:
    def test_the_mean_over_labels_is_told_as_such(self, tiny_artifact: Path, tmp_path: Path) -> None:
        """A three-headed copy of the model, untrained in its third head."""
        from safetensors.numpy import load_file, save_file

        artifact = Path(shutil.copytree(tiny_artifact, tmp_path / "artifact"))
        weights = load_file(artifact / "model.safetensors")
        weights["classifier.weight"] = np.vstack(
            [weights["classifier.weight"], np.zeros((1, 32), np.float32)]
        )
        weights["classifier.bias"] = np.append(weights["classifier.bias"], np.float32(0))
        save_file(weights, artifact / "model.safetensors", metadata={"format": "pt"})
        numbers = {"neg": 0, "pos": 1, "odd": 2}
        named = {"id2label": {number: label for label, number in numbers.items()}, "label2id": numbers}
        for name, change in [("config.json", named), ("phasegate.json", {"labels": list(numbers)})]:
            path = artifact / name
            path.write_text(json.dumps(json.loads(path.read_text()) | change))
        texts = ["great film", "awful film", "the film"] * 20
        table = pa.table({"text": texts, "label": ["pos", "neg", "odd"] * 20, "sex": ["f", "m"] * 30})
        evidence = evaluate(artifact, tmp_path, table)
        assert evidence.facts["average"] == "macro, 3 labels"
        assert evidence.metrics["recall"] == pytest.approx(
            np.mean([row["recall"] for row in evidence.tables["classes"]])
        )
        assert 0 < evidence.metrics["auroc"] <= 1


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """True classes, probabilities, and how many classes there are."""
    classes, rows = draw(st.integers(2, 4)), draw(st.integers(1, 60))
    dice = np.random.default_rng(draw(st.integers(0, 10_000)))
    return dice.integers(0, classes, rows), dice.dirichlet(np.ones(classes), rows), classes


class TestScores:
    @settings(max_examples=60)
    @given(judged())
    def test_agree_with_scikit_learn(self, rows: tuple[np.ndarray, np.ndarray, int]) -> None:
        truth, chances, classes = rows
        predicted = chances.argmax(axis=1)
        matrix = confusion(truth, predicted, classes)
        labels = list(range(classes))
        assert (matrix == oracle.confusion_matrix(truth, predicted, labels=labels)).all()
        for positive, average, chosen in [(1, None, [1]), (None, "macro", labels)]:
            scores = rates(matrix, positive)
            theirs = oracle.precision_recall_fscore_support(
                truth, predicted, labels=chosen, average=average, zero_division=0
            )
            for name, value in zip(("precision", "recall", "f1"), theirs[:3], strict=True):
                assert scores[name] == pytest.approx(np.ravel(value)[0]), name
            assert scores["accuracy"] == pytest.approx(oracle.accuracy_score(truth, predicted))
        if len(set(truth) | set(predicted)) > 1:
            assert correlation(matrix) == pytest.approx(oracle.matthews_corrcoef(truth, predicted))
        else:
            assert correlation(matrix) == 0.0

    @given(judged())
    def test_brier_agrees_with_scikit_learn(self, rows: tuple[np.ndarray, np.ndarray, int]) -> None:
        truth, chances, classes = rows
        if classes == 2:
            theirs = oracle.brier_score_loss(truth, chances[:, 1], pos_label=1)
        else:
            theirs = oracle.brier_score_loss(truth, chances, labels=range(classes), scale_by_half=True)
        assert brier(truth, chances) == pytest.approx(theirs)

    @given(judged(), st.integers(1, 20))
    def test_calibration_is_the_mean_over_its_bins(
        self, rows: tuple[np.ndarray, np.ndarray, int], bins: int
    ) -> None:
        truth, chances, _ = rows
        error, table = calibration(truth, chances, bins)
        assert sum(row["rows"] for row in table) == len(truth)
        assert error == pytest.approx(
            sum(row["rows"] * abs(row["confidence"] - row["accuracy"]) for row in table) / len(truth)
        )
        assert all(row["from"] - 1e-12 <= row["confidence"] <= row["to"] + 1e-12 for row in table)

    def test_calibration_by_hand(self) -> None:
        """Ten answers given with 0.9, seven of them right; ten with 0.6, six right: (0.2 + 0.0) / 2."""
        chances = np.array([[0.1, 0.9]] * 10 + [[0.4, 0.6]] * 10)
        truth = np.array([1] * 7 + [0] * 3 + [1] * 6 + [0] * 4)
        assert calibration(truth, chances, 15)[0] == pytest.approx(0.1)

    def test_intervals_agree_with_drawing_rows(self) -> None:
        dice = np.random.default_rng(0)
        truth = (dice.random(300) < 0.2).astype(int)
        predicted = np.where(dice.random(300) < 0.9, truth, 1 - truth)
        ours = intervals(confusion(truth, predicted, 2), 1, rounds=2000, confidence=0.95, seed=0)
        draws = [dice.integers(0, 300, 300) for _ in range(600)]
        theirs = np.quantile(
            [oracle.f1_score(truth[rows], predicted[rows]) for rows in draws], [0.025, 0.975]
        )
        np.testing.assert_allclose(ours["f1"], theirs, atol=0.02)

    def test_intervals_hold_the_truth_as_often_as_they_say(self) -> None:
        """Of 200 samples of a model that is right in 80 of 100, 95 in 100 intervals should hold 0.8."""
        dice = np.random.default_rng(0)
        held = 0
        for seed in range(200):
            right = int(dice.binomial(400, 0.8))
            lower, upper = intervals(
                np.array([[right, 400 - right], [0, 0]]), None, rounds=500, confidence=0.95, seed=seed
            )["accuracy"]
            held += lower <= 0.8 <= upper
        assert 0.90 <= held / 200 <= 0.99
