"""`phasegate model alias`, and aliases wherever a version is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.command import ACTOR, Phasegate


def test_a_free_alias_moves(phasegate: Phasegate, version: str) -> None:
    said = phasegate("model", "alias", version, "draft").out
    assert said.startswith("Pointed: moods@draft is moods/1. ")
    assert "is in the ledger as entry" in said
    assert phasegate("model", "show", version, "--json").json["aliases"] == ["draft"]
    assert "aliases    @draft\n" in phasegate("model", "show", version).out
    assert "\t@draft\t" in phasegate("model", "list").out
    again = phasegate.refuses("model", "alias", version, "@draft")
    assert "moods@draft is moods/1 already" in again.err
    phasegate.verify()


def test_a_guarded_alias_is_refused_like_a_stage(phasegate: Phasegate, version: str) -> None:
    explained = phasegate("gate", "explain", version, "@champion", expect=1)
    assert explained.out.startswith("moods/1: planned -> @champion would be refused.")
    refused = phasegate("model", "alias", version, "champion", expect=1)
    assert refused.out.startswith("Refused: moods@champion is not moods/1.")
    assert refused.err == ""
    decision = phasegate("model", "alias", version, "champion", "--json", expect=1).json
    assert (decision["to"], decision["verdict"]["allowed"]) == ("@champion", False)
    assert phasegate("model", "show", version, "--json").json["aliases"] == []
    assert "@champion" in phasegate("audit", "log", "--action", "stage-decided").out
    phasegate.verify()


def test_an_alias_is_taken_away(phasegate: Phasegate, version: str) -> None:
    phasegate("model", "alias", version, "draft")
    said = phasegate("model", "alias", "moods", "draft", "--remove", "--reason", "done").out
    assert said == "moods@draft points to no version any more.\n"
    phasegate("model", "alias", version, "draft", "--as", "anna")
    rows = [line.split("\t")[:5] for line in phasegate("model", "alias", "moods").out.splitlines()]
    assert rows == [
        ["alias", "version", "", "guarded", "decision"],
        ["@draft", "moods/1", "before", "no", "1"],
        ["@draft", "(none)", "before", "no", ""],
        ["@draft", "moods/1", "now", "no", "2"],
    ]
    assert [row["by"] for row in phasegate("model", "alias", "moods", "--json").json] == [
        ACTOR,
        ACTOR,
        "anna",
    ]
    assert "points to nothing any more: done" in phasegate("model", "history", "moods").out
    phasegate.verify()


@pytest.mark.parametrize(
    "command",
    [
        "model show {}",
        "model history {}",
        "model design {} --set layers=2",
        "model data {} test=words/1",
        "gate explain {} prepared",
        "promote {} prepared",
        "runs list --about {}",
        "report {}",
        "model alias {} other",
        "approve {} prepared",
        "reject {} prepared --reason no",
    ],
)
def test_wherever_a_version_is_typed(phasegate: Phasegate, version: str, command: str) -> None:
    phasegate("people", "grant", ACTOR, "approver")
    phasegate("model", "alias", version, "draft")
    refused = 1 if command.split()[0] in ("gate", "promote") else 0
    answer = phasegate(*command.format("moods@draft").split(), "--json", expect=refused).json
    if isinstance(answer, dict):
        assert version in str(answer) or "moods-1" in str(answer)


def test_a_run_is_started_by_alias(phasegate: Phasegate, version: str, tmp_path: Path) -> None:
    note = tmp_path / "plan.md"
    headings = ("Target", "Trigger", "Steps", "Owner", "Rehearsal")
    note.write_text("".join(f"## {heading}\n\nAs agreed.\n\n" for heading in headings))
    phasegate("model", "alias", version, "draft")
    phasegate("run", "document", "moods@draft", "--set", f"file={note}", "--set", "kind=rollback-plan")
    (run,) = phasegate("runs", "list", "--about", version, "--json").json
    assert run["about"] == version


def test_a_report_is_named_by_number(phasegate: Phasegate, version: str) -> None:
    phasegate("model", "alias", version, "draft")
    assert "reports/moods-1.html" in phasegate("report", "moods@draft").out


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("moods", "draft"), "'moods' names no version", "moods/1"),
        (("moods/1", "a b"), "the alias 'a b' cannot be used", ""),
        (("moods/2", "draft"), "has no version 2", "its newest version is moods/1"),
        (("moods", "draft", "--remove"), "taken away for a reason", "--reason"),
        (("moods", "draft", "--remove", "--reason", "x"), "moods@draft points to no version", ""),
        (("moods/1", "draft", "--remove", "--reason", "x"), "moods/1 is one version", "alias moods draft"),
        (("moods", "--remove"), "which alias?", ""),
        (("moods/1", "draft", "--reason", "x"), "--reason belongs to --remove", ""),
        (("moodz",), "there is no model 'moodz'", "did you mean 'moods'?"),
    ],
)
def test_what_is_refused(
    phasegate: Phasegate, version: str, words: tuple[str, ...], said: str, hint: str
) -> None:
    answer = phasegate.refuses("model", "alias", *words)
    assert said in answer.err
    assert hint in answer.err


def test_promote_points_an_alias_too(phasegate: Phasegate, version: str) -> None:
    assert phasegate("promote", version, "@draft").out.startswith("Pointed: moods@draft is moods/1.")
