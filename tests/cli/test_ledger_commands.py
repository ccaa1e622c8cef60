"""`phasegate audit key|checkpoint|witness|prove|verifier`, as people type them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cli.command import Phasegate

NAME = "example.com/ledger"


@pytest.fixture
def witnessed(phasegate: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phasegate:
    """A registry whose ledger was signed, and cosigned by somebody else."""
    monkeypatch.setenv("PHASEGATE_WITNESS", str(tmp_path / "witness"))
    monkeypatch.chdir(tmp_path)
    key = phasegate("audit", "key", "--name", NAME, "--json").json["verifier"]
    phasegate("audit", "checkpoint")
    phasegate("audit", "witness", "--trust", key, "--name", "w1.example", "--as", "wendy")
    return phasegate


def checkpoints(phasegate: Phasegate) -> Path:
    return phasegate.home / "checkpoints" / "example.com_ledger.checkpoints"


def rewrite(phasegate: Phasegate, statement: str) -> None:
    with closing(sqlite3.connect(phasegate.home / "registry.db")) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)


def test_a_key_is_made_shown_and_rotated(phasegate: Phasegate) -> None:
    made = phasegate("audit", "key", "--name", NAME).out.splitlines()
    assert made[0] == f"ledger        {NAME}"
    assert made[1].startswith(f"verifier key  {NAME}+")
    assert made[2] == f"signing key   {phasegate.home}/keys/ledger.key (here)"
    assert phasegate("audit", "key").out.splitlines() == made
    rotated = phasegate("audit", "key", "--rotate", "--reason", "yearly").out
    assert f"before 1      {made[1].removeprefix('verifier key  ')}" in rotated
    assert "yearly" in phasegate("audit", "log", "--action", "ledger-key-rotated").out
    assert "signs the ledger" in phasegate("audit", "log", "--subject", "ledger").out
    phasegate.verify()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--reason", "x"), "belong to --rotate"),
        (("--lost",), "belong to --rotate"),
        (("--rotate", "--name", "x"), "for ever"),
        (("--rotate",), "nobody signs this ledger yet"),
        (("--name", "a b"), "cannot be the name of a key"),
    ],
)
def test_what_cannot_be_asked_of_a_key(phasegate: Phasegate, arguments: tuple[str, ...], said: str) -> None:
    assert said in phasegate.refuses("audit", "key", *arguments).err


def test_the_way_of_a_proof(witnessed: Phasegate, tmp_path: Path) -> None:
    """From the key to a Python that knows nothing of this program."""
    proof = witnessed("audit", "prove", "3", "--payload", "--json").json
    assert proof["file"] == "entry-3.tlog-proof"
    key = proof["proof"]["key"]
    witness = witnessed("audit", "witness", "--json").json["witness"]
    witnessed("audit", "verifier", "-o", "verify.py")
    command = [
        sys.executable,
        "-I",
        "-S",
        "verify.py",
        "entry-3.tlog-proof",
        "--key",
        key,
        "--witness",
        witness,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PROVEN\n  entry      3 of ")
    text = (tmp_path / "entry-3.tlog-proof").read_text()
    (tmp_path / "entry-3.tlog-proof").write_text(text.replace("index 3", "index 4"))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert witnessed("audit", "verifier").out == (tmp_path / "verify.py").read_text()


def test_a_proof_says_how_it_is_verified(witnessed: Phasegate, tmp_path: Path) -> None:
    shown = witnessed("audit", "prove", "0", "-o", "x.tlog-proof").out
    assert f"verify     python3 verify_proof.py x.tlog-proof --key '{NAME}+" in shown
    assert "payload    not told (--payload)\n" in shown
    assert (tmp_path / "x.tlog-proof").exists()


def test_what_cannot_be_proven(phasegate: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "phasegate audit key" in phasegate.refuses("audit", "prove", "0").err
    assert "there is no entry 9999" in phasegate.refuses("audit", "prove", "9999").err
    phasegate.refuses("audit", "prove", "-1")
    phasegate("audit", "key")
    phasegate("audit", "prove", "0")
    assert "cannot be written" in phasegate.refuses("audit", "prove", "0", "-o", "/proc/nowhere/x").err


def test_verify_says_what_was_compared(witnessed: Phasegate) -> None:
    assert "checkpoints  1 compared\n" in witnessed("audit", "verify").out
    found = witnessed("audit", "verify", "--json").json
    assert found["audit"]["checkpoints"] == 1


def test_a_ledger_that_was_rewritten_exits_with_4(witnessed: Phasegate, tmp_path: Path) -> None:
    exported = tmp_path / "exported.checkpoints"
    for name in ("one", "two"):
        witnessed("system", "add", name, "--purpose", "sort texts", "--risk-tier", "minimal")
    size = witnessed("audit", "checkpoint", "-o", exported, "--json").json["size"]
    rewrite(witnessed, f'DELETE FROM ledger_entries WHERE "index" = {size - 1}')
    rewrite(witnessed, f"UPDATE ledger_head SET size = {size - 1}")
    checkpoints(witnessed).unlink()
    shown = witnessed("audit", "verify", "--checkpoint", exported, expect=4).out
    assert f"the ledger was truncated: {exported} signed {size} entries, {size - 1} are there" in shown
    refused = witnessed("audit", "checkpoint", "-o", exported, expect=4)
    assert "nothing is signed: the ledger was truncated" in refused.err


def test_a_witness_exits_with_4_and_names_the_evidence(witnessed: Phasegate, tmp_path: Path) -> None:
    rewrite(witnessed, "UPDATE ledger_nodes SET hash = zeroblob(32)")
    refused = witnessed("audit", "witness", expect=4)
    assert "not signed: " in refused.err
    assert str(tmp_path / "witness" / "witness.refused.checkpoints") in refused.err


def test_a_witness_that_is_asked_for_the_first_time(
    phasegate: Phasegate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASEGATE_WITNESS", str(tmp_path / "witness"))
    assert "-> phasegate audit checkpoint" in phasegate.refuses("audit", "witness").err
    phasegate("audit", "key", "--name", NAME)
    phasegate("audit", "checkpoint")
    assert "--trust KEY" in phasegate.refuses("audit", "witness").err
    assert "this is not a verifier key" in phasegate.refuses("audit", "witness", "--trust", "x").err


def test_verify_takes_no_file_that_is_not_there(phasegate: Phasegate) -> None:
    refused = phasegate.refuses("audit", "verify", "--checkpoint", "missing")
    assert "there is no file of checkpoints at missing" in refused.err


# -- history and erasure -------------------------------------------------------------------------


def test_history_at_a_moment(phasegate: Phasegate, version: str, tmp_path: Path) -> None:
    phasegate("audit", "key", "--name", NAME)
    refused = phasegate("promote", version, "prepared", expect=1).out
    assert refused.startswith("Refused: moods/1 stays planned.")
    at = phasegate("audit", "log", "-n", "1", "--json").json[0]["at"]
    shown = phasegate("model", "history", "moods", "--at", at, "--prove", tmp_path / "proofs").out
    lines = shown.splitlines()
    assert lines[0].startswith("moods at 20")
    assert lines[1].split("\t")[:5] == ["version", "held", "since", "by", "decision"]
    assert lines[2].split("\t")[:2] == ["moods/1", "planned"]
    (proof,) = (tmp_path / "proofs").iterdir()
    assert lines[3].endswith(str(proof))
    (row,) = phasegate("model", "history", version, "--at", at, "--json").json["held"]
    assert (row["version"], row["what"], row["name"], row["decision"]) == (version, "stage", "planned", None)
    assert row["checkpoint"] > row["entry"]
    assert "refused: planned to prepared" in phasegate("model", "history", version).out
    assert "refused: planned to prepared" in phasegate("model", "history", "moods").out
    phasegate.verify()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("moods/1", "--prove", "x"), "--prove belongs to --at"),
        (("moods/1", "--at", "soon"), "--at: 'soon' is no time"),
        (("moods/1", "--at", "2999-01-01"), "has not come yet"),
        (("mods", "--at", "2020-01-01"), "did you mean 'moods'?"),
        (("moods/9", "--at", "2020-01-01"), "has no version 9"),
    ],
)
def test_what_cannot_be_asked_of_history(
    phasegate: Phasegate, version: str, arguments: tuple[str, ...], said: str
) -> None:
    assert said in phasegate.refuses("model", "history", *arguments).err


def test_history_of_a_registry_that_was_changed(phasegate: Phasegate, version: str) -> None:
    rewrite(phasegate, "UPDATE versions SET stage = 'deployed'")
    refused = phasegate.refuses("model", "history", version, "--at", "0m", code=4)
    assert "tables and ledger disagree about moods" in refused.err
    assert "-> phasegate audit verify" in refused.err


def test_erasing(phasegate: Phasegate, version: str) -> None:
    phasegate("model", "design", version, "--set", "by=jane", "--as", "jane")
    shown = phasegate("audit", "erase", "jane", "--reason", "asked").out
    assert "name           erased-2 from now on" in shown
    assert "Not erased, but naming it, too: entries " in shown
    assert "  versions:1 design" in shown
    log = phasegate("audit", "log", "-n", "3").out
    assert "erased-2\tdesign-recorded" in log
    assert "what 1 entries held was erased: asked" not in log
    assert "1 payload was erased: asked" in log
    assert phasegate("audit", "verify", "--json").json["audit"]["erased"] == 1
    again = phasegate("audit", "erase", "dataset:words/1", "--reason", "asked", "--mentions", "--json").json
    assert again["mentions"] == []
    assert len(again["entries"]) > 1
    phasegate.verify()


def test_what_cannot_be_erased(phasegate: Phasegate, version: str) -> None:
    assert "Missing option '--reason'" in phasegate.refuses("audit", "erase", "jane").err
    assert "nobody is called 'jane'" in phasegate.refuses("audit", "erase", "jane", "--reason", "x").err
    phasegate("model", "design", version, "--set", "a=b", "--as", "jane")
    refused = phasegate.refuses("audit", "erase", "tess", "--reason", "x", "--as", "jane", code=1)
    assert "takes the role admin" in refused.err


def test_the_log_by_pages(phasegate: Phasegate) -> None:
    newest = phasegate("audit", "log", "--limit", "3", "--json").json
    before = phasegate("audit", "log", "--limit", "3", "--before", newest[0]["index"], "--json").json
    numbers = [entry["index"] for entry in before + newest]
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    assert all(entry["payload"] for entry in newest)
    assert phasegate("audit", "log", "--since", "1h", "-n", "0", "--json").json[0]["index"] == 0
    assert phasegate("audit", "log", "--until", "1h", "-n", "0", "--json").json == []
