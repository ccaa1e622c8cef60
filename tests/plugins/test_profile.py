"""The profile plugin, on tables whose figures are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from registry.errors import BadTable
from registry.extension import Evidence
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.profile import Profile


class TestContract(PluginContract):
    plugin = Profile


def profile(folder: Path, table: pa.Table, **roles: Any) -> Evidence:
    return run_plugin(Profile(), folder / "run", dataset=dataset_input(folder / "in", table, **roles))


TABLE = pa.table(
    {
        "text": ["four", "two words", "", None, "four"],
        "label": ["no", "yes", "no", None, "no"],
        "sex": ["f", "m", "m", "m", "f"],
        "age": pa.array([30, None, 40, 50, 30], pa.int8()),
    }
)


def test_measures_completeness_balance_and_length(tmp_path: Path) -> None:
    evidence = profile(tmp_path, TABLE, text="text", label="label", sensitive=("sex",))

    assert evidence.metrics == pytest.approx(
        {
            "rows": 5,
            "columns": 4,
            "completeness": 16 / 20,
            "duplicate_share": 1 / 5,
            "label.classes": 2,
            "label.minority_share": 1 / 4,
            "label.missing_share": 1 / 5,
            "text.length.median": 4,
            "text.length.p95": 8,
            "text.empty_share": 2 / 5,
            "group.smallest_share": 2 / 5,
        }
    )


def test_tables_for_the_report(tmp_path: Path) -> None:
    tables = profile(tmp_path, TABLE, text="text", label="label", sensitive=("sex",)).tables

    assert tables["columns"][0] == {
        "column": "text",
        "type": "string",
        "role": "text",
        "completeness": 0.6,
        "distinct": 3,
    }
    assert [(row["column"], row["role"], row["distinct"]) for row in tables["columns"][1:]] == [
        ("label", "label", 2),
        ("sex", "sensitive", 2),
        ("age", "", 3),
    ]
    assert tables["classes"] == [
        {"column": "label", "value": "no", "rows": 3, "share": 0.75},
        {"column": "label", "value": "yes", "rows": 1, "share": 0.25},
    ]
    assert [(row["value"], row["rows"]) for row in tables["groups"]] == [("m", 3), ("f", 2)]
    json.dumps(tables)


def test_a_table_that_names_no_columns_is_measured_without_them(tmp_path: Path) -> None:
    evidence = profile(tmp_path, TABLE)

    assert set(evidence.metrics) == {"rows", "columns", "completeness", "duplicate_share"}
    assert set(evidence.tables) == {"columns"}


def test_a_label_that_nobody_gave_has_no_classes(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "label": pa.nulls(2)})

    metrics = profile(tmp_path, table, text="text", label="label").metrics

    assert (metrics["label.classes"], metrics["label.minority_share"], metrics["label.missing_share"]) == (
        0,
        0,
        1,
    )


def test_numbers_lists_and_categories_are_columns_too(tmp_path: Path) -> None:
    table = pa.table(
        {
            "label": [1, 0, 1],
            "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
            "scores": [[1.0], [], None],
            "nothing": pa.nulls(3),
        }
    )

    evidence = profile(tmp_path, table, label="label", sensitive=("kind",))

    assert evidence.metrics["label.minority_share"] == pytest.approx(1 / 3)
    assert evidence.metrics["duplicate_share"] == pytest.approx(1 / 3)
    columns = {row["column"]: row for row in evidence.tables["columns"]}
    assert columns["scores"]["distinct"] is None
    assert columns["nothing"]["completeness"] == 0


@pytest.mark.parametrize(
    ("table", "roles", "message", "hint"),
    [
        (TABLE.slice(0, 0), {}, "data/1 has no rows", ""),
        (TABLE, {"text": "txt"}, "no column 'txt', which is its text column", "did you mean 'text'"),
        (
            TABLE,
            {"sensitive": ("origin",)},
            "'origin', which is its sensitive column",
            "age, label, sex, text",
        ),
        (TABLE, {"text": "age"}, "holds int8, not text", ""),
        (pa.table({"text": pa.nulls(2)}), {"text": "text"}, "'text' of data/1 holds no values", ""),
    ],
)
def test_refuses_what_cannot_be_measured(
    tmp_path: Path, table: pa.Table, roles: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(BadTable, match=message) as refused:
        profile(tmp_path, table, **roles)
    assert hint in refused.value.hint


def test_real_messages(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    table = pyarrow.csv.read_csv(
        shared_data("sms_spam/sms_spam.csv"), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )
    texts, labels = table["text"].to_pylist(), table["label"].to_pylist()

    metrics = profile(tmp_path, table, text="text", label="label").metrics

    assert metrics["duplicate_share"] == pytest.approx(
        1 - len(set(zip(texts, labels, strict=True))) / len(texts)
    )
    assert metrics["label.minority_share"] == pytest.approx(labels.count("spam") / len(labels))
    assert metrics["text.length.median"] == sorted(map(len, texts))[len(texts) // 2]
    assert metrics["completeness"] == 1
