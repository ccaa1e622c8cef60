"""Findings: anybody raises one, others close it, once, with evidence made since or with words."""

from __future__ import annotations

import time

import pytest
from integration.builder import Builder, Finding
from integration.exam import Exam, days

from registry.domain.people import AUDITOR, REVIEWER
from registry.errors import BadInput, Conflict, NotFound, NotPermitted


def raised(exam: Exam, actor: str = "vera", **about: str) -> int:
    """A finding that alice shall deal with; about loans/1 unless something else is named."""
    findings = exam.acting(actor).findings
    return findings.add(
        "too few people", **(about or {"ref": exam.ref}), severity="high", owner="alice", due=days(9)
    ).id


def test_an_open_finding_is_what_the_gate_sees(exam: Exam) -> None:
    about_version, about_system = raised(exam), raised(exam, "bob", system="credit")
    other = exam.plan("cards")
    for ref, numbers in ((exam.ref, [about_version, about_system]), (other, [about_system])):
        _, dossier = exam.acting("alice").explain(ref, "ready")
        assert [found.id for found in dossier.findings] == numbers
        assert all(found.open for found in dossier.findings)
        assert [found.id for found in exam.acting("alice").findings.all(ref=ref)] == numbers
    exam.acting("vera").findings.close(about_version, reason="there are enough")
    _, dossier = exam.acting("alice").explain(exam.ref, "ready")
    assert [found.open for found in dossier.findings] == [False, True]
    assert [found.id for found in exam.acting("alice").findings.all(only_open=True)] == [about_system]
    assert [found.about for found in exam.acting("alice").findings.all(system="credit")] == ["system credit"]
    assert exam.acting("alice").verify().ok


def test_overdue_shows(exam: Exam) -> None:
    findings = exam.acting("alice").findings
    due = days(1 / 86_400)
    number = findings.add("too few", ref=exam.ref, severity="low", owner="alice", due=due).id
    assert not findings.one(number).overdue
    time.sleep(1.1)
    assert findings.one(number).overdue
    exam.acting("vera").findings.close(number, reason="there are enough")
    assert not findings.one(number).overdue


def test_who_may_not_close(exam: Exam) -> None:
    root = exam.acting("root")
    number = raised(exam)
    with pytest.raises(NotPermitted, match="to close findings takes the role reviewer or approver"):
        exam.acting("bob").findings.close(number, reason="done")
    root.people.grant("alice", REVIEWER)
    with pytest.raises(NotPermitted, match=f"alice owns finding {number}"):
        exam.acting("alice").findings.close(number, reason="done")
    root.people.grant("dora", REVIEWER)
    exam.change(exam.ref, actor="dora", layers="2")
    with pytest.raises(NotPermitted, match="dora developed loans/1"):
        exam.acting("dora").findings.close(number, reason="done")
    root.people.grant("emil", "developer")
    exam.acting("dora").people.delegate(REVIEWER, "emil", until=days(2), reason="on leave")
    with pytest.raises(NotPermitted, match="dora developed loans/1"):
        exam.acting("emil").findings.close(number, reason="done")
    closed = exam.acting("ruth").findings.close(number, reason="it was counted again")
    assert (closed.open, closed.closed_by, closed.closure) == (False, "ruth", "it was counted again")


def test_whoever_only_audits_raises_nothing(exam: Exam) -> None:
    exam.acting("root").people.grant("otto", AUDITOR)
    with pytest.raises(NotPermitted, match="auditor and nothing else"):
        raised(exam, "otto")
    exam.acting("root").people.grant("otto", REVIEWER)
    assert raised(exam, "otto") == 1


def test_closing_is_once(exam: Exam) -> None:
    number = raised(exam)
    exam.acting("vera").findings.close(number, reason="there are enough")
    with pytest.raises(Conflict, match=f"finding {number} is closed already"):
        exam.acting("ruth").findings.close(number, reason="better words")


def test_evidence_that_closes(builder: Builder) -> None:
    """Of the version or its data as they are now, complete, and made since."""
    ref, other = builder.plan("loans"), builder.plan("cards")
    builder.acting("root").people.grant("vera", REVIEWER)
    vera = builder.acting("vera").findings
    alice = builder.acting("alice")

    def newest(about: str) -> int:
        return max(found.id for found in alice.evidence(about))

    builder.judge(ref, Finding("check.bias", {"x": 1}))
    before = newest(ref)
    number = vera.add("biased", ref=ref, severity="high", owner="alice", due=days(9)).id
    with pytest.raises(BadInput, match=rf"evidence {before} \(check.bias\) is from before finding {number}"):
        vera.close(number, evidence=before)
    builder.judge(other, Finding("check.bias", {"x": 1}))
    with pytest.raises(BadInput, match="is not about what loans/1 or its data are now"):
        vera.close(number, evidence=newest(other))
    builder.judge(ref, Finding("check.bias", {"x": 1}, status="insufficient"))
    with pytest.raises(BadInput, match="could not judge"):
        vera.close(number, evidence=newest(ref))
    with pytest.raises(NotFound, match="there is no evidence 9999"):
        vera.close(number, evidence=9999)
    builder.judge_data("loans-train/1", [Finding("data.quality", {"rows": 1})])
    of_data = newest(ref)
    assert vera.close(number, evidence=of_data).evidence == of_data

    number = vera.add("biased again", ref=ref, severity="low", owner="alice", due=days(9)).id
    builder.judge(ref, Finding("check.bias", {"x": 1}))
    stale = newest(ref)
    alice.link_data(ref, {"validation": builder.dataset("more")})
    with pytest.raises(BadInput, match="is not about what loans/1"):
        vera.close(number, evidence=stale)

    number = vera.add("everywhere", system="credit", severity="low", owner="alice", due=days(9)).id
    builder.judge(other, Finding("check.bias", {"x": 1}))
    assert not vera.close(number, evidence=newest(other), reason="of all the same").open
    assert alice.verify().ok


def test_what_a_finding_must_say(exam: Exam) -> None:
    findings = exam.acting("vera").findings
    say = {"ref": exam.ref, "severity": "high", "owner": "alice", "due": days(1)}
    for change, says in (
        ({"severity": "hgih"}, "there is no severity 'hgih'"),
        ({"due": days(-1)}, "is past"),
        ({"system": "credit"}, "not both"),
        ({"ref": "loans/9"}, "has no version 9"),
        ({"owner": "no body"}, "cannot be used"),
    ):
        with pytest.raises(BadInput, match=says):
            findings.add("a title", **(say | change))
    with pytest.raises(BadInput, match="needs a title"):
        findings.add(" ", **say)
    with pytest.raises(BadInput, match="with evidence or with a reason"):
        findings.close(raised(exam), reason=" ")
    for verb in (findings.one, lambda n: findings.close(n, reason="x")):
        with pytest.raises(NotFound, match="there is no finding 99"):
            verb(99)
