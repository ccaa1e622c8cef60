"""Fairness: fairlearn's figures, honest intervals, and no verdict on groups that are too small."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import fairlearn.metrics as oracle
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig, BadInput
from registry.extension import Evidence
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.bias import Bias
from registry.plugins.check.count_table import count_table, differences, group_rates, interval, resample

NAMES = ("demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference")


def check(
    artifact: Path, folder: Path, table: pa.Table, roles: tuple[str, ...] = ("sex",), **options: Any
) -> Evidence:
    test = dataset_input(
        folder / "test", table, role="test", ref="reviews-test/1", text="text", label="label", sensitive=roles
    )
    evidence: Evidence = run_plugin(
        Bias(), folder / "run", artifact=artifact, data={"test": test}, config=options
    )
    return evidence


def slanted(rows: int, seed: int = 0) -> pa.Table:
    """Reviews of equal merit that praise more often when a woman wrote them; the town tells nothing."""
    dice = random.Random(seed)
    columns: dict[str, list[Any]] = {"text": [], "label": [], "sex": [], "town": []}
    for _ in range(rows):
        sex = dice.choice("fm")
        praise = dice.random() < (0.8 if sex == "f" else 0.3)
        columns["text"].append("a lovely superb film" if praise else "a boring dreadful film")
        columns["label"].append(dice.choice(["pos", "neg"]))
        columns["sex"].append(sex)
        columns["town"].append(dice.choice(["Bonn", "Köln", None]))
    return pa.table(columns)


@pytest.fixture(scope="module")
def evidence(tiny_artifact: Path, tmp_path_factory: Any) -> Evidence:
    return check(tiny_artifact, tmp_path_factory.mktemp("bias"), slanted(400), ("sex", "town"))


class TestContract(PluginContract):
    plugin = Bias


class TestFigures:
    def test_a_planted_gap_is_found(self, evidence: Evidence) -> None:
        metrics = evidence.metrics
        assert evidence.status is EvidenceStatus.COMPLETE
        assert metrics["sex.demographic_parity_difference"] == pytest.approx(0.5, abs=0.1)
        assert metrics["sex.demographic_parity_difference.lower"] > 0.3
        assert metrics["sex.demographic_parity_difference.upper"] < 0.7
        assert metrics["town.demographic_parity_difference.lower"] < 0.1

    def test_every_figure_of_the_contract_is_there(self, evidence: Evidence) -> None:
        figures = {f"{name}{end}" for name in NAMES for end in ("", ".lower", ".upper")}
        columns = {f"{column}.{figure}" for column in ("sex", "town") for figure in figures}
        assert set(evidence.metrics) == figures | columns | {"groups", "smallest_group", "confidence"}
        assert evidence.metrics["groups"] == 5

    def test_the_figures_agree_with_fairlearn(self, evidence: Evidence, tiny_artifact: Path) -> None:
        from registry.extension.predictor import load_predictor

        table, predictor = slanted(400), load_predictor(tiny_artifact)
        said = predictor.probabilities(table).argmax(axis=1) == predictor.labels.index("pos")
        true = np.array(table["label"].to_pylist()) == "pos"
        for name in NAMES:
            theirs = getattr(oracle, name)(true, said, sensitive_features=table["sex"].to_pylist())
            assert evidence.metrics[f"sex.{name}"] == pytest.approx(theirs)

    def test_the_worst_column_speaks_for_all(self, evidence: Evidence) -> None:
        for name in NAMES:
            for end in ("", ".lower", ".upper"):
                both = [evidence.metrics[f"{column}.{name}{end}"] for column in ("sex", "town")]
                assert evidence.metrics[f"{name}{end}"] == max(both)

    def test_an_interval_holds_its_figure(self, evidence: Evidence) -> None:
        for name, value in evidence.metrics.items():
            if f"{name}.lower" in evidence.metrics:
                assert evidence.metrics[f"{name}.lower"] <= value <= evidence.metrics[f"{name}.upper"]

    def test_groups_are_told_with_their_sizes(self, evidence: Evidence) -> None:
        rows = evidence.tables["groups"]
        assert [(row["column"], row["group"]) for row in rows] == [
            ("sex", "f"), ("sex", "m"), ("town", "(missing)"), ("town", "Bonn"), ("town", "Köln"),
        ]  # fmt: skip
        for column in ("sex", "town"):
            sizes = {row["group"]: row["rows"] for row in rows if row["column"] == column}
            assert sum(sizes.values()) == 400
            assert evidence.facts[f"groups.{column}"] == ", ".join(
                f"{group} {size}" for group, size in sorted(sizes.items(), key=lambda item: -item[1])
            )
        assert all(
            row["selection_rate.lower"] <= row["selection_rate"] <= row["selection_rate.upper"]
            for row in rows
        )

    def test_repeats_itself(self, evidence: Evidence, tiny_artifact: Path, tmp_path: Path) -> None:
        assert check(tiny_artifact, tmp_path, slanted(400), ("sex", "town")) == evidence


class TestTooLittle:
    def test_a_small_group_is_named_and_not_dropped(self, tiny_artifact: Path, tmp_path: Path) -> None:
        small = slanted(12, seed=1).set_column(2, "sex", [["x"] * 12])
        evidence = check(tiny_artifact, tmp_path, pa.concat_tables([slanted(200), small]))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == "sex: group 'x' has 12 rows, fewer than 30"
        assert evidence.metrics["smallest_group"] == 12
        assert evidence.metrics["groups"] == 3
        assert check(
            tiny_artifact, tmp_path / "b", pa.concat_tables([slanted(200), small]), min_group=12
        ).status is EvidenceStatus.COMPLETE  # fmt: skip

    @pytest.mark.parametrize(("label", "which"), [("neg", "no"), ("pos", "only")])
    def test_a_group_without_a_label_has_no_rate(
        self, tiny_artifact: Path, tmp_path: Path, label: str, which: str
    ) -> None:
        odd = slanted(40, seed=1).set_column(2, "sex", [["x"] * 40]).set_column(1, "label", [[label] * 40])
        evidence = check(tiny_artifact, tmp_path, pa.concat_tables([slanted(200), odd]))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == f"sex: group 'x' has {which} rows labelled 'pos'"
        # Nothing is made up: the figures that need those rows are not there, the others are.
        assert "demographic_parity_difference.upper" in evidence.metrics
        assert "equalized_odds_difference" not in evidence.metrics
        assert ("equal_opportunity_difference" in evidence.metrics) == (label == "pos")

    def test_one_group_is_no_comparison(self, tiny_artifact: Path, tmp_path: Path) -> None:
        evidence = check(tiny_artifact, tmp_path, slanted(100).set_column(2, "sex", [["f"] * 100]))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert "nothing to compare" in evidence.reason

    def test_one_doubtful_column_is_enough(self, tiny_artifact: Path, tmp_path: Path) -> None:
        table = slanted(100).set_column(3, "town", [["Bonn"] * 100])
        assert check(tiny_artifact, tmp_path, table, ("sex", "town")).status is EvidenceStatus.INSUFFICIENT


class TestBadInput:
    def test_no_sensitive_column(self, tiny_artifact: Path, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match="names no sensitive column") as caught:
            check(tiny_artifact, tmp_path, slanted(40), ())
        assert "--set sensitive=" in caught.value.hint

    def test_a_column_that_is_not_there(self, tiny_artifact: Path, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match="no column 'sx'") as caught:
            check(tiny_artifact, tmp_path, slanted(40), sensitive="sx")
        assert caught.value.hint == "did you mean 'sex'?"

    def test_labels_that_the_model_does_not_know(self, tiny_artifact: Path, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="does not know: 'good'"):
            check(tiny_artifact, tmp_path, slanted(40).set_column(1, "label", [["good"] * 40]))

    def test_a_column_can_be_named_for_the_run(self, tiny_artifact: Path, tmp_path: Path) -> None:
        evidence = run_plugin(
            Bias(),
            tmp_path / "run",
            artifact=tiny_artifact,
            data={
                "test": dataset_input(tmp_path / "t", slanted(200), role="test", text="text", label="label")
            },
            config={"sensitive": "town, sex"},
        )
        assert {row["column"] for row in evidence.tables["groups"]} == {"sex", "town"}


class TestCounts:
    @settings(max_examples=15)
    @given(st.integers(2, 4), st.integers(0, 10_000))
    def test_rates_agree_with_fairlearn(self, size: int, seed: int) -> None:
        dice = np.random.default_rng(seed)
        groups = np.concatenate([np.repeat(np.arange(size), 4), dice.integers(0, size, 60)])
        truth = np.concatenate([np.tile([0, 0, 1, 1], size), dice.integers(0, 2, 60)])
        said = np.concatenate([np.tile([0, 1, 0, 1], size), dice.integers(0, 2, 60)])
        rates = group_rates(count_table(groups, truth, said))
        frame = oracle.MetricFrame(
            metrics={name: getattr(oracle, name) for name in rates},
            y_true=truth,
            y_pred=said,
            sensitive_features=groups,
        )
        for name, values in rates.items():
            np.testing.assert_allclose(values, frame.by_group[name].to_numpy(dtype=float))
        found = differences(rates)
        for name in NAMES:
            assert found[name] == pytest.approx(getattr(oracle, name)(truth, said, sensitive_features=groups))

    def test_intervals_agree_with_drawing_rows(self) -> None:
        dice = np.random.default_rng(0)
        groups, truth = dice.integers(0, 2, 400), dice.integers(0, 2, 400)
        said = (dice.random(400) < np.where(groups == 0, 0.7, 0.5)).astype(int)
        draws = differences(group_rates(resample(count_table(groups, truth, said), 2000, seed=0)))
        rows = [dice.integers(0, 400, 400) for _ in range(2000)]
        theirs = [differences(group_rates(count_table(groups[r], truth[r], said[r]))) for r in rows]
        for name in NAMES:
            expected = np.quantile([float(each[name]) for each in theirs], [0.025, 0.975])
            np.testing.assert_allclose(interval(draws[name], 0.95), expected, atol=0.02)

    def test_a_group_without_rows_has_no_rate(self) -> None:
        table = np.array([[[5, 5], [0, 0]], [[3, 3], [2, 2]]])
        rates = group_rates(table)
        assert np.isnan(rates["true_positive_rate"][0])
        found = differences(rates)
        assert np.isnan(found["equal_opportunity_difference"])
        assert np.isnan(found["equalized_odds_difference"])
        assert found["demographic_parity_difference"] == 0.0

    def test_few_rows_never_look_like_certainty(self) -> None:
        """One woman has the label, and was chosen, like all men: the gap is 0, but what is known of women?"""
        table = np.array([[[20, 20], [0, 1]], [[20, 20], [0, 40]]])
        draws = differences(group_rates(resample(table, 1000, seed=0)))["equal_opportunity_difference"]
        assert interval(draws, 0.95) == (0.0, 1.0)
