"""Contamination: copies are found however they were dressed up, strangers are not."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadConfig, BadTable
from registry.extension import Evidence
from registry.extension.tables import text_key
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.contamination import Contamination
from registry.plugins.check.ngrams import GramIndex, TokenizedTexts

LONG = "we saw the film on monday with a friend and the plot was dull but the actors played it very well"


class TestContract(PluginContract):
    plugin = Contamination


def contamination(
    folder: Path, test: list[str | None], train: list[str | None], role: str = "train", **options: Any
) -> Evidence:
    def data(name: str, texts: list[str | None]) -> Any:
        table = pa.table({"text": pa.array(texts, pa.string())})
        return dataset_input(folder / name, table, ref=f"{name}/1", role=name, text="text")

    evidence: Evidence = run_plugin(
        Contamination(),
        folder / "run",
        dataset=data("test", test),
        data={role: data("train", train)},
        config=options,
    )
    return evidence


def how(evidence: Evidence) -> str:
    return ", ".join(row["how"] for row in evidence.tables["contaminated"])


class TestFinds:
    @pytest.mark.parametrize(
        ("copy", "expected"),
        [
            (LONG, "exact"),
            (f"  {LONG.upper()}!! ", "exact"),
            (LONG.replace("dull", "slow"), "near"),
            (LONG.replace("we saw", "yesterday they watched"), "near"),
            (" ".join(LONG.split()[:12]), "near"),
            # Thirteen words of it within twice as many of something else.
            (f"{' '.join(f'a{n}' for n in range(16))} {' '.join(LONG.split()[:13])}", "passage"),
            (f"{' '.join(f'a{n}' for n in range(16))} {' '.join(LONG.split()[:12])}", ""),
            ("the plot was dull", ""),
            ("nothing of the kind was ever written about this by anybody else at all", ""),
        ],
        ids=["same", "shouted", "word", "start", "part", "passage", "short-passage", "few-words", "other"],
    )
    def test_copies(self, tmp_path: Path, copy: str, expected: str) -> None:
        evidence = contamination(tmp_path, ["something new", copy], ["another text", LONG])
        assert how(evidence) == expected
        assert evidence.metrics["contaminated_rows"] == bool(expected)
        assert evidence.metrics["contaminated_share"] == bool(expected) / 2
        assert [(row["row"], row["other_row"]) for row in evidence.tables["contaminated"]] == [(1, 1)] * bool(
            expected
        )

    def test_half_of_the_shingles_must_stand_in_one_text(self, tmp_path: Path) -> None:
        """Each part is known, but from another text: that is common language, not a copy."""
        words = LONG.split()
        parts = [" ".join([*words[at : at + 5], f"end{at}"]) for at in range(0, 20, 5)]
        assert how(contamination(tmp_path, [LONG], parts)) == ""

    def test_chinese_is_compared_by_characters(self, tmp_path: Path) -> None:
        text = "这家餐厅的服务态度非常好而且菜的味道也很不错下次还会再来"
        changed = text.replace("非常", "特别")
        assert how(contamination(tmp_path / "1", [changed], [text])) == "near"
        other = "房间里没有空调也没有热水我们不会再住这个酒店了请大家注意"
        assert how(contamination(tmp_path / "2", [other], [text])) == ""

    def test_every_role_is_read_and_a_row_counts_once(self, tmp_path: Path) -> None:
        table = pa.table({"text": [LONG, "something new"]})
        near = pa.table({"text": [LONG.replace("dull", "slow")]})
        data = {
            role: dataset_input(tmp_path / role, part, ref=f"{role}/3", role=role, text="text")
            for role, part in {"train": near, "extra": table}.items()
        }
        subject = dataset_input(tmp_path / "test", table.slice(0, 1), ref="test/1", text="text")
        evidence = run_plugin(Contamination(), tmp_path / "run", dataset=subject, data=data)
        assert evidence.metrics["contaminated_rows"] == evidence.metrics["exact_rows"] == 1
        assert evidence.facts["against"] == "extra=extra/3, train=train/3"
        assert evidence.facts["train.digest"] == data["train"].digest
        assert [row["exact"] for row in evidence.tables["against"]] == [1, 0]

    def test_rows_without_a_text_are_not_read_and_it_says_so(self, tmp_path: Path) -> None:
        evidence = contamination(tmp_path, [LONG, None, " ", "new"], [LONG, None])
        assert evidence.metrics["rows"] == 4
        assert evidence.coverage == 0.5

    def test_all_hits_are_in_a_file_without_their_texts(self, tmp_path: Path) -> None:
        evidence = contamination(tmp_path, [LONG] * 60, [LONG])
        assert len(evidence.tables["contaminated"]) == 50
        assert pq.read_table(evidence.files[0]).num_rows == 60
        assert b"monday" not in evidence.files[0].read_bytes()


class TestBadInput:
    def test_no_other_data(self, tmp_path: Path) -> None:
        subject = dataset_input(tmp_path / "in", pa.table({"text": ["a"]}), ref="test/1", text="text")
        with pytest.raises(BadConfig, match="no data to look for test/1 in") as refused:
            run_plugin(Contamination(), tmp_path / "run", dataset=subject)
        assert refused.value.hint == "phasegate run contamination test/1 --data train=DATASET/N"

    @pytest.mark.parametrize(
        ("test", "train", "message"),
        [
            ([], ["a"], "test/1 has no rows"),
            (["a"], [], "train/1 has no rows"),
            (["a"], [" ", None], "no row of train/1 has a text"),
        ],
    )
    def test_nothing_to_read(
        self, tmp_path: Path, test: list[str | None], train: list[str | None], message: str
    ) -> None:
        with pytest.raises(BadTable, match=message):
            contamination(tmp_path, test, train)

    def test_a_dataset_without_a_text_column(self, tmp_path: Path) -> None:
        table = pa.table({"age": [1]})
        one, other = (dataset_input(tmp_path / name, table, ref=f"{name}/1") for name in ("a", "b"))
        with pytest.raises(BadConfig, match="a/1 does not say which column is its text"):
            run_plugin(Contamination(), tmp_path / "run", dataset=one, data={"train": other})


words = st.lists(st.sampled_from("abcdefgh"), max_size=12).map(" ".join)


@given(st.lists(words, max_size=6), st.lists(words, max_size=6), st.integers(1, 4))
def test_grams_are_those_that_a_loop_finds(texts: list[str], others: list[str], n: int) -> None:
    def grams(text: str) -> list[tuple[str, ...]]:
        split = text.split()
        return [tuple(split[at : at + n]) for at in range(len(split) - n + 1)]

    hashes, starts = TokenizedTexts(texts).grams(n)
    assert [high - low for low, high in pairwise(starts)] == [len(grams(text)) for text in texts]
    index = GramIndex(TokenizedTexts(others), n)
    for place, text in enumerate(texts):
        mine = hashes[starts[place] : starts[place + 1]]
        owner = index.first_owner(mine)
        known = {gram for other in others for gram in grams(other)}
        assert (owner is not None) == bool(set(grams(text)) & known)
        shares = [
            len(set(grams(text)) & set(grams(other))) / len(set(grams(text))) if grams(text) else 0
            for other in others
        ]
        alike = index.most_alike(mine, 0.5)
        best = max(shares, default=0)
        assert (alike[1] if alike else 0) == (best if best >= 0.5 else 0)


def test_real_messages(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    """Copies with one word changed are found among real ones, in full; originals of another half are not."""
    with shared_data("sms_spam/sms_spam.csv").open(encoding="utf-8", newline="") as stream:
        texts = list({text_key(row["text"]): row["text"] for row in csv.DictReader(stream)}.values())
    dice = random.Random(0)
    dice.shuffle(texts)
    train, other = texts[:2000], texts[2000:3000]
    long = [text for text in train if len(text.split()) >= 12][:200]
    changed = []
    for text in long:
        split = text.split()
        split[len(split) // 2] = "zzz"
        changed.append(" ".join(split))
    found = contamination(tmp_path / "changed", changed, train)
    assert found.metrics["contaminated_rows"] >= 198
    strangers = contamination(tmp_path / "other", other, train)
    # Spam comes in series: what is found is near, and little.
    assert strangers.metrics["exact_rows"] == 0
    assert strangers.metrics["contaminated_share"] < 0.06
