"""Encoders with a decoder: they learn to rewrite, and are scored by what they write."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_runs import audit, train

from registry.errors import BadInput
from registry.extension import Trained
from registry.extension.testing import PluginContract
from registry.plugins.train.seq2seq import TrainSeq2Seq
from registry.plugins.train.tasks.overlap import longest_common, rouge_l, words

COLOURS = {"red": "rot", "green": "gruen", "blue": "blau", "white": "weiss"}
PAIRS = list(itertools.product(COLOURS, repeat=2)) * 6
ROWS = {
    "text": [" ".join(pair) for pair in PAIRS],
    "label": [" ".join(COLOURS[c] for c in pair) for pair in PAIRS],
}
HELD_OUT = {name: values[:16] for name, values in ROWS.items()}


class TestContract(PluginContract):
    plugin = TrainSeq2Seq


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    options = {"steps": 180, "max_length": 24, "max_target": 12, "dropout": 0.0, "prefix": "say: "}
    return train(TrainSeq2Seq(), tmp_path_factory.mktemp("rewrite"), ROWS, HELD_OUT, **options)


def test_learns_and_says_so(trained: Trained) -> None:
    metrics = trained.evidence.metrics
    assert metrics["converged"] == 1.0
    assert metrics["exact_match"] >= 0.9
    assert metrics["exact_match"] <= metrics["rouge_l"] <= 1.0
    assert metrics["generated.rows"] == 16
    assert metrics["label_audit.terminator_trained"] == 1.0
    assert metrics["label_audit.mismatches"] == 0
    assert trained.evidence.facts["architecture"] == "T5ForConditionalGeneration, 1 x 32, 2 heads"
    assert "say: red red\n=> rot rot" in {row["fed_text"] for row in audit(trained)}


def test_the_artifact_is_one_that_transformers_generates_with(trained: Trained) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.path)
    asked = tokenizer("say: blue green", return_tensors="pt")
    made = AutoModelForSeq2SeqLM.from_pretrained(trained.path).generate(**asked, max_new_tokens=12)
    assert tokenizer.decode(made[0], skip_special_tokens=True) == "blau gruen"


def test_a_target_that_is_cut_off_teaches_no_end(tmp_path: Path) -> None:
    rows = {"text": ["a b c", "d"], "label": ["one two three four five six", "x"]}
    trained = train(TrainSeq2Seq(), tmp_path, rows, steps=1, max_target=4)
    assert trained.evidence.metrics["label_audit.terminator_trained"] == 0.5
    assert trained.evidence.metrics["truncated_share"] == 0.5
    assert trained.evidence.metrics["label_audit.mismatches"] == 0
    assert "exact_match" not in trained.evidence.metrics


def test_a_base_goes_on(trained: Trained, tmp_path: Path) -> None:
    options = {"steps": 1, "max_length": 24, "max_target": 12, "prefix": "say: ", "generate_rows": 2}
    more = train(TrainSeq2Seq(), tmp_path, ROWS, HELD_OUT, base=trained.path, **options)
    assert more.evidence.metrics["first_loss"] < 0.2 * trained.evidence.metrics["first_loss"]
    assert more.evidence.metrics["generated.rows"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": [1] * 4}, "label column 'label' of train/1 holds int64, not text"),
        ({"label": ["a", "", "b", "c"]}, "1 of 4 rows .* have no 'label'; the first is row 1"),
        ({"text": ["a", None, "b", "c"]}, "1 of 4 rows .* have no 'text'"),
        ({"text": [["a"], ["b"], ["c"], ["d"]]}, "not text"),
    ],
)
def test_bad_data(tmp_path: Path, change: dict[str, list[object]], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        train(TrainSeq2Seq(), tmp_path, {"text": list("abcd"), "label": list("abcd")} | change)


class TestRouge:
    def test_by_hand(self) -> None:
        """The example of Lin (2004), section 3.1: L is 3 of 4 words, and 2 of 4."""
        wanted = "police killed the gunman"
        assert rouge_l("police kill the gunman", wanted) == pytest.approx(3 / 4)
        assert rouge_l("the gunman kill police", wanted) == pytest.approx(2 / 4)

    def test_scripts_without_blanks_are_read_by_character(self) -> None:
        assert words("Hello 你好, wörld2") == ["hello", "你", "好", "wörld2"]
        assert rouge_l("我爱你", "我恨你") == pytest.approx(2 / 3)

    def test_nothing_is_like_nothing_only(self) -> None:
        assert (rouge_l("", ""), rouge_l("a", ""), rouge_l("", "a")) == (1.0, 0.0, 0.0)

    @given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
    def test_bits_count_what_a_table_counts(self, one: list[str], other: list[str]) -> None:
        table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
        for i, a in enumerate(one):
            for j, b in enumerate(other):
                table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
        assert longest_common(one, other) == table[-1][-1]
