"""Slices: the worst one is found, named and measured honestly; small ones are not passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig, BadTable
from registry.extension import Evidence
from registry.extension.predictions import Predictions
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.evaluate.slices import Slices
from registry.plugins.evaluate.slicing import by_column, by_label, by_length, measure


class TestContract(PluginContract):
    plugin = Slices


def slices(
    artifact: Path, folder: Path, table: pa.Table, sensitive: tuple[str, ...] = ("sex",), **options: Any
) -> Evidence:
    test = dataset_input(
        folder / "test",
        table,
        role="test",
        ref="reviews-test/1",
        text="text",
        label="label",
        sensitive=sensitive,
    )
    evidence: Evidence = run_plugin(
        Slices(), folder / "run", artifact=artifact, data={"test": test}, config=options
    )
    return evidence


def spoiled(table: pa.Table) -> pa.Table:
    """The reviews, with every second label of men turned round."""
    labels = table["label"].to_pylist()
    for row, sex in enumerate(table["sex"].to_pylist()):
        if sex == "m" and row % 2:
            labels[row] = "neg" if labels[row] == "pos" else "pos"
    return table.set_column(1, "label", pa.array(labels))


@pytest.fixture(scope="module")
def evidence(tiny_artifact: Path, sentiment_test: pa.Table, tmp_path_factory: Any) -> Evidence:
    return slices(tiny_artifact, tmp_path_factory.mktemp("slices"), spoiled(sentiment_test))


class TestWorst:
    def test_is_named(self, evidence: Evidence) -> None:
        assert evidence.status is EvidenceStatus.COMPLETE
        row = next(row for row in evidence.tables["slices"] if row["slice"] == "sex=m")
        assert evidence.metrics["sex.accuracy.worst"] == row["accuracy"] < 0.6
        assert "sex=m" in (evidence.facts["accuracy.worst"], evidence.facts["f1.worst"])

    def test_its_interval_is_its_own(self, evidence: Evidence) -> None:
        metrics = evidence.metrics
        row = next(
            row for row in evidence.tables["slices"] if row["slice"] == evidence.facts["accuracy.worst"]
        )
        assert (
            metrics["accuracy.worst"]
            == row["accuracy"]
            == min(r["accuracy"] for r in evidence.tables["slices"])
        )
        ends = binomtest(round(row["accuracy"] * row["rows"]), row["rows"]).proportion_ci(method="wilson")
        assert (metrics["accuracy.worst.lower"], metrics["accuracy.worst.upper"]) == pytest.approx(
            (ends.low, ends.high)
        )
        overall = (
            sum(r["accuracy"] * r["rows"] for r in evidence.tables["slices"] if r["dimension"] == "sex") / 200
        )
        assert metrics["accuracy.gap"] == pytest.approx(overall - row["accuracy"])
        assert metrics["f1.worst.lower"] <= metrics["f1.worst"] <= metrics["f1.worst.upper"]

    def test_every_dimension_covers_every_row(self, evidence: Evidence) -> None:
        rows: dict[str, int] = {}
        for row in evidence.tables["slices"]:
            rows[row["dimension"]] = rows.get(row["dimension"], 0) + row["rows"]
        assert rows == {"sex": 200, "label": 200, "length": 200}
        assert evidence.metrics["slices"] == len(evidence.tables["slices"]) == 2 + 2 + 3
        json.dumps(evidence.tables)

    def test_it_has_no_figure_that_a_target_would_take_for_its_own(self, evidence: Evidence) -> None:
        assert not {"f1", "accuracy", "precision", "recall", "auroc"} & set(evidence.metrics)

    def test_repeats_itself(
        self, evidence: Evidence, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        assert slices(tiny_artifact, tmp_path, spoiled(sentiment_test)) == evidence

    def test_pairs_of_groups(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        towns = sentiment_test.append_column("town", pa.array(["Bonn", "Köln"] * 100))
        plain = slices(tiny_artifact, tmp_path / "1", towns, ("sex", "town"))
        pairs = slices(tiny_artifact, tmp_path / "2", towns, ("sex", "town"), intersections=True)
        assert pairs.metrics["slices"] == plain.metrics["slices"] + 4
        assert "sex=f, town=Bonn" in {row["slice"] for row in pairs.tables["slices"]}
        assert "sex x town" in pairs.facts["dimensions"]


class TestTooLittle:
    def test_a_small_group_is_named(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        few = sentiment_test.set_column(2, "sex", pa.array(["x"] * 29 + ["f"] * 171))
        evidence = slices(tiny_artifact, tmp_path, few)
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == "slices of fewer than 30 rows: sex=x (29)"
        assert evidence.metrics["slices.small"] == 1
        assert evidence.facts["small"] == "sex=x (29)"

    def test_rows_without_a_group_are_one(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        gaps = sentiment_test.set_column(2, "sex", pa.array([None] * 5 + ["f"] * 195))
        assert slices(tiny_artifact, tmp_path, gaps).facts["small"] == "sex=(missing) (5)"

    def test_f1_of_two_rows_is_not_judged(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        labels = sentiment_test["label"].to_pylist()
        positive = [row for row, label in enumerate(labels) if label == "pos"]
        sex = ["m" if label == "neg" or row in positive[:9] else "f" for row, label in enumerate(labels)]
        evidence = slices(tiny_artifact, tmp_path, sentiment_test.set_column(2, "sex", pa.array(sex)))
        assert evidence.metrics["slices.without_f1"] == 1
        assert evidence.facts["without_f1"] == "sex=m"
        assert (
            slices(
                tiny_artifact, tmp_path / "2", sentiment_test.set_column(2, "sex", pa.array(sex)), min_label=9
            ).facts["without_f1"]
            == "none"
        )

    def test_a_handful_of_rows(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        evidence = slices(tiny_artifact, tmp_path, sentiment_test.slice(0, 5))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.metrics["slices"] == 0
        assert "accuracy.worst" not in evidence.metrics
        assert evidence.facts["accuracy.worst"] == "none"

    def test_one_label(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        negative = sentiment_test.filter(pa.compute.equal(sentiment_test["label"], "neg"))
        evidence = slices(tiny_artifact, tmp_path, negative)
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert "no test row has the label 'pos'" in evidence.reason


class TestBadInput:
    def test_a_column_that_is_not_there(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        with pytest.raises(BadConfig, match="reviews-test/1 has no column 'sxe'") as refused:
            slices(tiny_artifact, tmp_path, sentiment_test, columns="sxe")
        assert "sex" in refused.value.hint

    def test_no_rows(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        with pytest.raises(BadTable, match="has no rows"):
            slices(tiny_artifact, tmp_path, sentiment_test.slice(0, 0))


def predictions(classes: int, rows: int, seed: int) -> Predictions:
    dice = np.random.default_rng(seed)
    return Predictions(
        table=pa.table({"town": dice.choice(["Bonn", "Köln"], rows)}),
        labels=tuple("abcdef"[:classes]),
        positive=1,
        truth=dice.integers(0, classes, rows),
        probabilities=dice.dirichlet(np.ones(classes), rows),
    )


class TestMeasure:
    @pytest.mark.parametrize(("classes", "positive"), [(2, 1), (4, None)])
    def test_agrees_with_scikit_learn(self, classes: int, positive: int | None) -> None:
        found = predictions(classes, 400, seed=0)
        for part in by_column(found, ["town"], pairs=False):
            row = measure(part, found, positive, min_label=1, rounds=200, confidence=0.95, seed=0)
            truth, predicted = found.truth[part.rows], found.predicted[part.rows]
            theirs = (
                f1_score(truth, predicted, average="macro")
                if positive is None
                else f1_score(truth, predicted, pos_label=positive)
            )
            assert row["f1"] == pytest.approx(theirs)
            assert row["accuracy"] == pytest.approx((truth == predicted).mean())

    def test_the_accuracy_of_a_label_is_its_recall_and_has_no_f1(self) -> None:
        found = predictions(3, 300, seed=1)
        for number, part in enumerate(by_label(found)):
            row = measure(part, found, None, min_label=1, rounds=100, confidence=0.95, seed=0)
            assert row["accuracy"] == (found.predicted[found.truth == number] == number).mean()
            assert row["f1"] is None

    @pytest.mark.parametrize("lengths", [list(range(100)), [5] * 100, [1] * 99 + [50]])
    def test_bands_part_the_rows(self, lengths: list[int]) -> None:
        parts = list(by_length(["x" * length for length in lengths], 4))
        assert (np.sum([part.rows for part in parts], axis=0) == 1).all()
        assert len({part.name for part in parts}) == len(parts)
