"""Representativeness: distances that are known, groups that are missing, and no verdict on too little."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig, BadTable
from registry.extension import Evidence
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.represent import Represent
from registry.plugins.check.shares import Shares, stability, total_variation

EQUAL = {"sex": {"f": 0.5, "m": 0.5}}


class TestContract(PluginContract):
    plugin = Represent


def people(women: int, men: int, other: int = 0) -> pa.Table:
    return pa.table({"sex": ["f"] * women + ["m"] * men + ["x"] * other})


def represent(
    folder: Path, table: pa.Table, reference: pa.Table | None = None, role: str = "reference", **options: Any
) -> Evidence:
    sensitive = tuple(name for name in table.column_names if name == "sex")
    data = dataset_input(folder / "in", table, ref="loans/1", sensitive=sensitive)
    others = {}
    if reference is not None:
        others[role] = dataset_input(folder / "ref", reference, role=role, ref="census/1")
    evidence: Evidence = run_plugin(Represent(), folder / "run", dataset=data, data=others, config=options)
    return evidence


class TestAgainstData:
    def test_shares_that_are_equal_have_no_distance(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(300, 200), people(600, 400))
        metrics = evidence.metrics
        assert evidence.status is EvidenceStatus.COMPLETE
        assert metrics["tv.max"] == metrics["psi.max"] == 0
        assert 0 < metrics["tv.max.upper"] < 0.08
        assert (metrics["rows"], metrics["reference_rows"], metrics["groups"]) == (500, 1000, 2)
        assert evidence.facts["missing"] == evidence.facts["unexpected"] == "none"

    def test_the_distance_is_the_share_that_would_have_to_change(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(450, 50), people(500, 500))
        metrics = evidence.metrics
        assert metrics["tv.max"] == pytest.approx(0.4)
        assert metrics["psi.max"] == pytest.approx(0.4 * np.log(0.9 / 0.5) - 0.4 * np.log(0.1 / 0.5))
        assert metrics["sex.tv.lower"] < 0.4 < metrics["sex.tv.upper"]
        assert metrics["tv.max.lower"] > 0.3
        assert evidence.tables["groups"][0]["difference"] == pytest.approx(0.4)

    def test_the_reference_is_named_by_digest(self, tmp_path: Path) -> None:
        reference = people(100, 100)
        facts = represent(tmp_path, people(100, 100), reference).facts
        assert facts["reference"] == "census/1"
        assert facts["reference.digest"] == dataset_input(tmp_path / "again", reference).digest

    def test_a_group_that_is_missing_is_counted_and_named(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(300, 200), people(300, 200, other=50))
        assert evidence.status is EvidenceStatus.COMPLETE
        assert evidence.metrics["groups.missing"] == 1
        assert evidence.facts["missing"] == "sex=x"

    def test_a_group_that_nobody_expected_too(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(300, 200, other=40), people(300, 200))
        assert evidence.metrics["groups.unexpected"] == 1
        assert evidence.facts["unexpected"] == "sex=x"

    def test_numbers_of_many_values_are_compared_by_deciles(self, tmp_path: Path) -> None:
        ages = pa.table({"age": list(range(1000))})
        same = represent(tmp_path / "same", ages, ages, columns="age")
        assert same.metrics["groups"] == 10
        assert same.metrics["tv.max"] == 0
        older = represent(tmp_path / "older", pa.table({"age": list(range(500, 1000))}), ages, columns="age")
        assert older.metrics["tv.max"] == pytest.approx(0.5)
        assert older.metrics["groups.missing"] == 5

    def test_numbers_that_are_none_make_no_edges(self, tmp_path: Path) -> None:
        ages = pa.table({"age": [float(age) for age in range(990)] + [float("nan")] * 5 + [float("inf")] * 5})
        evidence = represent(tmp_path, ages, ages, columns="age")
        assert evidence.metrics["tv.max"] == 0
        assert [row["rows"] for row in evidence.tables["groups"] if row["group"] == "(missing)"] == [5]
        assert evidence.metrics["groups"] == 11

    def test_rows_without_a_value_are_no_missing_group(self, tmp_path: Path) -> None:
        gaps = pa.table({"sex": ["f"] * 100 + ["m"] * 95 + [None] * 5})
        evidence = represent(tmp_path, gaps, people(100, 100))
        assert evidence.status is EvidenceStatus.COMPLETE
        assert evidence.metrics["tv.max"] == pytest.approx(0.025)

    def test_repeats_itself(self, tmp_path: Path) -> None:
        one = represent(tmp_path / "one", people(300, 200), people(600, 400))
        assert represent(tmp_path / "two", people(300, 200), people(600, 400)) == one


class TestExpectedShares:
    def test_are_exact(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(60, 40), expected={"sex": {"f": 0.51, "m": 0.49}})
        assert evidence.metrics["tv.max"] == pytest.approx(0.09)
        assert evidence.metrics["reference_rows"] == 0
        assert evidence.facts["reference"] == "expected shares"
        assert evidence.facts["reference.digest"].startswith("sha256:")

    def test_can_be_typed_as_json(self, tmp_path: Path) -> None:
        assert represent(tmp_path, people(60, 40), expected='{"sex": {"f": 0.6, "m": 0.4}}').metrics[
            "tv.max"
        ] == pytest.approx(0)


class TestTooLittle:
    def test_few_rows_on_either_side(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(49, 50), people(45, 45))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == (
            "loans/1 has 99 rows, fewer than 100; census/1 has 90 rows, fewer than 100"
        )

    def test_a_small_group(self, tmp_path: Path) -> None:
        evidence = represent(tmp_path, people(300, 29), people(500, 500))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.reason == "fewer than 30 rows: sex=m"
        assert evidence.metrics["groups.small"] == 1
        assert evidence.metrics["group.smallest"] == 29


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "is compared with a reference dataset or with expected shares: give one of them"),
        ({"expected": EQUAL, "columns": "age"}, "loans/1 has no column 'age'"),
        ({"expected": {"sxe": {"f": 0.5, "m": 0.5}}}, "loans/1 has no column 'sxe'"),
        ({"expected": EQUAL, "columns": "id"}, "'expected' says nothing of column 'id'"),
        ({"expected": {"id": {"1": 0.5, "2": 0.5}}}, "'id' of loans/1 has 250 different values"),
        ({"expected": {"sex": {"f": 0.5, "m": 0.6}}}, "add up to 1.1, not 1"),
        ({"expected": {"sex": {"f": 1.5, "m": -0.5}}}, "not all between 0 and 1"),
        ({"expected": {"sex": {"f": 1}}}, "needs two groups or more"),
        ({"expected": "{sex"}, "it is no JSON"),
    ],
)
def test_refuses_what_cannot_be_compared(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    table = people(150, 100).append_column("id", pa.array(range(250)))
    with pytest.raises(BadConfig, match=message):
        represent(tmp_path, table, **options)


def test_refuses_other_data(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="only one of them"):
        represent(tmp_path / "1", people(100, 100), people(100, 100), expected=EQUAL)
    with pytest.raises(BadConfig, match="not with train data") as refused:
        represent(tmp_path / "2", people(100, 100), people(100, 100), role="train")
    assert refused.value.hint == "--data reference=census/1"
    with pytest.raises(BadConfig, match="census/1 has no column 'sex'"):
        represent(tmp_path / "3", people(100, 100), pa.table({"gender": ["f", "m"]}))
    with pytest.raises(BadConfig, match="holds numbers in census/1 and string in loans/1"):
        represent(tmp_path / "4", people(100, 100), pa.table({"sex": range(100)}))
    with pytest.raises(BadConfig, match="names no sensitive column and no label"):
        represent(tmp_path / "5", pa.table({"age": [1, 2]}), people(1, 1))
    with pytest.raises(BadTable, match="loans/1 has no rows"):
        represent(tmp_path / "6", people(0, 0), people(1, 1))


shares = st.lists(st.floats(0.01, 1), min_size=2, max_size=6).map(lambda p: np.array(p) / sum(p))


@given(shares, st.randoms())
def test_distances_are_symmetric_and_nothing_for_equal_shares(one: np.ndarray, dice: Any) -> None:
    other = np.array(dice.sample(one.tolist(), len(one)))
    for distance in (total_variation, stability):
        assert distance(one, one) == 0
        assert distance(one, other) == pytest.approx(distance(other, one))
    assert 0 <= total_variation(one, other) <= 1


def test_intervals_hold_what_they_promise() -> None:
    """Of 200 samples, the upper end lies above the true distance in at least nineteen of twenty."""
    dice = np.random.default_rng(0)
    truth = np.array([0.6, 0.4])
    above = 0
    for number in range(200):
        women = int(dice.binomial(400, truth[0]))
        found = Shares.count("sex", ["f"] * women + ["m"] * (400 - women), {"f": 0.5, "m": 0.5}, 0)
        above += found.metrics(200, 0.95, number)["tv.upper"] >= 0.1
    assert above >= 185
