"""`phasegate policy test|publish|bind|unbind|replay`, and `check` where there is no registry."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from cli.command import Phasegate

POLICY = """\
kind: GatePolicy
metadata: {name: enough-rows, title: Enough rows}
match: {from: [planned], to: [prepared]}
params: {least: 30}
validations:
  - id: rows
    expression: double(data['train'].rows) >= params.least
    message: too few rows
    value: data['train'].rows
    limit: params.least
"""
BINDING = """\
---
kind: GateBinding
metadata: {name: enough-rows}
policy: enough-rows
action: deny
"""
CASES = """\
kind: PolicyCases
policy: enough-rows
step: {from: planned, to: prepared}
base: {data: {train: {rows: 30}}}
cases:
  - {name: enough, expect: pass}
  - {name: one short, given: {data: {train: {rows: 29}}}, expect: fail}
  - {name: none named, given: {data: null}, expect: missing}
  - {name: an exception, given: {data: {train: {rows: 9}}, waivers: [rows]}, expect: waived}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy and its cases, as people keep them."""
    (tmp_path / "policies/cases").mkdir(parents=True)
    (tmp_path / "policies/rows.yaml").write_text(POLICY + BINDING)
    (tmp_path / "policies/cases/rows.yaml").write_text(CASES)
    return tmp_path / "policies"


@pytest.fixture
def bare(phasegate: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """The command line where nobody ever made a registry."""
    monkeypatch.setenv("PHASEGATE_HOME", str(tmp_path / "nothing"))
    return phasegate


def change(file: Path, right: str, typed: str) -> None:
    text = file.read_text()
    assert text.count(right) == 1
    file.write_text(text.replace(right, typed))


# -- test ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [".", "rows.yaml", "cases/rows.yaml"])
def test_cases_are_judged_without_a_registry(
    named: str, bare: Phasegate, folder: Path, tmp_path: Path
) -> None:
    answer = bare("policy", "test", folder / named, "--require-coverage", "--mutate")
    assert answer.out.splitlines()[1].split("\t") == [
        "enough-rows",
        "rows",
        "1",
        "1",
        "1",
        "-",
        "-",
        "1",
        "-",
    ]
    assert answer.out.endswith("4 cases, none failed; coverage 100.0% (4 of 4); 4 of 4 mutants noticed\n")
    assert not (tmp_path / "nothing").exists()


def test_a_case_that_fails_says_why_and_exits_with_1(bare: Phasegate, folder: Path) -> None:
    cases = folder / "cases/rows.yaml"
    change(cases, "rows: 29}}}, expect: fail", "rows: 29}}}, expect: pass")
    out = bare("policy", "test", folder, expect=1).out
    assert (
        f"FAILED {cases}:7: enough-rows: one short\n"
        "  rows: expected pass, got fail\n"
        "    message: too few rows\n"
        "    value: 29\n"
        "    limit: 30\n"
    ) in out
    assert out.endswith("4 cases, 1 failed; coverage 75.0% (3 of 4)\n")
    told = bare("policy", "test", folder, "--json", expect=1).json
    assert told["passed"] is False
    assert [(one["name"], one["wrong"][0]["outcome"]) for one in told["cases"] if one["wrong"]] == [
        ("one short", "fail")
    ]
    assert told["coverage"]["rules"][0]["lacking"] == ["fail"]


def test_coverage_below_what_is_asked_exits_with_1(bare: Phasegate, folder: Path) -> None:
    change(folder / "cases/rows.yaml", "  - {name: none named, given: {data: null}, expect: missing}\n", "")
    bare("policy", "test", folder)
    bare("policy", "test", folder, "--cover", "0.75")
    out = bare("policy", "test", folder, "--cover", "0.76", expect=1).out
    assert (
        "FAILED coverage is 75.0%, and 76.0% is asked for\n  enough-rows/rows: no case where it is missing"
        in out
    )
    bare("policy", "test", folder, "--require-coverage", expect=1)
    assert "1.2" in bare("policy", "test", folder, "--cover", "1.2", expect=2).err


def test_a_mutant_that_survives_exits_with_1_and_is_shown_where_it_is(bare: Phasegate, folder: Path) -> None:
    change(folder / "cases/rows.yaml", "rows: 29}", "rows: 20}")
    out = bare("policy", "test", folder, "--mutate", expect=1).out
    assert f"FAILED {folder / 'rows.yaml'}:4:10: enough-rows/params.least: 30 -> 29: no case notices\n" in out
    assert out.endswith("3 of 4 mutants noticed\n")
    told = bare("policy", "test", folder, "--mutate", "--json", expect=1).json
    assert told["mutants"]["tried"] == 4
    assert len(told["mutants"]["surviving"]) == 1


@pytest.mark.parametrize("text", [None, "kind: PolicyCases\npolicy: enough-rows\ncases: []\n"])
def test_an_empty_set_fails(text: str | None, bare: Phasegate, folder: Path) -> None:
    cases = folder / "cases/rows.yaml"
    cases.unlink() if text is None else cases.write_text(text)
    out = bare("policy", "test", folder, expect=1).out
    assert "FAILED enough-rows has no cases: an empty set of cases fails" in out


def test_a_folder_without_policies_fails(bare: Phasegate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no policy to test" in bare("policy", "test", tmp_path / "empty", expect=1).out


def test_mistakes_are_told_with_their_places_and_exit_with_2(bare: Phasegate, folder: Path) -> None:
    cases = folder / "cases/rows.yaml"
    change(cases, "rows: 29}}}, expect: fail", "rows: 29}}}, expect: {rws: fail, '*': pass}")
    change(cases, "expect: missing", "expect: mising")
    answer = bare("policy", "test", folder, expect=2)
    assert answer.out == ""
    assert answer.err.splitlines() == [
        f"Error: {cases}:7:68: enough-rows has no rule 'rws' (did you mean 'rows'?)",
        f"{cases}:8:53: 'mising' is no outcome (did you mean 'missing'?)",
        "  -> 2 problems; nothing was done",
    ]
    assert bare("policy", "test", folder, "--json", expect=2).error["code"] == "bad-document"
    assert "cannot be read" in bare("policy", "test", folder / "nothing.yaml", expect=2).err


def test_junit_is_written_whole(bare: Phasegate, folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "reports/policies.xml"
    change(folder / "cases/rows.yaml", "rows: 29}}}, expect: fail", "rows: 29}}}, expect: pass")
    bare("policy", "test", folder, "--junit", report, expect=1)
    root = ET.parse(report).getroot()
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "4", "1")
    assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == [
        "one short"
    ]
    assert [path.name for path in report.parent.iterdir()] == ["policies.xml"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert "cannot be written" in bare("policy", "test", folder, "--junit", blocked / "x.xml", expect=2).err


def test_a_lifecycle_of_ones_own(bare: Phasegate, folder: Path, tmp_path: Path) -> None:
    life = tmp_path / "life.yaml"
    life.write_text(
        "kind: Lifecycle\nmetadata: {name: small}\nstages: [idea, ready]\n"
        "steps: [{from: idea, to: ready}]\n"
        "work: {data: [idea], design: [idea], train: [idea], deploy: [ready], retire: [ready]}\n"
    )
    assert "there is no stage 'prepared'" in bare("policy", "test", folder, "--lifecycle", life, expect=2).err
    for file in (folder / "rows.yaml", folder / "cases/rows.yaml"):
        file.write_text(file.read_text().replace("planned", "idea").replace("prepared", "ready"))
    bare("policy", "test", folder, "--lifecycle", life)
    bare("policy", "check", folder / "rows.yaml", "--lifecycle", life)
    bare("policy", "check", folder / "rows.yaml", expect=1)


# -- check ---------------------------------------------------------------------------------------


def test_check_works_without_a_registry_and_says_so(bare: Phasegate, folder: Path, tmp_path: Path) -> None:
    answer = bare("policy", "check", folder / "rows.yaml")
    assert answer.out == f"{folder / 'rows.yaml'}: no problems\n"
    assert answer.err == "There is no registry here: checked against the shipped lifecycle.\n"
    change(folder / "rows.yaml", "params.least\n    message", "params.lest\n    message")
    assert "did you mean 'least'?" in bare("policy", "check", folder / "rows.yaml", expect=1).out
    assert not (tmp_path / "nothing").exists()


def test_check_with_a_registry_that_was_named_and_is_not_there(bare: Phasegate, folder: Path) -> None:
    answer = bare("policy", "check", folder / "rows.yaml", "--home", folder / "no", expect=2)
    assert "there is no registry" in answer.err


@pytest.mark.parametrize("where", ["phasegate", "bare"])
def test_check_reads_cases_too(where: str, folder: Path, request: pytest.FixtureRequest) -> None:
    command = request.getfixturevalue(where)
    cases = folder / "cases/rows.yaml"
    command("policy", "check", cases)
    change(cases, "rows: 29}", "rws: 29}")
    (problem,) = command("policy", "check", cases, "--json", expect=1).json
    assert (problem["file"], problem["line"], problem["hint"]) == (str(cases), 7, "did you mean 'rows'?")


# -- publish, bind, unbind, list, show -----------------------------------------------------------


def test_a_policy_is_rolled_out(phasegate: Phasegate, version: str, folder: Path) -> None:
    file = folder / "rows.yaml"
    file.write_text(POLICY)
    out = phasegate("policy", "publish", file).out
    assert "enough-rows: published (sha256:" in out
    assert "not in force: phasegate policy bind enough-rows --action audit" in out
    phasegate("policy", "bind", "enough-rows", "--action", "audit")
    assert "enough-rows/rows (audit only)" in phasegate("gate", "explain", version, "prepared", expect=1).out
    phasegate("policy", "bind", "enough-rows", "--action", "deny", "--set", "least=1000", "--system", "mood")
    assert "too few rows" in phasegate("promote", version, "prepared", expect=1).out
    listed = {row["name"]: row for row in phasegate("policy", "list", "--json").json}
    assert listed["enough-rows"]["bindings"] == {"enough-rows": "deny"}
    change(file, "least: 30", "least: 3")
    out = phasegate("policy", "publish", file).out
    assert "enough-rows stays in force with the older version sha256:" in out
    again = (
        "phasegate policy bind enough-rows --name enough-rows --set least=1000.0 --system mood --action deny"
    )
    assert f"-> {again}\n" in out
    assert "enough-rows\tprepared\t1\tan older version" in phasegate("policy", "list").out
    phasegate(*again.split()[1:])
    assert "enough-rows=deny" in phasegate("policy", "show", "enough-rows").out
    phasegate("policy", "unbind", "enough-rows", "--reason", "data grew")
    history = phasegate("policy", "list", "--history").out
    assert "no longer in force: enough-rows: data grew" in history
    phasegate.verify()


def test_a_version_is_shown_by_its_digest(phasegate: Phasegate, folder: Path) -> None:
    file = folder / "rows.yaml"
    first = phasegate("policy", "publish", file, "--json").json[0]["digest"]
    change(file, "least: 30", "least: 3")
    phasegate("policy", "publish", file)
    assert phasegate("policy", "show", "enough-rows", "--json").json["document"]["params"] == {"least": 3.0}
    old = phasegate("policy", "show", f"enough-rows@{first[7:15]}")
    assert "least=30" in old.out
    assert "in force  no" in old.out
    assert "did you mean 'enough-rows'?" in phasegate.refuses("policy", "show", "enough-row").err
    assert "has no version" in phasegate.refuses("policy", "show", "enough-rows@00000000").err


def test_what_cannot_be_bound_is_refused_and_changes_nothing(phasegate: Phasegate) -> None:
    for arguments, said in (
        (("approvls", "--action", "deny"), "did you mean 'approvals'?"),
        (("approvals", "--action", "denny"), "denny"),
        (("approvals", "--action", "deny", "--set", "neded=3"), "did you mean 'needed'?"),
        (("approvals", "--action", "deny", "--set", "needed"), "KEY=VALUE"),
        (("approvals", "--action", "deny", "--to", "deploied"), "did you mean 'deployed'?"),
        (("approvals", "--action", "deny", "--to", "@champoin"), "did you mean '@champion'?"),
        (("approvals", "--action", "deny", "--risk-tier", "hihg"), "did you mean 'high'?"),
        (("approvals", "--action", "deny", "--name", "a b"), "cannot be used"),
    ):
        assert said in phasegate.refuses("policy", "bind", *arguments).err
    assert (
        "did you mean 'approvals-high'?"
        in phasegate.refuses("policy", "unbind", "aprovals-high", "--reason", "x").err
    )
    assert (
        "takes the role admin"
        in phasegate.refuses(
            "policy", "bind", "approvals", "--action", "audit", "--as", "mallory", code=1
        ).err
    )


# -- replay --------------------------------------------------------------------------------------


def test_replay_shows_what_would_have_changed(phasegate: Phasegate, version: str, folder: Path) -> None:
    file = folder / "rows.yaml"
    phasegate("policy", "publish", file)
    phasegate("promote", version, "prepared", expect=1)
    change(file, "least: 30", "least: 1")
    before = phasegate.state()
    out = phasegate("policy", "replay", file).out
    assert f"{version}  planned -> prepared" in out
    assert "  enough-rows/rows: fail -> pass\n" in out
    assert out.endswith("1 decisions: 0 would be stopped, 0 let through; rules say something else in 1.\n")
    (alone,) = phasegate("policy", "replay", file, "--only", "--json").json
    assert (alone["allowed"], alone["would_be_allowed"], alone["verdict"]) == (False, True, "let through")
    assert phasegate("policy", "replay", file, "--since", "2100-01-01", "--json").json == []
    assert phasegate.state() == before
    assert "is no time" in phasegate.refuses("policy", "replay", file, "--since", "soon").err
    assert (
        "did you mean 'enough-rows'?"
        in phasegate.refuses("policy", "replay", file, "--policy", "enugh-rows").err
    )
