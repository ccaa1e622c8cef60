"""Recorded decisions: read back as they were, and asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.policy import samples

from registry.domain.decision import Action, Outcome, RuleResult
from registry.domain.dossier import Dossier
from registry.domain.lifecycle import Step
from registry.policy import GateBinding, GatePolicy, Match, Validation, bind
from registry.policy.recorded import dossier_from_json, result_from_json
from registry.policy.replaying import rejudge
from registry.policy.schema import part_of, seen_classes, seen_fields
from registry.policy.scopes import BindingScope
from registry.storage.dossiers import as_json

SCALARS: Mapping[type, st.SearchStrategy[Any]] = {
    str: st.text(max_size=6),
    int: st.integers(0, 2**40),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if hint in SCALARS:
        return SCALARS[hint]
    if get_origin(hint) is tuple:
        return st.lists(of(part_of(hint)), max_size=2).map(tuple)
    if isinstance(hint, type):
        return instances(hint)
    key, value = get_args(hint)
    assert key is str
    return st.dictionaries(st.text(max_size=4), of(value), max_size=2)


def instances(cls: type) -> st.SearchStrategy[Any]:
    optional = {"valid_until"}
    given = {
        name: st.none() | of(hint) if name in optional else of(hint)
        for name, hint in seen_fields(cls).items()
    }
    return st.builds(cls, **given)


@given(instances(Dossier))
def test_a_dossier_is_read_back_as_it_was(dossier: Dossier) -> None:
    stored = json.loads(json.dumps(as_json(dossier)))
    recorded = dossier_from_json(stored)
    assert recorded.dossier == dossier
    assert recorded.unrecorded == frozenset()
    assert json.loads(json.dumps(as_json(recorded.dossier))) == stored


@given(
    st.builds(
        RuleResult,
        rule=st.text(),
        policy=st.text(),
        binding=st.text(),
        outcome=st.sampled_from(Outcome),
        action=st.sampled_from(Action),
        message=st.text(),
        waiver=st.integers(0, 9),
    )
)
def test_a_result_is_read_back_as_it_was(result: RuleResult) -> None:
    assert result_from_json(json.loads(json.dumps(as_json(result)))) == result


NEW = ("actor", "waivers", "findings", "risks", "signatures", "champion", "dependants")


def old(given: Dossier) -> dict[str, Any]:
    """A dossier as an older release recorded it."""
    document = json.loads(json.dumps(as_json(given)))
    for name in NEW:
        del document[name]
    for name in ("tags", "aliases", "trained_by", "budget_hours"):
        del document["subject"][name]
    for approval in document["approvals"]:
        del approval["roles"]
    return document


def test_what_an_older_release_did_not_record_is_at_its_default_and_named() -> None:
    recorded = dossier_from_json(old(samples.dossier()))
    assert recorded.dossier == samples.dossier()
    assert recorded.unrecorded == {
        *(f"Dossier.{name}" for name in NEW),
        "SubjectFacts.tags",
        "SubjectFacts.aliases",
        "SubjectFacts.trained_by",
        "SubjectFacts.budget_hours",
        "ApprovalFacts.roles",
    }


@pytest.mark.parametrize("cls", [Dossier, *seen_classes().values()], ids=lambda cls: cls.__name__)
def test_any_field_may_be_missing_from_an_old_record(cls: type) -> None:
    """A field that is added to a class tomorrow must not make today's records unreadable."""
    whole = json.loads(json.dumps(as_json(samples.dossier())))
    found = list(_objects(whole, Dossier, cls))
    for field in fields(cls):
        if field.name == "subject" and cls is Dossier:
            continue  # without a version it is no dossier
        document = json.loads(json.dumps(whole))
        for holder in _objects(document, Dossier, cls):
            holder.pop(field.name, None)
        recorded = dossier_from_json(document)
        assert (f"{cls.__name__}.{field.name}" in recorded.unrecorded) is bool(found)


def _objects(document: Any, cls: type, wanted: type) -> list[dict[str, Any]]:
    """Every object of a class within a dossier's JSON."""
    found = [document] if cls is wanted else []
    for name, hint in seen_fields(cls).items():
        part = part_of(hint)
        if not isinstance(part, type) or part not in seen_classes().values() or name not in document:
            continue
        held = document[name]
        items = (
            held.values() if get_origin(hint) not in (None, tuple) else held if part is not hint else [held]
        )
        for item in items:
            found += _objects(item, part, wanted)
    return found


def test_what_is_no_dossier_is_refused() -> None:
    with pytest.raises(TypeError):
        dossier_from_json({"subject": "loans/1"})
    with pytest.raises(ValueError, match="about a version"):
        dossier_from_json({"to": "deployed"})
    with pytest.raises(ValueError, match="granted"):
        result_from_json(
            {**as_json(RuleResult("a", "b", "c", Outcome.PASS, Action.DENY)), "outcome": "granted"}
        )


# -- asking again --------------------------------------------------------------------------------

STEP = Step("evaluated", "deployed")


def ask(expression: str, when: str = "", scope: BindingScope | None = None) -> dict[str, tuple[str, str]]:
    """What a rule says of an old record, and why."""
    policy = GatePolicy("p", Match(("deployed",), (), when), (Validation("r", expression, "no"),))
    bound = bind(policy, GateBinding("b", "p", Action.DENY, scope=scope or BindingScope()))
    results = rejudge(bound, dossier_from_json(old(samples.dossier())), STEP)
    return {result.rule: (result.outcome.value, result.message) for result in results}


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("size(findings) == 0", "findings"),
        ("!risks.exists(r, r.residual > 9)", "risks"),
        ("'x' in subject.tags || to == 'deployed'", "subject.tags"),
        ("subject.hours_used <= subject.budget_hours", "subject.budget_hours"),
        ("approvals.all(a, !('auditor' in a.roles))", "approval.roles"),
        ("!champion.exists", "champion"),
        ("actor.name == ''", "actor"),
        ("size(dependants) == 0", "dependants"),
        ("size(signatures) >= 0", "signatures"),
        ("[1].all(x, size(subject.aliases) == 0)", "subject.aliases"),
    ],
)
def test_a_rule_that_reads_what_was_not_recorded_is_an_error(expression: str, fields: str) -> None:
    (told,) = ask(expression).values()
    assert told == ("error", f"cannot be judged: it reads {fields}, which the decision did not record")


def test_a_rule_that_reads_what_was_recorded_is_judged() -> None:
    assert ask("subject.stage == 'evaluated'") == {"p/r": ("pass", "")}
    assert ask("subject.stage == ''") == {"p/r": ("fail", "no")}


def test_a_condition_or_a_scope_that_cannot_be_known_is_an_error_and_the_rules_are_judged() -> None:
    for told in (
        ask("subject.stage == 'evaluated'", when="'x' in subject.tags"),
        ask("subject.stage == 'evaluated'", scope=BindingScope(tags=("x",))),
    ):
        assert told["p/when"][0] == "error"
        assert "subject.tags" in told["p/when"][1]
        assert told["p/r"] == ("pass", "")


def test_a_scope_that_leaves_it_out_leaves_it_out() -> None:
    assert ask("false", scope=BindingScope(risk_tiers=("minimal",))) == {}
    assert ask("false", scope=BindingScope(systems=("cards",))) == {}
    assert ask("false", when="subject.risk_tier == 'minimal'") == {}


Change = Callable[[Dossier], Dossier]


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given,
        lambda given: replace(given, targets=()),
        lambda given: samples.without_evidence(given, "check.bias"),
    ],
    ids=["whole", "no targets", "no bias"],
)
def test_what_is_asked_again_says_the_same_as_then(change: Change) -> None:
    from registry.policy import decide, shipped_policies

    shipped = shipped_policies()
    policies = {policy.name: policy for policy in shipped.policies}
    gate = [bind(policies[binding.policy], binding) for binding in shipped.bindings]
    given = change(samples.dossier())
    recorded = dossier_from_json(json.loads(json.dumps(as_json(given))))
    again = [result for bound in gate for result in rejudge(bound, recorded, STEP)]
    assert tuple(again) == decide(gate, given, open_step=False).results
