"""Training: it learns, repeats and resumes exactly, says what it did, and refuses what cannot work."""

from __future__ import annotations

import csv
import json
import math
import platform
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.domain.digests import digest_of
from registry.errors import BadConfig, BadInput, Cancelled, RunFailed
from registry.extension import RunContext, Trained
from registry.extension.context import CANCEL, CHECKPOINTS, EVENTS
from registry.extension.predictor import load_predictor
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of, sha256_of
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.batches import Plan, share
from registry.plugins.train.loss import reweighing, row_weights, uninformed_loss
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.tasks.text_classes import TextClasses
from registry.plugins.train.tasks.tokenizers import train_tokenizer

Train = Callable[..., Trained]
COLUMNS = {"text": "text", "label": "label", "sensitive": ("sex",)}
FOUR = {"text": ["a", "b", "c", "d"], "label": ["x", "x", "x", "y"], "sex": ["f", "m", None, "m"]}


def run_folder(trained: Trained) -> Path:
    return trained.path.parents[1]


def events(trained: Trained, kind: str) -> list[dict[str, Any]]:
    lines = (run_folder(trained) / EVENTS).read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


class TestContract(PluginContract):
    plugin = TrainClassifier


class TestLearning:
    def test_the_loss_falls_far_below_what_ignores_the_text(self, tiny_trained: Trained) -> None:
        metrics = tiny_trained.evidence.metrics
        assert metrics["converged"] == 1.0
        assert metrics["train_loss"] < 0.5 * metrics["uninformed_loss"]
        assert metrics["validation_loss"] < 0.5 * metrics["uninformed_loss"]
        # Before the first step it knows nothing: about ln 2 for two labels.
        assert metrics["first_loss"] == pytest.approx(math.log(2), abs=0.15)

    def test_training_on_noise_does_not_converge(self, train_tiny: Train, sentiment_train: pa.Table) -> None:
        dice = random.Random(0)
        noise = sentiment_train.set_column(1, "label", [[dice.choice("ab") for _ in range(400)]])
        trained = train_tiny(table=noise, validation=None, epochs=1, positive="", learning_rate=1e-4)
        assert trained.evidence.metrics["converged"] == 0.0

    def test_says_what_it_did(self, tiny_trained: Trained) -> None:
        metrics, facts = tiny_trained.evidence.metrics, tiny_trained.evidence.facts
        assert metrics["epochs"] == 3
        assert metrics["steps"] == 3 * math.ceil(400 / 32)
        assert metrics["truncated_share"] == 0.0
        assert facts["architecture"] == "BertForSequenceClassification, 1 x 32, 2 heads"
        assert (facts["device"], facts["strategy"], facts["precision"]) == ("cpu", "one process", "float32")
        assert (facts["processes"], facts["threads"], facts["seed"]) == ("1", "1", "0")

    def test_the_artifact_holds_weights_and_json_only(self, tiny_trained: Trained) -> None:
        names = {path.name for path in tiny_trained.path.iterdir()}
        assert names == {
            "phasegate.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            "README.md",
        }  # fmt: skip
        assert json.loads((tiny_trained.path / "phasegate.json").read_text()) == {
            "format": "text-classifier",
            "labels": ["neg", "pos"],
            "positive": "pos",
            "columns": {"text": "text", "image": "", "label": "label", "sensitive": ["sex"]},
            "max_length": 32,
        }

    def test_the_tokenizer_is_one_that_transformers_loads(self, tiny_artifact: Path) -> None:
        from transformers import AutoTokenizer

        ids = AutoTokenizer.from_pretrained(tiny_artifact)("the film was great")["input_ids"]
        assert (ids[0], ids[-1]) == (1, 2)

    @pytest.mark.slow
    def test_finds_spam_among_real_messages(self, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
        """F1 of spam at least 0.90 with no option set, on messages that training has not seen."""
        from sklearn.metrics import f1_score

        with shared_data("sms_spam/sms_spam.csv").open(encoding="utf-8", newline="") as stream:
            rows = list({row["text"].casefold(): row for row in csv.DictReader(stream)}.values())
        random.Random(0).shuffle(rows)
        table = pa.Table.from_pylist(rows)
        cut = len(rows) * 8 // 10
        train = dataset_input(
            tmp_path / "train", table.slice(0, cut), role="train", text="text", label="label"
        )
        trained = run_plugin(TrainClassifier(), tmp_path / "run", data={"train": train})
        predictor = load_predictor(trained.path)
        assert predictor.positive == "spam"
        test = table.slice(cut)
        answers = [predictor.labels[best] for best in predictor.probabilities(test).argmax(axis=1)]
        assert f1_score(test["label"].to_pylist(), answers, pos_label="spam") >= 0.90


class TestAlarms:
    def test_learning_by_heart_is_overfitting(self, train_tiny: Train) -> None:
        dice = random.Random(0)
        texts = [" ".join(f"w{dice.randrange(300)}" for _ in range(8)) for _ in range(300)]
        noise = pa.table({"text": texts, "label": [dice.choice("ab") for _ in texts], "sex": ["f"] * 300})
        options = {
            "table": noise.slice(0, 200),
            "validation": noise.slice(200),
            "epochs": 30,
            "positive": "a",
        }
        evidence = train_tiny(**options, dropout=0.0).evidence
        assert evidence.metrics["alarms.overfitted"] == 1
        (row,) = (row for row in evidence.tables["alarms"] if row["alarm"] == "overfitted")
        assert row["value"] > row["limit"]
        # The best epoch's weights are kept: those are not overfitted, and did not converge either.
        best = train_tiny(**options, dropout=0.0, patience=1).evidence
        assert best.metrics["alarms.overfitted"] == 0

    def test_a_rate_that_is_too_high_diverges(self, train_tiny: Train) -> None:
        evidence = train_tiny(learning_rate=30.0, epochs=2).evidence
        assert evidence.metrics["alarms.diverged"] == evidence.metrics["alarms.not_converged"] == 1
        assert {"diverged", "not_converged"} <= set(evidence.facts["alarms"].split(", "))

    def test_the_log_tells_them(self, train_tiny: Train) -> None:
        trained = train_tiny(learning_rate=30.0, epochs=1)
        assert any(event["text"].startswith("alarm: not_converged") for event in events(trained, "log"))


class TestLabelAudit:
    def test_what_was_fed_is_what_the_data_says(self, tiny_trained: Trained) -> None:
        evidence = tiny_trained.evidence
        assert evidence.metrics["label_audit.rows"] == len(evidence.tables["label_audit"]) == 64
        assert evidence.metrics["label_audit.mismatches"] == 0
        assert evidence.metrics["labels"] == 2
        shares = {row["label"]: row["share"] for row in evidence.tables["labels"]}
        assert sum(shares.values()) == pytest.approx(1)
        assert evidence.metrics["labels.minority_share"] == min(shares.values())

    def test_texts_are_in_a_file_and_not_in_the_evidence(
        self, tiny_trained: Trained, sentiment_train: pa.Table
    ) -> None:
        (file,) = (file for file in tiny_trained.evidence.files if file.name == "label_audit.json")
        texts = sentiment_train["text"].to_pylist()
        for row in json.loads(file.read_text()):
            assert row["fed_text"] == texts[row["row"]]
        assert texts[0] not in tiny_trained.evidence.model_dump_json()

    def test_a_cut_text_is_read_from_its_beginning(self, train_tiny: Train) -> None:
        table = pa.table(
            {"text": ["größer " * 50 + word for word in "abcd"] * 10, "label": list("aabb") * 10}
        )
        table = table.append_column("sex", pa.array(["f"] * 40))
        evidence = train_tiny(table=table, validation=None, epochs=1, positive="a", max_length=8).evidence
        assert evidence.metrics["label_audit.mismatches"] == 0
        assert all(0 < row["share_read"] < 0.5 for row in evidence.tables["label_audit"])

    def test_labels_that_slipped_by_a_row_are_found(
        self, train_tiny: Train, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def slipped(task: TextClasses, *arguments: Any) -> Any:
            examples, cut = real(task, *arguments)
            numbers = [number for _, number, _ in examples]
            moved = numbers[1:] + numbers[:1]
            return [(ids, number, w) for (ids, _, w), number in zip(examples, moved, strict=True)], cut

        real = TextClasses.encode
        monkeypatch.setattr(TextClasses, "encode", slipped)
        metrics = train_tiny(epochs=1).evidence.metrics
        assert metrics["label_audit.mismatches"] > 10


class TestProvenance:
    def test_names_data_packages_and_determinism(self, tiny_trained: Trained) -> None:
        facts = tiny_trained.evidence.facts
        data = run_folder(tiny_trained).parent / "data"
        for role in ("train", "validation"):
            assert facts[f"{role}.digest"] == digest_of(manifest_of(data / role))
        (file,) = (file for file in tiny_trained.evidence.files if file.name == "packages.txt")
        assert facts["packages"] == sha256_of(file)
        assert f"torch=={facts['torch']}" in {line.split()[0] for line in file.read_text().splitlines()}
        assert facts["python"] == platform.python_version()
        assert facts["determinism"] == "bitwise"
        assert tiny_trained.evidence.metrics["hours"] == tiny_trained.evidence.metrics["seconds"] / 3600

    def test_says_that_there_was_no_validation(self, train_tiny: Train) -> None:
        facts = train_tiny(validation=None, epochs=1).evidence.facts
        assert (facts["validation"], facts["validation.digest"]) == ("none", "none")


class TestRepeating:
    def test_the_same_seed_makes_the_same_bytes(self, train_tiny: Train, tiny_trained: Trained) -> None:
        assert manifest_of(train_tiny().path) == manifest_of(tiny_trained.path)

    def test_another_seed_makes_other_weights_and_the_same_tokenizer(
        self, train_tiny: Train, tiny_trained: Trained
    ) -> None:
        one, other = manifest_of(tiny_trained.path), manifest_of(train_tiny(seed=1).path)
        assert {name for name in one if one[name] != other[name]} == {"model.safetensors", "README.md"}

    def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
        self, train_tiny: Train, tiny_trained: Trained, tmp_path: Path
    ) -> None:
        class StoppedAfterOneEpoch(TrainClassifier):
            def run(self, ctx: RunContext, config: TrainConfig) -> Trained:
                declare = ctx.checkpoint

                def declare_and_stop(path: Path, step: int) -> None:
                    declare(path, step)
                    (ctx.folder / CANCEL).touch()

                ctx.checkpoint = declare_and_stop  # type: ignore[method-assign]
                return super().run(ctx, config)

        with pytest.raises(Cancelled):
            train_tiny(folder=tmp_path, plugin=StoppedAfterOneEpoch())
        (tmp_path / "run" / CANCEL).unlink()
        resumed = train_tiny(folder=tmp_path)
        assert resumed.evidence.facts["resumed_from"] == "step-000000013"
        assert manifest_of(resumed.path) == manifest_of(tiny_trained.path)
        for name in ("first_loss", "train_loss", "validation_loss", "steps", "epochs", "converged"):
            assert resumed.evidence.metrics[name] == tiny_trained.evidence.metrics[name], name

    def test_a_run_that_died_after_its_last_step_does_not_train_again(
        self, train_tiny: Train, tiny_trained: Trained, tmp_path: Path
    ) -> None:
        train_tiny(folder=tmp_path)
        again = train_tiny(folder=tmp_path)
        assert again.evidence.facts["resumed_from"] == "step-000000039"
        assert manifest_of(again.path) == manifest_of(tiny_trained.path)

    def test_a_spoilt_checkpoint_is_passed_over(
        self, train_tiny: Train, tiny_trained: Trained, tmp_path: Path
    ) -> None:
        train_tiny(folder=tmp_path)
        newest = max((tmp_path / "run" / CHECKPOINTS).glob("*.json"))
        weights = tmp_path / "run" / json.loads(newest.read_text())["path"] / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
        again = train_tiny(folder=tmp_path)
        assert again.evidence.facts["resumed_from"] == "step-000000026"
        assert manifest_of(again.path) == manifest_of(tiny_trained.path)


class TestBeingHeard:
    def test_metrics_are_live(self, tiny_trained: Trained) -> None:
        metrics = events(tiny_trained, "metric")
        steps = [event["step"] for event in metrics if event["name"] == "loss"]
        assert steps == list(range(1, 40))
        assert [event["step"] for event in metrics if event["name"] == "validation_loss"] == [13, 26, 39]
        assert {event["name"] for event in metrics} == {
            "gradient_norm", "learning_rate", "loss", "tokens_per_second", "validation_loss"
        }  # fmt: skip

    def test_progress_says_the_loss(self, tiny_trained: Trained) -> None:
        last = events(tiny_trained, "progress")[-1]
        assert (last["done"], last["total"]) == (39, 39)
        assert last["message"].startswith("loss 0.")

    def test_every_epoch_is_a_checkpoint(self, tiny_trained: Trained) -> None:
        assert [event["step"] for event in events(tiny_trained, "checkpoint")] == [13, 26, 39]

    def test_a_loss_that_is_no_number_fails_the_run(self, train_tiny: Train) -> None:
        with pytest.raises(RunFailed, match="the loss is nan at step"):
            train_tiny(learning_rate=1e25)

    def test_stops_when_asked(self, train_tiny: Train, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / CANCEL).touch()
        with pytest.raises(Cancelled):
            train_tiny(folder=tmp_path)
        assert not (tmp_path / "run" / "outputs").exists()

    def test_says_nothing_but_through_the_run(
        self, train_tiny: Train, capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        train_tiny(epochs=1, folder=tmp_path)
        assert capfd.readouterr() == ("", "")


class TestOptions:
    def test_patience_keeps_the_best_epoch(
        self, train_tiny: Train, sentiment_train: pa.Table, sentiment_test: pa.Table
    ) -> None:
        """Labels are coins: each further epoch learns the training rows by heart and is worse on others."""
        dice = random.Random(1)
        noise = sentiment_train.set_column(1, "label", [[dice.choice(["neg", "pos"]) for _ in range(400)]])
        trained = train_tiny(table=noise, epochs=20, patience=2)
        losses = [e["value"] for e in events(trained, "metric") if e["name"] == "validation_loss"]
        best = losses.index(min(losses))
        assert len(losses) == best + 3 < 20
        assert trained.evidence.metrics["validation_loss"] == min(losses)
        predictor = load_predictor(trained.path)
        chances = predictor.probabilities(sentiment_test)
        truth = [predictor.labels.index(label) for label in sentiment_test["label"].to_pylist()]
        mean = -sum(math.log(row[label]) for row, label in zip(chances, truth, strict=True)) / len(truth)
        assert mean == pytest.approx(min(losses), abs=1e-5)

    def test_the_design_gives_the_architecture_and_the_run_may_differ(self, train_tiny: Train) -> None:
        design = {"architecture": "bert", "hidden_size": "16", "layers": "2", "heads": 4, "dropout": "0.0"}
        options = {"epochs": 1, "hidden_size": None, "heads": None, "layers": None}
        designed = train_tiny(design=design, **options)
        assert designed.evidence.facts["architecture"] == "BertForSequenceClassification, 2 x 16, 4 heads"
        assert designed.evidence.facts["differs_from_design"] == "no"
        other = train_tiny(design=design, **(options | {"layers": 1}))
        assert other.evidence.facts["architecture"] == "BertForSequenceClassification, 1 x 16, 4 heads"
        assert other.evidence.facts["differs_from_design"] == "layers 2 -> 1"

    def test_reweighing_narrows_the_gap_between_groups(self, train_tiny: Train) -> None:
        table = unfair(600, seed=0)
        gaps = []
        for reweigh in ("", "sex"):
            trained = train_tiny(table=table, validation=None, epochs=4, reweigh=reweigh, positive="yes")
            predictor = load_predictor(trained.path)
            test = unfair(400, seed=1)
            chosen = predictor.probabilities(test)[:, predictor.labels.index("yes")] > 0.5
            sexes = test["sex"].to_pylist()
            rates = [
                sum(c for c, s in zip(chosen, sexes, strict=True) if s == sex) / sexes.count(sex)
                for sex in "fm"
            ]
            gaps.append(abs(rates[0] - rates[1]))
        assert gaps[0] > 0.3
        assert gaps[1] < 0.5 * gaps[0]
        assert trained.evidence.facts["reweigh"] == "sex"
        weights = {(row["sex"], row["label"]): row["weight"] for row in trained.evidence.tables["reweighing"]}
        assert weights["f", "yes"] > 1 > weights["m", "yes"]

    def test_the_rarest_label_is_positive_unless_said(self, tmp_path: Path) -> None:
        assert trained_card(tmp_path / "a")["positive"] == "y"
        assert trained_card(tmp_path / "b", positive="x")["positive"] == "x"

    def test_upper_case_can_matter(self) -> None:
        same = train_tokenizer(["Go GO go"], vocab_size=300, lowercase=True)
        assert same.encode("GO").ids == same.encode("go").ids
        other = train_tokenizer(["Go GO go"], vocab_size=300, lowercase=False)
        assert other.encode("GO").ids != other.encode("go").ids

    def test_cut_texts_are_counted(self, tmp_path: Path) -> None:
        trained = quick(
            tmp_path, FOUR | {"text": ["a", "b", "c", "one two three four five six"]}, max_length=6
        )
        assert trained.evidence.metrics["truncated_share"] == 0.25


def unfair(rows: int, seed: int) -> pa.Table:
    """Applications of equal merit; of women 25 in 100 are granted, of men 90. The text tells the sex."""
    dice = random.Random(seed)
    texts, labels, sexes = [], [], []
    for _ in range(rows):
        sex = "f" if dice.random() < 0.3 else "m"
        texts.append(
            f"{'mrs' if sex == 'f' else 'mr'} asks for {dice.choice(['a car', 'a house', 'a boat'])}"
        )
        labels.append("yes" if dice.random() < (0.25 if sex == "f" else 0.9) else "no")
        sexes.append(sex)
    return pa.table({"text": texts, "label": labels, "sex": sexes})


def quick(
    folder: Path, columns: dict[str, list[Any]], *, validation: dict[str, Any] | None = None, **options: Any
) -> Any:
    """Train for one epoch on a few rows."""
    data = {
        "train": dataset_input(
            folder / "data", pa.table(columns), role="train", ref="tiny-train/1", **COLUMNS
        )
    }
    if validation:
        data["validation"] = dataset_input(folder / "v", pa.table(validation), role="validation", **COLUMNS)
    config = {
        "epochs": 1,
        "hidden_size": 8,
        "heads": 2,
        "layers": 1,
        "vocab_size": 260,
        "max_length": 8,
    } | options
    return run_plugin(TrainClassifier(), folder / "run", config=config, data=data)


def trained_card(folder: Path, **options: Any) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((quick(folder, FOUR, **options).path / "phasegate.json").read_text())
    return card


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"text": [], "label": [], "sex": []}, "no rows"),
            ({"label": ["x"] * 4}, "all 4 training rows have the label 'x'"),
            ({"label": ["x", None, "y", None]}, "2 of 4 rows .* have no 'label'"),
            ({"label": ["x", " ", "y", ""]}, "2 of 4 rows .* have no 'label'"),
            ({"text": ["a", None, "b", "c"]}, "1 of 4 rows .* have no 'text'"),
            ({"text": [1, 2, 3, 4]}, "holds int64, not text"),
        ],
        ids=["empty", "one-label", "null-label", "blank-label", "null-text", "numbers"],
    )
    def test_of_data(self, tmp_path: Path, change: dict[str, list[Any]], message: str) -> None:
        columns = FOUR | change
        if not columns["text"]:
            columns = {name: pa.array([], pa.string()) for name in columns}
        with pytest.raises(BadInput, match=message):
            quick(tmp_path, columns)
        assert not (tmp_path / "run" / "outputs").exists()

    @pytest.mark.parametrize(
        ("options", "message", "hint"),
        [
            ({"reweigh": "sx"}, "'sx'", "did you mean 'sex'"),
            ({"positive": "z"}, "'z', which is none of the labels", "x"),
            ({"heads": 3}, "3 heads do not divide a hidden_size of 8", ""),
            ({"patience": 1}, "patience needs validation data", "validation="),
            ({"epoch": 1}, "no option 'epoch'", "did you mean 'epochs'"),
            ({"epochs": 0}, "'epochs'", ""),
            ({"learning_rate": "fast"}, "'learning_rate'", ""),
            ({"label_smoothing": 1}, "'label_smoothing'", ""),
            ({"vocab_size": 10}, "'vocab_size'", ""),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_of_options(self, tmp_path: Path, options: dict[str, Any], message: str, hint: str) -> None:
        with pytest.raises(BadConfig, match=message) as caught:
            quick(tmp_path, FOUR, **options)
        assert hint in caught.value.hint

    def test_validation_labels_that_training_lacks(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="labels that the training data lacks: z"):
            quick(tmp_path, FOUR, validation=FOUR | {"label": ["x", "y", "z", "z"]})

    def test_a_label_column_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="no column 'label'"):
            quick(tmp_path, {"text": ["a"], "lable": ["x"], "sex": ["f"]})

    def test_a_design_that_is_nonsense(self, tmp_path: Path) -> None:
        data = {"train": dataset_input(tmp_path / "d", pa.table(FOUR), role="train", **COLUMNS)}
        with pytest.raises(BadConfig, match=r"'layers'.*'many'"):
            run_plugin(TrainClassifier(), tmp_path / "run", data=data, design={"layers": "many"})

    def test_no_training_data(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfig, match="names no train data"):
            run_plugin(TrainClassifier(), tmp_path / "run")


class TestWeights:
    def test_reweighing_by_hand(self) -> None:
        """Kamiran and Calders' own worked example: of 5 women 2 get the job, of 5 men 4."""
        groups = ["f"] * 5 + ["m"] * 5
        labels = ["+", "+", "-", "-", "-", "+", "+", "+", "+", "-"]
        assert reweighing(groups, labels) == pytest.approx(
            {("f", "+"): 1.5, ("f", "-"): 2 / 3, ("m", "+"): 0.75, ("m", "-"): 2.0}
        )

    @given(st.lists(st.tuples(st.sampled_from("fm"), st.sampled_from("+-")), min_size=1, max_size=40))
    def test_reweighed_groups_have_labels_in_equal_shares(self, rows: list[tuple[str, str]]) -> None:
        rows += [(group, label) for group in "fm" for label in "+-"]
        groups, labels = [g for g, _ in rows], [label for _, label in rows]
        weights = row_weights(labels, groups=groups)
        assert sum(weights) == pytest.approx(len(rows))
        total, positive = Counter[str](), Counter[str]()
        for weight, group, label in zip(weights, groups, labels, strict=True):
            total[group] += weight  # type: ignore[assignment]
            positive[group] += weight * (label == "+")  # type: ignore[assignment]
        assert positive["f"] / total["f"] == pytest.approx(positive["m"] / total["m"])

    @given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.booleans())
    def test_balanced_classes_weigh_the_same(self, labels: list[str], reweigh: bool) -> None:
        groups = [str(number % 2) for number in range(len(labels))] if reweigh else None
        weights = row_weights(labels, groups=groups, balanced=True)
        totals = {
            label: sum(weight for weight, said in zip(weights, labels, strict=True) if said == label)
            for label in set(labels)
        }
        assert list(totals.values()) == pytest.approx([len(labels) / len(totals)] * len(totals))

    def test_uninformed_loss_is_the_entropy_of_the_labels(self) -> None:
        assert uninformed_loss(["a", "b"], [1.0, 1.0]) == pytest.approx(math.log(2))
        assert uninformed_loss(["a", "b"], [3.0, 1.0]) == pytest.approx(
            -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
        )
        assert uninformed_loss(["a", "b"], [3.0, 1.0], smoothing=0.999999) == pytest.approx(math.log(2))

    def test_the_loss_is_a_weighted_sum_of_torchs(self) -> None:
        import torch

        from registry.plugins.train.loss import weighted_cross_entropy

        logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), torch.tensor([0, 0, 1])
        rows = [torch.nn.functional.cross_entropy(logits[i : i + 1], labels[i : i + 1]) for i in range(3)]
        weighted = weighted_cross_entropy(logits, labels, torch.tensor([0.5, 2.0, 0.5]))
        assert weighted.item() == pytest.approx((0.5 * rows[0] + 2 * rows[1] + 0.5 * rows[2]).item())


class TestBatches:
    @given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 16), st.integers(0, 3))
    def test_every_row_once_an_epoch(self, lengths: list[int], size: int, epoch: int) -> None:
        plan = Plan(len(lengths), size, 0, lengths)
        steps = range(epoch * plan.per_epoch, (epoch + 1) * plan.per_epoch)
        found = [plan.rows(step) for step in steps]
        assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
        assert max(map(len, found)) <= size
        # A run that resumes anywhere has the same rows.
        assert [Plan(len(lengths), size, 0, lengths).rows(step) for step in reversed(steps)] == found[::-1]

    @given(st.lists(st.integers(), max_size=60, min_size=1), st.integers(1, 5), st.integers(0, 7))
    def test_processes_share_all_rows_in_equally_many_micro_batches(
        self, rows: list[int], ranks: int, micro_batch: int
    ) -> None:
        shares = [share(rows, rank, ranks, micro_batch) for rank in range(ranks)]
        assert sorted(row for mine in shares for part in mine for row in part) == sorted(rows)
        assert len({len(mine) for mine in shares}) == 1
        assert all(len(part) <= (micro_batch or len(rows)) for mine in shares for part in mine)

    def test_epochs_and_seeds_differ(self) -> None:
        lengths = list(range(100))
        plan = Plan(100, 10, 0, lengths)
        assert plan.rows(0) != plan.rows(10)
        assert plan.rows(0) != Plan(100, 10, 1, lengths).rows(0)

    def test_rows_of_a_batch_are_of_like_length(self) -> None:
        dice = random.Random(0)
        lengths = [dice.randint(1, 100) for _ in range(800)]

        def padded(batches: list[list[int]]) -> int:
            return sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)

        plan = Plan(800, 10, 0, lengths)
        grouped = [plan.rows(step) for step in range(plan.per_epoch)]
        in_order = [list(range(start, start + 10)) for start in range(0, 800, 10)]
        assert padded(grouped) < 0.65 * padded(in_order)
        # Neither short nor long first: what tells the labels apart must not come in sweeps.
        longest = [max(lengths[row] for row in batch) for batch in grouped]
        assert sum(longest[:40]) == pytest.approx(sum(longest[40:]), rel=0.25)


class TestTokenizer:
    @settings(max_examples=30)
    @given(st.text(max_size=60))
    def test_every_text_has_tokens_and_comes_back(self, text: str) -> None:
        tokenizer = train_tokenizer(["the quick brown fox"] * 3, vocab_size=300, lowercase=False)
        found = tokenizer.decode(tokenizer.encode(text).ids)
        assert found.strip() == tokenizer.normalizer.normalize_str(text).strip()

    def test_learns_the_same_twice(self) -> None:
        texts = [f"word{number % 37} and more {number % 11}" for number in range(500)]
        one, other = (train_tokenizer(texts, vocab_size=400, lowercase=True).to_str() for _ in range(2))
        assert one == other
