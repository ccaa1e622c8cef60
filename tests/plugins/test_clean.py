"""The clean plugin, on tables with planted dirt and on real messages."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadConfig, BadTable, Cancelled
from registry.extension import Prepared
from registry.extension.inputs import ColumnRoles
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.prepare.clean import Clean
from registry.plugins.prepare.repair import text_repairer


class TestContract(PluginContract):
    plugin = Clean


def clean(folder: Path, table: pa.Table, roles: dict[str, Any] | None = None, **config: Any) -> Prepared:
    """The plugin's result on a table whose columns have these roles."""
    roles = {"text": "text", "label": "label"} if roles is None else roles
    dataset = dataset_input(folder / "in", table, **roles)
    return run_plugin(Clean(), folder / "run", config=config, dataset=dataset)


def rows(result: Prepared) -> list[dict[str, Any]]:
    (draft,) = result.datasets
    return pq.read_table(draft.path).to_pylist()


def labelled(*pairs: tuple[str | None, str | None]) -> pa.Table:
    texts, labels = zip(*pairs, strict=True)
    return pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels, pa.string())})


@pytest.mark.parametrize(
    ("dirty", "repaired", "mojibake", "control"),
    [
        ("schÃ¶ne GrÃ¼ÃŸe", "schöne Grüße", True, False),
        ("donâ€™t", "don\u2019t", True, False),
        ("Ã\x00©tÃ©", "été", True, True),
        ("e\u0301", "é", False, False),
        ("a\tb\r\nc\u00a0\u2028d", "a b c d", False, False),
        ("  a   b ", "a b", False, False),
        ("a\x00b\x07\x1b", "ab", False, True),
        ("\ufeffa", "a", False, True),
        ("a\x81b", "ab", False, True),
        ("“fish &amp; ﬁns” 😀 好", "“fish &amp; ﬁns” 😀 好", False, False),
        ("", "", False, False),
    ],
)
def test_repairs_what_is_broken_and_nothing_else(
    dirty: str, repaired: str, mojibake: bool, control: bool
) -> None:
    done = text_repairer()(dirty)

    assert (done.text, done.mojibake, done.control) == (repaired, mojibake, control)


@given(
    st.text(
        st.sampled_from("aéÃ©Â€â€™œ\u0301 \t\n\x00\x81\x85\x9d\u00a0\ufeff") | st.characters(codec="utf-8")
    )
)
def test_a_repaired_text_is_clean_and_stays_as_it_is(text: str) -> None:
    repair = text_repairer()

    done = repair(text).text

    assert repair(done).text == done
    assert done == " ".join(done.split())
    assert unicodedata.is_normalized("NFC", done)
    assert not [character for character in done if unicodedata.category(character) == "Cc"]


def test_counts_every_change(tmp_path: Path) -> None:
    table = labelled(
        ("schÃ¶n", "ham"),
        ("a\x00b", "ham "),
        ("plain", "ham"),
        ("  plain ", "ham"),
        ("\t ", "ham"),
        (None, "spam"),
        ("twice told", "ham"),
        ("twice  told", "spam"),
    )

    result = clean(tmp_path, table)

    assert rows(result) == [
        {"text": "schön", "label": "ham"},
        {"text": "ab", "label": "ham"},
        {"text": "plain", "label": "ham"},
    ]
    assert result.evidence is not None
    assert result.evidence.metrics == {
        "rows_in": 8,
        "rows_out": 3,
        "duplicates_removed": 1,
        "cells_changed": 6,
        "mojibake_repaired": 1,
        "control_removed": 1,
        "empty_removed": 2,
        "conflicting_duplicates": 2,
    }


def test_contradicting_rows_can_be_kept(tmp_path: Path) -> None:
    result = clean(tmp_path, labelled(("a", "x"), ("a", "y"), ("a", "x")), conflicts="keep")

    assert rows(result) == [{"text": "a", "label": "x"}, {"text": "a", "label": "y"}]
    assert result.evidence is not None
    assert result.evidence.metrics["conflicting_duplicates"] == 2
    assert result.evidence.facts["conflicts"] == "keep"


def test_a_missing_label_contradicts_nothing(tmp_path: Path) -> None:
    result = clean(tmp_path, labelled(("a", "x"), ("a", None)))

    assert len(rows(result)) == 2


def test_rows_that_differ_in_any_column_are_not_the_same(tmp_path: Path) -> None:
    """Two people who wrote the same words and got different answers are a finding, not a mistake."""
    table = pa.table({"text": ["a", "a", "a"], "label": ["x", "y", "x"], "sex": ["f", "m", "f"]})

    result = clean(tmp_path, table, {"text": "text", "label": "label", "sensitive": ("sex",)})

    assert [row["sex"] for row in rows(result)] == ["f", "m"]


def test_the_columns_that_make_rows_the_same_can_be_named(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "text": ["a", "b", "a"], "label": ["x", "x", "x"]})

    assert [row["id"] for row in rows(clean(tmp_path / "all", table))] == [1, 2, 3]
    assert [row["id"] for row in rows(clean(tmp_path / "text", table, same=["text"]))] == [1, 2]


def test_only_text_is_touched_and_types_stay(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array([" a ", "b "], pa.large_string()),
            "kind": pa.array([" k", " k"]).dictionary_encode(),
            "view": pa.array(["v ", None], pa.string_view()),
            "number": pa.array([1, None], pa.int8()),
            "list": pa.array([[" x "], None]),
        }
    )

    (draft,) = clean(tmp_path, table, {"text": "text"}).datasets
    out = pq.read_table(draft.path)

    assert out.to_pydict() == {
        "text": ["a", "b"],
        "kind": ["k", "k"],
        "view": ["v", None],
        "number": [1, None],
        "list": [[" x "], None],
    }
    assert out.schema.field("text").type == pa.large_string()
    assert out.schema.field("number").type == pa.int8()


def test_without_a_text_column_a_row_is_empty_if_all_of_it_is(tmp_path: Path) -> None:
    table = pa.table({"a": ["x", " ", None], "n": [None, 1, None]})

    assert rows(clean(tmp_path, table, {})) == [{"a": "x", "n": None}, {"a": "", "n": 1}]


def test_the_draft_is_the_next_version_with_the_same_roles(tmp_path: Path) -> None:
    (draft,) = clean(tmp_path, labelled(("a", "x"))).datasets

    assert draft.suffix == ""
    assert draft.columns == ColumnRoles(text="text", label="label")
    assert "1 rows in, 1 out" in draft.note


def test_the_same_table_gives_the_same_bytes_in_any_batching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = labelled(*((f" row {number % 40} ", "x") for number in range(100)))
    (whole,) = clean(tmp_path / "whole", table).datasets
    monkeypatch.setattr("registry.plugins.prepare.clean.BATCH", 7)
    (pieces,) = clean(tmp_path / "pieces", table).datasets

    assert pq.read_table(pieces.path).equals(pq.read_table(whole.path))
    monkeypatch.undo()
    (again,) = clean(tmp_path / "again", table).datasets
    assert manifest_of(again.path) == manifest_of(whole.path)


def test_says_how_far_it_is_and_stops_when_asked(tmp_path: Path) -> None:
    clean(tmp_path / "done", labelled(("a", "x")))
    events = [json.loads(line) for line in (tmp_path / "done/run/events.jsonl").read_text().splitlines()]
    assert [(e["done"], e["total"]) for e in events if e["type"] == "progress"] == [(1, 1)]

    (tmp_path / "stopped/run").mkdir(parents=True)
    (tmp_path / "stopped/run/cancel").touch()
    with pytest.raises(Cancelled):
        clean(tmp_path / "stopped", labelled(("a", "x")))


NO_ROWS = labelled(("a", "x")).slice(0, 0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (NO_ROWS, "data/1 has no rows"),
        (pa.table({"texts": ["a"], "label": ["x"]}), "no column 'text'"),
        (labelled((None, "x"), (None, "y")), "holds no values"),
        (pa.table({"text": [1, 2], "label": ["x", "y"]}), "holds int64, not text"),
        (labelled((" ", "x"), ("\x00", "y")), "leaves nothing of the 2 rows of data/1: 2 are empty"),
        (labelled(("a", "x"), ("a", "y")), "0 are empty, 2 contradictory"),
    ],
)
def test_refuses_a_table_with_nothing_to_clean(tmp_path: Path, table: pa.Table, message: str) -> None:
    with pytest.raises(BadTable, match=message):
        clean(tmp_path, table)


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"same": ["txt"]}, "no column 'txt'", "did you mean 'text'"),
        ({"conflicts": "guess"}, "'conflicts'", "phasegate plugin show clean"),
    ],
)
def test_refuses_options_that_do_not_fit(
    tmp_path: Path, config: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(BadConfig, match=message) as refused:
        clean(tmp_path, labelled(("a", "x")), **config)
    assert hint in refused.value.hint


def test_real_messages(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    table = pyarrow.csv.read_csv(
        shared_data("sms_spam/sms_spam.csv"), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )

    result = clean(tmp_path, table)

    assert result.evidence is not None
    metrics = result.evidence.metrics
    found = [(row["label"], row["text"]) for row in rows(result)]
    assert metrics["rows_in"] == table.num_rows
    assert metrics["rows_out"] == len(found) == len(set(found))
    # It has exact duplicates, also before anything is repaired.
    assert metrics["duplicates_removed"] >= table.num_rows - len(set(table["text"].to_pylist())) > 0
    assert metrics["rows_in"] - metrics["rows_out"] == (
        metrics["duplicates_removed"] + metrics["empty_removed"] + metrics["conflicting_duplicates"]
    )
