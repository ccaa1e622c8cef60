"""What docs/ledger.md tells people to type, typed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_from_key_to_proof(tmp_path: Path) -> None:
    page = (ROOT / "docs/ledger.md").read_text("utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASEGATE_")}
    environment = kept | {
        "PHASEGATE_HOME": str(tmp_path / "home"),
        "PHASEGATE_WITNESS": str(tmp_path / "wendy"),
    }
    programs = {"phasegate": str(Path(sys.executable).with_name("phasegate")), "python3": sys.executable}

    def run(line: str) -> str:
        words = shlex.split(line.replace("$VERIFIER_KEY", environment.get("VERIFIER_KEY", "")), comments=True)
        command = [programs.get(words[0], words[0]), *words[1:]]
        if "--at" in words:  # the page's own date is before this registry was
            words[words.index("--at") + 1] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            command = [programs[words[0]], *words[1:]]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    typed = 0
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        assert language in ("", "sh")
        for line in block.splitlines():
            if "model history" in line:
                live(run, tmp_path)
            said = run(line)
            typed += 1
            if "audit key" in line:
                environment["VERIFIER_KEY"] = json.loads(run("phasegate audit key --json"))["verifier"]
            if "verify_proof.py " in line:
                assert said.startswith("PROVEN\n")
            if "--prove" in line:
                assert "loans/1\tplanned\t" in said
                assert "Proof of entry " in said
            if "audit erase jane" in line:
                assert "erased-2 from now on" in said
    assert typed == 13
    assert run('phasegate audit key --rotate --reason "yearly"')
    assert "The ledger is whole" in run("phasegate audit verify --key $VERIFIER_KEY")


def live(run: Callable[[str], str], folder: Path) -> None:
    """What the page takes for granted: a model, its data, and jane, who made both."""
    (folder / "visitors.csv").write_text("text,label\ngood,yes\nbad,no\n")
    run("phasegate dataset add visitors visitors.csv --as jane")
    run("phasegate system add credit --purpose loans --risk-tier limited --as jane")
    run("phasegate model plan loans --system credit --data source=visitors/1 --as jane")
    time.sleep(1)  # --at has whole seconds here


@pytest.mark.parametrize("name", ["signed-note", "tlog-checkpoint", "tlog-cosignature", "tlog-proof"])
def test_the_formats_are_named(name: str) -> None:
    assert f"https://c2sp.org/{name}" in (ROOT / "docs/ledger.md").read_text("utf-8")
