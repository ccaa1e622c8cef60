"""What docs/people.md tells people to type, typed; and its policy, checked."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

import registry
from registry.cli.main import execute
from registry.domain.people import EMBEDDED_TRUST, ROLES

PAGE = (Path(__file__).resolve().parents[2] / "docs/people.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PHASEGATE_DATABASE", "PHASEGATE_ARTIFACTS", "PHASEGATE_ACTOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHASEGATE_HOME", str(tmp_path / "home"))
    typed = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
    assert len(typed) >= 20
    for line in typed:
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = execute(shlex.split(line, comments=True)[1:])
        assert code == (1 if line.endswith("# exits with 1") else 0), f"{line}\n{output.getvalue()}"
    with registry.open(actor="root") as opened:
        assert opened.people.person("ruth")[0].groups == ["model-risk"]
        words = [(word.actor, word.on_behalf_of) for word in opened.approvals("loans/1")]
        assert words == [("ruth", ""), ("dave", "ruth")]
        assert [row.version for row in opened.aliases("loans")] == ["loans/1", ""]
        assert opened.verify().ok


def test_its_policy_is_one(tmp_path: Path) -> None:
    (policy,) = (block for language, block in BLOCKS if language == "yaml")
    (tmp_path / "policy.yaml").write_text(policy)
    with registry.open(tmp_path / "home", actor="root", create=True) as opened:
        assert opened.check_policies(tmp_path / "policy.yaml") == []


def test_it_says_what_each_role_is_for() -> None:
    table = dict(re.findall(r"^\| (\w+) \| (.*) \|$", PAGE, re.MULTILINE))
    assert {role: table[role].startswith(text[:30]) for role, text in ROLES.items()} == dict.fromkeys(
        ROLES, True
    )


def test_it_says_what_the_registry_says_of_trust() -> None:
    assert EMBEDDED_TRUST.partition(": ")[2] in PAGE
