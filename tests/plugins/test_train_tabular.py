"""Tabular classifiers: better than guessing on credit data, stored without pickle, judged as all others."""

from __future__ import annotations

import io
import json
import math
import random
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from registry.errors import BadConfig, BadInput
from registry.extension import Trained
from registry.extension.predictor import load_predictor
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.check.bias import Bias
from registry.plugins.check.scan_artifact import ScanArtifact
from registry.plugins.evaluate.classifier import EvaluateClassifier
from registry.plugins.evaluate.memorisation import Memorisation
from registry.plugins.evaluate.slices import Slices
from registry.plugins.prepare.split import Split
from registry.plugins.train import tabular_account
from registry.plugins.train.engine.watch import ALARMS
from registry.plugins.train.tabular import TrainTabular

ESTIMATORS = ("logistic", "random-forest", "gradient-boosting")
ROLES = {"label": "granted", "sensitive": ("sex",)}


def loans(rows: int, seed: int) -> pa.Table:
    """Loans granted by income and purpose, and to women less often; a tenth of the incomes is missing."""
    dice = random.Random(seed)
    found: list[dict[str, Any]] = []
    for _ in range(rows):
        income, purpose, sex = dice.gauss(30, 8), dice.choice(["car", "house", "trip"]), dice.choice("fm")
        merit = (income - 30) / 4 + (purpose == "house") - (purpose == "trip") - (sex == "f")
        granted = "yes" if merit + dice.gauss(0, 0.5) > 0 else "no"
        known = income if dice.random() > 0.1 else None
        found.append(
            {
                "income": known,
                "purpose": purpose,
                "sex": sex,
                "member": dice.random() < 0.5,
                "granted": granted,
            }
        )
    return pa.Table.from_pylist(found)


def train(
    folder: Path, table: pa.Table | None = None, *, validation: pa.Table | None = None, **options: Any
) -> Any:
    table = loans(300, seed=0) if table is None else table
    design, roles = options.pop("design", None), ROLES | options.pop("roles", {})
    data = {"train": dataset_input(folder / "train", table, ref="loans/1", role="train", **roles)}
    if validation is not None:
        data["validation"] = dataset_input(folder / "validation", validation, role="validation", **roles)
    return run_plugin(TrainTabular(), folder / "run", config=options, data=data, design=design)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("loans"), validation=loans(200, seed=1))


class TestContract(PluginContract):
    plugin = TrainTabular


class TestLearning:
    def test_it_learns_and_says_so_in_the_words_of_all_trainings(self, trained: Trained) -> None:
        metrics, facts = trained.evidence.metrics, trained.evidence.facts
        assert metrics["converged"] == 1
        assert metrics["train_loss"] < metrics["first_loss"] == metrics["uninformed_loss"] <= math.log(2)
        assert metrics["validation_accuracy"] > 0.75
        assert metrics["parity.max_difference"] == 0
        assert metrics["truncated_share"] == 0
        assert {name for name in metrics if name.startswith("alarms.")} == {
            f"alarms.{name}" for name in ALARMS
        }
        assert metrics["alarms"] == sum(metrics[f"alarms.{name}"] for name in ALARMS) == 0
        assert metrics["label_audit.rows"] == 64
        assert metrics["label_audit.mismatches"] == 0
        for name in ("seed", "packages", "device", "precision", "train.digest", "strategy", "scikit-learn"):
            assert facts[name].strip()
        assert (facts["differs_from_design"], facts["determinism"]) == ("no", "bitwise")

    def test_missing_numbers_are_imputed_and_counted(self, trained: Trained) -> None:
        nulls = loans(300, seed=0)["income"].null_count
        assert trained.evidence.metrics["imputed_cells"] == nulls > 0

    @pytest.mark.parametrize("estimator", ESTIMATORS)
    def test_beats_the_majority_on_german_credit(
        self, estimator: str, shared_data: Callable[[str], Path], tmp_path: Path
    ) -> None:
        """Both labels are judged well enough that accuracy is above the 0.70 of always saying `good`."""
        table = pa.csv.read_csv(shared_data("german_credit/german.csv"))
        roles = {"label": "credit_risk", "sensitive": ("sex",)}
        parts = {"train": table.slice(0, 700), "test": table.slice(700)}
        data = {
            role: dataset_input(tmp_path / role, part, ref=f"credit-{role}/1", role=role, **roles)
            for role, part in parts.items()
        }
        options = {"estimator": estimator} | ({} if estimator == "logistic" else {"trees": 60})
        made = run_plugin(TrainTabular(), tmp_path / "run", config=options, data=data)
        found = run_plugin(EvaluateClassifier(), tmp_path / "judged", artifact=made.path, data=data)
        majority = parts["test"]["credit_risk"].to_pylist().count(1) / 300
        assert found.metrics["accuracy"] > majority + 0.03
        assert "sex" in made.evidence.facts["not_read"]
        bias = run_plugin(Bias(), tmp_path / "bias", artifact=made.path, data=data)
        assert bias.status == "complete"
        assert bias.metrics["demographic_parity_difference"] < 0.3

    def test_more_than_two_labels(self, tmp_path: Path) -> None:
        table = loans(300, seed=0)
        three = [
            purpose + label
            for purpose, label in zip(table["purpose"].to_pylist(), table["granted"].to_pylist(), strict=True)
        ]
        for estimator in ESTIMATORS:
            made = train(
                tmp_path / estimator, table.set_column(4, "granted", pa.array(three)), estimator=estimator
            )
            chances = load_predictor(made.path).probabilities(table)
            assert chances.shape == (300, 6)
            np.testing.assert_allclose(chances.sum(axis=1), 1)


class TestFairness:
    def selected(self, made: Trained) -> float:
        """How much more often men are granted a loan than women."""
        table = loans(600, seed=5)
        predictor = load_predictor(made.path)
        yes = predictor.probabilities(table)[:, predictor.labels.index("yes")] > 0.5
        women = np.array(table["sex"].to_pylist()) == "f"
        return float(yes[~women].mean() - yes[women].mean())

    def test_sensitive_columns_are_read_only_if_asked(self, trained: Trained, tmp_path: Path) -> None:
        assert trained.evidence.facts["categories"] == "purpose, member"
        read = train(tmp_path, use_sensitive=True)
        assert read.evidence.facts["categories"] == "purpose, sex, member"
        assert self.selected(read) > self.selected(trained) + 0.1

    def test_reweighing_narrows_the_gap(self, tmp_path: Path) -> None:
        plain = train(tmp_path / "a", use_sensitive=True)
        fair = train(tmp_path / "b", use_sensitive=True, reweigh="sex")
        assert self.selected(fair) < self.selected(plain) - 0.05
        assert fair.evidence.facts["reweigh"] == "sex"


class TestRepeating:
    @pytest.mark.parametrize("estimator", ESTIMATORS)
    def test_the_same_seed_makes_the_same_bytes(self, estimator: str, tmp_path: Path) -> None:
        one, other = (train(tmp_path / name, estimator=estimator) for name in "ab")
        assert manifest_of(one.path) == manifest_of(other.path)


class TestAlarms:
    def test_noise_does_not_converge(self, tmp_path: Path) -> None:
        dice = random.Random(0)
        noise = loans(300, seed=0).set_column(4, "granted", pa.array([dice.choice("ab") for _ in range(300)]))
        evidence = train(tmp_path, noise).evidence
        assert evidence.metrics["converged"] == 0
        assert evidence.facts["alarms"] == "not_converged"

    def test_learning_noise_by_heart_is_overfitting(self, tmp_path: Path) -> None:
        dice = random.Random(0)
        noise = loans(300, seed=0).set_column(4, "granted", pa.array([dice.choice("ab") for _ in range(300)]))
        options = {"estimator": "gradient-boosting", "min_leaf": 1}
        evidence = train(tmp_path, noise.slice(0, 200), validation=noise.slice(200), **options).evidence
        assert evidence.metrics["alarms.overfitted"] == 1
        (row,) = evidence.tables["alarms"]
        assert row["value"] == evidence.metrics["validation_loss"] > row["limit"]

    def test_a_solver_that_gave_up_did_not_converge(self, tmp_path: Path) -> None:
        evidence = train(tmp_path, iterations=1).evidence
        assert evidence.metrics["alarms.not_converged"] == 1
        assert "failed to converge" in evidence.facts["solver"]

    def test_labels_that_slipped_by_a_row_are_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from registry.plugins.train import tabular_fit

        real = tabular_fit.read_inputs

        def slipped(*arguments: Any) -> Any:
            rows = real(*arguments)
            rows.numbers[:] = np.roll(rows.numbers, 1)
            return rows

        monkeypatch.setattr(tabular_fit, "read_inputs", slipped)
        assert train(tmp_path).evidence.metrics["label_audit.mismatches"] > 10

    def test_an_artifact_that_answers_otherwise_is_not_recorded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from registry.errors import RunFailed
        from registry.plugins.train.estimators import load

        def bent(path: Path) -> Any:
            pipeline = load(path)
            pipeline[-1].intercept_ += 0.1
            return pipeline

        monkeypatch.setattr(tabular_account, "load", bent)
        with pytest.raises(RunFailed, match="answers unlike the trained model"):
            train(tmp_path)


class TestBeingJudged:
    @pytest.mark.parametrize("estimator", ESTIMATORS)
    def test_the_artifact_is_safe(self, estimator: str, tmp_path: Path) -> None:
        made = train(tmp_path, estimator=estimator)
        assert {path.name for path in made.path.iterdir()} == {"model.skops", "phasegate.json"}
        found = run_plugin(ScanArtifact(), tmp_path / "scan", artifact=made.path)
        assert (found.metrics["unsafe_files"], found.metrics["unknown_files"]) == (0, 0)
        assert found.coverage == 1
        assert found.facts["formats"] == "json 1, skops 1"

    def test_the_checks_of_classifiers_run_on_it(self, trained: Trained, tmp_path: Path) -> None:
        # Without an income, rows of different people may well be the same.
        seen, test = (loans(rows, seed).drop_null() for rows, seed in ((300, 0), (220, 2)))
        leaky = pa.concat_tables([test, seen.slice(0, 4)])
        data = {
            "train": dataset_input(tmp_path / "train", seen, ref="loans/1", role="train", **ROLES),
            "test": dataset_input(tmp_path / "test", leaky, ref="loans/2", role="test", **ROLES),
        }
        found = {
            plugin.name: run_plugin(plugin, tmp_path / plugin.name, artifact=trained.path, data=data)
            for plugin in (EvaluateClassifier(), Bias(), Slices(), Memorisation())
        }
        assert found["evaluate-classifier"].metrics["leaked_rows"] == 4
        assert "rows compared without their label" in found["evaluate-classifier"].facts["leakage"]
        assert found["slices"].facts["dimensions"] == "sex, label"
        assert found["bias"].metrics["demographic_parity_difference"] >= 0
        assert found["memorisation"].metrics["membership.auc"] < 0.65

    def test_the_data_can_be_split(self, tmp_path: Path) -> None:
        table = pa.concat_tables([loans(100, seed=0)] * 2)
        made = run_plugin(Split(), tmp_path / "run", dataset=dataset_input(tmp_path / "data", table, **ROLES))
        assert made.evidence.metrics["leaked_rows"] == 0

    def test_words_and_gaps_that_training_did_not_see_have_answers(self, trained: Trained) -> None:
        odd = pa.table({"income": pa.array([None, 1e9]), "purpose": ["boat", None], "member": [True, None]})
        np.testing.assert_allclose(load_predictor(trained.path).probabilities(odd).sum(axis=1), 1)
        assert load_predictor(trained.path).probabilities(odd.slice(0, 0)).shape == (0, 2)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"income": pa.array([float("inf")])}, "row 0 of the data has an infinite 'income'"),
            ({"income": pa.array(["much"])}, "holds string, the model reads numbers"),
            ({"income": None}, "no column 'income', which the model reads"),
        ],
    )
    def test_rows_that_it_cannot_read_are_refused(
        self, trained: Trained, change: dict[str, Any], message: str
    ) -> None:
        columns = {"income": pa.array([30.0]), "purpose": pa.array(["car"]), "member": pa.array([True])}
        left = {name: values for name, values in (columns | change).items() if values is not None}
        with pytest.raises(BadInput, match=message):
            load_predictor(trained.path).probabilities(pa.table(left))

    def test_a_cut_model_or_another_card_is_refused(self, trained: Trained, tmp_path: Path) -> None:
        shutil.copytree(trained.path, tmp_path / "a")
        card = json.loads((tmp_path / "a" / "phasegate.json").read_text())
        card["features"]["numbers"] = ["income", "age"]
        (tmp_path / "a" / "phasegate.json").write_text(json.dumps(card))
        with pytest.raises(BadInput, match="reads 3 columns, its card names 4"):
            load_predictor(tmp_path / "a")
        model = tmp_path / "a" / "model.skops"
        model.write_bytes(model.read_bytes()[:500])
        with pytest.raises(BadInput, match="cannot be loaded"):
            load_predictor(tmp_path / "a")


def with_column(name: str, values: list[Any]) -> pa.Table:
    return loans(20, seed=0).append_column(name, pa.array(values))


class TestBadInput:
    @pytest.mark.parametrize(
        ("table", "options", "message"),
        [
            (loans(20, seed=0).slice(0, 0), {}, "has no rows"),
            (loans(20, seed=0).set_column(4, "granted", pa.array(["yes"] * 20)), {}, "nothing to learn"),
            (loans(20, seed=0).set_column(4, "granted", pa.array([1.0, math.nan] * 10)), {}, "10 of 20 rows"),
            (loans(20, seed=0).set_column(4, "granted", pa.array([1.0, math.inf] * 10)), {}, "10 of 20 rows"),
            (with_column("debt", [1.0] * 19 + [math.inf]), {}, "row 19 of loans/1 has an infinite 'debt'"),
            (with_column("debt", pa.nulls(20, pa.float64())), {}, "column 'debt' of loans/1 holds no values"),
            (
                with_column("tags", [["a"]] * 20),
                {},
                "'tags' of loans/1 holds list<.*>: neither numbers nor words",
            ),
            (with_column("name", [f"n{n}" for n in range(20)]), {"max_categories": 19}, "20 different words"),
            (None, {"estimator": "svm"}, "estimator"),
            (None, {"leaves": 9}, "leaves does nothing for logistic"),
            (None, {"ignore": "incom"}, "cannot ignore 'incom'"),
            (None, {"ignore": "income,purpose,member"}, "no column to learn from"),
            (None, {"reweigh": "gender"}, "cannot reweigh by 'gender'"),
            (None, {"positive": "y"}, "'y', which is none of the labels"),
        ],
    )
    def test_is_refused(self, table: pa.Table | None, options: Any, message: str, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=message):
            train(tmp_path, table, **options)

    def test_columns_that_are_ignored_are_not_looked_at(self, tmp_path: Path) -> None:
        table = loans(60, seed=0).append_column("tags", pa.array([["a"]] * 60))
        assert "tags" in train(tmp_path, table, ignore="tags").evidence.facts["not_read"]

    def test_the_design_may_name_what_another_estimator_has(self, tmp_path: Path) -> None:
        made = train(tmp_path, design={"estimator": "random-forest", "trees": "7", "leaves": 5})
        assert made.evidence.metrics["steps"] == 7
        assert made.evidence.facts["differs_from_design"] == "no"
        with pytest.raises(BadConfig, match="iterations does nothing"):
            train(tmp_path / "b", design={"estimator": "random-forest"}, iterations=3)


def _put(name: str, data: bytes, files: dict[str, bytes]) -> None:
    files[name] = data


class TestScanOfStoredModels:
    """The scanner reads a `.skops` file without loading it, and knows every type that may be in one."""

    def verdict(
        self, folder: Path, change: Callable[[dict[str, bytes]], None], made: Trained
    ) -> dict[str, Any]:
        with zipfile.ZipFile(made.path / "model.skops") as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        change(files)
        folder.mkdir()
        with zipfile.ZipFile(folder / "model.skops", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        found = run_plugin(ScanArtifact(), folder.with_name("run"), artifact=folder)
        (row,) = found.tables["files"]
        return row

    def test_as_it_is_it_is_safe(self, trained: Trained, tmp_path: Path) -> None:
        assert self.verdict(tmp_path / "a", lambda files: None, trained)["verdict"] == "safe"

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            (b"LogisticRegression", b"Evil", "makes a sklearn.linear_model._logistic.Evil"),
            (b'"sklearn.pipeline"', b'"os"', "makes a os.Pipeline"),
            (b"ObjectNode", b"FunctionNode", "by FunctionNode"),
            (b'"ListNode"', b'["ListNode"]', "by"),
        ],
    )
    def test_a_type_that_is_not_known_is_unsafe(
        self, old: bytes, new: bytes, reason: str, trained: Trained, tmp_path: Path
    ) -> None:
        def change(files: dict[str, bytes]) -> None:
            assert old in files["schema.json"]
            files["schema.json"] = files["schema.json"].replace(old, new, 1)

        row = self.verdict(tmp_path / "a", change, trained)
        assert row["verdict"] == "unsafe"
        assert reason in row["reason"]

    def test_arrays_of_objects_scripts_and_strays_are_unsafe(self, trained: Trained, tmp_path: Path) -> None:
        stream = io.BytesIO()
        np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        for number, (name, data) in enumerate(
            {"0.npy": stream.getvalue(), "1.npy": b"#!/bin/sh", "evil.py": b"", "../0.npy": b""}.items()
        ):
            row = self.verdict(tmp_path / str(number), partial(_put, name, data), trained)
            assert row["verdict"] == "unsafe", name

    def test_a_model_of_another_make_is_refused_by_scanner_and_predictor(
        self, trained: Trained, tmp_path: Path
    ) -> None:
        import skops.io
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import FunctionTransformer

        folder = tmp_path / "a"
        shutil.copytree(trained.path, folder)
        skops.io.dump(Pipeline([("f", FunctionTransformer(func=shutil.rmtree))]), folder / "model.skops")
        found = run_plugin(ScanArtifact(), tmp_path / "run", artifact=folder)
        assert found.metrics["unsafe_files"] == 1
        with pytest.raises(BadInput, match="not known to be harmless"):
            load_predictor(folder)
