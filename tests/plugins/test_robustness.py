"""Robustness: small changes, paired intervals, and no robustness claimed of a model that reads nothing."""

from __future__ import annotations

import json
import random
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
from registry.extension.tables import text_key
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.evaluate.perturbations import PERTURBATIONS, perturb
from registry.plugins.evaluate.robustness import Robustness

NAMES = ("typos", "case", "whitespace", "punctuation")


class TestContract(PluginContract):
    plugin = Robustness


def robustness(
    artifact: Path, folder: Path, test: pa.Table, seed: int = 0, text: str = "text", **options: Any
) -> Evidence:
    data = dataset_input(folder / "test", test, role="test", ref="reviews-test/1", text=text, label="label")
    evidence: Evidence = run_plugin(
        Robustness(), folder / "run", artifact=artifact, data={"test": data}, config=options, seed=seed
    )
    return evidence


@pytest.fixture(scope="module")
def evidence(tiny_artifact: Path, sentiment_test: pa.Table, tmp_path_factory: Any) -> Evidence:
    """Every word mistyped: these texts are so simple that one typo changes nothing."""
    return robustness(tiny_artifact, tmp_path_factory.mktemp("robust"), sentiment_test, strength=1)


class TestFigures:
    def test_every_figure_of_the_contract_is_there(self, evidence: Evidence) -> None:
        assert evidence.status is EvidenceStatus.COMPLETE
        drops = {
            f"{score}.drop.{name}{end}"
            for score in ("f1", "accuracy")
            for name in (*NAMES, "max")
            for end in ("", ".lower", ".upper")
        }
        scores = {f"{score}.{name}" for score in ("f1", "accuracy") for name in ("clean", *NAMES)}
        flips = {f"flips.{name}" for name in (*NAMES, "max")}
        assert set(evidence.metrics) == {"rows", "strength", "confidence"} | drops | scores | flips

    def test_they_agree_with_each_other(self, evidence: Evidence) -> None:
        metrics = evidence.metrics
        for score in ("f1", "accuracy"):
            for name in NAMES:
                drop = metrics[f"{score}.drop.{name}"]
                assert drop == pytest.approx(metrics[f"{score}.clean"] - metrics[f"{score}.{name}"])
                assert metrics[f"{score}.drop.{name}.lower"] <= drop <= metrics[f"{score}.drop.{name}.upper"]
            assert metrics[f"{score}.drop.max"] == max(metrics[f"{score}.drop.{name}"] for name in NAMES)
        assert metrics["f1.drop.max"] == metrics[f"f1.drop.{evidence.facts['worst']}"]
        assert metrics["flips.max"] == max(metrics[f"flips.{name}"] for name in NAMES)

    def test_a_model_that_ignores_case_loses_nothing_by_it(self, evidence: Evidence) -> None:
        assert evidence.metrics["flips.case"] == 0
        assert evidence.metrics["f1.drop.case.upper"] == 0

    def test_one_that_does_not_is_found_out(
        self, train_tiny: Any, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        artifact = train_tiny(lowercase=False).path
        found = robustness(artifact, tmp_path, sentiment_test)
        assert found.metrics["f1.drop.case.lower"] > 0.1
        assert found.facts["worst"] == "case"

    def test_it_has_no_figure_that_a_target_would_take_for_its_own(self, evidence: Evidence) -> None:
        assert not {"f1", "accuracy", "precision", "recall", "auroc"} & set(evidence.metrics)

    def test_stronger_typos_cost_more(
        self, evidence: Evidence, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        weak = robustness(tiny_artifact, tmp_path, sentiment_test, perturbations="typos")
        assert weak.metrics["f1.drop.typos"] < evidence.metrics["f1.drop.typos"]
        assert set(NAMES) - {"typos"} == {name for name in NAMES if f"f1.{name}" not in weak.metrics}

    def test_repeats_itself_and_follows_the_seed(
        self, evidence: Evidence, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        assert robustness(tiny_artifact, tmp_path / "1", sentiment_test, strength=1) == evidence
        other = robustness(tiny_artifact, tmp_path / "2", sentiment_test, strength=1, seed=1)
        assert other.metrics != evidence.metrics

    def test_a_sample_says_so(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        found = robustness(tiny_artifact, tmp_path, sentiment_test, max_rows=50)
        assert (found.metrics["rows"], found.coverage) == (50, 0.25)

    def test_the_interval_is_that_of_a_paired_difference(self, evidence: Evidence) -> None:
        """As wide as the answers that change allow, not as two scores of 200 rows each."""
        metrics = evidence.metrics
        width = metrics["accuracy.drop.typos.upper"] - metrics["accuracy.drop.typos.lower"]
        flips = metrics["flips.typos"]
        assert flips > 0.02
        assert width == pytest.approx(2 * 1.96 * np.sqrt(flips * (1 - flips) / 200), rel=0.35)


class TestTooLittle:
    def test_few_rows(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        found = robustness(tiny_artifact, tmp_path, sentiment_test.slice(0, 29))
        assert found.status is EvidenceStatus.INSUFFICIENT
        assert found.reason == "29 test rows, fewer than 30"

    def test_one_label(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        negative = sentiment_test.filter(pa.compute.equal(sentiment_test["label"], "neg"))
        found = robustness(tiny_artifact, tmp_path, negative)
        assert found.reason == "no test row has the label 'pos'"

    def test_a_model_that_does_not_read_what_was_changed_is_not_called_robust(
        self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        table = sentiment_test.append_column("title", sentiment_test["text"])
        found = robustness(tiny_artifact, tmp_path, table, text="title")
        assert found.status is EvidenceStatus.INSUFFICIENT
        assert found.reason == "not one probability moved: the model may not read the column 'title'"


class TestBadInput:
    def test_of_options(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match=r"there is no perturbation 'typo' \(did you mean 'typos'"):
            robustness(tiny_artifact, tmp_path, sentiment_test, perturbations="typo")
        with pytest.raises(BadConfig, match="option 'strength'"):
            robustness(tiny_artifact, tmp_path, sentiment_test, strength=0)
        with pytest.raises(BadConfig, match="option 'perturbations'"):
            robustness(tiny_artifact, tmp_path, sentiment_test, perturbations="")

    def test_of_data(self, tiny_artifact: Path, sentiment_test: pa.Table, tmp_path: Path) -> None:
        with pytest.raises(BadTable, match="has no rows"):
            robustness(tiny_artifact, tmp_path / "1", sentiment_test.slice(0, 0))
        with pytest.raises(BadConfig, match="does not say which column is its text"):
            robustness(tiny_artifact, tmp_path / "2", sentiment_test, text="")


class TestPerturbations:
    @given(st.lists(st.text(max_size=40), max_size=5), st.sampled_from(NAMES), st.integers(0, 9))
    def test_depend_on_nothing_but_text_place_and_seed(self, texts: list[str], name: str, seed: int) -> None:
        assert perturb(texts, name, 0.3, seed) == perturb([*texts, "more"], name, 0.3, seed)[: len(texts)]

    @given(st.text(max_size=60))
    def test_space_and_punctuation_leave_every_letter(self, text: str) -> None:
        for name in ("whitespace", "punctuation"):
            letters = [c for c in perturb([text], name, 0.5, 0)[0] if c.isalnum()]
            assert letters == [c for c in text if c.isalnum()]

    @given(st.text(st.characters(codec="ascii"), max_size=60))
    def test_case_leaves_the_words(self, text: str) -> None:
        assert text_key(perturb([text], "case", 0.5, 0)[0]) == text_key(text)

    @pytest.mark.parametrize("name", NAMES)
    def test_change_an_ordinary_text(self, name: str) -> None:
        text = "The film, which we saw on Monday, was very good."
        changed = perturb([text] * 50, name, 0.1, 0)
        assert all(each != text for each in changed)
        assert len(set(changed)) > (2 if name == "case" else 3)

    def test_a_typo_is_one_letter_wide(self) -> None:
        dice = random.Random(0)
        for _ in range(200):
            changed = PERTURBATIONS["typos"]("wonderful", dice, 0.1)
            assert abs(len(changed) - 9) <= 1
            assert len(set("wonderful") - set(changed)) <= 1


def test_tables_are_json(evidence: Evidence) -> None:
    assert [row["perturbation"] for row in json.loads(json.dumps(evidence.tables))["perturbations"]] == list(
        NAMES
    )
