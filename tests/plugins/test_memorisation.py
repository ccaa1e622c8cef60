"""Memorisation: a model that learned by heart is found out, one that did not is not accused."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig, BadTable
from registry.extension import Evidence, Trained
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.evaluate.membership import attack
from registry.plugins.evaluate.memorisation import Memorisation


class TestContract(PluginContract):
    plugin = Memorisation


def memorisation(artifact: Path, folder: Path, train: pa.Table, test: pa.Table, **options: Any) -> Evidence:
    data = {
        role: dataset_input(folder / role, table, role=role, ref=f"{role}/1", text="text", label="label")
        for role, table in {"train": train, "test": test}.items()
    }
    evidence: Evidence = run_plugin(
        Memorisation(), folder / "run", artifact=artifact, data=data, config=options
    )
    return evidence


@pytest.fixture(scope="module")
def evidence(
    tiny_artifact: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tmp_path_factory: Any
) -> Evidence:
    return memorisation(tiny_artifact, tmp_path_factory.mktemp("memory"), sentiment_train, sentiment_test)


def noise(rows: int, seed: int) -> pa.Table:
    """Texts that tell nothing of their label: what is known of them is known by heart."""
    dice = random.Random(seed)
    texts = [" ".join(f"w{dice.randrange(300)}" for _ in range(8)) for _ in range(rows)]
    return pa.table({"text": texts, "label": [dice.choice(["a", "b"]) for _ in texts], "sex": ["f"] * rows})


class TestModels:
    def test_a_model_that_generalises_betrays_next_to_nothing(self, evidence: Evidence) -> None:
        metrics = evidence.metrics
        assert evidence.status is EvidenceStatus.COMPLETE
        assert metrics["membership.auc.lower"] <= metrics["membership.auc"] <= metrics["membership.auc.upper"]
        assert metrics["membership.auc"] < 0.6
        assert abs(metrics["loss.gap"]) < 0.05

    def test_one_that_learned_by_heart_betrays_its_training_data(
        self, train_tiny: Callable[..., Trained], tmp_path: Path
    ) -> None:
        train = noise(200, seed=0)
        trained = train_tiny(table=train, validation=None, epochs=40, positive="a", dropout=0.0)
        found = memorisation(trained.path, tmp_path, train, noise(200, seed=1)).metrics
        assert found["membership.auc.lower"] > 0.65
        assert found["membership.advantage"] > 0.3
        assert found["loss.gap.lower"] > 0.5
        assert found["confidence.gap"] >= -0.05

    def test_every_figure_of_the_contract_is_there(self, evidence: Evidence) -> None:
        ends = {f"{name}{end}" for name in ("membership.auc", "loss.gap") for end in ("", ".lower", ".upper")}
        assert set(evidence.metrics) == ends | {
            "rows.train",
            "rows.heldout",
            "heldout_excluded",
            "membership.advantage",
            "membership.tpr_at_1pct_fpr",
            "loss.train",
            "loss.heldout",
            "confidence",
            "confidence.gap",
        }
        metrics = evidence.metrics
        assert metrics["loss.gap"] == pytest.approx(metrics["loss.heldout"] - metrics["loss.train"])
        assert evidence.facts["extraction"].startswith("does not apply")
        assert evidence.facts["train.digest"] != evidence.facts["test.digest"]

    def test_test_rows_that_were_trained_on_are_no_strangers(
        self, tiny_artifact: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        mixed = pa.concat_tables([sentiment_test, sentiment_train.slice(0, 40)])
        found = memorisation(tiny_artifact, tmp_path, sentiment_train, mixed)
        assert found.metrics["heldout_excluded"] == 40
        assert found.metrics["rows.heldout"] == 200

    def test_a_sample_says_so(
        self, tiny_artifact: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        found = memorisation(tiny_artifact, tmp_path, sentiment_train, sentiment_test, max_rows=100)
        assert (found.metrics["rows.train"], found.metrics["rows.heldout"], found.coverage) == (
            100,
            100,
            0.25,
        )

    def test_repeats_itself(
        self,
        evidence: Evidence,
        tiny_artifact: Path,
        sentiment_train: pa.Table,
        sentiment_test: pa.Table,
        tmp_path: Path,
    ) -> None:
        assert memorisation(tiny_artifact, tmp_path, sentiment_train, sentiment_test) == evidence


class TestTooLittle:
    def test_few_rows_on_either_side(
        self, tiny_artifact: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tmp_path: Path
    ) -> None:
        found = memorisation(tiny_artifact, tmp_path / "1", sentiment_train, sentiment_test.slice(0, 99))
        assert found.status is EvidenceStatus.INSUFFICIENT
        assert found.reason == "test/1 has 99 test rows that were not trained on, fewer than 100"
        found = memorisation(tiny_artifact, tmp_path / "2", sentiment_train.slice(0, 99), sentiment_test)
        assert found.reason == "train/1 has 99 training rows, fewer than 100"

    def test_nothing_but_rows_that_were_trained_on(
        self, tiny_artifact: Path, sentiment_train: pa.Table, tmp_path: Path
    ) -> None:
        found = memorisation(tiny_artifact, tmp_path, sentiment_train, sentiment_train.slice(0, 200))
        assert found.status is EvidenceStatus.INSUFFICIENT
        assert found.metrics == {"heldout_excluded": 200}

    def test_the_same_data_twice(
        self, tiny_artifact: Path, sentiment_train: pa.Table, tmp_path: Path
    ) -> None:
        with pytest.raises(BadConfig, match="train and test are the same data, train/1"):
            memorisation(tiny_artifact, tmp_path, sentiment_train, sentiment_train)

    def test_no_rows(self, tiny_artifact: Path, sentiment_train: pa.Table, tmp_path: Path) -> None:
        with pytest.raises(BadTable, match="test/1 has no rows"):
            memorisation(tiny_artifact, tmp_path, sentiment_train, sentiment_train.slice(0, 0))


values = st.lists(st.integers(0, 8), min_size=2, max_size=40).map(lambda found: np.array(found) / 4)


class TestAttack:
    @given(values, values)
    def test_agrees_with_scikit_learn(self, members: np.ndarray, others: np.ndarray) -> None:
        truth = np.repeat([1, 0], [len(members), len(others)])
        score = -np.concatenate([members, others])
        found = attack(members, others, rounds=100, confidence=0.95, seed=0)
        assert found["membership.auc"] == pytest.approx(roc_auc_score(truth, score))
        false, true, _ = roc_curve(truth, score, drop_intermediate=False)
        assert found["membership.advantage"] == pytest.approx(max(true - false))
        assert found["membership.tpr_at_1pct_fpr"] == pytest.approx(true[false <= 0.01].max())

    def test_intervals_hold_the_truth(self) -> None:
        """Of 200 samples whose AUC is 0.5, about nineteen in twenty intervals hold 0.5."""
        dice = np.random.default_rng(0)
        inside = 0
        for number in range(200):
            found = attack(
                dice.exponential(size=150),
                dice.exponential(size=150),
                rounds=200,
                confidence=0.95,
                seed=number,
            )
            inside += found["membership.auc.lower"] <= 0.5 <= found["membership.auc.upper"]
        assert inside >= 180
