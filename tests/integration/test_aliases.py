"""Aliases: guarded like stages, resolved wherever a version is named, and never forgotten."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from integration.builder import FAIR, Builder
from integration.conftest import At
from integration.peopled import publish, soon

from registry.api import Registry
from registry.errors import (
    BadInput,
    BadName,
    BadReference,
    NoSuchTransition,
    NotFound,
    NotPermitted,
    RegistryError,
)
from registry.usecases import decide
from registry.usecases.decide import Judgement, judge

ONE, TWO = "loans/1", "loans/2"
CHAMPION = """
kind: GatePolicy
metadata: {name: champion-approved, title: Somebody else agrees}
match: {to: ['@champion']}
validations:
  - id: approved
    expression: "approvals.exists(a, a.verdict == 'approved' && a.to == to && a.current && a.independent)"
    message: nobody else has approved it as @champion
    remedy: phasegate approve {version} {to} --as REVIEWER
  - id: in-service
    expression: "subject.stage in ['evaluated', 'deployed', 'monitored']"
    message: it is not ready for service
---
kind: GateBinding
metadata: {name: champion-approved}
policy: champion-approved
action: deny
---
kind: GatePolicy
metadata: {name: nothing-points, title: No alias points to it}
match: {to: [retired]}
validations:
  - id: no-alias
    expression: "size(dependants) == 0"
    message: something depends on it
    value: dependants
---
kind: GateBinding
metadata: {name: nothing-points}
policy: nothing-points
action: deny
"""


ANY_END = """
kind: GatePolicy
metadata: {name: any-end, title: Whatever ends may end}
match: {to: [retired]}
validations:
  - {id: at-rest, expression: subject.runs_active == 0, message: it runs}
---
kind: GateBinding
metadata: {name: any-end}
policy: any-end
action: deny
"""


@pytest.fixture
def builder(at: At) -> Builder:
    """A version that is evaluated, another that is planned, and a gate into @champion."""
    made = at("evaluated")
    assert made.plan("loans") == TWO
    publish(made, CHAMPION)
    unguard(made, "champion-in-service", "beats-champion")
    made.acting("root").people.grant("dora", "deployer")
    made.approver("rita")
    return made


def unguard(builder: Builder, *bindings: str) -> None:
    """Take policies of the default set out of force, so that a test's own stand alone."""
    for name in bindings:
        builder.acting("root").gate.unbind(name, "a test has its own")


def crown(builder: Builder, ref: str) -> None:
    builder.acting("rita").approve(ref, "@champion")
    assert builder.acting("alice").move_alias(ref, "champion").allowed


def pointing(builder: Builder) -> dict[str, str]:
    return {row.alias: row.version for row in builder.acting("alice").aliases("loans") if row.in_force}


# -- the gate ------------------------------------------------------------------------------------


def test_a_guarded_alias_without_a_policy_is_refused(at: At) -> None:
    builder = at("evaluated")
    unguard(builder, "champion-in-service", "beats-champion", "findings-answered")
    decision = builder.acting("alice").move_alias(ONE, "champion")
    assert not decision.allowed
    assert decision.verdict.reason.startswith("no policy governs evaluated -> @champion")
    assert builder.acting("alice").version(ONE).aliases == []
    assert builder.acting("alice").verify().ok


def test_the_gate_into_an_alias_is_asked(builder: Builder) -> None:
    alice = builder.acting("alice")
    refused = alice.move_alias(ONE, "champion")
    assert [result.rule for result in refused.verdict.blocking] == ["champion-approved/approved"]
    assert refused.verdict == alice.explain(ONE, "@champion")[0].verdict
    assert pointing(builder) == {}
    crown(builder, ONE)
    assert pointing(builder) == {"champion": ONE}
    assert alice.version(ONE).aliases == ["champion"]
    assert alice.version(ONE).stage == "evaluated"
    assert [(each.to, each.allowed) for each in alice.decisions(ONE)][-2:] == [
        ("@champion", False),
        ("@champion", True),
    ]
    assert alice.verify().ok


def test_an_approval_of_a_stage_is_none_of_the_alias(builder: Builder) -> None:
    builder.acting("rita").approve(ONE, "deployed")
    assert not builder.acting("alice").move_alias(ONE, "champion").allowed


def test_an_approval_of_the_alias_goes_stale(builder: Builder) -> None:
    builder.acting("rita").approve(ONE, "@champion")
    builder.judge(ONE, FAIR)
    assert not builder.acting("alice").move_alias(ONE, "champion").allowed
    (approval,) = builder.acting("alice").explain(ONE, "@champion")[1].approvals
    assert approval.changed == ("evidence check.bias",)


def test_any_other_alias_moves_freely_and_is_recorded(builder: Builder) -> None:
    alice = builder.acting("alice")
    assert alice.move_alias(TWO, "draft").allowed
    assert alice.move_alias(ONE, "draft").allowed
    assert pointing(builder) == {"draft": ONE}
    told = [entry.text.partition(" (")[0] for entry in alice.log(action="alias-moved")]
    assert told == ["@draft points here", "@draft points here instead of loans/2", "@draft went to loans/1"]
    assert [entry.subject for entry in alice.log(action="alias-moved")][1:] == [
        "model:loans/1",
        "model:loans/2",
    ]
    assert "@draft went to loans/1" in " ".join(entry.text for entry in alice.history(TWO))
    assert alice.verify().ok


def test_it_goes_from_one_version_to_the_next_at_once(builder: Builder) -> None:
    crown(builder, ONE)
    two = builder.acting("alice").move_alias(TWO, "champion")
    assert [result.rule for result in two.verdict.blocking] == [
        "champion-approved/approved",
        "champion-approved/in-service",
    ]
    assert pointing(builder) == {"champion": ONE}
    builder.bring(TWO, "evaluated")
    crown(builder, TWO)
    assert pointing(builder) == {"champion": TWO}
    history = [
        (row.version, row.in_force, row.guarded, row.by) for row in builder.acting("alice").aliases("loans")
    ]
    assert history == [(ONE, False, True, "alice"), (TWO, True, True, "alice")]


def test_a_champion_is_compared_with_the_one_that_stands(builder: Builder) -> None:
    crown(builder, ONE)
    seen = builder.acting("alice").explain(TWO, "@champion")[1].champion
    assert (seen.exists, seen.ref, seen.metrics["f1"]) == (True, ONE, 0.93)
    assert not builder.acting("alice").explain(ONE, "deployed")[1].champion.exists


WRONG: list[tuple[Callable[[Registry], Any], type[RegistryError], str, str]] = [
    (lambda one: one.move_alias(ONE, "a b"), BadName, "the alias 'a b' cannot be used", ""),
    (lambda one: one.move_alias(ONE, ""), BadName, "the alias is empty", ""),
    (lambda one: one.move_alias("loans/9", "x"), NotFound, "no version 9", "newest version is loans/2"),
    (
        lambda one: one.move_alias(ONE, "draft"),
        NoSuchTransition,
        "loans@draft is loans/1 already",
        "model alias",
    ),
    (lambda one: one.remove_alias("loans", "draft", " "), BadInput, "for a reason", "--reason"),
    (lambda one: one.remove_alias("loans", "darft", "x"), NotFound, "points to no version", "'draft'?"),
    (lambda one: one.remove_alias("loasn", "draft", "x"), NotFound, "no model 'loasn'", "'loans'?"),
    (lambda one: one.version("loans@darft"), NotFound, "loans@darft points to no version", "'loans@draft'?"),
    (lambda one: one.version("loasn@draft"), NotFound, "no model 'loasn'", "did you mean 'loans'?"),
    (lambda one: one.version("loans@"), BadName, "the alias is empty", ""),
    (lambda one: one.version("loans/1@draft"), BadReference, "'1@draft' is no version number", ""),
    (lambda one: one.dataset("loans-test@draft"), BadReference, "names no version", ""),
]


@pytest.mark.parametrize(("ask", "error", "said", "hint"), WRONG)
def test_what_is_wrong_is_named(
    builder: Builder, ask: Callable[[Registry], Any], error: type[RegistryError], said: str, hint: str
) -> None:
    alice = builder.acting("alice")
    alice.move_alias(ONE, "draft")
    size = alice.verify().size
    with pytest.raises(error, match=said) as caught:
        ask(alice)
    assert hint in caught.value.hint
    assert alice.verify().size == size


# -- taken away ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alice", "rita", "bob"])
def test_a_guarded_alias_is_not_taken_away_by_just_anybody(builder: Builder, name: str) -> None:
    crown(builder, ONE)
    with pytest.raises(NotPermitted, match=f"{name} is .* takes the role deployer or admin"):
        builder.acting(name).remove_alias("loans", "champion", "I do not like it")
    assert pointing(builder) == {"champion": ONE}


@pytest.mark.parametrize("name", ["dora", "root"])
def test_a_deployer_or_an_admin_takes_it_away_with_a_reason(builder: Builder, name: str) -> None:
    crown(builder, ONE)
    builder.acting(name).remove_alias("loans", "champion", "incident 7")
    assert pointing(builder) == {"champion": ""}
    assert builder.acting("alice").version(ONE).aliases == []
    entry = builder.acting("alice").log(action="alias-moved")[-1]
    assert (entry.actor, entry.subject) == (name, "model:loans/1")
    assert entry.text == "@champion points to nothing any more: incident 7"
    with pytest.raises(NotFound, match="loans@champion points to no version"):
        builder.acting("alice").version("loans@champion")
    crown(builder, ONE)
    assert [row.version for row in builder.acting("alice").aliases("loans")] == [ONE, "", ONE]
    assert builder.acting("alice").verify().ok


def test_a_lent_deployer_may_too(builder: Builder) -> None:
    crown(builder, ONE)
    builder.acting("dora").people.delegate("deployer", "bob", until=soon(days=1), reason="ill")
    builder.acting("bob").remove_alias("loans", "champion", "incident 7")
    assert pointing(builder) == {"champion": ""}


def test_any_other_alias_is_taken_away_by_anybody(builder: Builder) -> None:
    builder.acting("alice").move_alias(ONE, "draft")
    builder.acting("bob").remove_alias("loans", "draft", "done with it")
    assert pointing(builder) == {"draft": ""}


# -- the end of a version ------------------------------------------------------------------------


def test_a_gate_can_keep_a_version_that_an_alias_points_to(builder: Builder) -> None:
    crown(builder, ONE)
    alice = builder.acting("alice")
    refused = alice.promote(ONE, "retired")
    blocking = {result.rule: result.value for result in refused.verdict.blocking}
    assert "loans@champion" in blocking["nothing-points/no-alias"]
    builder.acting("dora").remove_alias("loans", "champion", "replaced by hand")
    assert alice.promote(ONE, "retired").allowed


def test_an_alias_of_a_retired_version_stays_until_it_is_moved(at: At) -> None:
    """Without such a policy nothing is changed silently: the name leads where it led."""
    builder = at("evaluated")
    alice = builder.acting("alice")
    publish(builder, ANY_END)
    unguard(builder, "nothing-runs")
    alice.move_alias(ONE, "draft")
    assert alice.promote(ONE, "retired").allowed
    assert alice.version("loans@draft").ref == ONE
    with pytest.raises(NoSuchTransition, match="@other cannot point to loans/1: it is retired"):
        alice.move_alias(ONE, "other")
    with pytest.raises(NoSuchTransition, match="it is retired, and that is final"):
        alice.explain(ONE, "@champion")


# -- wherever a version is named -----------------------------------------------------------------


READS: dict[str, Callable[[Registry, str], Any]] = {
    "version": lambda one, ref: one.version(ref),
    "evidence": lambda one, ref: one.evidence(ref),
    "history": lambda one, ref: one.history(ref),
    "decisions": lambda one, ref: one.decisions(ref),
    "approvals": lambda one, ref: one.approvals(ref),
    "deployments": lambda one, ref: one.deployments.all(ref),
    "runs": lambda one, ref: one.runs.all(about=ref.removeprefix("models:/")),
    "report": lambda one, ref: one.report(ref).subject,
    "explain": lambda one, ref: one.explain(ref, "deployed")[0],
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("ref", ["loans@draft", "models:/loans@draft", "models:/loans/1"])
def test_a_version_is_read_by_alias(builder: Builder, read: str, ref: str) -> None:
    alice = builder.acting("alice")
    alice.move_alias(ONE, "draft")
    if read == "runs" and "/" in ref:
        ref = "loans@draft"
    assert READS[read](alice, ref) == READS[read](alice, ONE)


def test_a_version_is_changed_by_alias(builder: Builder) -> None:
    alice = builder.acting("alice")
    alice.move_alias(TWO, "next")
    assert alice.design("loans@next", {"architecture": "encoder"}).ref == TWO
    assert alice.link_data("models:/loans@next", {"extra": "loans-test/1"}).ref == TWO
    builder.acting("rita").approve("loans@next", "prepared")
    assert [word.to for word in alice.approvals(TWO)] == ["prepared"]
    decision = alice.promote("loans@next", "prepared")
    assert (decision.ref, alice.version(TWO).stage == "prepared") == (TWO, decision.allowed)
    assert alice.move_alias("loans@next", "other").ref == TWO
    assert alice.version(TWO).aliases == ["next", "other"]


def test_what_moves_under_a_decision_is_resolved_again(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alias goes to another version between the gate's judging and the move."""
    alice = builder.acting("alice")
    alice.move_alias(ONE, "next")
    judged = []

    def overtaken(*args: Any) -> Judgement:
        judged.append(judge(*args))
        if len(judged) == 1:
            builder.acting("bob").move_alias(TWO, "next")
        return judged[-1]

    monkeypatch.setattr(decide, "judge", overtaken)
    decision = alice.promote("loans@next", "retired")
    monkeypatch.undo()
    assert [each.decision.ref for each in judged] == [ONE, TWO, TWO]
    assert decision.ref == TWO
    assert alice.version(ONE).stage == "evaluated"


def test_of_two_who_move_it_at_once_each_sees_the_other(builder: Builder) -> None:
    """However they interleave, rows form one history, and the ledger tells the same."""
    builder.bring(TWO, "evaluated")
    ready, errors = threading.Barrier(2), []

    def move(one: Registry, ref: str) -> None:
        ready.wait()
        for _ in range(4):
            try:
                one.move_alias(ref, "next")
            except NoSuchTransition:
                pass
            except RegistryError as error:
                errors.append(error)

    threads = [
        threading.Thread(target=move, args=(builder.acting(name), ref))
        for name, ref in (("alice", ONE), ("bob", TWO))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    moves = [row.version for row in builder.acting("alice").aliases("loans") if row.alias == "next"]
    assert all(first != second for first, second in itertools.pairwise(moves))
    events = builder.acting("alice").log(action="alias-moved")
    told = [entry for entry in events if entry.payload["version"] == entry.subject.partition(":")[2]]
    assert [entry.payload["version"] for entry in told] == moves
    befores = [entry.payload["before"] for entry in told]
    assert befores == ["", *moves[:-1]]
    assert builder.acting("alice").verify().ok
