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
