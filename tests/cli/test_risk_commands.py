"""`waive`, `waiver`, `finding`, `risk` and `system assess`: what they answer, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.command import Phasegate

from registry.domain.tiers import SHIPPED

RULE = "data-quality/rows"
WAIVE = ("--reason", "no time", "--control", "somebody watches", "--until", "20d")
FINDING = ("--title", "too few people", "--severity", "high", "--owner", "tess", "--due", "30d")
RISK = (
    *("--title", "unequal", "--likelihood", "3", "--severity", "4", "--controls", "reweighing"),
    *("--owner", "tess", "--review-by", "90d"),
)
HARMLESS = {question.id: next(iter(question.answers)) for question in SHIPPED.questions}


@pytest.fixture
def people(phasegate: Phasegate, version: str) -> Phasegate:
    """With ruth, an approver, and vera, a reviewer; tess is who planned moods/1 for the system mood."""
    phasegate("people", "grant", "ruth", "approver")
    phasegate("people", "grant", "vera", "reviewer")
    return phasegate


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers.yaml"
    file.write_text("".join(f"{question}: {answer}\n" for question, answer in HARMLESS.items()))
    return file


def test_from_request_to_revocation(people: Phasegate) -> None:
    asked = people("waive", "moods/1", RULE, *WAIVE)
    assert asked.out.startswith(f"Waiver 1 asked for: {RULE} of moods/1, until ")
    assert "Next: phasegate waiver approve 1" in asked.out
    granted = people("waiver", "approve", 1, "--as", "ruth", "--reason", "for now").out
    assert "now      holds\n" in granted
    assert "decided  approved by ruth" in granted
    assert "because  for now" in granted
    assert "\tholds\t" in people("waiver", "list", "--about", "moods/1").out
    assert (
        people("waiver", "revoke", 1, "--as", "ruth", "--reason", "dropped", "--json").json["holds"] is False
    )
    assert "does not hold: ruth revoked it on" in people("waiver", "show", 1).out
    people("waive", "--system", "mood", RULE, *WAIVE[:-1], "5d")
    people("waiver", "approve", 2, "--as", "ruth")
    assert "\tsystem mood\t" in people("waiver", "list", "--system", "mood").out
    assert "holds, ends soon" in people("waiver", "list").out
    people("waive", "moods/1", RULE, *WAIVE)
    assert "rejected by ruth" in people("waiver", "reject", 3, "--as", "ruth", "--reason", "no").out
    assert [found["state"] for found in people("waiver", "list", "--json").json] == [
        "revoked",
        "approved",
        "rejected",
    ]
    log = people("audit", "log", "-n", 0).out
    assert f"waiver 1 of {RULE} asked for, until " in log
    assert f"waiver 1 of {RULE} revoked" in log
    people.verify()


def test_a_waived_rule_is_shown_as_waived(people: Phasegate) -> None:
    refused = people("gate", "explain", "moods/1", "prepared", "--json", expect=1).json
    rule = refused["decision"]["verdict"]["results"]
    failing = next(found["rule"] for found in rule if found["outcome"] in ("fail", "missing"))
    people("waive", "moods/1", failing, *WAIVE)
    waiting = people("gate", "explain", "moods/1", "prepared", expect=1).out
    assert f"Waiver 1 of {failing} does not hold: nobody has decided on it yet." in waiting
    people("waiver", "approve", 1, "--as", "ruth")
    shown = people("gate", "explain", "moods/1", "prepared", expect=1).out
    assert f"  waived        {failing}" in shown
    assert "1 waived." in shown.splitlines()[0]
    assert "waived by ruth until" in shown
    people("promote", "moods/1", "prepared", expect=1)
    report = people("report", "moods/1", "-o", people.home / "report.html")
    assert "report.html" in report.out
    assert "waived" in (people.home / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("command", "says", "code"),
    [
        ("waive moods/1 data-quality/row", f"did you mean '{RULE}'?", 2),
        ("waive moods/1", "names no version and rule", 2),
        (f"waive --system mood moods/1 {RULE}", "names more than a rule", 2),
        (f"waive moods/9 {RULE}", "has no version 9", 2),
        (f"waive --system mod {RULE}", "did you mean 'mood'?", 2),
    ],
)
def test_a_waiver_of_nothing(people: Phasegate, command: str, says: str, code: int) -> None:
    assert says in people.refuses(*command.split(), *WAIVE, code=code).err


def test_a_waiver_that_is_refused(people: Phasegate) -> None:
    late = people.refuses("waive", "moods/1", RULE, *WAIVE[:-1], "400d")
    assert "is later than policy data-quality allows" in late.err
    assert "is past" in people.refuses("waive", "moods/1", RULE, *WAIVE[:-1], "2020-01-01").err
    assert "is no time" in people.refuses("waive", "moods/1", RULE, *WAIVE[:-1], "soon").err
    people("waive", "moods/1", RULE, *WAIVE, "--as", "ruth")
    own = people.refuses("waiver", "approve", 1, "--as", "ruth", code=1)
    assert "ruth asked for waiver 1: somebody else decides" in own.err
    people("people", "grant", "tess", "approver")
    assert "tess developed moods/1" in people.refuses("waiver", "approve", 1, code=1).err
    assert "Missing option '--reason'" in people.refuses("waiver", "reject", 1, "--as", "ruth").err
    assert "needs a reason" in people.refuses("waiver", "reject", 1, "--reason", " ").err
    assert "there is no waiver 7" in people.refuses("waiver", "show", 7).err
    assert (
        "only one that was approved"
        in people.refuses("waiver", "revoke", 1, "--reason", "x", "--as", "ruth", code=1).err
    )


def test_from_finding_to_closure(people: Phasegate) -> None:
    made = people("finding", "add", "moods/1", *FINDING, "--as", "bob").out
    assert made.startswith("Finding 1 (high) raised about moods/1, due ")
    people("finding", "add", "--system", "mood", *FINDING, "--text", "at length")
    assert [row["id"] for row in people("finding", "list", "--open", "--json").json] == [1, 2]
    closed = people("finding", "close", 1, "--reason", "counted again", "--as", "vera").out
    assert "now       closed\n" in closed
    assert "counted again" in closed
    assert [row["id"] for row in people("finding", "list", "--open", "--json").json] == [2]
    assert "at length" in people("finding", "show", 2).out
    again = people.refuses("finding", "close", 1, "--reason", "x", "--as", "vera", code=1)
    assert "finding 1 is closed already" in again.err
    people.verify()


def test_a_finding_that_is_refused(people: Phasegate) -> None:
    typo = people.refuses("finding", "add", "moods/1", *FINDING[:3], "hihg", *FINDING[4:])
    assert "did you mean 'high'?" in typo.err
    assert "not both" in people.refuses("finding", "add", *FINDING).err
    people("finding", "add", "moods/1", *FINDING, "--as", "vera")
    assert (
        "takes the role reviewer or approver"
        in people.refuses("finding", "close", 1, "--reason", "x", "--as", "bob", code=1).err
    )
    people("people", "grant", "tess", "reviewer")
    assert "tess owns finding 1" in people.refuses("finding", "close", 1, "--reason", "x", code=1).err
    assert "--evidence N or --reason TEXT" in people.refuses("finding", "close", 1, "--as", "vera").err
    assert (
        "there is no evidence 5" in people.refuses("finding", "close", 1, "--evidence", 5, "--as", "vera").err
    )


def test_the_life_of_a_risk(people: Phasegate) -> None:
    made = people("risk", "add", "mood", "--category", "training/bias", *RISK, "--residual", "2x3").out
    assert made.startswith("Risk 1 entered for mood: 12 (3x4), residual 6 (2x3).")
    accepted = people("risk", "accept", 1, "--reason", "small", "--as", "ruth").out
    assert "by ruth: small" in accepted
    changed = people("risk", "change", 1, "--residual", "2x4", "--as", "vera").out
    assert "now        open\n" in changed
    assert "residual 8 (2x4)" in changed
    assert [row["id"] for row in people("risk", "list", "--system", "mood", "--open", "--json").json] == [1]
    assert "by vera: gone" in people("risk", "close", 1, "--reason", "gone", "--as", "vera").out
    assert "\tclosed\t" in people("risk", "list").out
    assert "genai/confabulation" in people("risk", "categories").out
    people.verify()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("mood --category training/bia --residual 2x3", "did you mean 'training/bias'?"),
        ("mood --category training/bias --residual 2x3 --likelihood 6", "the likelihood is 6"),
        ("mood --category training/bias --residual 5x5", "the residual 5x5 (25) is above 3x4 (12)"),
        ("mood --category training/bias --residual lots", "write likelihood and severity like 2x3"),
        ("mod --category training/bias --residual 2x3", "did you mean 'mood'?"),
    ],
)
def test_a_risk_that_is_none(people: Phasegate, words: str, says: str) -> None:
    assert says in people.refuses("risk", "add", *RISK, *words.split()).err


def test_a_risk_that_is_not_accepted(people: Phasegate) -> None:
    people("risk", "add", "mood", "--category", "launch/security", *RISK, "--residual", "2x3", "--as", "ruth")
    own = people.refuses("risk", "accept", 1, "--reason", "x", "--as", "ruth", code=1)
    assert "ruth judged risk 1: somebody else decides" in own.err
    assert (
        "takes the role approver"
        in people.refuses("risk", "accept", 1, "--reason", "x", "--as", "vera", code=1).err
    )
    assert "nothing changes about risk 1" in people.refuses("risk", "change", 1, "--as", "vera").err


def test_a_tier_from_answers(people: Phasegate, answers: Path) -> None:
    assert "limited (declared, not assessed)" in people("system", "show", "mood").out
    waits = people("system", "assess", "mood", "--answers", answers).out
    assert "the answers come to minimal" in waits
    assert "minimal waits for an approver; until then limited stands" in waits
    assert "ruth" in people("system", "tier", "approve", 1, "--as", "ruth", "--reason", "a pilot").out
    assert "minimal approved by ruth" in people("system", "show", "mood").out
    raised = people("system", "assess", "mood", "--answers", answers, "--set", "affected=vulnerable").out
    assert "by affected=vulnerable" in raised
    assert "Its risk tier is high." in raised
    people("system", "assess", "mood", "--answers", answers, "--tier", "limited", "--reason", "few people")
    people("system", "tier", "reject", 3, "--reason", "too many", "--as", "ruth")
    listed = people("system", "tier", "list", "--system", "mood", "--json").json
    assert [(row["state"], row["stands"]) for row in listed] == [
        ("in force", "high"),
        ("in force", "high"),
        ("rejected", "high"),
    ]
    asked = people("system", "questions", "--json").json
    assert [question["id"] for question in asked["questions"]] == list(HARMLESS)
    people.verify()


def test_answers_are_words(people: Phasegate, answers: Path) -> None:
    """`yes` and `no` in a file are answers, not truth values; JSON is YAML, too."""
    answers.write_text(json.dumps(HARMLESS | {"generates": "yes"}))
    assert people("system", "assess", "mood", "--answers", answers, "--json").json["computed"] == "limited"
    answers.write_text("\n".join(f"{key}: {value}" for key, value in HARMLESS.items()) + "\n")
    banned = people.refuses(
        "system", "assess", "mood", "--answers", answers, "--set", "manipulates=yes", code=1
    )
    assert "a prohibited use: manipulates=yes" in banned.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("exposure: team\n", "not answered: purpose"),
        ("- a\n- b\n", "holds no answers"),
        ("exposure: [team]\n", "holds no answers"),
        ("exposure: {\n", "is no YAML"),
        ("exposur: team\n", "did you mean 'exposure'?"),
    ],
)
def test_answers_that_are_none(people: Phasegate, answers: Path, text: str, says: str) -> None:
    answers.write_text(text)
    assert says in people.refuses("system", "assess", "mood", "--answers", answers).err


def test_an_answers_file_that_is_not_there(people: Phasegate, tmp_path: Path) -> None:
    missing = people.refuses("system", "assess", "mood", "--answers", tmp_path / "none.yaml")
    assert "cannot be read" in missing.err
