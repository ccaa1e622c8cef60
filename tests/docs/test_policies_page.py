"""The page on policies, typed as it stands: from a file to `deny`, and a candidate against the past."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import registry
from registry.cli.main import execute
from registry.domain.decision import Action

PAGE = (Path(__file__).resolve().parents[2] / "docs/policies.md").read_text("utf-8")
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def typed(line: str) -> str:
    """Run one line of the page; the exit code that its comment names, or 0, is the one that it must have."""
    command, _, comment = line.partition("#")
    wanted = re.match(r"\s*exit (\d)", comment)
    code = int(wanted[1]) if wanted else 0
    if not command.startswith("phasegate"):
        subprocess.run(command, shell=True, check=True)  # noqa: S602 - it is what is tested
        return ""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        assert execute(shlex.split(command)[1:]) == code, output.getvalue()
    return output.getvalue()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with loans/1, planned for a system of limited risk on four rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHASEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PHASEGATE_ACTOR", "root")
    for name in ("PHASEGATE_DATABASE", "PHASEGATE_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)
    table = tmp_path / "loans.csv"
    table.write_text("text,label\none,yes\ntwo,no\nthree,yes\nfour,no\n")
    with registry.open(create=True) as opened:
        train = opened.add_dataset("loans", table)
        opened.add_system("credit", purpose="decide on loans", risk_tier="limited")
        opened.plan("loans", system="credit", targets=["f1>=0.5"], data={"train": train.ref})
    return tmp_path


def test_the_page_on_policies_runs_as_it_stands(workplace: Path) -> None:
    said: dict[str, str] = {}
    for language, block in _FENCED.findall(PAGE):
        if language == "yaml":
            name = block.splitlines()[0].removeprefix("# ")
            (workplace / name).parent.mkdir(parents=True, exist_ok=True)
            (workplace / name).write_text(block)
            continue
        assert language == "sh"
        for line in block.splitlines():
            said[line] = typed(line)
    told = {line.partition("  #")[0]: output for line, output in said.items()}

    def output(start: str) -> str:
        (found,) = (text for line, text in told.items() if line.startswith(start))
        return found

    assert output("phasegate policy check").endswith("label-balance.yaml: no problems\n")
    tested = output("phasegate policy test")
    assert "7 cases, none failed; coverage 100.0%" in tested
    assert not (workplace / "policy-tests.xml").read_text().count("<failure")
    assert ET.parse(workplace / "policy-tests.xml").getroot().get("tests") == "7"
    assert "in force: label-balance" in output("phasegate policy publish")
    assert "label-balance/rows (audit only)" in output("phasegate promote")
    assert "label-balance/rows (warn only)" in output("phasegate gate explain")
    history = output("phasegate policy list --history").splitlines()
    assert [line.rpartition(", ")[2] for line in history if "\tin force: label-balance" in line] == [
        "audit",
        "warn",
        "deny",
    ]
    assert "label-balance/rows: fail -> pass" in output("phasegate policy replay candidate.yaml --since")
    with registry.open() as opened:
        (bound,) = (one for one in opened.gate.bindings() if one.name == "label-balance")
        assert (bound.action, bound.scope) == (Action.DENY, {"risk_tiers": ["limited", "high"]})
        assert opened.verify().ok
