"""Documents: kept as they are, held against their headings, and never a measured kind of evidence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from registry.domain.digests import digest_of
from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig, BadInput
from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext
from registry.extension.discovery import kind_of_evidence, read_config
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.datasheet import Datasheet
from registry.plugins.check.document import Document
from registry.plugins.check.document_kinds import DATASHEET, KINDS

PLAN = """# How we watch the loan model
Owner: Kim Doe

## Metrics and thresholds
PSI of every input, limit 0.25.

## Cadence
Daily.

## Who is the owner
The risk team.

## Actions
### When PSI is above the limit
Roll back: `phasegate deployment rollback`.
"""


class TestDocumentContract(PluginContract):
    plugin = Document


class TestDatasheetContract(PluginContract):
    plugin = Datasheet


def document(folder: Path, text: str | bytes, kind: str = "monitoring-plan", **options: Any) -> Evidence:
    folder.mkdir(exist_ok=True, parents=True)
    file = folder / options.pop("name", "plan.md")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    evidence: Evidence = run_plugin(
        Document(), folder / "run", config={"kind": kind, "file": str(file), **options}
    )
    return evidence


class TestComplete:
    def test_says_what_it_is(self, tmp_path: Path) -> None:
        evidence = document(tmp_path, PLAN)
        assert evidence.status is EvidenceStatus.COMPLETE
        assert evidence.metrics["headings_missing"] == 0
        assert evidence.metrics["headings_required"] == 5
        assert evidence.metrics["words"] == 40
        assert evidence.facts == {
            "title": "How we watch the loan model",
            "owner": "Kim Doe",
            "file": "plan.md",
            "sha256": "sha256:" + hashlib.sha256(PLAN.encode()).hexdigest(),
            "missing": "none",
            "version.digest": digest_of("model/1"),
        }

    def test_is_kept_byte_for_byte(self, tmp_path: Path) -> None:
        (file,) = document(tmp_path, PLAN).files
        assert file.name == "monitoring-plan.md"
        assert file.read_bytes() == PLAN.encode()

    @pytest.mark.parametrize(
        "text",
        [
            "Dependants\n==========\nNone.\n\nData\n----\nKept.\n\nResources\n---\nA GPU.\n\nRisk\n---\nLow.",
            "Dependants:\nNone.\n\nData:\nKept.\n\nResources:\nA GPU.\n\nRisk:\nLow.",
            "---\ntitle: The end\n---\n# DEPENDENTS\nNone.\n# Data\nKept.\n# Resources\nOne.\n# Risks\nLow.",
            "# The end\n## Dependants, data, resources and risk\nNothing depends on it.",
        ],
        ids=["underlined", "plain", "front-matter", "one-heading"],
    )
    def test_however_headings_are_written(self, tmp_path: Path, text: str) -> None:
        assert document(tmp_path, text, "retirement-plan").status is EvidenceStatus.COMPLETE

    def test_front_matter_gives_title_and_owner(self, tmp_path: Path) -> None:
        facts = document(tmp_path, "---\ntitle: 'The end'\nowner: Kim\n---\ntext", "retirement-plan").facts
        assert (facts["title"], facts["owner"]) == ("The end", "Kim")

    def test_a_kind_of_ones_own(self, tmp_path: Path) -> None:
        text = "# Works council\n## Agreement\nYes.\n"
        evidence = document(tmp_path, text, "works-council", headings="Agreement,Date")
        assert evidence.reason == "nothing is written under these headings: Date"


class TestMissing:
    def test_headings_are_named_with_what_they_ask(self, tmp_path: Path) -> None:
        evidence = document(tmp_path, PLAN.replace("## Cadence", "Cadence"))
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.metrics["headings_missing"] == 1
        assert evidence.facts["missing"] == "Cadence"
        assert evidence.reason == (
            "nothing is written under these headings: Cadence (how often it is measured and looked at)"
        )

    @pytest.mark.parametrize(
        "filler", ["", "TODO", "tbd.", "<!-- how often -->", "N/A", "### Details", "---", "..."]
    )
    def test_a_heading_with_nothing_below_it_is_missing(self, tmp_path: Path, filler: str) -> None:
        assert document(tmp_path, PLAN.replace("Daily.", filler)).facts["missing"] == "Cadence"

    def test_code_is_no_heading(self, tmp_path: Path) -> None:
        text = PLAN.replace("## Cadence\nDaily.", "```\n# Cadence\nDaily.\n```")
        assert document(tmp_path, text).facts["missing"] == "Cadence"

    def test_words_within_words_do_not_count(self, tmp_path: Path) -> None:
        text = "# Metadata\nx\n# Dependants\nx\n# Resources\nx\n# Risk\nx\n"
        assert document(tmp_path, text, "retirement-plan").facts["missing"] == "Data"

    def test_a_title_does_not_answer_for_the_whole_document(self, tmp_path: Path) -> None:
        text = "# Data, resources and risk\n## Dependants\nNone.\n"
        assert document(tmp_path, text, "retirement-plan").facts["missing"] == "Data, Resources, Risk"


class TestBadInput:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "plan.md is empty"),
            (b"\n \n<!-- to be written -->", "plan.md is empty"),
            (b"caf\xe9", "plan.md is no UTF-8 text"),
            (b"%PDF-1.7 text", "plan.md is no text, whatever its name says"),
            (b"a\0b", "plan.md is no text"),
            (b"a " * (1 << 20), "plan.md is larger than 1 MiB"),
        ],
        ids=["empty", "template", "latin-1", "pdf", "binary", "large"],
    )
    def test_of_the_file(self, tmp_path: Path, data: bytes, message: str) -> None:
        with pytest.raises(BadInput, match=message):
            document(tmp_path, data)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"kind": "monitoring-pan"}, "'kind': there is no such .*did you mean 'monitoring-plan'"),
            ({"kind": "eval.performance"}, "'kind': a kind is written in small letters"),
            ({"kind": "eval.performance", "headings": "A"}, "'kind': a kind is written in small letters"),
            ({"kind": "../x", "headings": "A"}, "'kind': a kind is written in small letters"),
            ({"kind": "", "headings": "A"}, "'kind': a kind is written in small letters"),
            ({"name": "plan.pdf"}, "'plan.pdf' is no Markdown or text file"),
            ({"file": "/nowhere/plan.md"}, "there is no file 'plan.md' in /nowhere"),
            ({"file": "/dev/null"}, "there is no file 'null'"),
        ],
    )
    def test_of_options(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        with pytest.raises(BadConfig, match=message):
            document(tmp_path, PLAN, **options)

    def test_a_relative_path_is_made_absolute_where_it_was_typed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "plan.md").write_text(PLAN)
        monkeypatch.chdir(tmp_path)
        config = read_config(Document(), {"kind": "monitoring-plan", "file": "plan.md"})
        assert config.model_dump(mode="json")["file"] == str(tmp_path / "plan.md")


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_document_of_all_headings_is_complete(self, tmp_path: Path, kind: str) -> None:
        text = "\n".join(f"## {heading.name}\nSomething.\n" for heading in KINDS[kind])
        assert document(tmp_path, text, kind).status is EvidenceStatus.COMPLETE

    def test_plugin_show_tells_every_heading(self) -> None:
        doc = " ".join((Document.__doc__ or "").split())
        for kind, headings in KINDS.items():
            assert f"- {kind}: {', '.join(heading.name for heading in headings)}" in doc
        sheet = " ".join((Datasheet.__doc__ or "").split())
        assert ", ".join(heading.name for heading in DATASHEET) in sheet

    def test_a_datasheet_is_about_a_dataset(self, tmp_path: Path) -> None:
        file = tmp_path / "sheet.txt"
        file.write_text("\n".join(f"{heading.name}:\nSomething.\n" for heading in DATASHEET))
        data = dataset_input(tmp_path / "in", pa.table({"a": [1]}))
        evidence = run_plugin(Datasheet(), tmp_path / "run", dataset=data, config={"file": str(file)})
        assert evidence.status is EvidenceStatus.COMPLETE
        assert evidence.files[0].name == "datasheet.txt"


class Choosing(CheckPlugin[PluginConfig]):
    """Chooses its kind of evidence."""

    name = "choosing"
    subject = "version"
    chosen = "doc.note"

    def evidence_kind(self, config: PluginConfig) -> str:
        return self.chosen

    def run(self, ctx: RunContext, config: PluginConfig) -> Evidence:
        raise NotImplementedError


class TestEvidenceKind:
    @pytest.mark.parametrize(
        ("declared", "chosen", "allowed"),
        [
            ("doc.*", "doc.note", True),
            ("doc.*", "doc.a-note-2", True),
            ("doc.*", "eval.performance", False),
            ("doc.*", "doc.", False),
            ("doc.*", "doc", False),
            ("doc.*", "doc.*", False),
            ("doc.*", "doc.a.b", False),
            ("doc.*", "doc.Note", False),
            ("doc.*", "document.note", False),
            ("doc*", "document", False),
            ("*", "eval.performance", False),
            (".*", ".performance", False),
            ("check.pii", "check.pii", True),
            ("check.pii", "eval.performance", False),
        ],
    )
    def test_is_one_that_the_plugin_declares(self, declared: str, chosen: str, allowed: bool) -> None:
        plugin = type("P", (Choosing,), {"evidence": declared, "chosen": chosen})()
        if allowed:
            assert kind_of_evidence(plugin, PluginConfig()) == chosen
        else:
            with pytest.raises(BadConfig, match=f"cannot make '{chosen}'".replace("*", r"\*")):
                kind_of_evidence(plugin, PluginConfig())

    def test_of_a_document_is_below_doc(self, tmp_path: Path) -> None:
        (tmp_path / "plan.md").write_text(PLAN)
        config = read_config(Document(), {"kind": "monitoring-plan", "file": str(tmp_path / "plan.md")})
        assert kind_of_evidence(Document(), config) == "doc.monitoring-plan"
