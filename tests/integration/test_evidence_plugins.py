"""Evidence plugins in a registry: what they are given, what they may record, and what that is about."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.builder import Builder

from registry.errors import BadConfig, BadInput

HEADINGS = ("Logic", "Choices", "Assumptions", "Trade-offs", "Review")


@pytest.fixture
def review(tmp_path: Path) -> Path:
    """A complete design review."""
    path = tmp_path / "review.md"
    path.write_text("Author: Ann\n" + "".join(f"\n## {name}\nSomething.\n" for name in HEADINGS))
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A small table."""
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"a text that is number {n},x\n" for n in range(10)))
    return path


def test_a_document_becomes_evidence_about_the_version_as_it_is(builder: Builder, review: Path) -> None:
    alice = builder.acting("alice")
    ref = builder.plan()
    run = alice.run("document", ref, config={"kind": "design-review", "file": str(review)})
    (evidence,) = alice.runs.evidence(run.id)
    version = alice.version(ref)
    assert (evidence.kind, evidence.status, evidence.created_by) == ("doc.design-review", "complete", "alice")
    assert evidence.subject == evidence.facts["version.digest"] == version.digest
    alice.design(ref, {"architecture": "bert"})
    assert alice.version(ref).digest != evidence.subject, "another design is another thing to review"


def test_nobody_can_hand_in_what_is_measured(builder: Builder, review: Path) -> None:
    ref = builder.plan()
    before = builder.acting("alice").runs.all()
    for kind in ("eval.performance", "check.bias", "doc.design-review/../x", "doc.design-review"):
        with pytest.raises(BadConfig, match="'kind'"):
            builder.acting("alice").runs.start(
                "document", ref, config={"kind": kind, "headings": "Logic", "file": str(review)}
            )
    assert builder.acting("alice").runs.all() == before


def test_a_dataset_is_compared_with_others_that_are_recorded_as_read(builder: Builder, rows: Path) -> None:
    alice = builder.acting("alice")
    for name in ("test", "train"):
        alice.add_dataset(name, rows, text="text", label="label")
    run = alice.run("contamination", "test/1", data={"train": "train/1"})
    (evidence,) = alice.runs.evidence(run.id)
    assert evidence.subject == alice.dataset("test/1").digest
    assert evidence.metrics["exact_rows"] == 10
    assert evidence.facts["train.digest"] == alice.dataset("train/1").digest
    assert run.inputs == {"subject": "test/1", "train": "train/1"}


def test_other_data_is_for_plugins_that_compare(builder: Builder, rows: Path) -> None:
    alice = builder.acting("alice")
    alice.add_dataset("test", rows)
    with pytest.raises(BadInput, match="--data does not apply"):
        alice.runs.start("profile", "test/1", data={"train": "test/1"})
    with pytest.raises(BadInput, match="the subject is test/1"):
        alice.runs.start("contamination", "test/1", data={"subject": "test/1"})
    assert alice.runs.all() == []


def test_the_licences_of_what_it_was_made_from_are_seen(builder: Builder, rows: Path) -> None:
    alice = builder.acting("alice")
    alice.add_dataset("raw", rows, text="text", label="label", licence="CC-BY-NC-4.0")
    alice.run("clean", "raw/1")
    run = alice.run("licences", "raw/2")
    (evidence,) = alice.runs.evidence(run.id)
    assert evidence.metrics["datasets"] == evidence.metrics["disallowed"] == 2
    assert [row["data"] for row in evidence.tables["lineage"]] == ["raw/2", "raw/1"]
