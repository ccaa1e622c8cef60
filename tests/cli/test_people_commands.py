"""`phasegate people` and `phasegate approve --for`, as people type them."""

from __future__ import annotations

import pytest
from cli.command import ACTOR, Phasegate

TRUST = "an embedded registry trusts the operating system's user"


@pytest.fixture
def people(phasegate: Phasegate, version: str) -> Phasegate:
    """Two who may approve, one who may stand in, a group."""
    for name, role in (("ruth", "approver"), ("ravi", "approver"), ("dave", "developer")):
        phasegate("people", "grant", name, role)
    phasegate("people", "group", "add", "model-risk")
    return phasegate


def test_roles_come_and_go(people: Phasegate) -> None:
    assert people("people", "grant", "dora", "deployer").out == "dora is deployer.\n"
    assert people("people", "grant", "dora", "reviewer").out == "dora is deployer and reviewer.\n"
    assert people("people", "revoke", "dora", "deployer").out == "dora is reviewer.\n"
    assert people("people", "revoke", "dora", "reviewer").out == "dora is developer.\n"
    shown = people("people", "show", "dora", "--json").json
    assert shown["person"]["roles"] == ["developer"]
    assert [(row["what"], row["ended_by"]) for row in shown["history"]] == [
        ("deployer", ACTOR),
        ("reviewer", ACTOR),
    ]
    lines = people("people", "show", "dora").out.splitlines()
    assert lines[0] == "name   dora"
    assert lines[4].split("\t")[:3] == ["kind", "what", "whom"]
    people.verify()


def test_the_list_says_whom_the_registry_trusts(people: Phasegate) -> None:
    shown = people("people", "list")
    assert shown.out.splitlines()[0].split("\t") == ["name", "roles", "lent by", "groups", "since"]
    assert f"{ACTOR}\tadmin, developer\t\t\t" in shown.out
    assert TRUST in shown.err
    found = people("people", "list", "--json").json
    assert TRUST in found["trust"]
    assert [person["name"] for person in found["people"]] == ["dave", "ravi", "ruth", ACTOR]


def test_doctor_says_so_too(people: Phasegate) -> None:
    (check,) = (check for check in people("doctor", "--json").json if check["name"] == "people")
    assert TRUST in check["text"]


def test_groups(people: Phasegate) -> None:
    assert people("people", "group", "join", "model-risk", "ruth").out == "ruth is in model-risk.\n"
    people("people", "group", "join", "model-risk", "ravi")
    assert people("people", "group", "leave", "model-risk", "ravi").out == "ravi is in model-risk no more.\n"
    (group,) = people("people", "group", "list", "--json").json
    assert (group["name"], group["members"], group["created_by"]) == ("model-risk", ["ruth"], ACTOR)
    assert "model-risk\truth\t" in people("people", "group", "list").out


def test_a_role_is_lent_and_used_and_taken_back(people: Phasegate, version: str) -> None:
    lent = people(
        "people", "delegate", "approver", "dave", "--until", "2d", "--reason", "ill", "--as", "ruth"
    )
    assert lent.out.startswith("dave is approver for ruth until 2")
    assert "dave\tapprover, developer\tapprover=ruth\t" in people("people", "list").out
    said = people("approve", version, "prepared", "--as", "dave").out
    assert said.startswith(f"dave for ruth approved {version} for prepared, as it is now (sha256:")
    people("people", "delegate", "approver", "dave", "--until", "2d", "--reason", "ill", "--as", "ravi")
    refused = people.refuses("approve", version, "prepared", "--as", "dave")
    assert "dave stands in for ravi and ruth: for whom is this?\n  -> say it with --for ravi" in refused.err
    people("reject", version, "prepared", "--for", "ravi", "--reason", "no data", "--as", "dave")
    ended = people("people", "undelegate", "approver", "dave", "--as", "ruth")
    assert ended.out == "dave is approver for ruth no more.\n"
    people("people", "undelegate", "approver", "dave", "--from", "ravi")
    people.refuses("approve", version, "prepared", "--as", "dave", code=1)
    words = people("model", "show", version, "--json").json["approvals"]
    assert [(word["actor"], word["on_behalf_of"], word["verdict"]) for word in words] == [
        ("dave", "ruth", "approved"),
        ("dave", "ravi", "rejected"),
    ]
    people.verify()


def test_an_approval_of_ones_own_work_says_that_it_is_none(people: Phasegate, version: str) -> None:
    people("people", "grant", ACTOR, "approver")
    said = people("approve", version, "prepared").out
    assert "It is no independent word" in said
    assert "It is no" not in people("approve", version, "prepared", "--as", "ruth").out


def test_what_was_approved_and_has_changed_is_named(people: Phasegate, version: str) -> None:
    people("approve", version, "prepared", "--as", "ruth", "--reason", "good plan")
    assert "\tyes\tyes\tgood plan\t" in people("model", "show", version).out
    people("model", "design", version, "--set", "layers=2")
    assert "stale: design changed" in people("model", "show", version).out
    explained = people("gate", "explain", version, "prepared", "--json", expect=1).json
    (approval,) = explained["dossier"]["approvals"]
    assert (approval["current"], approval["changed"]) == (False, ["design"])


@pytest.mark.parametrize(
    ("command", "code", "said", "hint"),
    [
        (f"people revoke {ACTOR} admin", 1, f"{ACTOR} is the last admin", "grant another first"),
        ("people grant ruth aprover", 2, "there is no role 'aprover'", "did you mean 'approver'?"),
        ("people grant ruth approver", 2, "ruth is approver already", "phasegate people show ruth"),
        (
            "people grant ruth admin --as ruth",
            1,
            "ruth is approver: to grant roles takes",
            "people grant ruth",
        ),
        ("people revoke ruht approver", 2, "nobody is called 'ruht' here", "did you mean 'ruth'?"),
        ("people show somebody-else", 2, "nobody is called", "people grant somebody-else developer"),
        (
            "people group join model-rsk ruth",
            2,
            "there is no group 'model-rsk'",
            "did you mean 'model-risk'?",
        ),
        (
            "people delegate approver dave --until 2d --reason x",
            1,
            "only an own role can be lent",
            "people list",
        ),
        ("people delegate approver dave --until soon --reason x --as ruth", 2, "'soon' is no time", "30d"),
        (
            "people delegate approver dave --until 2020-01-01 --reason x --as ruth",
            2,
            "is past",
            "--until 30d",
        ),
        ("people delegate approver dave --until 2d --as ruth", 2, "Missing option '--reason'", ""),
        (
            "people undelegate approver dave --as ruth",
            2,
            "ruth lends approver to dave no more",
            "people show",
        ),
    ],
)
def test_what_is_refused(people: Phasegate, command: str, code: int, said: str, hint: str) -> None:
    answer = people.refuses(*command.split(), code=code)
    assert said in answer.err
    assert hint in answer.err


def test_an_auditor_reads_only(people: Phasegate, version: str) -> None:
    people("people", "grant", "otto", "auditor")
    for words in (("model", "show", version), ("audit", "verify"), ("people", "list")):
        people(*words, "--as", "otto")
    for words in (("model", "alias", version, "draft"), ("model", "design", version, "--set", "layers=2")):
        assert "otto is auditor and nothing else" in people.refuses(*words, "--as", "otto", code=1).err
