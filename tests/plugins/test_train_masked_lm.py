"""Masked encoders: what is hidden, how often, and that it is found."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_runs import audit, train

from registry.errors import BadConfig, BadInput
from registry.extension import Trained
from registry.extension.testing import PluginContract
from registry.plugins.train.encoder import EncoderConfig
from registry.plugins.train.engine.task import Dice
from registry.plugins.train.masked_lm import MASK, TrainMaskedLM
from registry.plugins.train.tasks.blocks import IGNORED
from registry.plugins.train.tasks.encoders import bert
from registry.plugins.train.tasks.masked_lm import MaskedLM
from registry.plugins.train.tasks.tokenizers import BEGIN, END, PAD, train_tokenizer
from registry.plugins.train.tasks.vocabulary import Vocabulary

WEEK = ["one monday two tuesday three wednesday four thursday five friday six saturday seven sunday"] * 64


class TestContract(PluginContract):
    plugin = TrainMaskedLM


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    rows, options = {"text": WEEK}, {"max_length": 32, "steps": 120, "dropout": 0.0}
    return train(TrainMaskedLM(), tmp_path_factory.mktemp("masked"), rows, {"text": WEEK[:8]}, **options)


@pytest.fixture(scope="module")
def task() -> MaskedLM:
    from transformers import BertForMaskedLM

    tokenizer = train_tokenizer(WEEK, vocab_size=400, lowercase=False, further=[MASK])
    special = {"pad_token": PAD, "cls_token": BEGIN, "sep_token": END, "mask_token": MASK}
    known = Vocabulary(tokenizer, special)
    model = BertForMaskedLM(
        bert(EncoderConfig(hidden_size=8, layers=1, heads=1), known.size, known.id("pad_token"))
    )
    long = " ".join(WEEK)
    return MaskedLM(model, known, [long], [long], longest=64, mask=3, share=0.15, smoothing=0.0, card={})


def test_learns_and_says_so(trained: Trained) -> None:
    metrics, facts = trained.evidence.metrics, trained.evidence.facts
    assert metrics["converged"] == 1.0
    assert metrics["validation_loss"] < 0.5 * metrics["uninformed_loss"]
    assert metrics["validation_perplexity"] == pytest.approx(math.exp(metrics["validation_loss"]))
    assert facts["masked"] == "15% of the tokens"
    assert metrics["label_audit.mismatches"] == 0
    assert metrics["label_audit.share_trained"] == pytest.approx(0.15, abs=0.03)
    assert any(MASK in row["fed_text"] for row in audit(trained))


def test_the_artifact_finds_a_hidden_word(trained: Trained) -> None:
    import torch
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.path)
    asked = tokenizer(WEEK[0].replace(" four", MASK), return_tensors="pt")
    with torch.no_grad():
        logits = AutoModelForMaskedLM.from_pretrained(trained.path)(**asked).logits
    (place,) = (asked["input_ids"][0] == tokenizer.mask_token_id).nonzero()
    assert tokenizer.decode(logits[0, place].argmax(-1)).strip() == "four"


class TestHiding:
    def test_shares_are_those_of_bert(self, task: MaskedLM) -> None:
        batches = [task.batch(task.train, range(len(task.train)), Dice(0, epoch)) for epoch in range(60)]
        ids, labels = (
            np.concatenate([b[name].numpy().ravel() for b in batches]) for name in ("input_ids", "labels")
        )
        chosen = labels != IGNORED
        inside = sum(int(batch["read"]) - 2 * len(batch["labels"]) for batch in batches)
        assert chosen.sum() / inside == pytest.approx(0.15, abs=0.01)
        hidden = (ids[chosen] == task.mask).mean()
        kept = (ids[chosen] == labels[chosen]).mean()
        assert hidden == pytest.approx(0.8, abs=0.03)
        assert kept == pytest.approx(0.1, abs=0.03)
        assert not set(task.vocabulary.special_ids) & set(labels[chosen].tolist())
        strange = ids[chosen & (ids != task.mask) & (ids != labels)]
        assert not set(task.vocabulary.special_ids) & set(strange.tolist())

    def test_every_epoch_hides_others_and_every_validation_the_same(self, task: MaskedLM) -> None:
        def labels(dice: Dice | None, rows: Any) -> list[list[int]]:
            found: list[list[int]] = task.batch(task.train, rows, dice)["labels"].tolist()
            return found

        rows = range(4)
        assert labels(Dice(0, 0), rows) == labels(Dice(0, 0), rows) != labels(Dice(0, 1), rows)
        assert labels(None, rows) == labels(None, rows)
        # Whoever else is in the batch: a resumed or shared step hides the same.
        assert labels(Dice(0, 0), [2])[0] == labels(Dice(0, 0), rows)[2]

    def test_the_count_is_known_without_the_model(self, task: MaskedLM) -> None:
        batch = task.batch(task.train, range(5), Dice(0, 0))
        assert task.count(batch) == int((batch["labels"] != IGNORED).sum()) > 0
        assert task.tokens(batch) == int(batch["attention_mask"].sum())

    def test_pipelines_get_one_width(self, task: MaskedLM) -> None:
        task.pad_to = 70
        try:
            batch = task.batch(task.train, [0], None)
        finally:
            task.pad_to = None
        assert {name: tuple(batch[name].shape) for name in ("input_ids", "labels")} == {
            "input_ids": (1, 70),
            "labels": (1, 70),
        }


def test_a_base_without_a_mask_token_is_refused(tiny_artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the tokenizer names no mask_token"):
        train(TrainMaskedLM(), tmp_path, {"text": WEEK}, base=tiny_artifact, max_length=32)


def test_a_base_goes_on(trained: Trained, tmp_path: Path) -> None:
    more = train(TrainMaskedLM(), tmp_path, {"text": WEEK}, base=trained.path, max_length=32, steps=2)
    assert more.evidence.metrics["first_loss"] < 0.5 * trained.evidence.metrics["first_loss"]
    assert more.evidence.facts["tokenizer.digest"] == trained.evidence.facts["tokenizer.digest"]


def test_a_length_beyond_the_base_is_refused(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises((BadConfig, BadInput), match=r"33.* 32"):
        train(TrainMaskedLM(), tmp_path, {"text": WEEK}, base=trained.path, max_length=33)
