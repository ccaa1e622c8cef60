"""Detectors: they learn where things are, mirror boxes with pictures, and refuse boxes that cannot be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from drawn import squares

from registry.errors import BadInput, NotFound
from registry.extension import Trained
from registry.extension.predictor import load_predictor
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.check.profile import Profile
from registry.plugins.check.scan_artifact import ScanArtifact
from registry.plugins.train.average_precision import Found, mean_average_precision, overlap
from registry.plugins.train.detector import TrainDetector
from registry.plugins.train.engine.task import Dice
from registry.plugins.train.tasks.picture_boxes import PictureBoxes

ROLES = {"image": "image", "label": "label"}
TINY = {
    "size": 48, "hidden_size": 64, "layers": 2, "objects": 3,
    "epochs": 18, "batch_size": 8, "learning_rate": 3e-3,
}  # fmt: skip


def train(folder: Path, table: pa.Table, *, validation: pa.Table | None = None, **options: Any) -> Trained:
    data = {"train": dataset_input(folder / "train", table, ref="squares/1", role="train", **ROLES)}
    if validation is not None:
        data["validation"] = dataset_input(folder / "validation", validation, role="validation", **ROLES)
    return run_plugin(TrainDetector(), folder / "run", config=TINY | options, data=data)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("squares"), squares(200, seed=0), validation=squares(50, seed=1))


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PictureBoxes:
    """The task of a training that ends before its first step."""

    class Built(Exception):
        task: PictureBoxes

    def stop(ctx: Any, task: PictureBoxes, config: Any) -> None:
        Built.task = task
        raise Built

    monkeypatch.setattr("registry.plugins.train.engine.loop.fit", stop)
    table = squares(12, seed=0)
    two = table["label"].to_pylist()
    two[0] = [*two[0], *two[1]]
    two[2] = []
    with pytest.raises(Built):
        train(tmp_path, table.set_column(1, "label", pa.array(two)), flip=True)
    return Built.task


class TestContract(PluginContract):
    plugin = TrainDetector


class TestLearning:
    def test_it_finds_squares(self, trained: Trained) -> None:
        metrics = trained.evidence.metrics
        assert metrics["converged"] == 1
        assert metrics["train_loss"] < 0.5 * min(metrics["first_loss"], metrics["uninformed_loss"])
        assert metrics["validation_map50"] > 0.5
        assert metrics["label_audit.mismatches"] == 0
        assert (metrics["objects"], metrics["objects.most"], metrics["labels"]) == (200, 1, 2)

    def test_before_training_it_finds_nothing(self, tmp_path: Path) -> None:
        metrics = train(
            tmp_path, squares(20, seed=0), validation=squares(20, seed=1), steps=1, learning_rate=1e-9
        ).evidence.metrics
        assert metrics["validation_map50"] < 0.1
        assert metrics["converged"] == 0

    def test_the_artifact_is_safe_and_no_classifier(self, trained: Trained, tmp_path: Path) -> None:
        card = json.loads((trained.path / "phasegate.json").read_text())
        assert (card["format"], card["labels"]) == ("object-detector", ["blue", "red"])
        found = run_plugin(ScanArtifact(), tmp_path, artifact=trained.path)
        assert (found.metrics["unsafe_files"], found.metrics["unknown_files"]) == (0, 0)
        with pytest.raises(NotFound, match="no predictor for format 'object-detector'"):
            load_predictor(trained.path)

    def test_the_same_seed_makes_the_same_bytes(self, tmp_path: Path) -> None:
        options = {"epochs": 1, "flip": True}
        one, other = (train(tmp_path / name, squares(24, seed=0), **options) for name in "ab")
        assert manifest_of(one.path) == manifest_of(other.path)


class TestLoss:
    def test_a_sum_does_not_depend_on_which_pictures_share_a_batch(self, task: PictureBoxes) -> None:
        """Pictures of two objects, one, and none."""
        import torch

        rows = range(6)
        task.model.eval()
        with torch.no_grad():
            whole = task.loss(task.model, task.batch(task.train, rows, None), training=False)
            parts = [
                task.loss(task.model, task.batch(task.train, [row], None), training=False) for row in rows
            ]
        assert float(whole) == pytest.approx(float(sum(parts)), rel=1e-5)

    def test_boxes_are_shares_of_the_picture(self, task: PictureBoxes) -> None:
        batch = task.batch(task.train, [1], None)
        (box,) = squares(12, seed=0)["label"][1].as_py()
        x, y, width, height = box["box"]
        expected = [(x + width / 2) / 48, (y + height / 2) / 48, width / 48, height / 48]
        assert batch["boxes"][0, 0].tolist() == pytest.approx(expected)

    def test_a_mirrored_picture_has_mirrored_boxes(self, task: PictureBoxes) -> None:
        """Within its box a picture has the square's colour, mirrored or not, and nothing of it outside."""
        rows, mirrored = range(12), 0
        plain = task.batch(task.train, rows, None)
        thrown = task.batch(task.train, rows, Dice(0, 0))
        for place in (row for row in rows if row not in (0, 2)):
            x, y, width, height = (thrown["boxes"][place, 0] * 48).tolist()
            inside = np.zeros((48, 48), bool)
            inside[
                round(y - height / 2) : round(y + height / 2), round(x - width / 2) : round(x + width / 2)
            ] = 1
            coloured = thrown["pictures"][place].numpy().min(axis=0) < 100
            assert (coloured == inside).all()
            mirrored += bool((thrown["pictures"][place] != plain["pictures"][place]).any())
        assert 0 < mirrored < 10


class TestAveragePrecision:
    BOX, BESIDE = (0.5, 0.5, 0.2, 0.2), (0.9, 0.9, 0.1, 0.1)

    def test_overlap(self) -> None:
        assert overlap(self.BOX, self.BOX) == pytest.approx(1)
        assert overlap(self.BOX, self.BESIDE) == 0
        assert overlap(self.BOX, (0.6, 0.5, 0.2, 0.2)) == pytest.approx(1 / 3)

    @pytest.mark.parametrize(
        ("found", "expected"),
        [
            ([[Found(0, 0.9, BOX)], [Found(0, 0.8, BOX)]], 1.0),
            ([[Found(0, 0.9, BOX)], []], 0.5),
            ([[], []], 0.0),
            ([[Found(1, 0.9, BOX)], [Found(0, 0.8, BESIDE)]], 0.0),
            # Two claims on one object: the second is wrong. Precision is 1/1, 1/2, 2/3.
            ([[Found(0, 0.9, BOX), Found(0, 0.8, BOX)], [Found(0, 0.7, BOX)]], 0.5 * 1 + 0.5 * 2 / 3),
            # A wrong claim before the right ones: precision 0, 1/2, 2/3; the best from there on is 2/3.
            ([[Found(0, 0.9, BESIDE), Found(0, 0.8, BOX)], [Found(0, 0.7, BOX)]], 2 / 3),
        ],
    )
    def test_of_one_class(self, found: list[list[Found]], expected: float) -> None:
        truth = [[(0, self.BOX)], [(0, self.BOX)]]
        assert mean_average_precision(truth, found) == pytest.approx(expected)

    def test_is_the_mean_over_the_classes_that_are_there(self) -> None:
        truth = [[(0, self.BOX), (3, self.BESIDE)]]
        assert mean_average_precision(truth, [[Found(0, 0.9, self.BOX)]]) == 0.5


def boxes(*objects: Any) -> pa.Table:
    """Twelve pictures of 48 x 48, the third of which has these objects."""
    table = squares(12, seed=0)
    labels = table["label"].to_pylist()
    labels[2] = list(objects)
    return table.set_column(1, "label", pa.array(labels))


class TestBadInput:
    @pytest.mark.parametrize(
        ("objects", "message"),
        [
            ([{"box": [40.0, 0, 9, 9], "label": "a"}], "row 2 .* outside its picture of 48 x 48 pixels"),
            ([{"box": [-1.0, 0, 9, 9], "label": "a"}], "row 2 of squares/1 .* outside"),
            ([{"box": [1.0, 1, 0, 9], "label": "a"}], "row 2 of squares/1 has a box of no size"),
            ([{"box": [1.0, 1, 9], "label": "a"}], r"row 2 of squares/1 has the box \[1.0, 1.0, 9.0\]"),
            ([{"box": [1.0, math.nan, 9, 9], "label": "a"}], "row 2 of squares/1 has the box"),
            ([{"box": [1.0, 1, 9, 9], "label": None}], "row 2 of squares/1 has an object without a label"),
            ([{"box": [1.0, 1, 9, 9], "label": "a"}] * 4, "has 4 objects, and the model finds at most 3"),
        ],
    )
    def test_a_box_that_cannot_be_is_refused(self, objects: Any, message: str, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=message):
            train(tmp_path, boxes(*objects))

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (pa.array(["a"] * 12), "holds string, not boxes"),
            (pa.array([[]] * 12, squares(1, 0)["label"].type), "no training picture has an object"),
            (pa.array([[], *[None] * 11], squares(1, 0)["label"].type), "11 of 12 rows"),
        ],
    )
    def test_labels_that_are_no_boxes_are_refused(self, labels: Any, message: str, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=message):
            train(tmp_path, boxes().set_column(1, "label", labels))

    def test_patches_that_do_not_fill_the_picture_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="patches of 7 pixels do not fill a picture of 48"):
            train(tmp_path, boxes(), patch=7)


def test_the_profile_counts_objects(tmp_path: Path) -> None:
    data = dataset_input(tmp_path / "data", squares(30, seed=0), **ROLES)
    evidence = run_plugin(Profile(), tmp_path / "run", dataset=data)
    assert {row["value"] for row in evidence.tables["classes"]} == {"red", "blue"}
    assert evidence.metrics["label.classes"] == 2
    roles = {row["column"]: row["role"] for row in evidence.tables["columns"]}
    assert roles == {"image": "image", "label": "label"}
