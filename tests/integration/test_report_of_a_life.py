"""The report on a version that was let through with an exception: what an auditor must be able to read."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from integration.builder import GOOD_EVALUATION, Builder
from integration.conftest import Databases, Stages
from integration.governed import REF, RULE, govern

from registry.domain.decision import Outcome
from registry.reports import ReportFacts, to_html, to_json


@pytest.fixture(scope="module")
def governed(
    databases: Databases, stages: Stages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Builder]:
    """One life for all tests here; `facts` was read at its end."""
    folder = tmp_path_factory.mktemp("governed")
    url = stages.copy("evaluated", folder / "home")
    with Builder(folder / "home", url) as builder:
        govern(builder, folder)
        yield builder
    databases.drop(url)


@pytest.fixture(scope="module")
def facts(governed: Builder) -> ReportFacts:
    return governed.acting("alice").report(REF)


def test_a_decision_shows_what_it_waived_and_the_ledger_what_it_was_given(facts: ReportFacts) -> None:
    (decision,) = [record.decision for record in facts.decisions if record.decision.to == "deployed"]
    (waived,) = [result for result in decision.verdict.results if result.outcome is Outcome.WAIVED]
    assert (waived.rule, waived.waiver) == (RULE, 1)
    assert "waived by rita until" in waived.message
    assert "a clerk reads all of them" in waived.message
    (told,) = [entry for entry in facts.timeline if entry.waived]
    assert (told.entry, told.waived) == (decision.entry, (f"{RULE} (waiver 1)",))


def test_waivers_say_whether_they_hold_and_where_they_are_in_the_ledger(facts: ReportFacts) -> None:
    granted, refused = facts.waivers
    assert (granted.holds, granted.why_not, granted.decided_by) == (True, "", "rita")
    assert refused.why_not == "rita rejected it: one is enough"
    for waiver in facts.waivers:
        asked, decided = _entry(facts, waiver.entry), _entry(facts, waiver.decision_entry)
        assert (asked.action, asked.actor) == ("waiver requested", "alice")
        assert (decided.action, decided.actor) == ("waiver decided", "rita")


def test_findings_that_are_overdue_come_first(facts: ReportFacts) -> None:
    assert [(found.title, found.open, found.overdue) for found in facts.findings] == [
        ("women are ranked lower", True, True),
        ("no way to object", False, False),
    ]
    assert _entry(facts, facts.findings[0].entry).action == "finding raised"
    assert _entry(facts, facts.findings[1].closing_entry).action == "finding closed"


def test_risks_that_nobody_accepted_come_first(facts: ReportFacts) -> None:
    assert [(risk.title, risk.state, risk.accepted_by, risk.overdue) for risk in facts.risks] == [
        ("leaks", "open", "", True),
        ("unequal", "accepted", "rita", False),
    ]
    assert _entry(facts, facts.risks[1].acceptance_entry).actor == "rita"


def test_words_of_people_say_for_whom_and_what_made_them_stale(facts: ReportFacts) -> None:
    words = [(w.actor, w.verdict, w.on_behalf_of, w.current, w.independent) for w in facts.approvals]
    assert words == [
        ("rita", "approved", "", False, True),
        ("rita", "rejected", "", False, True),
        ("dora", "approved", "ruth", False, True),
        ("rita", "approved", "", False, True),
        ("dora", "approved", "ruth", False, True),
    ]
    assert facts.approvals[0].changed == (
        "evidence check.bias",
        "evidence deploy.health",
        "evidence eval.security",
        "stage",
    )
    (decision,) = [record.decision for record in facts.decisions if record.decision.to == "deployed"]
    assert [word.counted for word in facts.approvals] == [(), (), (), (decision.id,), (decision.id,)]
    assert facts.approvals[0].roles == ("approver",)
    assert facts.approvals[0].groups == ("validation",)
    assert all(_entry(facts, word.entry).actor == word.actor for word in facts.approvals)


def test_everybody_is_in_one_table_with_all_that_they_did(facts: ReportFacts) -> None:
    people = {person.name: person for person in facts.people}
    assert (people["alice"].planned, people["alice"].developer, people["alice"].evaluated) == (True,) * 3
    assert (people["bob"].trained, people["bob"].developer, people["bob"].planned) == (True, True, False)
    assert people["rita"].approved == ("deployed",)
    assert people["rita"].excepted == ("waiver 1", "risk 1")
    assert people["alice"].moved[-2:] == ("deployed", "@canary")
    assert people["alice"].deployed == ("deployment 1",)
    assert people["ruth"].approved == ()


def test_targets_stood_in_the_ledger_before_their_evaluation_was_asked_for(facts: ReportFacts) -> None:
    (target,) = facts.targets
    assert target.registration == "before"
    assert target.fixed_entry < target.run_entry
    fixed, asked = _entry(facts, target.fixed_entry), _entry(facts, target.run_entry)
    assert (fixed.action, fixed.at) == ("version planned", target.fixed_at)
    assert (asked.action, asked.at) == ("run queued", target.run_at)


def test_an_evaluation_under_other_targets_is_said_before_the_verdict_is_explained(
    governed: Builder, facts: ReportFacts
) -> None:
    governed.judge(REF, GOOD_EVALUATION, kind="evaluate", targets=["f1>=0.5"])
    later = governed.acting("alice").report(REF)
    assert [target.registration for target in later.targets] == ["other targets"]
    html = to_html(later)
    assert "Not judged by targets fixed beforehand" not in to_html(facts)
    assert html.index("Not judged by targets fixed beforehand") < html.index(
        "Verdict and what is missing</h2>"
    )


def test_what_depends_on_it_and_who_signed_it(facts: ReportFacts) -> None:
    assert facts.service.dependants == ("loans@canary", "deployment 1")
    assert [(alias.alias, alias.in_force, alias.until) for alias in facts.service.aliases] == [
        ("canary", True, None)
    ]
    assert _entry(facts, facts.service.aliases[0].entry).action == "alias moved"
    assert {"artifact", "eval.performance", "approval"} <= {signed.about for signed in facts.signatures}
    assert {(signed.signer, signed.valid, signed.trusted) for signed in facts.signatures} == {
        ("rita", True, True)
    }
    assert all(_entry(facts, signed.entry).action == "statement signed" for signed in facts.signatures)


def test_another_version_can_be_rolled_back_to_it(governed: Builder) -> None:
    other = governed.acting("alice").report(governed.plan("loans"))
    assert other.service.rollback_targets == (REF,)
    assert other.waivers == ()
    assert [found.title for found in other.findings] == ["no way to object"]
    assert len(other.risks) == 2


def test_the_gate_and_the_report_say_the_same(governed: Builder) -> None:
    facts = governed.acting("alice").report(REF)
    for step in facts.next:
        decision, dossier = governed.acting("alice").explain(REF, step.to)
        assert [(r.rule, r.outcome) for r in step.verdict.results if not r.rule.startswith("approvals")] == [
            (r.rule, r.outcome) for r in decision.verdict.results if not r.rule.startswith("approvals")
        ]
        assert [(w.id, w.holds, w.why_not) for w in dossier.waivers] == sorted(
            (w.id, w.holds, w.why_not) for w in facts.waivers
        )
        assert [(r.id, r.residual, r.state) for r in dossier.risks] == sorted(
            (r.id, r.residual_score, r.state) for r in facts.risks
        )


def test_json_and_html_hold_it_all(facts: ReportFacts) -> None:
    document = json.loads(to_json(facts))
    assert document["waivers"][0]["control"] == "a clerk reads all of them"
    assert document["targets"][0]["registration"] == "before"
    html = to_html(facts)
    for words in (
        "1 waiver in force",
        "1 open finding (1 overdue)",
        "2 risks (1 not accepted",
        "In place of ruth",
    ):
        assert words in html


def _entry(facts: ReportFacts, index: int):  # type: ignore[no-untyped-def]
    (found,) = [entry for entry in facts.timeline if entry.entry == index]
    return found
