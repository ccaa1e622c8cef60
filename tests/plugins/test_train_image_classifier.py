"""Picture classifiers: they learn, repeat and resume exactly, are fed what the data says, and are judged."""

from __future__ import annotations

import gzip
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from drawn import bars, png
from PIL import Image

from registry.errors import BadInput, Cancelled
from registry.extension import RunContext, Trained
from registry.extension.context import CANCEL, EVENTS
from registry.extension.pictures import decode_pictures
from registry.extension.predictor import load_predictor
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.check.bias import Bias
from registry.plugins.check.scan_artifact import ScanArtifact
from registry.plugins.evaluate.classifier import EvaluateClassifier
from registry.plugins.evaluate.memorisation import Memorisation
from registry.plugins.evaluate.slices import Slices
from registry.plugins.train.augmentation import augment
from registry.plugins.train.engine.task import Dice
from registry.plugins.train.image_classifier import TrainImageClassifier
from registry.plugins.train.picture_options import ImageConfig
from registry.plugins.train.tasks.picture_classes import PictureClasses

ROLES = {"image": "image", "label": "label", "sensitive": ("hand",)}
TINY = {
    "size": 16, "channels": 1, "widths": "8,16", "depths": "1,1",
    "epochs": 4, "batch_size": 20, "learning_rate": 5e-3,
}  # fmt: skip
CHANGED = TINY | {"rotate": 10, "shift": 0.1, "zoom": 0.1, "erase": 0.3}


def train(
    folder: Path, table: pa.Table | None = None, *, validation: pa.Table | None = None, **options: Any
) -> Any:
    """Train on bars; `plugin=` and `design=` are not options."""
    plugin, design = options.pop("plugin", TrainImageClassifier()), options.pop("design", None)
    seed = options.pop("seed", 0)
    table = bars(200, seed=0) if table is None else table
    data = {"train": dataset_input(folder / "train", table, ref="bars-train/1", role="train", **ROLES)}
    if validation is not None:
        data["validation"] = dataset_input(folder / "validation", validation, role="validation", **ROLES)
    return run_plugin(plugin, folder / "run", config=TINY | options, data=data, design=design, seed=seed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("bars"), validation=bars(60, seed=1))


def logged(result: Trained) -> str:
    lines = (result.path.parents[1] / EVENTS).read_text().splitlines()
    return "\n".join(event["text"] for event in map(json.loads, lines) if event["type"] == "log")


class TestContract(PluginContract):
    plugin = TrainImageClassifier


class TestLearning:
    def test_it_learns(self, trained: Trained) -> None:
        metrics = trained.evidence.metrics
        assert metrics["converged"] == 1
        assert metrics["alarms"] == 0
        assert metrics["uninformed_loss"] == pytest.approx(math.log(2), abs=0.02)
        assert metrics["validation_accuracy"] >= 0.95
        assert metrics["validation_macro_f1"] == pytest.approx(metrics["validation_accuracy"], abs=0.02)
        assert trained.evidence.facts["architecture"] == "ResNetForImageClassification"

    def test_a_vision_transformer_learns_too(self, tmp_path: Path) -> None:
        vit = {"family": "vit", "patch": 4, "hidden_size": 32, "layers": 2, "heads": 2, "epochs": 8}
        evidence = train(tmp_path, validation=bars(60, seed=1), **vit).evidence
        assert evidence.metrics["validation_accuracy"] >= 0.9
        assert evidence.facts["architecture"] == "ViTForImageClassification, 2 x 32, 2 heads"

    def test_normalisation_is_measured_on_the_training_data(self, trained: Trained) -> None:
        pixels, _ = decode_pictures(bars(200, seed=0)["image"].to_pylist(), size=16, channels=1, ref="bars")
        card = json.loads((trained.path / "phasegate.json").read_text())
        assert card["mean"] == pytest.approx([pixels.mean() / 255], abs=1e-9)
        assert card["std"] == pytest.approx([pixels.std() / 255], abs=1e-9)
        stored = json.loads((trained.path / "preprocessor_config.json").read_text())
        assert (stored["image_mean"], stored["image_std"]) == (card["mean"], card["std"])

    @pytest.mark.slow
    def test_reads_handwritten_digits(self, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
        """Accuracy at least 0.97 on 2,000 digits after 8,000; about 20 seconds of one CPU thread."""

        def idx(name: str, skip: int) -> np.ndarray:
            data = gzip.decompress(shared_data(f"mnist_t10k/{name}").read_bytes())
            return np.frombuffer(data, np.uint8, offset=skip)

        pixels = idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
        digits = idx("t10k-labels-idx1-ubyte.gz", 8)
        order = np.random.default_rng(0).permutation(len(digits))
        table = pa.table(
            {"image": [png(pixels[row]) for row in order], "label": [str(digits[row]) for row in order]}
        )
        roles = {"image": "image", "label": "label"}
        data = {
            "train": dataset_input(tmp_path / "train", table.slice(0, 8000), role="train", **roles),
            "test": dataset_input(tmp_path / "test", table.slice(8000), role="test", **roles),
        }
        options = {"size": 28, "channels": 1, "epochs": 4, "batch_size": 64, "learning_rate": 2e-3}
        made = run_plugin(TrainImageClassifier(), tmp_path / "run", config=options, data=data)
        found = run_plugin(EvaluateClassifier(), tmp_path / "judged", artifact=made.path, data=data)
        assert found.metrics["accuracy"] >= 0.97


class TestRepeating:
    def test_a_stopped_run_goes_on_to_the_same_bytes_with_augmentation(self, tmp_path: Path) -> None:
        class Stopped(TrainImageClassifier):
            def run(self, ctx: RunContext, config: ImageConfig) -> Trained:
                declare = ctx.checkpoint

                def declare_and_stop(path: Path, step: int) -> None:
                    declare(path, step)
                    (ctx.folder / CANCEL).touch()

                ctx.checkpoint = declare_and_stop  # type: ignore[method-assign]
                return super().run(ctx, config)

        options = CHANGED | {"epochs": 2, "checkpoint_every": 7, "dropout": 0.2}
        whole = train(tmp_path / "whole", **options)
        with pytest.raises(Cancelled):
            train(tmp_path / "cut", plugin=Stopped(), **options)
        (tmp_path / "cut" / "run" / CANCEL).unlink()
        resumed = train(tmp_path / "cut", **options)
        assert resumed.evidence.facts["resumed_from"] == "step-000000007"
        assert manifest_of(resumed.path) == manifest_of(whole.path)
        assert resumed.evidence.metrics["train_loss"] == whole.evidence.metrics["train_loss"]
        assert resumed.evidence.facts["augmentation"] == "rotate 10, shift 0.1, zoom 0.1, erase 0.3"

    def test_pictures_that_do_not_fit_the_memory_are_decoded_for_each_batch(
        self, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("registry.plugins.train.pictures._SHARE", 0.0)
        again = train(tmp_path, validation=bars(60, seed=1))
        assert manifest_of(again.path) == manifest_of(trained.path)


class TestAugmentation:
    PIXELS = np.arange(2 * 1 * 8 * 8, dtype=np.uint8).reshape(2, 1, 8, 8)

    def changed(self, rows: list[int] | None = None, epoch: int = 0, **options: Any) -> np.ndarray:
        config = ImageConfig(**options)
        return augment(self.PIXELS, rows or [3, 4], Dice(0, epoch), config, [0.5]).numpy()

    def test_a_row_is_changed_alike_in_any_batch_and_otherwise_in_another_epoch(self) -> None:
        options = {"rotate": 30, "shift": 0.2, "erase": 0.5}
        both = self.changed(**options)
        alone = augment(self.PIXELS[1:], [4], Dice(0, 0), ImageConfig(**options), [0.5]).numpy()
        np.testing.assert_array_equal(both[1], alone[0])
        assert (self.changed(epoch=1, **options) != both).any()

    def test_a_flip_mirrors_left_and_right(self) -> None:
        for row in range(12):
            (picture, _) = self.changed(rows=[row, row], flip=True)
            same = [
                np.allclose(picture, other, atol=1e-3)
                for other in (self.PIXELS[0], self.PIXELS[0][..., ::-1])
            ]
            assert sum(same) == 1
            if same[1]:
                return
        pytest.fail("no row of twelve was mirrored")

    def test_a_turn_by_half_a_circle_is_at_most_that(self) -> None:
        """A quarter turn moves the brightest corner; the mean stays that of the picture."""
        turned = self.changed(rotate=180)
        assert turned.mean() == pytest.approx(self.PIXELS.mean(), rel=0.25)
        assert (turned != self.PIXELS).any()

    def test_erasing_paints_a_rectangle_with_the_mean(self) -> None:
        erased = self.changed(erase=1.0)
        for picture, before in zip(erased, self.PIXELS, strict=True):
            painted = picture != before
            assert 0.01 <= painted.mean() <= 0.4
            assert set(picture[painted].tolist()) == {127.5}

    def test_without_options_nothing_is_changed(self) -> None:
        assert not ImageConfig().augments
        np.testing.assert_array_equal(self.changed(), self.PIXELS)


class TestLabelAudit:
    def test_what_was_fed_is_what_the_data_says(self, trained: Trained) -> None:
        evidence = trained.evidence
        assert evidence.metrics["label_audit.rows"] == 64
        assert evidence.metrics["label_audit.mismatches"] == 0
        assert all(row["picture"] == row["fed_picture"] for row in evidence.tables["label_audit"])

    @pytest.mark.parametrize("slipped", ["numbers", "pictures"])
    def test_what_slipped_by_a_row_is_found(
        self, slipped: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = PictureClasses.batch

        def batch(task: PictureClasses, examples: Any, rows: Any, dice: Any) -> Any:
            moved = [(row + 1) % len(examples) for row in rows]
            other = real(task, examples, moved, dice)
            name = {"numbers": "labels", "pictures": "pictures"}[slipped]
            return real(task, examples, rows, dice) | {name: other[name]}

        monkeypatch.setattr(PictureClasses, "batch", batch)
        assert train(tmp_path, epochs=1).evidence.metrics["label_audit.mismatches"] > 10


class TestBeingJudged:
    def test_the_checks_of_classifiers_run_on_it(self, trained: Trained, tmp_path: Path) -> None:
        seen, test = bars(200, seed=0), bars(120, seed=2)
        leaky = pa.concat_tables([test, seen.slice(0, 3)])
        data = {
            "train": dataset_input(tmp_path / "train", seen, ref="bars-train/1", role="train", **ROLES),
            "test": dataset_input(tmp_path / "test", leaky, ref="bars-test/1", role="test", **ROLES),
        }
        found = {
            plugin.name: run_plugin(plugin, tmp_path / plugin.name, artifact=trained.path, data=data)
            for plugin in (EvaluateClassifier(), Bias(), Slices(), Memorisation(), ScanArtifact())
        }
        assert found["evaluate-classifier"].metrics["accuracy"] >= 0.95
        assert found["evaluate-classifier"].metrics["leaked_rows"] == 3
        assert found["bias"].status == "complete"
        assert found["slices"].facts["dimensions"] == "hand, label"
        assert found["memorisation"].metrics["heldout_excluded"] == 3
        assert found["scan-artifact"].metrics["unsafe_files"] == 0
        assert found["scan-artifact"].metrics["unknown_files"] == 0

    def test_answers_in_the_order_of_the_rows(self, trained: Trained) -> None:
        predictor, table = load_predictor(trained.path), bars(150, seed=3)
        together = predictor.probabilities(table)
        alone = [predictor.probabilities(table.slice(row, 1))[0] for row in (0, 70, 149)]
        np.testing.assert_allclose(together[[0, 70, 149]], alone, atol=1e-6)
        assert predictor.probabilities(table.slice(0, 0)).shape == (0, 2)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3}, "reads 1 channels, its card says 3"),
            ({"std": [0.0]}, "no 'std' can be 0"),
            ({"mean": [0.5, 0.5]}, "'mean' must be 1"),
            ({"size": "16"}, "'size'"),
            ({"columns": {}}, "'image' column"),
            ({"labels": ["a", "b", "c"], "positive": "a"}, "2 outputs, its card 3"),
        ],
        ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
    )
    def test_refuses_a_card_that_does_not_fit(
        self, trained: Trained, tmp_path: Path, change: dict[str, Any], message: str
    ) -> None:
        for path in trained.path.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        card = json.loads((tmp_path / "phasegate.json").read_text())
        (tmp_path / "phasegate.json").write_text(json.dumps(card | change))
        with pytest.raises(BadInput, match=message):
            load_predictor(tmp_path)


class TestReading:
    def test_pictures_of_unequal_size_are_resized_and_it_is_said(self, tmp_path: Path) -> None:
        table = pa.concat_tables([bars(40, seed=0), bars(20, seed=1, size=24)])
        made = train(tmp_path, table, epochs=1)
        assert made.evidence.metrics["pictures.resized"] == 20
        assert "20 of 60 pictures of bars-train/1 were resized: they have 16 x 16 to 24 x 24" in logged(made)

    def test_grey_deep_and_transparent_pictures_are_read_as_they_look(self) -> None:
        stream = io.BytesIO()
        Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(stream, "PNG")
        deep = png(np.full((8, 8), 128 * 256, np.uint16))
        grey = png(np.full((8, 8), 128, np.uint8))
        pixels, sizes = decode_pictures([stream.getvalue(), deep, grey], size=4, channels=3, ref="x")
        assert [picture.mean() for picture in pixels] == [255, 128, 128]
        assert sizes.tolist() == [[8, 8]] * 3

    def test_a_picture_is_turned_upright_as_its_camera_says(self) -> None:
        picture = Image.fromarray(np.vstack([np.zeros((4, 8), np.uint8), np.full((4, 8), 255, np.uint8)]))
        stream, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 3  # upside down
        picture.save(stream, "PNG", exif=exif)
        pixels, _ = decode_pictures([stream.getvalue()], size=8, channels=1, ref="x")
        assert (pixels[0, 0, 0, 0], pixels[0, 0, 7, 0]) == (255, 0)


def spoilt(row: int, data: Any) -> pa.Table:
    pictures = bars(40, seed=0)["image"].to_pylist()
    pictures[row] = data(pictures[row])
    return bars(40, seed=0).set_column(0, "image", pa.array(pictures, pa.binary()))


class TestBadInput:
    @pytest.mark.parametrize(
        ("table", "options", "message"),
        [
            (spoilt(7, lambda data: data[:60]), {}, "row 7 of bars-train/1 is no readable picture"),
            (spoilt(39, lambda data: b"junk"), {}, "row 39 of bars-train/1 is no readable picture"),
            (spoilt(2, lambda data: None), {}, "1 of 40 rows of bars-train/1 have no 'image'"),
            (bars(40, seed=0).set_column(0, "image", pa.array(["x"] * 40)), {}, "holds string, not pictures"),
            (bars(40, seed=0).slice(0, 0), {}, "has no rows"),
            (bars(40, seed=0).set_column(1, "label", pa.array(["a"] * 40)), {}, "'a': nothing to learn"),
            (bars(40, seed=0).set_column(1, "label", pa.array([float("nan")] * 40)), {}, "40 of 40 rows"),
            (bars(40, seed=0).set_column(1, "label", pa.array([["a"]] * 40)), {}, "not classes"),
            (None, {"family": "vit", "patch": 5}, "patches of 5 pixels do not fill a picture of 16"),
            (None, {"family": "vit", "heads": 7}, "7 heads do not divide a hidden_size of 128"),
            (None, {"family": "alexnet"}, "family"),
            (None, {"channels": 2}, "channels"),
            (None, {"widths": "8,16,32"}, "do not describe the same stages"),
            (None, {"widths": "8,x"}, "widths"),
            (None, {"positive": "lay"}, "'lay', which is none of the labels"),
            (None, {"reweigh": "sex"}, "cannot reweigh by 'sex'"),
        ],
    )
    def test_is_refused(
        self, table: pa.Table | None, options: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(BadInput, match=message):
            train(tmp_path, table, **options)

    def test_labels_that_training_lacks_are_refused(self, tmp_path: Path) -> None:
        other = bars(20, seed=0).set_column(1, "label", pa.array(["leans"] * 20))
        with pytest.raises(BadInput, match="labels that the training data lacks: leans"):
            train(tmp_path, validation=other)

    def test_the_design_gives_lists_too(self, tmp_path: Path) -> None:
        options = {"epochs": 1, "design": {"family": "resnet", "widths": "8, 16", "depths": [1, 1]}}
        assert train(tmp_path / "a", **options).evidence.facts["differs_from_design"] == "no"
        differs = train(tmp_path / "b", **options | {"widths": "4,8"}).evidence.facts["differs_from_design"]
        assert differs == "widths 8, 16 -> 4,8"

    def test_a_base_is_asked_what_it_reads(self, trained: Trained, tmp_path: Path) -> None:
        """Sizes that differ from the base's are those of the base; see `base_pictures`."""
        from registry.extension.inputs import BaseInput
        from registry.plugins.train.tasks.picture_models import base_pictures

        class Begun:
            base = BaseInput(ref="bars/1", digest="sha256:0", path=trained.path)

        card = json.loads((trained.path / "phasegate.json").read_text())
        assert base_pictures(Begun()) == {  # type: ignore[arg-type]
            "size": 16, "channels": 1, "mean": tuple(card["mean"]), "std": tuple(card["std"])
        }  # fmt: skip
        (tmp_path / "config.json").write_text("[]")
        Begun.base = BaseInput(ref="odd/1", digest="sha256:0", path=tmp_path)
        with pytest.raises(BadInput, match="odd/1 does not say which pictures it reads"):
            base_pictures(Begun())  # type: ignore[arg-type]
