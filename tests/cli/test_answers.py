"""How commands answer: JSON, exit codes, plain lines in a pipe, and tracebacks only on demand."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from cli.command import EXECUTABLE, Phasegate, environment


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "doctor",
        "system list",
        "system show mood",
        "dataset list",
        "dataset show words/1",
        "model list",
        "model show moods/1",
        "model history moods/1",
        "model data moods/1 test=words/1",
        "model design moods/1 --set layers=2",
        "runs list",
        "model alias moods",
        "model alias moods/1 draft",
        "people list",
        "people show tess",
        "people grant ruth approver",
        "people group list",
        "people group add model-risk",
        "policy list",
        "policy show purpose-and-targets",
        "deployment list",
        "audit log",
        "audit verify",
        "plugin list",
        "plugin show profile",
        "db upgrade",
        "report moods/1",
    ],
)
def test_json_is_one_value_and_nothing_else(command: str, phasegate: Phasegate, version: str) -> None:
    answer = phasegate(*command.split(), "--json")
    assert isinstance(answer.json, dict | list)
    assert answer.err == ""


def test_a_refused_promotion_is_an_answer(phasegate: Phasegate, version: str) -> None:
    plain = phasegate("promote", version, "prepared", expect=1)
    assert plain.out.startswith("Refused: moods/1 stays planned.")
    assert plain.err == ""
    decision = phasegate("promote", version, "prepared", "--json", expect=1).json
    assert decision["verdict"]["allowed"] is False
    assert phasegate("model", "show", version, "--json").json["stage"] == "planned"
    phasegate("gate", "explain", version, "prepared", expect=1)
    phasegate.verify()


def test_exit_code_of_a_violated_ledger(phasegate: Phasegate, version: str) -> None:
    with sqlite3.connect(phasegate.home / "registry.db") as connection:
        connection.execute("DROP TRIGGER keep_systems_update")
        connection.execute("UPDATE systems SET risk_tier = 'minimal'")
    connection.close()
    answer = phasegate("audit", "verify", expect=4)
    assert "row systems:1 was changed behind the ledger's back" in answer.out
    assert phasegate("audit", "verify", "--json", expect=4).json["ok"] is False


def test_exit_code_of_a_defect(phasegate: Phasegate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.api.Registry.systems", lambda self: 1 / 0)
    answer = phasegate("system", "list", expect=70)
    assert answer.err == (
        "Error: ZeroDivisionError: division by zero\n"
        "  -> this is a defect of ours; --debug shows where it is\n"
    )
    assert phasegate("system", "list", "--json", expect=70).error["code"] == "defect"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("model show nothing/1", "not-found"),
        ("model show nothing", "bad-reference"),
        ("runs show 99", "not-found"),
        ("promote moods/1 nowhere", "no-such-stage"),
        ("promote moods/1 deployed", "no-such-transition"),
        ("runs show seven", "bad-input"),
        ("runs list --sate lost", "bad-input"),
        ("nonsense", "bad-input"),
        ("dataset add", "bad-input"),
    ],
)
def test_errors_are_json_on_standard_error(
    command: str, code: str, phasegate: Phasegate, version: str
) -> None:
    answer = phasegate.refuses(*command.split(), "--json")
    assert answer.error["code"] == code
    assert answer.error["message"]
    assert answer.error.keys() == {"code", "message", "hint"}


def test_no_registry_names_the_command_that_makes_one(phasegate: Phasegate, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    answer = phasegate("model", "list", "--home", elsewhere, expect=2)
    assert answer.err == f"Error: there is no registry at {elsewhere}/registry.db\n  -> phasegate init\n"
    assert not elsewhere.exists()


def test_who_acts_can_be_said(phasegate: Phasegate) -> None:
    phasegate("system", "add", "mood", "--purpose", "p", "--risk-tier", "limited", "--as", "ruth")
    assert phasegate("system", "show", "mood", "--json").json["created_by"] == "ruth"
    answer = phasegate.refuses(
        "system", "add", "x", "--purpose", "p", "--risk-tier", "limited", "--as", "two words"
    )
    assert "the actor's name 'two words' cannot be used: it holds ' '" in answer.err


def test_a_traceback_only_on_demand(phasegate: Phasegate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Traceback" not in phasegate("model", "show", "x/1", expect=2).err
    shown = phasegate("model", "show", "x/1", "--debug", expect=2).err
    assert shown.startswith("Traceback (most recent call last):")
    assert shown.endswith("Error: there is no model 'x'\n  -> phasegate model plan NAME\n")
    monkeypatch.setenv("PHASEGATE_DEBUG", "1")
    assert "Traceback" in phasegate("model", "show", "x/1", expect=2).err


# -- in a pipe, as processes --------------------------------------------------------------------


def test_a_pipe_gets_plain_lines(phasegate: Phasegate, version: str) -> None:
    done = subprocess.run(
        [EXECUTABLE, "model", "list"],
        capture_output=True,
        check=True,
        env=environment(phasegate.home) | {"TERM": "xterm-256color", "FORCE_COLOR": "1"},
    )
    head, row = done.stdout.decode().splitlines()
    columns = ["version", "stage", "system", "risk", "targets", "artifact", "aliases", "planned"]
    assert head.split("\t") == columns
    assert row.startswith("moods/1\tplanned\tmood\tlimited\tf1>=0.5\t")
    assert b"\x1b" not in done.stdout + done.stderr


def test_a_refusal_in_a_pipe_has_no_colour(phasegate: Phasegate, version: str) -> None:
    answer = phasegate("gate", "explain", version, "prepared", expect=1)
    assert "\x1b" not in answer.out


def test_a_reader_that_leaves_is_no_error(phasegate: Phasegate) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [EXECUTABLE, "policy", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        env=environment(phasegate.home),
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_unicode_survives_a_plain_locale(phasegate: Phasegate, tmp_path: Path) -> None:
    phasegate("system", "add", "mood", "--purpose", "Gefühle ordnen 心情", "--risk-tier", "limited")
    done = subprocess.run(
        [EXECUTABLE, "system", "show", "mood", "--json"],
        capture_output=True,
        check=False,
        env=environment(phasegate.home) | {"LC_ALL": "C", "PYTHONIOENCODING": "", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout.decode("utf-8"))["purpose"] == "Gefühle ordnen 心情"


def test_words_of_others_drive_no_terminal_and_break_no_line(phasegate: Phasegate) -> None:
    purpose = "sort\ttexts\nfor \x1b[31mus\x1b]0;owned\x07"
    phasegate("system", "add", "mood", "--purpose", purpose, "--risk-tier", "limited")
    listed = phasegate("system", "list").out
    shown = phasegate("system", "show", "mood").out
    assert not {"\x1b", "\x07"} & set(listed + shown)
    assert [len(line.split("\t")) for line in listed.splitlines()] == [5, 5]
    assert "sort texts for [31mus" in listed
    assert phasegate("system", "show", "mood", "--json").json["purpose"] == purpose
