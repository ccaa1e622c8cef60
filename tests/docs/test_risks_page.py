"""What docs/risks.md tells people to type, typed; and the verbs that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from registry.api import Registry
from registry.cli.main import execute

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/risks.md").read_text("utf-8")


def test_every_command_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PHASEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PHASEGATE_ACTOR", "somebody")
    blocks = re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 21
    for line in lines:
        code = execute(shlex.split(line)[1:])
        assert code == 0, f"{line}\n{capsys.readouterr().err}"
    assert execute(["audit", "verify"]) == 0
    said = capsys.readouterr().out
    assert "limited waits for an approver; until then high stands" in said


def test_the_verbs_are_there(tmp_path: Path) -> None:
    named = re.findall(r"`reg\.(\w+)\.(\w+)\(\.\.\.\)`", PAGE)
    assert len(named) == 4
    with Registry.open(tmp_path, actor="alice", create=True) as reg:
        for noun, verb in named:
            assert callable(getattr(getattr(reg, noun), verb))
