"""Taggers: a tag for each word, on its first token, and entities found whole."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from language_runs import audit, train

from registry.errors import BadInput
from registry.extension import Trained
from registry.extension.testing import PluginContract
from registry.plugins.train.tagger import TrainTagger
from registry.plugins.train.tasks.entities import entity_scores, is_iob, spans


def sentences(count: int, seed: int) -> dict[str, list[list[str]]]:
    """Sentences that name people by title and places by preposition."""
    dice = random.Random(seed)
    words, tags = [], []
    for _ in range(count):
        row, marks = [], []
        for _ in range(dice.randint(1, 3)):
            if dice.random() < 0.5:
                row += ["Mr", dice.choice(["Smith", "Unbreakable", "Brown"]), "went"]
                marks += ["B-PER", "I-PER", "O"]
            else:
                row += ["to", dice.choice(["Paris", "Brown"])]
                marks += ["O", "B-LOC"]
        words.append(row)
        tags.append(marks)
    return {"text": words, "label": tags}


class TestContract(PluginContract):
    plugin = TrainTagger


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    options = {"steps": 120, "max_length": 40, "dropout": 0.0}
    folder = tmp_path_factory.mktemp("tagger")
    return train(TrainTagger(), folder, sentences(200, 0), sentences(40, 1), **options)


def test_learns_and_says_so(trained: Trained) -> None:
    metrics = trained.evidence.metrics
    assert metrics["converged"] == 1.0
    assert metrics["entity_f1"] >= 0.95
    assert metrics["token_accuracy"] >= 0.95
    assert metrics["label_audit.mismatches"] == 0
    assert metrics["truncated_share"] == 0.0
    assert [row["label"] for row in trained.evidence.tables["labels"]] == ["B-LOC", "B-PER", "I-PER", "O"]
    assert all("Mr/B-PER" in row["fed_text"] or "to/O" in row["fed_text"] for row in audit(trained))
    # Words of several tokens are labelled once.
    assert metrics["label_audit.share_trained"] < 0.8


def test_the_artifact_knows_its_tags(trained: Trained) -> None:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.path)
    model = AutoModelForTokenClassification.from_pretrained(trained.path)
    asked = tokenizer([["to", "Brown", "Mr", "Brown"]], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        best = model(**asked).logits[0].argmax(-1).tolist()
    said: dict[int, str] = {}
    for word, label in zip(asked.word_ids(0), best, strict=True):
        if word is not None:
            said.setdefault(word, model.config.id2label[label])
    assert list(said.values()) == ["O", "B-LOC", "B-PER", "I-PER"]


def test_words_that_are_not_read_count_as_no_entity(tmp_path: Path) -> None:
    rows = {"text": [["x"] * 40, ["a", "b"]], "label": [["O"] * 39 + ["B-A"], ["O", "B-A"]]}
    metrics = train(TrainTagger(), tmp_path, rows, rows, steps=40, max_length=12).evidence.metrics
    assert metrics["truncated_share"] == 0.5
    assert metrics["share_read"] == pytest.approx(12 / 42)
    assert metrics["entity_recall"] <= 0.5
    assert metrics["label_audit.mismatches"] == 0


def test_plain_tags_have_an_accuracy_and_no_entities(tmp_path: Path) -> None:
    rows = {"text": [["a", "b"]] * 4, "label": [[0, 1]] * 4}
    trained = train(TrainTagger(), tmp_path, rows, rows, steps=2)
    assert "token_accuracy" in trained.evidence.metrics
    assert "entity_f1" not in trained.evidence.metrics


def test_a_base_of_other_tags_gets_a_new_head(trained: Trained, tmp_path: Path) -> None:
    rows = {"text": [["a", "b"]] * 4, "label": [["X", "Y"]] * 4}
    more = train(TrainTagger(), tmp_path, rows, base=trained.path, steps=1, max_length=40)
    assert [row["label"] for row in more.evidence.tables["labels"]] == ["X", "Y"]
    assert more.evidence.facts["tokenizer.digest"] == trained.evidence.facts["tokenizer.digest"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [["O"], ["O", "X"]]}, "row 0 of the train data train/1 has 2 words and 1 tags"),
        ({"label": [["O", "X"], None]}, "row 1 .* has 2 words and no tags"),
        ({"label": [["O", "O"], ["O", "O"]]}, "all words of the training data have the tag 'O'"),
        ({"label": [["O", ""], ["O", "X"]]}, "1 of 2 rows .* have an empty tag"),
        ({"label": [[0, -100], [1, 0]]}, "1 of 2 rows .* have a tag below 0"),
        ({"label": [[0.5, 1.0], [1.0, 0.0]]}, "not lists of tags"),
        ({"label": ["O", "X"]}, "holds string, not lists of tags"),
        ({"text": [["a", " "], ["a", "b"]]}, "1 of 2 rows .* have an empty word"),
        ({"text": [[], ["a", "b"]], "label": [[], ["O", "X"]]}, "1 of 2 rows .* have no words"),
        ({"text": ["a b", "c d"]}, "holds string, not lists of words"),
    ],
)
def test_bad_data(tmp_path: Path, change: dict[str, list[Any]], message: str) -> None:
    rows = {"text": [["a", "b"], ["c", "d"]], "label": [["O", "X"], ["O", "X"]]} | change
    with pytest.raises(BadInput, match=message):
        train(TrainTagger(), tmp_path, rows)
    assert not (tmp_path / "run" / "outputs").exists()


def test_validation_tags_that_training_lacks(tmp_path: Path) -> None:
    rows = {"text": [["a", "b"]], "label": [["O", "X"]]}
    with pytest.raises(BadInput, match="tags that the training data lacks: Z"):
        train(TrainTagger(), tmp_path, rows, rows | {"label": [["O", "Z"]]})


class TestEntities:
    def test_spans(self) -> None:
        tags = ["B-PER", "I-PER", "B-PER", "O", "I-LOC", "I-PER", "I-PER"]
        assert spans(tags) == {("PER", 0, 2), ("PER", 2, 3), ("LOC", 4, 5), ("PER", 5, 7)}
        assert spans(["O", "O"]) == set()

    def test_an_entity_counts_only_whole(self) -> None:
        wanted = [["B-PER", "I-PER", "O", "B-LOC"]]
        said = [["B-PER", "O", "O", "B-LOC"]]
        assert entity_scores(said, wanted) == {
            "entity_precision": 0.5,
            "entity_recall": 0.5,
            "entity_f1": 0.5,
        }
        assert entity_scores([["O"]], [["O"]])["entity_f1"] == 0.0

    def test_what_is_iob(self) -> None:
        assert is_iob(["O", "B-A", "I-A"])
        assert not is_iob(["NOUN", "VERB"])
        assert not is_iob(["B-A", "I-A"])
