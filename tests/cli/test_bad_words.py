"""Names, references, targets, stages and times that cannot be: each refused, with the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.command import ACTOR, Phasegate

LETTERS = "use letters, digits, '.', '_' and '-'"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/b", "name 'a/b' cannot be used: it holds '/'"),
        ("a b", "name 'a b' cannot be used: it holds ' '"),
        ("x" * 300, "name has 300 characters: at most 100 (it begins 'xxxx"),
        ("..", "name '..' cannot be used: it must begin with a letter or digit and hold no '..'"),
        ("a..b", "name 'a..b' cannot be used"),
        (".hidden", "name '.hidden' cannot be used: it must begin with a letter or digit"),
        ("", "name is empty"),
        ("naïve", "name 'naïve' cannot be used: it holds 'ï'"),
        ("数据", "name '数据' cannot be used: it holds '据', '数'"),
        ("a\nb", r"name 'a\nb' cannot be used: it holds '\n'"),
        ("a\x1b[31mb", r"name 'a\x1b[31mb' cannot be used: it holds '\x1b', '['"),
    ],
)
def test_a_name_that_cannot_be_used(name: str, message: str, phasegate: Phasegate, tmp_path: Path) -> None:
    file = tmp_path / "words.csv"
    file.write_text("text\ngood\n")
    for what, command in {
        "dataset's": ("dataset", "add", name, file),
        "system's": ("system", "add", name, "--purpose", "p", "--risk-tier", "limited"),
        "actor's": ("dataset", "add", "words", file, "--as", name) if name else None,
    }.items():
        if command is not None:
            answer = phasegate.refuses(*command)
            assert f"the {what} {message}" in answer.err
            assert "\x1b" not in answer.err


def test_the_model_and_the_role_have_names_too(phasegate: Phasegate, version: str, words: str) -> None:
    plan = ("model", "plan", "a b", "--system", "mood")
    assert "the model's name 'a b' cannot be used: it holds ' '" in phasegate.refuses(*plan).err
    linked = phasegate.refuses("model", "data", version, f"tr ain={words}")
    assert f"the role 'tr ain' cannot be used: it holds ' '\n  -> {LETTERS}" in linked.err


@pytest.mark.parametrize(
    ("ref", "message", "hint"),
    [
        ("moods", "'moods' names no version", "write moods/1 for its first version"),
        ("", "'' names no version", "write NAME/1 for its first version"),
        ("moods@champion", "moods@champion points to no version", "phasegate model alias moods/N champion"),
        ("moodz@champion", "there is no model 'moodz'", "did you mean 'moods'?"),
        ("moods@", "the alias is empty", ""),
        ("moods@a b", "the alias 'a b' cannot be used: it holds ' '", LETTERS),
        ("moods/", "'moods/': '' is no version number", "versions are 1, 2, 3, ..."),
        ("moods/0", "'0' is no version number", ""),
        ("moods/01", "'01' is no version number", ""),
        ("moods/-1", "'-1' is no version number", ""),
        ("moods/1.5", "'1.5' is no version number", ""),
        ("moods/x", "'x' is no version number", ""),
        ("moods/\uff11", "'\uff11' is no version number", ""),
        ("moods/99999999999999999999", "is no version number", ""),
        ("/1", "the name in the reference is empty", ""),
        ("../1", "the name in the reference '..' cannot be used", LETTERS),
        ("a/b/1", "the name in the reference 'a/b' cannot be used: it holds '/'", LETTERS),
        ("moods/9", "model 'moods' has no version 9", "its newest version is moods/1"),
        ("moodz/1", "there is no model 'moodz'", "did you mean 'moods'?"),
        ("quite-different/1", "there is no model 'quite-different'", "phasegate model plan NAME"),
    ],
)
def test_a_reference_to_nothing(
    ref: str, message: str, hint: str, phasegate: Phasegate, version: str
) -> None:
    # A model has a history, too.
    history = [("model", "history")] if "/" in ref else []
    for command in (("model", "show"), ("report",), *history):
        answer = phasegate.refuses(*command, ref)
        assert message in answer.err
        assert hint in answer.err


def test_mlflows_way_to_write_a_reference_is_understood(phasegate: Phasegate, version: str) -> None:
    assert phasegate("model", "show", "models:/moods/1", "--json").json["ref"] == version


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        ("dataset show wrods/1", "there is no dataset 'wrods'", "did you mean 'words'?"),
        ("dataset show words/2", "dataset 'words' has no version 2", "its newest version is words/1"),
        ("system show mod", "there is no system 'mod'", "did you mean 'mood'?"),
        ("model plan x --system modo", "there is no system 'modo'", "did you mean 'mood'?"),
        ("model plan x --system mood --data train=wrods/1", "there is no dataset 'wrods'", "'words'"),
        ("plugin show profle", "there is no plugin 'profle'", "did you mean 'profile'?"),
        ("run profle words/1", "there is no plugin 'profle'", "did you mean 'profile'?"),
        ("run profile words/7", "dataset 'words' has no version 7", "its newest version is words/1"),
        ("run bias moods/7", "model 'moods' has no version 7", "its newest version is moods/1"),
        (
            "policy show group-farness",
            "there is no published policy 'group-farness'",
            "did you mean 'group-fairness'?",
        ),
        ("model list --stage deployd", "there is no stage 'deployd'", "did you mean 'deployed'?"),
        ("runs list --state lots", "there is no run state 'lots'", "lost"),
        ("runs show 7", "there is no run 7", "phasegate runs list"),
        ("runs logs 7", "there is no run 7", "phasegate runs list"),
        ("deployment show 7", "there is no deployment 7", "phasegate deployment list"),
        ("deployment stop 7", "there is no active deployment 7", "phasegate deployment list"),
        ("runs show 99999999999999999999", "is not in the range", ""),
        ("runs show 0", "is not in the range", ""),
        ("runs list -n -1", "is not in the range", ""),
        ("audit log -n -1", "is not in the range", ""),
    ],
)
def test_what_does_not_exist(
    command: str, message: str, hint: str, phasegate: Phasegate, version: str
) -> None:
    answer = phasegate.refuses(*command.split())
    assert message in answer.err
    assert hint in answer.err


@pytest.mark.parametrize(
    "target",
    [
        "f1",
        "f1>",
        "f1>=",
        ">=0.9",
        "f1>=nan",
        "f1>=inf",
        "f1>=1e999",
        "f1=>0.9",
        "f1==0.9",
        "f1>=0,9",
        "1f>=0.9",
        "",
    ],
)
def test_a_target_that_is_none(target: str, phasegate: Phasegate, version: str) -> None:
    answer = phasegate.refuses("model", "plan", "moods", "--system", "mood", "--target", target)
    assert answer.err == (
        f"Error: '{target}' is no target\n  -> write METRIC>=NUMBER, for example 'f1>=0.90'\n"
    )


@pytest.mark.parametrize(
    ("stage", "message", "hint"),
    [
        ("prepard", "there is no stage 'prepard'", "did you mean 'prepared'?"),
        ("PREPARED", "there is no stage 'PREPARED'", "known: deployed, designed"),
        ("", "there is no stage ''", "known: deployed, designed"),
        ("deployed", "deployed cannot follow planned", "from planned it can go to: prepared, retired"),
        ("planned", "it is planned already", "phasegate model history"),
    ],
)
def test_a_stage_that_cannot_be_next(
    stage: str, message: str, hint: str, phasegate: Phasegate, version: str
) -> None:
    phasegate("people", "grant", ACTOR, "approver")
    for command in (("promote",), ("gate", "explain"), ("approve",), ("reject", "--reason", "no")):
        answer = phasegate.refuses(*command, version, stage)
        assert message in answer.err
        assert hint in answer.err


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (("--risk-tier", "hihg", "--purpose", "p"), "there is no risk tier 'hihg'", "did you mean 'high'?"),
        (("--risk-tier", "none", "--purpose", "p"), "there is no risk tier 'none'", ""),
        (("--risk-tier", "high", "--purpose", "  "), "a system needs a purpose", "--purpose"),
        (("--risk-tier", "high"), "Missing option '--purpose'", ""),
    ],
)
def test_a_system_that_is_half_described(
    options: tuple[str, ...], message: str, hint: str, phasegate: Phasegate
) -> None:
    answer = phasegate.refuses("system", "add", "mood", *options)
    assert message in answer.err
    assert hint in answer.err


def test_a_system_is_added_once(phasegate: Phasegate, version: str) -> None:
    answer = phasegate.refuses("system", "add", "mood", "--purpose", "another", "--risk-tier", "high")
    assert answer.err == "Error: there is a system 'mood' already\n  -> phasegate system show mood\n"
    assert phasegate("system", "show", "mood", "--json").json["risk_tier"] == "limited"


def test_a_model_stays_in_its_system(phasegate: Phasegate, version: str) -> None:
    phasegate("system", "add", "other", "--purpose", "p", "--risk-tier", "limited")
    answer = phasegate.refuses("model", "plan", "moods", "--system", "other")
    assert "model 'moods' belongs to another system than 'other'" in answer.err
    assert "phasegate model list --model moods" in answer.err


@pytest.mark.parametrize("hours", ["-3", "0", "nan", "inf", "many"])
def test_a_budget_that_is_no_time(hours: str, phasegate: Phasegate, version: str) -> None:
    answer = phasegate.refuses("model", "plan", "moods", "--system", "mood", "--budget-hours", hours)
    assert hours in answer.err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["test"], "'test' is no ROLE=DATASET/N"),
        (["=words/1"], "'=words/1' is no ROLE=DATASET/N"),
        (["test=words"], "'words' names no version\n  -> write words/1"),
        (["test=words/1", "test=words/1"], "'test' is given twice: 'words/1' and 'words/1'"),
        (["nothing="], "moods/1 names no nothing data"),
        (["test=words/1", "validation=wrods/1"], "there is no dataset 'wrods'"),
    ],
)
def test_data_that_is_half_said(given: list[str], message: str, phasegate: Phasegate, version: str) -> None:
    assert message in phasegate.refuses("model", "data", version, *given).err
    assert phasegate("model", "show", version, "--json").json["data"] == {"train": "words/1"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("--set", "layers"), "'layers' is no KEY=VALUE"),
        (("--set", "=2"), "'=2' is no KEY=VALUE"),
        (("--set", "layers=2", "--set", "layers=3"), "'layers' is given twice: '2' and '3'"),
        ((), "a design needs at least one value"),
        (("--dry-run", "--set", "layers=2"), "--dry-run only estimates"),
    ],
)
def test_a_design_that_is_half_said(
    values: tuple[str, ...], message: str, phasegate: Phasegate, version: str
) -> None:
    assert message in phasegate.refuses("model", "design", version, *values).err


def test_a_rejection_needs_a_reason(phasegate: Phasegate, version: str) -> None:
    assert "Missing option '--reason'" in phasegate.refuses("reject", version, "prepared").err
    assert (
        "a rejection needs a reason" in phasegate.refuses("reject", version, "prepared", "--reason", " ").err
    )


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("time", ["yesterday", "2026-13-01", "2026-02-30", "12:00", "1e9"])
def test_a_time_that_is_none(time: str, option: str, phasegate: Phasegate) -> None:
    answer = phasegate.refuses("audit", "log", option, time)
    assert answer.err == (
        f"Error: {option}: '{time}' is no time\n  -> write it like 2027-01-31, 2027-01-31T12:00Z or 30d\n"
    )


def test_times_of_the_log_are_utc_and_the_end_is_exclusive(phasegate: Phasegate, version: str) -> None:
    entries = phasegate("audit", "log", "--json", "-n", "0").json
    last = entries[-1]["at"]
    assert phasegate("audit", "log", "--json", "--until", last).json[-1]["at"] < last
    assert phasegate("audit", "log", "--json", "--since", last).json[-1]["index"] == entries[-1]["index"]
    without_zone = last.removesuffix("+00:00")
    assert phasegate("audit", "log", "--json", "--since", without_zone).json[-1]["at"] == last


def test_a_report_that_cannot_be_written(phasegate: Phasegate, version: str, tmp_path: Path) -> None:
    assert (
        f"{tmp_path} cannot be written: Is a directory"
        in phasegate.refuses("report", version, "-o", tmp_path).err
    )
    through = phasegate.home / "registry.db" / "report.html"
    assert "cannot be written: File exists" in phasegate.refuses("report", version, "-o", through).err
    assert "'pdf' is not one of" in phasegate.refuses("report", version, "--format", "pdf").err
