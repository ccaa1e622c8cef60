"""The mask plugin: exactly what a scan found is masked, and a new scan finds nothing."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadConfig
from registry.extension import EvidenceInput, Prepared
from registry.extension.inputs import ColumnRoles, DatasetInput
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.pii import Pii
from registry.plugins.prepare.mask import Mask, Span, merge, replace

ROLES = {"text": "text", "label": "label"}


class TestContract(PluginContract):
    plugin = Mask


def scan(folder: Path, dataset: DatasetInput, **config: Any) -> EvidenceInput:
    """Run the PII scan and keep its evidence where the registry would."""
    evidence = run_plugin(Pii(), folder / "run", dataset=dataset, config=config)
    kept = folder / "kept"
    kept.mkdir()
    for file in evidence.files:
        shutil.copy(file, kept)
    return EvidenceInput(
        kind="check.pii",
        run="7",
        status=evidence.status,
        metrics=evidence.metrics,
        facts=evidence.facts,
        path=kept,
    )


def noted(folder: Path, findings: list[dict[str, Any]], rows: int) -> EvidenceInput:
    """Evidence of a scan that found these."""
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(findings), folder / "findings.parquet")
    return EvidenceInput(
        kind="check.pii", run="7", status="complete", metrics={"rows_scanned": rows}, facts={}, path=folder
    )


def mask(folder: Path, dataset: DatasetInput, evidence: EvidenceInput | None) -> Prepared:
    given_evidence = {"check.pii": evidence} if evidence else {}
    return run_plugin(Mask(), folder, dataset=dataset, evidence=given_evidence)


def masked_table(result: Prepared) -> pa.Table:
    (draft,) = result.datasets
    return pq.read_table(draft.path)


def place(
    row: int, start: int, end: int, kind: str = "PHONE_NUMBER", *, column: str = "text", score: float = 0.4
) -> dict[str, Any]:
    return {"row": row, "column": column, "start": start, "end": end, "entity_type": kind, "score": score}


def test_masks_exactly_what_the_scan_found(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["call 0171 now, or 0172", "call 0173", "call 0174"], pa.large_string()),
            "label": ["a", "b", "c"],
            "note": ["x@y.z", None, "x@y.z"],
        }
    )
    dataset = dataset_input(tmp_path / "in", table, **ROLES)
    evidence = noted(
        tmp_path / "kept",
        [place(0, 5, 9), place(0, 18, 22), place(2, 5, 9), place(2, 0, 5, "EMAIL_ADDRESS", column="note")],
        rows=3,
    )

    result = mask(tmp_path / "run", dataset, evidence)

    out = masked_table(result)
    assert out.schema.equals(table.schema)
    assert out.to_pydict() == {
        "text": ["call <PHONE_NUMBER> now, or <PHONE_NUMBER>", "call 0173", "call <PHONE_NUMBER>"],
        "label": ["a", "b", "c"],
        "note": ["x@y.z", None, "<EMAIL_ADDRESS>"],
    }
    assert result.evidence is not None
    assert result.evidence.metrics == {"spans_masked": 4, "rows_masked": 2}
    assert result.datasets[0].suffix == ""
    assert result.datasets[0].columns == ColumnRoles(**ROLES)


@pytest.mark.parametrize(
    ("spans", "merged"),
    [
        ([Span(0, 3, "A", 0.5), Span(2, 6, "B", 0.9)], [Span(0, 6, "B", 0.9)]),
        ([Span(0, 9, "A", 0.5), Span(1, 3, "B", 0.4), Span(5, 7, "C", 0.4)], [Span(0, 9, "A", 0.5)]),
        ([Span(0, 3, "A", 0.5), Span(0, 5, "B", 0.5)], [Span(0, 5, "B", 0.5)]),
        ([Span(0, 3, "B", 0.5), Span(0, 3, "A", 0.5)], [Span(0, 3, "A", 0.5)]),
        ([Span(0, 3, "A", 0.5), Span(3, 6, "B", 0.9)], [Span(0, 3, "A", 0.5), Span(3, 6, "B", 0.9)]),
        (
            [Span(4, 6, "B", 0.9), Span(0, 2, "A", 0.5), Span(1, 3, "C", 0.4)],
            [Span(0, 3, "A", 0.5), Span(4, 6, "B", 0.9)],
        ),
        ([], []),
    ],
)
def test_overlapping_findings_become_one(spans: list[Span], merged: list[Span]) -> None:
    assert merge(spans) == merged


SPANS = st.lists(
    st.tuples(st.integers(0, 39), st.integers(1, 12), st.sampled_from("AB"), st.sampled_from([0.4, 0.9])).map(
        lambda each: Span(each[0], min(each[0] + each[1], 40), each[2], each[3])
    )
)


@given(st.text("abc ", min_size=40, max_size=40), SPANS)
def test_outside_of_findings_nothing_changes(text: str, spans: list[Span]) -> None:
    inside = {index for span in spans for index in range(span.start, span.end)}

    out = replace(text, merge(spans))

    assert "".join(piece.rpartition(">")[2] for piece in out.split("<")) == "".join(
        character for index, character in enumerate(text) if index not in inside
    )


def test_nothing_found_changes_nothing(tmp_path: Path) -> None:
    dataset = dataset_input(tmp_path / "in", pa.table({"text": ["hello"], "label": ["a"]}), **ROLES)

    result = mask(tmp_path / "run", dataset, scan(tmp_path / "scan", dataset))

    assert masked_table(result).equals(dataset.read())
    assert result.evidence is not None
    assert result.evidence.metrics == {"spans_masked": 0, "rows_masked": 0}


def applications(rows: int) -> pa.Table:
    """Loan applications, two thirds of which hold personal data, several kinds side by side in some."""
    dice = random.Random(5)

    def digits(count: int) -> str:
        return "".join(dice.choices("0123456789", k=count))

    planted = (
        lambda: f"jane{digits(2)}@example.org",
        lambda: f"+44 20 7946 0{digits(3)}",
        lambda: f"212-555-{digits(4)}",
        lambda: (
            f"SSN {dice.choice('123456')}{digits(2)}-{dice.choice('123456')}1-{dice.choice('123')}{digits(3)}"
        ),
        lambda: "GB29NWBK60161331926819",
        lambda: "4111 1111 1111 1111",
        lambda: f"bank account {digits(12)}",
        lambda: f"passport {digits(9)}",
        lambda: f"driver license D{digits(7)}",
        lambda: "10.0.0.1",
        lambda: "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ",
        lambda: digits(dice.randint(4, 17)),
    )
    texts = []
    for row in range(rows):
        data = [dice.choice(planted)() for _ in range(dice.choice((0, 1, 4)))]
        texts.append(f"I need {row} for a car. {dice.choice((', ', ' ', '-', '/')).join(data)} thanks")
    return pa.table({"text": texts, "label": ["yes"] * rows})


def test_a_new_scan_of_masked_applications_finds_nothing(tmp_path: Path) -> None:
    dataset = dataset_input(tmp_path / "in", applications(300), **ROLES)
    first = scan(tmp_path / "first", dataset)
    assert first.metrics["rows_with_findings"] > 150

    result = mask(tmp_path / "run", dataset, first)

    again = scan(tmp_path / "again", dataset_input(tmp_path / "out", masked_table(result), **ROLES))
    assert again.metrics["findings"] == 0
    assert again.metrics["rows_scanned"] == 300


def test_a_new_scan_of_masked_messages_finds_nothing(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    table = pyarrow.csv.read_csv(
        shared_data("sms_spam/sms_spam.csv"), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )
    spam = table.filter(pc.equal(table["label"], "spam"))
    dataset = dataset_input(tmp_path / "in", spam, **ROLES)
    first = scan(tmp_path / "first", dataset)
    assert first.metrics["findings"] > 300

    result = mask(tmp_path / "run", dataset, first)

    assert result.evidence is not None
    assert result.evidence.metrics["rows_masked"] == first.metrics["rows_with_findings"]
    assert result.evidence.metrics["spans_masked"] <= first.metrics["findings"]
    again = scan(tmp_path / "again", dataset_input(tmp_path / "out", masked_table(result), **ROLES))
    assert again.metrics["findings"] == 0


def test_refuses_without_a_scan(tmp_path: Path) -> None:
    dataset = dataset_input(tmp_path / "in", pa.table({"text": ["a"], "label": ["x"]}), ref="mail/3", **ROLES)

    with pytest.raises(BadConfig, match="no PII scan of mail/3") as refused:
        mask(tmp_path / "run", dataset, None)
    assert refused.value.hint == "phasegate run pii mail/3"


def test_refuses_a_scan_of_a_sample(tmp_path: Path) -> None:
    dataset = dataset_input(tmp_path / "in", pa.table({"text": list("abcd"), "label": list("xxxx")}), **ROLES)

    with pytest.raises(BadConfig, match="read 2 of 4 rows"):
        mask(tmp_path / "run", dataset, scan(tmp_path / "scan", dataset, max_rows=2))


@pytest.mark.parametrize(
    "finding",
    [
        place(0, 3, 99),
        place(9, 0, 2),
        place(-1, 0, 2),
        place(0, 2, 2),
        place(1, 0, 1),
        place(0, 0, 2, column="nowhere"),
        place(0, 0, 2, column="age"),
    ],
)
def test_refuses_a_scan_that_speaks_of_other_data(tmp_path: Path, finding: dict[str, Any]) -> None:
    table = pa.table({"text": ["hello", None], "label": ["x", "y"], "age": [1, 2]})
    dataset = dataset_input(tmp_path / "in", table, **ROLES)

    with pytest.raises(BadConfig, match="data/1 has no such place") as refused:
        mask(tmp_path / "run", dataset, noted(tmp_path / "kept", [finding], rows=2))
    assert refused.value.hint == "phasegate run pii data/1"


def test_refuses_a_scan_without_findings_file(tmp_path: Path) -> None:
    dataset = dataset_input(tmp_path / "in", pa.table({"text": ["a"], "label": ["x"]}), **ROLES)
    evidence = noted(tmp_path / "kept", [place(0, 0, 1)], rows=1)

    for path in (None, tmp_path):
        with pytest.raises(BadConfig, match=r"left no findings.parquet"):
            mask(tmp_path / "run", dataset, evidence.model_copy(update={"path": path}))
