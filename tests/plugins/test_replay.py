"""Continual learning, by every plugin that trains with torch: old rows are among the new ones."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from kinds import CASES, LANGUAGE, Case, chats, texts

from registry.errors import BadConfig, BadInput
from registry.plugins.train.causal_lm import TrainCausalLM
from registry.plugins.train.classifier import TrainClassifier
from registry.plugins.train.replay import Old
from registry.plugins.train.tasks.blocks import Tokens, cut, one_each, pack
from registry.plugins.train.tasks.corpus import Corpus


@pytest.mark.parametrize("name", CASES)
def test_old_rows_make_up_their_share_and_what_is_forgotten_is_measured(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    evidence = case.run(tmp_path, replay=True, replay_share=0.25).evidence
    metrics = evidence.metrics
    if name in ("packed", "pieces"):
        # Examples are not rows there: several texts in a block, or several pieces of a text.
        assert metrics["replay.pool"] not in (0, 18)
    else:
        assert (metrics["replay.pool"], metrics["replay.kept"], metrics["replay.drawn"]) == (18, 2, 10)
    assert metrics["replay.share"] == pytest.approx(0.25, abs=0.05)
    assert metrics["replay.loss_before"] > 0
    assert metrics["replay.loss_after"] > 0
    assert evidence.facts["replay"] == "replay/1"
    # Old rows are behind the new ones, and are fed what their data says.
    audit = evidence.tables["label_audit"]
    assert {row["from"] for row in audit} == {"train", "replay"}
    assert metrics["label_audit.mismatches"] == 0
    if "text" in case.old.column_names:
        file = tmp_path / "run" / "label_audit.json"
        for row in json.loads(file.read_text()):
            # A piece of a text need not hold its first word, and an answer never does.
            strange = "new" if row["from"] == "replay" else "old"
            assert strange not in row["fed_text"]


@pytest.mark.parametrize("name", CASES)
def test_of_very_few_old_rows_none_is_kept_apart(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    few = Case(case.plugin, case.fresh, case.old.slice(0, 9), case.options)
    metrics = few.run(tmp_path, replay=True, replay_share=0.1, steps=1).evidence.metrics
    assert metrics["replay.kept"] == 0
    assert metrics["replay.drawn"] > 0
    assert "replay.loss_before" not in metrics


def test_a_decoder_that_goes_on_forgets_less_with_replay(tmp_path: Path) -> None:
    """The same words in another order are learned, and the order of before is lost without old rows."""
    words = ["ab cd ef gh ij kl", "ab ef cd ij gh kl"]
    old, fresh = (pa.table({"text": [text] * 60}) for text in words)
    options = LANGUAGE | {"packing": "none", "context": 16, "steps": 60, "learning_rate": 3e-3}
    case = Case(TrainCausalLM, fresh, old, options)
    little, much = (
        case.run(tmp_path / str(share), replay=True, replay_share=share).evidence.metrics["replay.loss_after"]
        for share in (0.02, 0.45)
    )
    assert much < 0.8 * little


def test_conversations_are_not_replayed_among_documents(tmp_path: Path) -> None:
    case = Case(TrainCausalLM, texts("new", 30).drop(["label"]), chats("old", 20), LANGUAGE)
    with pytest.raises(BadInput, match="the training data holds text, and the replay data messages"):
        case.run(tmp_path, replay=True, replay_share=0.25)


@pytest.mark.parametrize("name", ["causal", "tagger", "boxes"])
def test_a_share_that_cannot_be_drawn(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="is 70 rows an epoch, and there are 18 to draw from") as caught:
        CASES[name].run(tmp_path, replay=True, replay_share=0.7)
    assert caught.value.hint == "--set replay_share=0.375"


def test_classes_that_only_old_rows_have_are_learned_too(tmp_path: Path) -> None:
    fresh = texts("new", 30)
    old = texts("old", 20).set_column(1, "label", [["dusk"] * 20])
    evidence = (
        Case(TrainClassifier, fresh, old, LANGUAGE).run(tmp_path, replay=True, replay_share=0.25).evidence
    )
    assert evidence.metrics["labels"] == 3


class TestJoined:
    def test_blocks_of_both_are_what_each_was(self) -> None:
        one, two = Tokens.of([[1, 2, 3, 4], [5, 6]]), Tokens.of([[70_000, 8, 9], [10, 11]])
        first, second = pack(one, cut(one, 4), 4), one_each(two, cut(two, 4))
        both = first + second
        assert len(both) == len(first) + len(second)
        assert both.apart
        for blocks, offset in ((first, 0), (second, len(first))):
            for row in range(len(blocks)):
                alone, among = blocks.take([row], 0, 4), both.take([offset + row], 0, 4)
                assert all((alone[name] == among[name]).all() for name in alone)
        numbers = [number for row in range(len(both)) for number, _, _ in both.documents(row)]
        assert sorted(numbers) == [0, 1, 2, 3]

    def test_shares_are_of_both(self) -> None:
        tokens = Tokens.of([[1, 2, 3, 4]], [[False, True, True, True]])
        blocks = one_each(tokens, cut(tokens, 8))
        one = Corpus(blocks, [["a"]], cut_off=1, share_read=0.5, ended=0.0, terminators=(3,))
        two = Corpus(blocks, [["b", "c", "d"]], share_read=1.0, ended=1.0, terminators=(2, 3))
        both = one + two
        assert (both.cut_off, both.ended, both.terminators) == (1, 0.75, (2, 3))
        assert both.share_read == pytest.approx(8 / 12)
        assert both.says == [["a"], ["b", "c", "d"]]

    def test_rows_of_several_lists(self) -> None:
        old = Old(pool=(["a"], [1]), rows=1, kept=(["b"], [2]))
        assert old.after((["x"], [9])) == (["x", "a"], [9, 1])
