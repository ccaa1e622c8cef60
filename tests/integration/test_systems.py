"""Systems that are described anew: by whom, and what that does to what was approved before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from integration.builder import Builder

from registry.errors import BadInput, NotFound, NotPermitted


def test_its_owner_says_otherwise_and_the_gate_sees_it(builder: Builder) -> None:
    alice = builder.acting("alice")
    alice.add_system("sorting", purpose="sort letters", risk_tier="limited", tags=["mail"])
    ref = alice.plan("letters", system="sorting", targets=["f1>=0.9"], budget_hours=1, tags=["eu"]).ref
    failing = {result.rule for result in alice.explain(ref, "prepared")[0].verdict.blocking}
    assert "intended-use/affected-groups" in failing
    changed = alice.change_system(
        "sorting", affected_groups=["senders"], prohibited_uses=["to read them"], oversight="a clerk"
    )
    assert (changed.affected_groups, changed.oversight, changed.tags) == (["senders"], "a clerk", ["mail"])
    decision, dossier = alice.explain(ref, "prepared")
    assert not {result.rule for result in decision.verdict.blocking if result.rule.startswith("intended-use")}
    assert dossier.subject.tags == ("eu", "mail")
    (entry,) = alice.log(action="system-changed")
    assert entry.text == "changed: affected groups, oversight, prohibited uses"
    assert alice.verify().ok


def test_whose_it_is_not_needs_to_be_admin(builder: Builder) -> None:
    builder.acting("alice").add_system("sorting", purpose="sort letters", risk_tier="limited")
    with pytest.raises(NotPermitted, match="a system that alice answers for takes the role admin"):
        builder.acting("bob").change_system("sorting", oversight="nobody")
    assert builder.acting("root").change_system("sorting", owner="bob").owner == "bob"
    assert builder.acting("bob").change_system("sorting", oversight="bob").oversight == "bob"


def test_what_changes_nothing_or_is_not_there(builder: Builder) -> None:
    alice = builder.acting("alice")
    alice.add_system("sorting", purpose="sort letters", risk_tier="limited", oversight="a clerk")
    for changes in ({}, {"oversight": " a clerk "}, {"tags": []}):
        with pytest.raises(BadInput, match="nothing of system 'sorting' would change"):
            alice.change_system("sorting", **changes)
    with pytest.raises(NotFound, match="there is no system 'sortin'"):
        alice.change_system("sortin", oversight="x")


def test_an_approval_goes_stale(at: Callable[[str], Builder]) -> None:
    builder = at("evaluated")
    builder.approver("rita").approve("loans/1", "deployed")
    builder.acting("alice").change_system("credit", affected_groups=["everybody"])
    (given,) = builder.acting("rita").approvals("loans/1")
    assert not given.current
    assert given.changed == ["system"]
