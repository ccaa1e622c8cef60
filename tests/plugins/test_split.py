"""The split plugin: proportions, and no text in two parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadConfig, BadTable
from registry.extension import Prepared
from registry.extension.inputs import ColumnRoles
from registry.extension.tables import text_key
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.prepare.split import Split, deal, leaked_rows

SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


class TestContract(PluginContract):
    plugin = Split


def split(folder: Path, table: pa.Table, *, seed: int = 0, label: str = "label", **config: Any) -> Prepared:
    dataset = dataset_input(folder / "in", table, text="text", label=label, sensitive=("sex",))
    return run_plugin(Split(), folder / "run", config=config, dataset=dataset, seed=seed)


def parts(result: Prepared) -> dict[str, pa.Table]:
    return {draft.suffix: pq.read_table(draft.path) for draft in result.datasets}


def applications(rows: int = 400) -> pa.Table:
    """A quarter `no`, of which a fifth `f`; every tenth text is the one before it, shouted."""
    texts = [f"I need {number} for a car" for number in range(rows)]
    for number in range(9, rows, 10):
        texts[number] = texts[number - 1].upper() + "!!"
    labels = ["no" if number // 10 % 4 == 0 else "yes" for number in range(rows)]
    sexes = ["f" if number % 5 == 0 else "m" for number in range(rows)]
    return pa.table({"text": texts, "label": labels, "sex": sexes, "row": list(range(rows))})


def test_every_row_is_in_one_part_and_parts_are_as_large_as_asked(tmp_path: Path) -> None:
    table = applications()

    result = split(tmp_path, table)

    made = parts(result)
    assert list(made) == ["train", "validation", "test"]
    assert sorted(row for part in made.values() for row in part["row"].to_pylist()) == list(range(400))
    for name, part in made.items():
        assert part.num_rows == pytest.approx(SHARES[name] * 400, abs=2)
        labels = Counter(part["label"].to_pylist())
        assert labels["no"] == pytest.approx(SHARES[name] * 100, abs=2)
        assert part["row"].to_pylist() == sorted(part["row"].to_pylist()), "rows keep their order"
    assert all(
        draft.columns == ColumnRoles(text="text", label="label", sensitive=("sex",))
        for draft in result.datasets
    )
    assert result.evidence is not None
    assert result.evidence.metrics["rows"] == 400
    assert result.evidence.metrics["rows.test"] == made["test"].num_rows
    assert result.evidence.metrics["share.test"] == made["test"].num_rows / 400
    assert sum(row["train"] for row in result.evidence.tables["strata"]) == made["train"].num_rows


def test_a_text_is_in_one_part_however_it_is_written(tmp_path: Path) -> None:
    result = split(tmp_path, applications())

    keys = [{text_key(text) for text in part["text"].to_pylist()} for part in parts(result).values()]
    assert len(set.union(*keys)) == sum(map(len, keys))
    assert result.evidence is not None
    assert result.evidence.metrics["leaked_rows"] == 0


def test_a_leak_would_be_measured() -> None:
    leaky = {
        "train": pa.table({"text": ["Free money!", "hello"]}),
        "test": pa.table({"text": ["free  MONEY", "FREE money", "goodbye"]}),
    }

    assert leaked_rows(leaky, ColumnRoles(text="text")) == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Free money!", "free  MONEY", True),
        ("ﬁve", "F\uff29VE", True),
        ("Straße", "STRASSE", True),
        ("e\u0301te\u0301", "Été", True),
        ("call 1", "call 2", False),
        (":-)", "?!", False),
        ("好", "坏", False),
    ],
)
def test_what_counts_as_the_same_text(one: str, other: str, same: bool) -> None:
    assert (text_key(one) == text_key(other)) is same


def test_the_seed_decides(tmp_path: Path) -> None:
    made = {
        name: split(tmp_path / name, applications(), seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    }
    digests = {name: [manifest_of(draft.path) for draft in result.datasets] for name, result in made.items()}

    assert digests["a"] == digests["b"]
    assert digests["a"] != digests["c"]


def test_further_columns_are_kept_in_proportion(tmp_path: Path) -> None:
    made = parts(split(tmp_path, applications(), stratify=["sex"]))

    for name, part in made.items():
        cells = Counter(zip(part["label"].to_pylist(), part["sex"].to_pylist(), strict=True))
        assert cells["no", "f"] == pytest.approx(SHARES[name] * 20, abs=2)


def test_a_part_of_size_zero_is_not_made(tmp_path: Path) -> None:
    made = parts(split(tmp_path, applications(), train=0.8, validation=0, test=0.2))

    assert {name: part.num_rows for name, part in made.items()} == {"train": 320, "test": 80}


KEYED = st.tuples(st.sampled_from("klmnopqrstuvw"), st.sampled_from("ab"))
# Three texts of each class that no other row has, so that every part can have one.
OWN = [(f"{stratum}{number}", stratum) for number in range(3) for stratum in "ab"]


@given(st.lists(KEYED, max_size=120), st.integers(0, 5))
def test_dealing_never_splits_a_text_and_leaves_no_class_out(more: list[tuple[str, str]], seed: int) -> None:
    rows = OWN + more
    keys = [key for key, _ in rows]
    strata = [(stratum,) for _, stratum in rows]

    dealt = deal(keys, strata, SHARES, seed)

    assert sorted(row for part in dealt.values() for row in part) == list(range(len(rows)))
    homes = {
        key: {part for part, found in dealt.items() if any(keys[row] == key for row in found)} for key in keys
    }
    assert all(len(home) == 1 for home in homes.values())
    assert all({strata[row] for row in found} == {("a",), ("b",)} for found in dealt.values())


def test_many_copies_of_one_text_stay_together_and_the_rest_makes_up_for_it() -> None:
    keys = ["copied"] * 30 + [str(number) for number in range(70)]

    dealt = deal(keys, [("x",)] * 100, SHARES, seed=3)

    assert {part: len(rows) for part, rows in dealt.items()} == {"train": 70, "validation": 15, "test": 15}
    assert set(range(30)) <= set(dealt["train"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (applications(20).slice(0, 0), "has no rows"),
        (applications(20).drop_columns(["text"]), "no column 'text'"),
        (
            pa.table({"text": ["a", None], "label": ["x", "x"], "sex": ["f", "f"]}),
            "1 of 2 rows of data/1 have no 'text'",
        ),
        (pa.table({"text": ["a", "b"], "label": ["x", None], "sex": ["f", "f"]}), "have no 'label'"),
        (
            pa.table({"text": ["a", "b", "c", "d", "D!"], "label": [*"xxxyy"], "sex": [*"fffff"]}),
            "'y' has 1 different texts: each of train, validation, test needs one",
        ),
    ],
)
def test_refuses_a_table_that_cannot_be_split(tmp_path: Path, table: pa.Table, message: str) -> None:
    with pytest.raises(BadTable, match=message):
        split(tmp_path, table)


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"train": 0.7, "test": 0.5}, "sum to 1.35, not to 1", ""),
        ({"train": 0, "test": 0.85}, "'train'", ""),
        ({"test": -0.1}, "'test'", ""),
        ({"stratify": ["sx"]}, "no column 'sx'", "did you mean 'sex'"),
        ({"tests": 0.3}, "no option 'tests'", "did you mean 'test'"),
    ],
)
def test_refuses_options_that_do_not_fit(
    tmp_path: Path, config: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(BadConfig, match=message) as refused:
        split(tmp_path, applications(40), **config)
    assert hint in refused.value.hint


def test_texts_without_labels_are_dealt_at_random(tmp_path: Path) -> None:
    result = split(tmp_path, applications(40), label="")
    assert result.evidence.facts["stratified_by"] == "nothing"
    assert sum(result.evidence.metrics[f"rows.{part}"] for part in ("train", "validation", "test")) == 40
    assert result.evidence.metrics["leaked_rows"] == 0


def test_labels_that_mostly_differ_are_no_classes(tmp_path: Path) -> None:
    table = pa.table({"text": [f"text {n}" for n in range(40)], "summary": [f"sum {n}" for n in range(40)]})
    dataset = dataset_input(tmp_path / "in", table, text="text", label="summary")
    result = run_plugin(Split(), tmp_path / "run", dataset=dataset)
    assert result.evidence.metrics["rows.train"] == 28


@pytest.mark.parametrize("words", [True, False])
def test_equal_conversations_and_sentences_stay_together(tmp_path: Path, words: bool) -> None:
    def row(n: int) -> list[Any]:
        text = f"What is {n} ?"
        return (
            text.split()
            if words
            else [{"role": "user", "content": text}, {"role": "assistant", "content": str(n)}]
        )

    table = pa.table({"said": [row(n % 25) for n in range(50)]})
    dataset = dataset_input(tmp_path / "in", table, text="said")
    result = run_plugin(Split(), tmp_path / "run", dataset=dataset)
    assert result.evidence.metrics["leaked_rows"] == 0


def test_real_messages(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    table = pyarrow.csv.read_csv(
        shared_data("sms_spam/sms_spam.csv"), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )
    dataset = dataset_input(tmp_path / "in", table, text="text", label="label")

    result = run_plugin(Split(), tmp_path / "run", dataset=dataset)

    assert result.evidence.metrics["leaked_rows"] == 0
    spam = table["label"].to_pylist().count("spam") / table.num_rows
    for name, part in parts(result).items():
        assert part.num_rows == pytest.approx(SHARES[name] * table.num_rows, abs=3)
        assert part["label"].to_pylist().count("spam") / part.num_rows == pytest.approx(spam, abs=0.005)
