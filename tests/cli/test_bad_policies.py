"""Policy files with mistakes: found before publication, each with its line and column."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from cli.command import Phasegate

from registry.storage.home import Home

POLICY = """\
kind: GatePolicy
metadata:
  name: enough-rows
  title: Enough rows
match: {to: [prepared]}
params:
  least: 30
validations:
  - id: rows
    expression: double(data['train'].rows) >= params.least
    message: too few rows
---
kind: GateBinding
metadata: {name: enough-rows}
policy: enough-rows
action: deny
"""
# What is right, what is typed instead, where in that the problem is, and what is said of it.
TYPOS = {
    "field": ("rows)", "row)", ".row)", "no field 'row' (did you mean 'rows'?)"),
    "parameter": (
        "params.least\n",
        "params.lest\n",
        "params.lest",
        "no parameter 'lest' (did you mean 'least'?)",
    ),
    "variable": ("data['train']", "dta['train']", "dta", "'dta'"),
    "operator": (">= params", ">>= params", ">= params", ""),
    "key": ("validations:", "validation:", "validation:", "did you mean 'validations'?"),
    "stage": ("[prepared]", "[prepard]", "prepard", "there is no stage 'prepard' (did you mean 'prepared'?)"),
    "kind": ("kind: GatePolicy", "kind: GatePolcy", "GatePolcy", "did you mean 'GatePolicy'?"),
    "action": ("action: deny", "action: denny", "denny", "did you mean 'deny'?"),
    "policy": ("policy: enough-rows", "policy: enough-row", "enough-row\n", "did you mean 'enough-rows'?"),
    "twice": ("  least: 30", "  least: 30\n  least: 40", "least: 40", "two fields 'least'"),
    "tab": ("    message", "\tmessage", "\tmessage", "found character"),
}


@pytest.fixture
def check(phasegate: Phasegate, tmp_path: Path) -> Callable[..., tuple[str, list[dict[str, object]]]]:
    """`policy check` of a text: what it says, and its problems as JSON."""

    def checked(text: str | bytes, code: int) -> tuple[str, list[dict[str, object]]]:
        file = tmp_path / "policy.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        before = phasegate.state()
        answer = phasegate("policy", "check", file, expect=code)
        problems = phasegate("policy", "check", file, "--json", expect=code).json
        assert phasegate.state() == before
        return answer.out, problems

    return checked


def test_a_sound_policy_has_no_problems(check) -> None:
    out, problems = check(POLICY, 0)
    assert out.endswith("policy.yaml: no problems\n")
    assert problems == []


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typing_error_is_found_where_it_is(typo: str, check) -> None:
    right, typed, at, words = TYPOS[typo]
    assert POLICY.count(right) == 1
    text = POLICY.replace(right, typed)
    before = text[: text.index(at)]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    out, problems = check(text, 1)
    (problem,) = [found for found in problems if (found["line"], found["column"]) == (line, column)]
    assert words in f"{problem['problem']} ({problem['hint']})"
    assert f"policy.yaml:{line}:{column}: {problem['problem']}" in out


def test_every_mistake_is_told_at_once(check) -> None:
    twice = POLICY.replace("params.least\n", "params.lest\n").replace("action: deny", "action: denny")
    out, problems = check(twice, 1)
    assert [problem["line"] for problem in problems] == [10, 16]
    assert out.endswith("policy.yaml: 2 problems\n")


@pytest.mark.parametrize("text", ["", "# nothing\n", "a word\n", "- a\n- list\n", "{}\n", "kind: 3\n"])
def test_what_is_no_policy(text: str, check) -> None:
    _, problems = check(text, 1)
    assert len(problems) == 1


def test_a_file_that_cannot_be_read(phasegate: Phasegate, tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(POLICY.replace("Enough rows", "Genügend").encode("latin-1"))
    answer = phasegate.refuses("policy", "check", file)
    assert f"{file}: cannot be read: 'utf-8' codec can't decode byte 0xfc" in answer.err
    assert "No such file" in phasegate.refuses("policy", "check", tmp_path / "nothing.yaml").err
    assert "Is a directory" in phasegate.refuses("policy", "check", tmp_path).err


def test_a_bad_lifecycle_makes_no_registry(phasegate: Phasegate, tmp_path: Path) -> None:
    file = tmp_path / "lifecycle.yaml"
    shipped = (files("registry.policies") / "lifecycle.yaml").read_text("utf-8")
    step = "{from: prepared, to: designed}"
    assert step in shipped
    file.write_text(shipped.replace(step, f"{step}\n  - {{from: prepard, to: designed}}"))
    home = tmp_path / "new"
    answer = phasegate("init", "--lifecycle", file, "--home", home, expect=2)
    line = shipped[: shipped.index(step)].count("\n") + 2
    assert f"lifecycle.yaml:{line}:" in answer.err
    assert "did you mean 'prepared'?" in answer.err
    assert not Path(Home.at(home).root / "registry.db").exists()
