"""Ways to get past a gate that must not exist, each tried on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from integration.builder import FAIR, GOOD_EVALUATION, Builder, Finding
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from registry.api import Registry
from registry.domain.decision import Decision, Outcome
from registry.domain.references import Ref
from registry.errors import DatabaseUnusable, NotPermitted
from registry.policy import parse_documents, shipped_lifecycle
from registry.storage import gates, unit_of_work
from registry.storage.unit_of_work import Overtaken
from registry.usecases import decide
from registry.usecases.decide import Judgement, carry_out, judge

LATER = timedelta(seconds=0.05)


def bind(registry: Registry, expression: str, *, name: str = "extra", to: str = "prepared") -> None:
    """One more rule for the gate into a stage."""
    document = f"""
kind: GatePolicy
metadata: {{name: {name}}}
match: {{to: [{to}]}}
validations:
  - id: rule
    expression: {expression!r}
    message: it does not hold
---
kind: GateBinding
metadata: {{name: {name}}}
policy: {name}
action: deny
"""
    read = parse_documents(document, "extra.yaml", shipped_lifecycle())
    registry.publish(read.policies, read.bindings)


def outcomes(decision: Decision) -> dict[str, Outcome]:
    return {result.rule: result.outcome for result in decision.verdict.results}


def test_by_a_rule_that_errors(builder: Builder) -> None:
    ref = builder.plan()
    bind(builder.acting("root"), "approvals[0].actor == 'rita' || true")
    bind(builder.acting("root"), "approvals[0].actor == 'rita'", name="broken")
    decision = builder.acting("alice").promote(ref, "prepared")
    assert not decision.allowed
    assert outcomes(decision)["broken/rule"] is Outcome.ERROR
    assert outcomes(decision)["extra/rule"] is not Outcome.ERROR
    assert builder.acting("alice").version(ref).stage == "planned"


def test_by_evidence_of_another_digest(at: Callable[[str], Builder]) -> None:
    builder = at("trained")
    builder.judge("loans/1", GOOD_EVALUATION, kind="evaluate")
    alice = builder.acting("alice")
    alice.promote("loans/1", "designed")
    builder.train("loans/1", b"other weights", actor="bob")
    alice.promote("loans/1", "trained")
    decision = alice.promote("loans/1", "evaluated")
    assert not decision.allowed
    missing = [result for result in decision.verdict.blocking if result.outcome is Outcome.MISSING]
    assert any("stale" in result.message for result in missing)


def test_by_evidence_that_has_expired(at: Callable[[str], Builder]) -> None:
    builder = at("trained")
    short_lived = Finding(GOOD_EVALUATION.kind, GOOD_EVALUATION.metrics, valid_for=LATER)
    builder.judge("loans/1", short_lived, kind="evaluate")
    builder.wait(LATER)
    decision = builder.acting("alice").promote("loans/1", "evaluated")
    assert not decision.allowed
    assert any("expired" in result.message for result in decision.verdict.blocking)


def test_by_a_clock_that_is_wrong(at: Callable[[str], Builder], monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer whose clock stands still yesterday: what has expired since has expired all the same."""
    builder = at("trained")
    builder.judge(
        "loans/1", Finding(GOOD_EVALUATION.kind, GOOD_EVALUATION.metrics, valid_for=LATER), kind="evaluate"
    )
    builder.wait(LATER)
    for module in (unit_of_work, gates):
        monkeypatch.setattr(module, "now", lambda: datetime.now(UTC) - timedelta(days=1))
    alice = builder.acting("alice")
    if builder.database.url.get_backend_name() == "sqlite":
        # There is no clock but the writer's: it may not write before what was written last.
        with pytest.raises(DatabaseUnusable, match="the clock says"):
            alice.promote("loans/1", "evaluated")
    else:
        assert not alice.promote("loans/1", "evaluated").allowed
    assert alice.version("loans/1").stage == "trained"


def test_by_ones_own_approval_through_a_second_role(at: Callable[[str], Builder]) -> None:
    builder = at("evaluated")
    builder.supply("loans/1", "deployed", reviewers=())
    builder.approver("bob").approve("loans/1", "deployed")  # it was bob who trained it
    (approval,) = builder.acting("bob").explain("loans/1", "deployed")[1].approvals
    assert "approver" in approval.roles
    assert not approval.independent
    assert not builder.acting("bob").promote("loans/1", "deployed").allowed


def test_by_approving_without_the_role(at: Callable[[str], Builder]) -> None:
    builder = at("evaluated")
    with pytest.raises(NotPermitted, match="takes the role approver"):
        builder.acting("rita").approve("loans/1", "deployed")
    assert builder.acting("alice").approvals("loans/1") == []


def test_by_racing_new_evidence(at: Callable[[str], Builder], monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence that comes between the gate's judging and the move is judged, too."""
    builder = at("trained")
    builder.judge("loans/1", GOOD_EVALUATION, kind="evaluate")
    alice = builder.acting("alice")
    assert alice.explain("loans/1", "evaluated")[0].allowed
    bad = Finding(GOOD_EVALUATION.kind, {**GOOD_EVALUATION.metrics, "f1": 0.2})
    judged = []

    def overtaken(*args: object) -> Judgement:
        judged.append(judge(*args))  # type: ignore[arg-type]
        if len(judged) == 1:
            builder.judge("loans/1", bad, kind="evaluate", actor="carol")
        return judged[-1]

    monkeypatch.setattr(decide, "judge", overtaken)
    decision = alice.promote("loans/1", "evaluated")
    assert [each.decision.allowed for each in judged] == [True, False]
    assert not decision.allowed
    assert alice.version("loans/1").stage == "trained"


def test_by_racing_a_new_policy(builder: Builder) -> None:
    ref = builder.plan()
    with builder.database.read() as session:
        judged = judge(session, Ref.parse(ref), "prepared", "alice")
    bind(builder.acting("root"), "subject.number > 7")
    with (
        pytest.raises(Overtaken, match=r"policy-(published|bound)"),
        builder.database.write("alice") as work,
    ):
        carry_out(work, judged)
    assert not builder.acting("alice").promote(ref, "prepared").allowed


def test_by_racing_another_promotion(builder: Builder) -> None:
    ref = builder.plan()
    with builder.database.read() as session:
        judged = judge(session, Ref.parse(ref), "prepared", "alice")
    assert builder.acting("bob").promote(ref, "prepared").allowed
    with pytest.raises(Overtaken, match="was changed"), builder.database.write("alice") as work:
        carry_out(work, judged)
    assert len(builder.acting("alice").decisions(ref)) == 1


def test_by_an_old_judgement(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = builder.plan()
    with builder.database.read() as session:
        judged = judge(session, Ref.parse(ref), "prepared", "alice")
    monkeypatch.setattr(decide, "_WAIT", timedelta(0))
    with pytest.raises(Overtaken, match="ago"), builder.database.write("alice") as work:
        carry_out(work, judged)


def test_by_racing_the_retirement_of_what_it_could_fall_back_on(at: Callable[[str], Builder]) -> None:
    """Another version of the model is something that a gate looks at: it may be the way back."""
    builder = at("monitored")
    other = builder.plan("loans")
    with builder.database.read() as session:
        judged = judge(session, Ref.parse(other), "prepared", "alice")
    assert judged.dossier.subject.rollback_targets == ("loans/1",)
    builder.supply("loans/1", "retired")
    assert builder.acting("alice").promote("loans/1", "retired").allowed
    with pytest.raises(Overtaken, match="since the gate decided"), builder.database.write("alice") as work:
        carry_out(work, judged)


def test_who_is_overtaken_every_time_decides_alone(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = builder.plan()
    judged = []

    def overtaken(*args: object) -> Judgement:
        judged.append(judge(*args))  # type: ignore[arg-type]
        if len(judged) <= 4:
            builder.acting("carol").findings.add(
                f"doubt {len(judged)}",
                ref=ref,
                severity="low",
                owner="alice",
                due=datetime.now(UTC) + timedelta(1),
            )
        return judged[-1]

    monkeypatch.setattr(decide, "judge", overtaken)
    assert builder.acting("alice").promote(ref, "prepared").allowed
    assert len(judged) == 5
    assert len(judged[-1].dossier.findings) == 4


def test_versions_of_other_models_do_not_overtake(builder: Builder) -> None:
    one, other = builder.plan("one"), builder.plan("other")
    with builder.database.read() as session:
        judged = judge(session, Ref.parse(one), "prepared", "alice")
    assert builder.acting("bob").promote(other, "prepared").allowed
    with builder.database.write("alice") as work:
        assert carry_out(work, judged).allowed


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policies SET document = '{}'",
        "DELETE FROM policies",
        "UPDATE bindings SET action = 'audit'",
        "UPDATE decisions SET allowed = NOT allowed",
        "UPDATE evidence SET status = 'complete'",
        "UPDATE approvals SET verdict = 'approved'",
        "DELETE FROM actors",
        "DELETE FROM ledger_entries",
    ],
)
def test_by_sql_through_the_applications_own_role(at: Callable[[str], Builder], statement: str) -> None:
    builder = at("deployed")
    with pytest.raises(DBAPIError, match="is refused"), builder.database.engine.connect() as connection:
        connection.execute(text(statement))


def test_by_editing_a_published_policy(builder: Builder) -> None:
    """Publishing it again under the same name is another policy: what was decided names the one it saw."""
    ref = builder.plan()
    bind(builder.acting("root"), "subject.number > 7")
    refused = builder.acting("alice").promote(ref, "prepared")
    bind(builder.acting("root"), "subject.number > 0")
    allowed = builder.acting("alice").promote(ref, "prepared")
    seen = [
        next(result.policy for result in decision.verdict.results if result.rule == "extra/rule")
        for decision in (refused, allowed)
    ]
    assert seen[0] != seen[1]
    assert [decision.allowed for decision in (refused, allowed)] == [False, True]
    with pytest.raises(NotPermitted, match="takes the role admin"):
        bind(builder.acting("alice"), "true")


def test_by_moving_the_goalposts_unseen(at: Callable[[str], Builder]) -> None:
    """A limit that was set after the evidence was made says so, in explain and in the decision."""
    builder = at("evaluated")
    builder.judge("loans/1", FAIR)
    rule = "evidence['check.bias'].metrics['demographic_parity_difference.upper'] < 0.5"
    bind(builder.acting("root"), rule, to="deployed")
    builder.judge("loans/1", FAIR)
    alice = builder.acting("alice")
    assert not late(alice.explain("loans/1", "deployed")[0])
    bind(builder.acting("root"), rule.replace("0.5", "0.9"), to="deployed")
    assert late(alice.explain("loans/1", "deployed")[0])
    assert late(alice.promote("loans/1", "deployed"))
    (recorded,) = [decision for decision in alice.decisions("loans/1") if decision.to == "deployed"]
    assert next(result for result in recorded.results if result["rule"] == "extra/rule")["late"]


def late(decision: Decision) -> bool:
    return next(result.late for result in decision.verdict.results if result.rule == "extra/rule")


def test_by_a_gate_without_policies(builder: Builder) -> None:
    ref = builder.plan()
    root = builder.acting("root")
    for policy in root.policies():
        for binding in policy.bindings:
            root.gate.unbind(binding.partition(" ")[0], "a test takes the gate away")
    decision = builder.acting("alice").promote(ref, "prepared")
    assert not decision.allowed
    assert "permits nothing" in decision.verdict.reason


def test_auditors_write_nothing(builder: Builder) -> None:
    ref = builder.plan()
    builder.acting("root").people.grant("audrey", "auditor")
    audrey = builder.acting("audrey")
    assert audrey.verify().ok
    assert audrey.explain(ref, "prepared")[0].allowed
    with pytest.raises(NotPermitted, match="auditors read, and write nothing"):
        audrey.promote(ref, "prepared")


def test_evidence_is_fair_game_only_for_what_it_is_about(at: Callable[[str], Builder]) -> None:
    """Fairness of one version says nothing of another one of the same model."""
    builder = at("evaluated")
    other = builder.plan("loans")
    builder.judge("loans/1", FAIR)
    with builder.database.read() as session:
        judged = judge(session, Ref.parse(other), "prepared", "alice")
    assert "check.bias" not in judged.dossier.evidence
