"""Runs that are asked for wrongly: refused before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.command import Phasegate


def refused(phasegate: Phasegate, *arguments: object) -> str:
    """The words of a refused command; no run was begun."""
    err = phasegate.refuses("run", *arguments).err
    assert phasegate("runs", "list", "--json").json == []
    assert not (phasegate.home / "runs").exists()
    return err


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ("--set threshhold=0.5", "plugin 'pii' has no option 'threshhold'", "did you mean 'threshold'?"),
        (
            "--set threshold=high",
            "plugin 'pii', option 'threshold': Input should be a valid number",
            "show pii",
        ),
        ("--set threshold=7", "less than or equal to 1 (got '7')", "phasegate plugin show pii"),
        ("--set threshold=nan", "plugin 'pii', option 'threshold'", "phasegate plugin show pii"),
        ("--set threshold", "'threshold' is no KEY=VALUE", "write KEY=VALUE"),
        ("--set =1", "'=1' is no KEY=VALUE", ""),
        ("--set threshold=0.5 --set threshold=0.6", "'threshold' is given twice: '0.5' and '0.6'", ""),
        ("--data train=words/1", "pii works on one dataset: --data does not apply", ""),
        ("--engine locl", "there is no engine 'locl'", "did you mean 'local'?"),
        ("--timeout -1", "Invalid value for '--timeout'", ""),
        ("--quota 0", "Invalid value for '--quota'", ""),
        ("--quota lots", "Invalid value for '--quota'", ""),
        ("--seed -1", "Invalid value for '--seed'", ""),
        ("--seed 99999999999", "Invalid value for '--seed'", ""),
    ],
)
def test_options(options: str, message: str, hint: str, phasegate: Phasegate, words: str) -> None:
    err = refused(phasegate, "pii", words, *options.split())
    assert message in err
    assert hint in err


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"threshold: [0.5\n", "cannot be read as YAML: while parsing a flow sequence"),
        (b"- threshold\n", "holds no options: write KEY: VALUE lines"),
        (b"", "holds no options: write KEY: VALUE lines"),
        (b"\xe9: 1\n", "cannot be read as YAML: 'utf-8' codec can't decode byte 0xe9"),
        (b"1: 2\n", "plugin 'pii' has no option '1'"),
        (b"threshhold: 0.5\n", "did you mean 'threshold'?"),
        (b"threshold: [0.5]\n", "option 'threshold': Input should be a valid number (got [0.5])"),
        (b"threshold: !!python/object/apply:os.getcwd []\n", "could not determine a constructor for the tag"),
    ],
)
def test_a_config_file(data: bytes, message: str, phasegate: Phasegate, words: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(data)
    assert message in refused(phasegate, "pii", words, "--config", file)


def test_a_config_file_that_is_none(phasegate: Phasegate, words: str, tmp_path: Path) -> None:
    missing = refused(phasegate, "pii", words, "--config", tmp_path / "nothing.yaml")
    assert "No such file or directory" in missing
    assert "Is a directory" in refused(phasegate, "pii", words, "--config", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ("train-classifier moods/1", "train is done while a version is designed", "promote moods/1 prepared"),
        ("deploy-local moods/1", "deploy is done while a version is deployed", "promote moods/1 prepared"),
        ("evaluate-classifier moods/1", "moods/1 has no artifact yet", "run train-classifier moods/1"),
        ("profile moods/1", "there is no dataset 'moods'", ""),
        ("bias words/1", "there is no model 'words'", ""),
        ("profile words", "'words' names no version", "write words/1"),
        ("profile", "Missing argument 'REF...'", ""),
    ],
)
def test_work_that_cannot_be_done_now(
    arguments: str, message: str, hint: str, phasegate: Phasegate, version: str
) -> None:
    err = refused(phasegate, *arguments.split())
    assert message in err
    assert hint in err


def test_of_several_subjects_a_wrong_one_stops_the_rest(phasegate: Phasegate, words: str) -> None:
    answer = phasegate("run", "profile", words, "wrods/1", words, expect=2)
    assert "there is no dataset 'wrods'" in answer.err
    assert [run["state"] for run in phasegate("runs", "list", "--json").json] == ["succeeded"]
    phasegate.verify()
