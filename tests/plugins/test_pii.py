"""The pii plugin: what it finds, what it says that it cannot, and that it stays offline."""

from __future__ import annotations

import json
import logging
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from registry.errors import BadConfig, BadTable, Cancelled
from registry.extension import Evidence
from registry.extension.discovery import check_requirements
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import sha256_of
from registry.plugins.check.patterns import LONGEST, PatternScanner
from registry.plugins.check.pii import IDENTIFYING, Pii


class TestContract(PluginContract):
    plugin = Pii


@pytest.fixture(scope="module")
def scanner() -> PatternScanner:
    return PatternScanner("en", IDENTIFYING, threshold=0.35)


def pii(
    folder: Path, table: pa.Table, *, seed: int = 0, roles: dict[str, Any] | None = None, **config: Any
) -> Evidence:
    dataset = dataset_input(folder / "in", table, **({"text": "text"} if roles is None else roles))
    return run_plugin(Pii(), folder / "run", config=config, dataset=dataset, seed=seed)


def findings(evidence: Evidence) -> list[dict[str, Any]]:
    (file,) = evidence.files
    return pq.read_table(file).to_pylist()


def found(scanner: PatternScanner, text: str) -> set[tuple[str, str]]:
    hits = scanner.scan(text)
    assert hits is not None
    return {(hit.entity_type, text[hit.start : hit.end]) for hit in hits}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to jane.doe@example.co.uk today", "EMAIL_ADDRESS", "jane.doe@example.co.uk"),
        ("ring 020 7946 0958 after six", "PHONE_NUMBER", "020 7946 0958"),
        ("or (212) 555-0182, ask for Jo", "PHONE_NUMBER", "(212) 555-0182"),
        ("card 4111 1111 1111 1111.", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("pay to GB29NWBK60161331926819 please", "IBAN_CODE", "GB29NWBK60161331926819"),
        ("my SSN is 536-90-4399", "US_SSN", "536-90-4399"),
        ("SSN:536-90-4399", "US_SSN", "536-90-4399"),
        ("from 192.168.17.4 at noon", "IP_ADDRESS", "192.168.17.4"),
        ("my passport 912803456 expired", "US_PASSPORT", "912803456"),
        ("driver license D1234567", "US_DRIVER_LICENSE", "D1234567"),
        ("bank account 945456787654", "US_BANK_NUMBER", "945456787654"),
        ("wallet 16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ", "CRYPTO", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"),
    ],
)
def test_finds_what_leads_to_a_person(scanner: PatternScanner, text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(scanner, text)


@pytest.mark.parametrize(
    "text",
    [
        "the loan is 25000 over 36 months, order 945456787654",
        "flight D1234567 on 12/03/2024",
        # Parts of words are no context: "lic", "us", "bank".
        "public D1234567",
        "just 912803456",
        "bankruptcy 945456787654",
        "see https://example.org/terms",
        # Valid in Germany, and no phone number to anybody.
        "not again? 1405, 1680, 1843",
        "card 4111 1111 1111 1112 is no card number",
    ],
)
def test_leaves_other_numbers_alone(scanner: PatternScanner, text: str) -> None:
    assert found(scanner, text) == set()


def test_a_finding_does_not_hide_its_neighbour(scanner: PatternScanner) -> None:
    wallet = "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"

    assert found(scanner, f"+44 20 7946 1857  {wallet}") == {
        ("PHONE_NUMBER", "+44 20 7946 1857"),
        ("CRYPTO", wallet),
    }


def test_never_touches_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*args: object, **_: object) -> None:
        asked.append(args)
        raise OSError("no network here")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)

    evidence = pii(tmp_path, pa.table({"text": ["jane@example.co.uk", "jo@nosuchsuffix"]}))

    assert evidence.metrics["findings.EMAIL_ADDRESS"] == 1
    assert asked == []


def test_says_what_it_saw_and_what_it_could_not(tmp_path: Path) -> None:
    table = pa.table(
        {"text": ["Jane Doe of London", "call 020 7946 0958"], "age": [30, 40], "label": ["a", "b"]}
    )

    evidence = pii(tmp_path, table, roles={"text": "text", "label": "label"})

    assert {"PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME", "URL"} <= set(
        evidence.facts["blind_to"].split(", ")
    )
    assert evidence.facts["sees"].split(", ") == sorted(IDENTIFYING)
    assert evidence.facts["threshold"] == "0.35"
    assert evidence.facts["columns"] == "text"
    assert evidence.facts["columns_not_read"] == "age, label"
    assert evidence.coverage == 1
    assert evidence.status == "complete"
    assert "blind to" in evidence.summary
    assert evidence.metrics == {
        "findings": 1,
        "rows_scanned": 2,
        "rows_with_findings": 1,
        "rows_share": 0.5,
        **{f"findings.{kind}": float(kind == "PHONE_NUMBER") for kind in IDENTIFYING},
    }
    assert evidence.tables["entities"] == [
        {"entity_type": "PHONE_NUMBER", "column": "text", "findings": 1, "rows": 1}
    ]


def test_keeps_places_and_never_what_stands_there(tmp_path: Path) -> None:
    texts = ["mail a@example.org", None, "", "mail a@example.org or b@example.org"]
    table = pa.table({"text": texts, "note": [None, "c@example.org", None, None]})

    evidence = pii(tmp_path, table)

    (file,) = evidence.files
    assert file.is_relative_to(tmp_path / "run")
    schema = pq.read_schema(file)
    assert schema.names == ["row", "column", "start", "end", "entity_type", "score"]
    assert [
        (
            each["row"],
            each["column"],
            (table[each["column"]][each["row"]].as_py())[each["start"] : each["end"]],
        )
        for each in findings(evidence)
    ] == [
        (0, "text", "a@example.org"),
        (1, "note", "c@example.org"),
        (3, "text", "a@example.org"),
        (3, "text", "b@example.org"),
    ]
    assert evidence.metrics["rows_with_findings"] == 3
    kept = file.read_bytes() + evidence.model_dump_json().encode()
    assert b"example.org" not in kept


def test_nothing_found_is_a_file_too(tmp_path: Path) -> None:
    evidence = pii(tmp_path, pa.table({"text": ["nothing to see"]}))

    assert findings(evidence) == []
    assert pq.read_schema(evidence.files[0]).names[0] == "row"
    assert evidence.metrics["findings"] == 0


def test_a_text_is_read_once_however_often_it_occurs(tmp_path: Path) -> None:
    evidence = pii(tmp_path, pa.table({"text": ["a@example.org", "b"] * 10}))

    assert [each["row"] for each in findings(evidence)] == list(range(0, 20, 2))
    events = [json.loads(line) for line in (tmp_path / "run/events.jsonl").read_text().splitlines()]
    assert (events[-1]["done"], events[-1]["total"]) == (2, 2)


def test_a_sample_says_how_much_it_read(tmp_path: Path) -> None:
    table = pa.table({"text": [f"number {row}: p{row}@example.org" for row in range(50)]})

    samples = [
        pii(tmp_path / name, table, seed=seed, max_rows=10) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]

    assert [sample.coverage for sample in samples] == [0.2] * 3
    assert [sample.metrics["rows_scanned"] for sample in samples] == [10] * 3
    rows = [[each["row"] for each in findings(sample)] for sample in samples]
    assert rows[0] == rows[1] != rows[2]
    for each in findings(samples[0]):
        assert (
            table["text"][each["row"]].as_py()[each["start"] : each["end"]] == f"p{each['row']}@example.org"
        )


def test_reads_label_and_sensitive_columns_only_if_named(tmp_path: Path) -> None:
    table = pa.table({"text": ["x"], "label": ["a@example.org"], "who": ["b@example.org"]})
    roles = {"text": "text", "label": "label", "sensitive": ("who",)}

    assert findings(pii(tmp_path / "default", table, roles=roles)) == []
    assert [
        each["column"] for each in findings(pii(tmp_path / "named", table, roles=roles, columns=["who"]))
    ] == ["who"]


def test_the_name_of_a_column_is_context(tmp_path: Path) -> None:
    table = pa.table({"bank_account": ["945456787654"], "order": ["945456787654"]})

    assert [(each["column"], each["entity_type"]) for each in findings(pii(tmp_path, table, roles={}))] == [
        ("bank_account", "US_BANK_NUMBER")
    ]


def test_options_decide_what_is_looked_for(tmp_path: Path) -> None:
    table = pa.table({"text": ["on 2024-03-12 call 91 310 12 34 or a@example.org"]})

    dates = pii(tmp_path / "dates", table, entities=["DATE_TIME"])
    assert {each["entity_type"] for each in findings(dates)} == {"DATE_TIME"}
    assert "EMAIL_ADDRESS" in dates.facts["blind_to"]

    here, there = (pii(tmp_path / region, table, regions=[region]) for region in ("US", "ES"))
    assert (here.metrics["findings.PHONE_NUMBER"], there.metrics["findings.PHONE_NUMBER"]) == (0, 1)
    assert there.facts["phone_regions"] == "ES"

    strict = pii(tmp_path / "strict", table, regions=["ES"], threshold=0.9)
    assert {each["entity_type"] for each in findings(strict)} == {"EMAIL_ADDRESS"}


def test_another_language_says_which_kinds_it_has_no_pattern_for(tmp_path: Path) -> None:
    evidence = pii(tmp_path, pa.table({"text": ["邮箱 a@example.org"]}), language="zh")

    assert evidence.metrics["findings.EMAIL_ADDRESS"] == 1
    assert "US_SSN" in evidence.facts["blind_to"]


def test_a_text_too_long_to_read_is_no_clean_bill(tmp_path: Path) -> None:
    evidence = pii(tmp_path, pa.table({"text": ["fine", "x" * (LONGEST + 1)]}))

    assert evidence.status == "insufficient"
    assert "1 rows not read" in evidence.reason
    assert evidence.coverage == 0.5


def test_a_pattern_that_takes_too_long_is_no_clean_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Presidio skips such a pattern and only logs it."""
    monkeypatch.setattr("presidio_analyzer.pattern_recognizer.REGEX_TIMEOUT_SECONDS", 1e-9)
    monkeypatch.setattr(logging.getLogger("presidio-analyzer"), "propagate", False)

    evidence = pii(tmp_path, pa.table({"text": ["a@" * 10_000]}))

    assert evidence.status == "insufficient"
    assert evidence.coverage == 0


def test_stops_when_asked(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/cancel").touch()

    with pytest.raises(Cancelled):
        pii(tmp_path, pa.table({"text": ["a"]}))


@pytest.mark.parametrize(
    ("table", "roles", "message"),
    [
        (pa.table({"text": ["a"]}).slice(0, 0), {"text": "text"}, "has no rows"),
        (pa.table({"txt": ["a"]}), {"text": "text"}, "no column 'text'"),
        (pa.table({"text": pa.array([None, None], pa.string())}), {"text": "text"}, "holds no values"),
        (pa.table({"note": pa.array([None], pa.string())}), {}, "nothing to read: note holds no values"),
        (pa.table({"age": [1]}), {}, "no text column to read"),
        (pa.table({"label": ["a"]}), {"label": "label"}, "no text column to read"),
    ],
)
def test_refuses_a_table_with_nothing_to_read(
    tmp_path: Path, table: pa.Table, roles: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadTable, match=message):
        pii(tmp_path, table, roles=roles)


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"entities": ["EMAIL"]}, "no pattern for EMAIL in language 'en'", "did you mean 'EMAIL_ADDRESS'"),
        ({"entities": ["PERSON", "US_SSN"]}, "no pattern for PERSON", ""),
        ({"entities": []}, "'entities'", ""),
        ({"columns": ["txt"]}, "'txt' is no text column", "did you mean 'text'"),
        ({"language": "klingon"}, "'klingon' cannot be read", "'en'"),
        ({"regions": ["England"]}, "'England' is no country", ""),
        ({"threshold": 2}, "'threshold'", ""),
        ({"max_rows": 0}, "'max_rows'", ""),
    ],
)
def test_refuses_options_that_do_not_fit(
    tmp_path: Path, config: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(BadConfig, match=message) as refused:
        pii(tmp_path, pa.table({"text": ["a"]}), **config)
    assert hint in refused.value.hint


def test_has_what_it_needs() -> None:
    check_requirements(Pii())


def test_labelled_texts(scanner: PatternScanner, shared_data: Callable[[str], Path]) -> None:
    """What has a form of its own is found always, and nothing else is taken for it."""
    lines = shared_data("pii_synth/pii_synth.jsonl").read_text("utf-8").splitlines()
    kinds = ("EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "US_SSN")
    planted: Counter[str] = Counter()
    for line in map(json.loads, lines):
        expected = {
            (span["start"], span["end"], span["entity_type"])
            for span in line["spans"]
            if span["entity_type"] in kinds
        }
        hits = scanner.scan(line["text"])
        assert hits is not None
        assert {(hit.start, hit.end, hit.entity_type) for hit in hits if hit.entity_type in kinds} == expected
        planted.update(kind for _, _, kind in expected)

    assert set(planted) == set(kinds)


def test_real_messages(tmp_path: Path, shared_data: Callable[[str], Path]) -> None:
    table = pyarrow.csv.read_csv(
        shared_data("sms_spam/sms_spam.csv"), parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
    )

    evidence = pii(tmp_path / "first", table, roles={"text": "text", "label": "label"})

    assert evidence.coverage == 1
    assert evidence.metrics["findings.PHONE_NUMBER"] > 300
    assert evidence.metrics["findings.EMAIL_ADDRESS"] > 5
    assert evidence.metrics["findings.US_SSN"] == 0
    # The same again, on the messages that had something to find.
    rows = sorted({each["row"] for each in findings(evidence)})
    again = pii(tmp_path / "again", table.take(rows), roles={"text": "text", "label": "label"})
    assert again.metrics["findings"] == evidence.metrics["findings"]
    assert again.metrics["rows_with_findings"] == len(rows)
    twice = pii(tmp_path / "twice", table.take(rows), roles={"text": "text", "label": "label"})
    assert sha256_of(twice.files[0]) == sha256_of(again.files[0])
