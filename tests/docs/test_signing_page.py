"""What docs/signing.md tells people to type and to run, typed and run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from integration.builder import Builder

import registry
from registry.domain.decision import Action
from registry.policy import GateBinding, parse_documents, shipped_lifecycle

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/signing.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_from_key_to_what_others_verify(tmp_path: Path) -> None:
    home = tmp_path / "home"
    registry.open(home, actor="root", create=True).close()
    with Builder(home, f"sqlite:///{home / 'registry.db'}") as builder:
        builder.bring(builder.plan("loans"), "evaluated")
        builder.supply("loans/1", "deployed")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHASEGATE_")}
    environment = kept | {"PHASEGATE_HOME": str(home), "PHASEGATE_ACTOR": "root"}
    phasegate = str(Path(sys.executable).with_name("phasegate"))

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    typed = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(typed) == 5
    for line in typed:
        words = shlex.split(line)
        assert words[0] == "phasegate"
        run(phasegate, *words[1:])
    (example,) = blocks("python")
    verified = run(sys.executable, "-c", example).splitlines()
    assert len(verified) == len(list((tmp_path / "signatures").glob("*.intoto.jsonl"))) > 5

    (policy,) = blocks("yaml")
    (signed,) = parse_documents(policy, "signed.yaml", shipped_lifecycle()).policies
    with registry.open(home, actor="root") as opened:
        opened.publish([signed], [GateBinding(name="signed", policy="signed", action=Action.DENY)])
        results = opened.explain("loans/1", "deployed")[0].verdict.results
        outcomes = {each.rule: each.outcome for each in results if each.rule.startswith("signed/")}
        assert outcomes == dict.fromkeys(("signed/artifact", "signed/security", "signed/approval"), "pass")
