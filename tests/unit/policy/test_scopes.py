"""Scopes of bindings, and aliases that are guarded like stages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.policy import samples

from registry.domain.decision import Action
from registry.domain.dossier import Dossier
from registry.domain.lifecycle import Step
from registry.errors import BadDocument
from registry.policy import (
    GateBinding,
    GatePolicy,
    Match,
    Validation,
    bind,
    check,
    decide,
    parse_documents,
    parse_lifecycle,
    shipped_lifecycle,
)
from registry.policy.scopes import BindingScope
from registry.policy.shipped import shipped_texts
from registry.storage.lifecycles import from_document, to_document

LIFECYCLE = shipped_lifecycle()
ALWAYS = GatePolicy("p", Match(("deployed",), ("evaluated",)), (Validation("r", "to == ''", "never"),))
MARKED = replace(samples.dossier(), subject=samples.subject(tags=("lending", "eu")))


def refuses(scope: BindingScope, given: Dossier = MARKED) -> bool:
    """Whether the policy was judged: its only rule never holds."""
    return bool(decide([bind(ALWAYS, binding(scope))], given, open_step=True).results)


def binding(scope: BindingScope) -> GateBinding:
    return GateBinding("b", "p", Action.DENY, scope=scope)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({}, True),
        ({"to": ("deployed",)}, True),
        ({"to": ("retired", "deployed")}, True),
        ({"to": ("retired",)}, False),
        ({"origin": ("evaluated",)}, True),
        ({"origin": ("monitored",)}, False),
        ({"risk_tiers": ("high", "limited")}, True),
        ({"risk_tiers": ("minimal",)}, False),
        ({"systems": ("loans",)}, True),
        ({"systems": ("cards",)}, False),
        ({"tags": ("lending", "us")}, True),
        ({"tags": ("us",)}, False),
        ({"tags": ("lending",), "risk_tiers": ("high",), "systems": ("loans",)}, True),
        ({"tags": ("lending",), "risk_tiers": ("minimal",), "systems": ("loans",)}, False),
    ],
)
def test_everything_that_a_scope_says_must_fit(scope: dict[str, Any], covered: bool) -> None:
    assert refuses(BindingScope(**scope)) is covered


def test_what_has_no_tags_is_in_no_scope_of_tags() -> None:
    assert not refuses(BindingScope(tags=("lending",)), samples.dossier())


def test_a_gate_whose_policies_are_all_out_of_scope_is_empty_and_refuses() -> None:
    outside = bind(ALWAYS, binding(BindingScope(systems=("cards",))))
    verdict = decide([outside], MARKED, open_step=False)
    assert not verdict.allowed
    assert verdict.results == ()
    assert verdict.reason == (
        "none of the 1 policies for evaluated -> deployed applies to it; a step without rules permits nothing"
    )


def test_a_scope_is_part_of_the_binding_and_absent_when_it_covers_everything() -> None:
    assert "scope" not in binding(BindingScope()).document
    narrow = binding(BindingScope(to=("deployed",), origin=("evaluated",), tags=("eu",)))
    assert narrow.document["scope"] == {"to": ["deployed"], "from": ["evaluated"], "tags": ["eu"]}
    assert GateBinding.from_document(narrow.document) == narrow
    assert narrow != binding(BindingScope())


BOTH = """\
kind: GatePolicy
metadata: {name: p}
match: {to: [deployed, '@champion']}
validations:
  - {id: r, expression: to != '', message: never}
---
kind: GateBinding
metadata: {name: b}
policy: p
action: deny
scope: {to: ['@champion'], from: [monitored], risk_tiers: [high], systems: [loans], tags: [eu]}
"""


def test_a_scope_is_read_from_its_file() -> None:
    (read,) = parse_documents(BOTH, "p.yaml", LIFECYCLE).bindings
    assert read.scope == BindingScope(("@champion",), ("monitored",), ("high",), ("loans",), ("eu",))


@pytest.mark.parametrize(
    ("right", "typed", "at", "said", "hint"),
    [
        (
            "to: ['@champion'], from",
            "to: ['@champoin'], from",
            "'@champoin'",
            "no alias '@champoin'",
            "@champion",
        ),
        ("[monitored]", "[monitord]", "monitord", "there is no stage 'monitord'", "monitored"),
        ("[high]", "[hgh]", "hgh", "'hgh' is no risk tier", "high"),
        ("systems", "sytems", "sytems", "scope has no field 'sytems'", "systems"),
        (
            "from: [monitored]",
            "from: ['@champion']",
            "'@champion'], risk",
            "there is no stage '@champion'",
            "",
        ),
        (
            "[deployed, '@champion']",
            "[deployed, '@chmpion']",
            "'@chmpion'",
            "no alias '@chmpion'",
            "@champion",
        ),
    ],
)
def test_a_typing_error_in_a_scope_has_its_place(
    right: str, typed: str, at: str, said: str, hint: str
) -> None:
    assert BOTH.count(right) == 1
    text = BOTH.replace(right, typed)
    before = text[: text.index(at)]
    (problem,) = check(text, "p.yaml", LIFECYCLE)
    place = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert (problem.line, problem.column) == place
    assert said in problem.reason
    assert hint in problem.hint


def test_waivers_in_a_policy_file_are_read_and_checked() -> None:
    text = BOTH.replace("match:", "waivers: {max_days: 14}\nmatch:").replace(
        "id: r", "id: r, waivable: false"
    )
    (read,) = parse_documents(text, "p.yaml", LIFECYCLE).policies
    assert (read.max_waiver_days, read.validations[0].waivable) == (14, False)
    for wrong, said in (
        ("max_days: -1", "a whole number from 0"),
        ("max_days: 1.5", "a whole number from 0"),
        ("max_days: 4000", "is a rule"),
        ("max_day: 3", "did you mean 'max_days'?"),
    ):
        problems = check(text.replace("max_days: 14", wrong), "p.yaml", LIFECYCLE)
        assert any(said in f"{problem.reason} {problem.hint}" for problem in problems), wrong
        assert problems[0].line == 3


# -- guarded aliases -----------------------------------------------------------------------------


def test_the_default_lifecycle_guards_the_champion() -> None:
    assert LIFECYCLE.aliases == ("champion",)
    assert LIFECYCLE.step("deployed", "@champion") == Step("deployed", "@champion", open=False)
    assert LIFECYCLE.step("deployed", "@shadow") == Step("deployed", "@shadow", open=True)
    assert LIFECYCLE.goals[-1] == "@champion"


def test_a_policy_guards_an_alias_from_any_stage_or_from_some() -> None:
    gate = GatePolicy("p", Match(("@champion",)), ALWAYS.validations)
    bound = bind(gate, GateBinding("b", "p", Action.DENY))
    assert bound.matches(LIFECYCLE.step("deployed", "@champion"))
    assert bound.matches(LIFECYCLE.step("planned", "@champion"))
    assert not bound.matches(LIFECYCLE.step("deployed", "@shadow"))
    some = bind(
        replace(gate, match=Match(("@champion",), ("monitored",))), GateBinding("b", "p", Action.DENY)
    )
    assert some.matches(LIFECYCLE.step("monitored", "@champion"))
    assert not some.matches(LIFECYCLE.step("deployed", "@champion"))


def test_a_guarded_alias_without_a_policy_is_refused() -> None:
    given = replace(samples.dossier(), to="@champion")
    assert not decide([bind(ALWAYS, binding(BindingScope()))], given, open_step=False).allowed


def test_aliases_of_a_lifecycle_file() -> None:
    text = shipped_texts()["lifecycle.yaml"]
    named = parse_lifecycle(text.replace("aliases: [champion]", "aliases: [champion, shadow]"), "l.yaml")
    assert named.aliases == ("champion", "shadow")
    assert parse_lifecycle(text.replace("aliases: [champion]", ""), "l.yaml").aliases == ()
    with pytest.raises(BadDocument, match="the alias 'a b' cannot be used"):
        parse_lifecycle(text.replace("aliases: [champion]", "aliases: ['a b']"), "l.yaml")


def test_a_lifecycle_is_stored_with_its_aliases_and_without_them_as_ever() -> None:
    assert from_document(to_document(LIFECYCLE)) == LIFECYCLE
    bare = replace(LIFECYCLE, aliases=())
    assert "aliases" not in to_document(bare)
    assert from_document(to_document(bare)) == bare
