"""Roles, groups and loans: who may give them, how they end, and what stays of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from integration.builder import Builder
from integration.peopled import soon
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from registry.api import Registry
from registry.errors import (
    AlreadyExists,
    BadInput,
    BadName,
    DatabaseUnusable,
    NotFound,
    NotPermitted,
    RegistryError,
)
from registry.storage.tables import GrantRow


def roles(builder: Builder, name: str) -> list[str]:
    return builder.acting("root").people.person(name)[0].roles


@pytest.fixture
def people(builder: Builder) -> Builder:
    """Of them ruth approves, ravi reviews, otto audits, dora deploys; root is admin, alice nothing yet."""
    root = builder.acting("root").people
    for name, role in (("ruth", "approver"), ("ravi", "reviewer"), ("otto", "auditor"), ("dora", "deployer")):
        root.grant(name, role)
    builder.acting("alice").add_system("credit", purpose="lends", risk_tier="limited")
    return builder


# -- roles ---------------------------------------------------------------------------------------


def test_who_makes_a_registry_is_its_admin_and_others_are_developers(people: Builder) -> None:
    assert roles(people, "root") == ["admin", "developer"]
    assert roles(people, "alice") == ["developer"]
    assert roles(people, "ruth") == ["approver"]


def test_a_role_is_granted_and_revoked_and_its_row_stays(people: Builder) -> None:
    root = people.acting("root")
    root.people.revoke("ruth", "approver")
    assert roles(people, "ruth") == ["developer"]
    root.people.grant("ruth", "approver")
    assert roles(people, "ruth") == ["approver"]
    _, tenures = root.people.person("ruth")
    assert [(row.kind, row.what, row.by, row.ended_by) for row in tenures] == [
        ("role", "approver", "root", "root"),
        ("role", "approver", "root", ""),
    ]
    assert tenures[0].ended_at is not None
    told = [entry.text for entry in root.log() if entry.text.startswith("ruth is")]
    assert told == ["ruth is approver now", "ruth is approver no more", "ruth is approver now"]
    assert root.verify().ok


def test_the_last_admin_stays(people: Builder) -> None:
    root = people.acting("root").people
    with pytest.raises(NotPermitted, match="root is the last admin") as caught:
        root.revoke("root", "admin")
    assert caught.value.hint == "grant another first: phasegate people grant NAME admin"
    root.grant("ada", "admin")
    people.acting("ada").people.revoke("root", "admin")
    assert roles(people, "root") == ["developer"]
    with pytest.raises(NotPermitted, match="ada is the last admin"):
        people.acting("ada").people.revoke("ada", "admin")


CHANGES: dict[str, Callable[[Registry], None]] = {
    "grant": lambda one: one.people.grant("alice", "approver"),
    "revoke": lambda one: one.people.revoke("ruth", "approver"),
    "add_group": lambda one: one.people.add_group("others"),
    "join": lambda one: one.people.join("model-risk", "alice"),
    "leave": lambda one: one.people.leave("model-risk", "ruth"),
}


@pytest.fixture
def grouped(people: Builder) -> Builder:
    people.acting("root").people.add_group("model-risk")
    people.acting("root").people.join("model-risk", "ruth")
    return people


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["alice", "ruth", "ravi", "dora"])
def test_only_admins_change_what_people_are(grouped: Builder, name: str, change: str) -> None:
    size = grouped.acting("root").verify().size
    with pytest.raises(NotPermitted, match=f"{name} is .*takes the role admin"):
        CHANGES[change](grouped.acting(name))
    assert grouped.acting("root").verify().size == size


@pytest.mark.parametrize("change", CHANGES)
def test_a_lent_admin_cannot_make_it_last(grouped: Builder, change: str) -> None:
    root = grouped.acting("root")
    root.people.delegate("admin", "ravi", until=soon(days=1), reason="on leave")
    assert "admin" in roles(grouped, "ravi")
    with pytest.raises(NotPermitted, match="ravi is admin by delegation only"):
        CHANGES[change](grouped.acting("ravi"))


@pytest.mark.parametrize("change", CHANGES)
def test_an_admin_may(grouped: Builder, change: str) -> None:
    CHANGES[change](grouped.acting("root"))
    assert grouped.acting("root").verify().ok


WRONG: list[tuple[Callable[[Registry], Any], type[RegistryError], str, str]] = [
    (
        lambda one: one.people.grant("ruth", "aprover"),
        BadInput,
        "no role 'aprover'",
        "did you mean 'approver'?",
    ),
    (lambda one: one.people.grant("ruth", "approver"), AlreadyExists, "ruth is approver already", ""),
    (lambda one: one.people.grant("r u", "approver"), BadName, "it holds ' '", ""),
    (lambda one: one.people.revoke("ruht", "approver"), NotFound, "nobody is called 'ruht'", "mean 'ruth'?"),
    (lambda one: one.people.revoke("ruth", "admin"), NotFound, "admin was not granted", "ruth is approver"),
    (lambda one: one.people.revoke("alice", "developer"), NotFound, "developer was not granted", ""),
    (lambda one: one.people.add_group("model-risk"), AlreadyExists, "there is a group", ""),
    (lambda one: one.people.add_group("a b"), BadName, "the group's name", ""),
    (lambda one: one.people.join("model-rsk", "ruth"), NotFound, "no group 'model-rsk'", "'model-risk'?"),
    (lambda one: one.people.join("model-risk", "ruht"), NotFound, "nobody is called 'ruht'", "'ruth'?"),
    (lambda one: one.people.join("model-risk", "ruth"), AlreadyExists, "ruth is in model-risk", ""),
    (lambda one: one.people.leave("model-risk", "ravi"), NotFound, "ravi is not in model-risk", ""),
    (lambda one: one.people.person("ruht"), NotFound, "nobody is called 'ruht'", "did you mean 'ruth'?"),
]


@pytest.mark.parametrize(("change", "error", "said", "hint"), WRONG)
def test_what_is_wrong_is_named(
    grouped: Builder, change: Callable[[Registry], Any], error: type[RegistryError], said: str, hint: str
) -> None:
    size = grouped.acting("root").verify().size
    with pytest.raises(error, match=said) as caught:
        change(grouped.acting("root"))
    assert hint in caught.value.hint
    assert grouped.acting("root").verify().size == size


def test_groups_are_joined_and_left(grouped: Builder) -> None:
    root = grouped.acting("root").people
    root.join("model-risk", "ravi")
    root.leave("model-risk", "ruth")
    (group,) = root.groups()
    assert (group.name, group.members, group.created_by) == ("model-risk", ["ravi"], "root")
    root.join("model-risk", "ruth")
    assert root.person("ruth")[0].groups == ["model-risk"]
    assert [row.kind for row in root.person("ruth")[1]] == ["role", "group", "group"]


# -- auditors ------------------------------------------------------------------------------------


WRITES: dict[str, Callable[[Registry], Any]] = {
    "add a system": lambda one: one.add_system("mail", purpose="sorts", risk_tier="minimal"),
    "plan": lambda one: one.plan("loans", system="credit"),
    "promote": lambda one: one.promote("loans/1", "prepared"),
    "approve": lambda one: one.approve("loans/1", "prepared"),
    "point an alias": lambda one: one.move_alias("loans/1", "draft"),
    "grant": lambda one: one.people.grant("otto", "admin"),
    "lend": lambda one: one.people.delegate("auditor", "ruth", until=soon(days=1), reason="ill"),
}


@pytest.mark.parametrize("write", WRITES)
def test_an_auditor_reads_and_writes_nothing(people: Builder, write: str) -> None:
    people.acting("alice").plan("loans", system="credit")
    otto = people.acting("otto")
    size = otto.verify().size
    with pytest.raises(NotPermitted, match="otto is auditor and nothing else"):
        WRITES[write](otto)
    assert otto.verify().size == size
    assert otto.version("loans/1").stage == "planned"


def test_nobody_stands_in_through_an_auditor(people: Builder) -> None:
    with pytest.raises(NotPermitted, match="otto is auditor and nothing else"):
        people.acting("ruth").people.delegate("approver", "otto", until=soon(days=1), reason="ill")


# -- nobody is deleted ---------------------------------------------------------------------------


def test_an_actor_cannot_be_deleted(people: Builder) -> None:
    for statement in ("DELETE FROM actors WHERE name = 'ruth'", "DELETE FROM grants", "DELETE FROM actors"):
        with (
            pytest.raises((DBAPIError, DatabaseUnusable), match=r"(?i)delete of \w+ is refused"),
            people.database.ungoverned() as connection,
        ):
            connection.execute(text(statement))
    assert roles(people, "ruth") == ["approver"]
    assert people.acting("root").verify().ok


def test_what_a_row_says_cannot_be_changed_while_it_is_ended(people: Builder) -> None:
    for change in ("role = 'admin'", "created_by = created_by + 1", "actor_id = 1"):
        with (
            pytest.raises((DBAPIError, DatabaseUnusable), match=r"(?i)update of grants is refused"),
            people.database.ungoverned() as connection,
        ):
            connection.execute(
                text(
                    f"UPDATE grants SET ended_at = '2030-01-01 00:00:00+00', {change} WHERE role = 'approver'"
                )
            )


# -- loans ---------------------------------------------------------------------------------------


def lend(people: Builder, **changes: Any) -> None:
    given = {"lender": "ruth", "role": "approver", "to": "ravi", "until": soon(days=1), "reason": "on leave"}
    given |= changes
    lender = people.acting(given.pop("lender"))
    lender.people.delegate(given.pop("role"), given.pop("to"), **given)


def test_a_role_is_lent_for_a_while(people: Builder) -> None:
    end = soon(days=1)
    lend(people, until=end)
    person, tenures = people.acting("root").people.person("ravi")
    assert person.roles == ["approver", "reviewer"]
    assert person.lent == {"approver": ["ruth"]}
    loan = tenures[-1]
    assert (loan.kind, loan.what, loan.other, loan.reason) == ("lent by", "approver", "ruth", "on leave")
    assert (loan.until, loan.ended_at) == (end, None)
    assert people.acting("root").people.person("ruth")[1][-1].kind == "lends to"
    assert people.acting("root").log()[-1].text == f"ravi is approver for ruth until {end:%Y-%m-%d %H:%M}"


def test_who_borrows_is_still_a_developer(people: Builder) -> None:
    lend(people, to="alice")
    assert roles(people, "alice") == ["approver", "developer"]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"role": "aprover"}, BadInput, "there is no role 'aprover'"),
        ({"reason": " "}, BadInput, "a delegation needs a reason"),
        ({"until": soon(seconds=-1)}, BadInput, "over before it begins"),
        ({"to": "ruth"}, BadInput, "ruth cannot stand in for themselves"),
        ({"to": "rvai"}, NotFound, "nobody is called 'rvai'"),
        ({"lender": "alice"}, NotPermitted, "alice is developer: only an own role can be lent, not approver"),
        ({"lender": "alice", "role": "developer"}, NotPermitted, "only an own role can be lent"),
        ({"role": "admin"}, NotPermitted, "ruth is approver: only an own role can be lent, not admin"),
    ],
)
def test_what_cannot_be_lent(
    people: Builder, changes: dict[str, Any], error: type[RegistryError], said: str
) -> None:
    size = people.acting("root").verify().size
    with pytest.raises(error, match=said):
        lend(people, **changes)
    assert people.acting("root").verify().size == size


def test_a_loan_cannot_be_lent_on(people: Builder) -> None:
    lend(people)
    with pytest.raises(NotPermitted, match="ravi is approver by delegation only: a loan cannot be lent on"):
        lend(people, lender="ravi", to="alice")


def test_nothing_is_lent_twice_or_to_somebody_who_has_it(people: Builder) -> None:
    lend(people)
    with pytest.raises(AlreadyExists, match="ravi is approver for ruth already"):
        lend(people)
    people.acting("root").people.grant("dora", "approver")
    with pytest.raises(AlreadyExists, match="dora is approver already"):
        lend(people, to="dora")


def test_a_loan_goes_when_the_lender_loses_the_role_and_does_not_come_back(people: Builder) -> None:
    lend(people)
    people.acting("root").people.revoke("ruth", "approver")
    assert roles(people, "ravi") == ["reviewer"]
    people.acting("root").people.grant("ruth", "approver")
    assert roles(people, "ravi") == ["reviewer"]
    loan = people.acting("root").people.person("ravi")[1][-1]
    assert (loan.ended_by, loan.ended_at is None) == ("root", False)
    assert people.acting("root").verify().ok


@pytest.mark.parametrize("who", ["ruth", "ravi", "root"])
def test_a_loan_is_ended_by_either_side_or_an_admin(people: Builder, who: str) -> None:
    lend(people)
    people.acting(who).people.undelegate("approver", "ravi", lender="ruth")
    assert roles(people, "ravi") == ["reviewer"]
    with pytest.raises(NotFound, match="ruth lends approver to ravi no more"):
        people.acting(who).people.undelegate("approver", "ravi", lender="ruth")
    assert people.acting("root").verify().ok


def test_nobody_else_ends_a_loan(people: Builder) -> None:
    lend(people)
    with pytest.raises(NotPermitted, match="dora is deployer"):
        people.acting("dora").people.undelegate("approver", "ravi", lender="ruth")
    assert "approver" in roles(people, "ravi")


# -- at the same time ----------------------------------------------------------------------------


def test_two_admins_who_revoke_each_other_do_not_both_succeed(people: Builder) -> None:
    """Whoever is first has made the other one no admin."""
    for _ in range(5):
        before = [name for name in ("root", "ada") if "admin" in roles_of(people, name)]
        for name in {"root", "ada"} - set(before):
            people.acting(before[0]).people.grant(name, "admin")
        ready, answers = threading.Barrier(2), []

        def revoke(one: Registry, other: str, ready: threading.Barrier, answers: list[str]) -> None:
            ready.wait()
            try:
                one.people.revoke(other, "admin")
                answers.append("revoked")
            except NotPermitted as error:
                answers.append(error.message)

        threads = [
            threading.Thread(target=revoke, args=(people.acting(one), other, ready, answers))
            for one, other in (("root", "ada"), ("ada", "root"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (refused,) = (answer for answer in answers if answer != "revoked")
        assert len(answers) == 2
        assert "takes the role admin" in refused
    with people.database.read() as session:
        admins = select(func.count()).where(GrantRow.role == "admin", GrantRow.ended_at.is_(None))
        assert session.scalar(admins) == 1
    assert people.acting("alice").verify().ok


def roles_of(people: Builder, name: str) -> list[str]:
    found = {person.name: person.roles for person in people.acting("alice").people.everybody()}
    return found.get(name, [])
