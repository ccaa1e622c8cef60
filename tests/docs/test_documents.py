"""What README and docs tell people to type, typed: on real messages, by command line and by Python."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import registry
from registry.cli.main import execute

ROOT = Path(__file__).resolve().parents[2]
SharedData = Callable[[str], Path]


def blocks(document: str, language: str = "") -> list[str]:
    """Fenced code blocks of a document, those of one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def commands(block: str) -> Iterator[str]:
    """Lines of a block, those that go on after a backslash joined."""
    for line in block.replace("\\\n", " ").splitlines():
        if line.strip():
            yield line


def run(example: str, variables: dict[str, object]) -> None:
    """Run a page's example as a module of its own."""
    variables["__name__"] = "example"
    exec(compile(example, "example", "exec"), variables)  # noqa: S102 - it is what is tested


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in as a user would, and no server left when it is over."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHASEGATE_HOME", str(tmp_path / "home"))
    yield tmp_path
    for home in (tmp_path / "home", tmp_path / "spam-registry"):
        if (home / "registry.db").exists():
            with registry.open(home) as reg:
                for found in reg.deployments.all():
                    if found.state == "active":
                        reg.deployments.stop(found.id)


@pytest.mark.timeout(900)
def test_the_tutorial_takes_real_messages_from_a_csv_to_retirement(
    shared_data: SharedData, workplace: Path
) -> None:
    shutil.copy(shared_data("sms_spam/sms_spam.csv"), workplace)
    tutorial = (ROOT / "README.md").read_text("utf-8").partition("## Your own data")[2].partition("\n## ")[0]
    typed = [
        line
        for block in re.findall(r"^```\n(.*?)^```", tutorial, re.DOTALL | re.MULTILINE)
        for line in commands(block)
    ]
    assert len(typed) > 25
    refused = []
    for line in typed:
        if line.startswith("curl"):
            answers = {output["name"]: output["data"] for output in ask(line)["outputs"]}
            assert answers["label"] == ["spam"]
            continue
        words = shlex.split(line, comments=True)
        assert words[0] == "phasegate"
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = execute(words[1:])
        sys.stdout.write(f"$ {line}\n{output.getvalue()}")
        if code == 1:
            refused.append(line)
        else:
            assert code == 0, line
    assert refused == ["phasegate gate explain spam/1 prepared"]
    with registry.open() as reg:
        assert reg.version("spam/1").stage == "retired"
        evaluated = next(row for row in reg.evidence("spam/1") if row.kind == "eval.performance")
        sys.stdout.write(json.dumps(evaluated.metrics, indent=1))
        assert evaluated.metrics["f1"] >= 0.90
        assert evaluated.metrics["leaked_rows"] == 0
        found = next(row for row in reg.dataset("sms/1").evidence if row.kind == "check.pii")
        assert found.metrics["findings.PHONE_NUMBER"] > 100
        assert reg.verify(artifacts=True).ok
    assert "</html>" in (workplace / "home/reports/spam-1.html").read_text("utf-8")


def ask(line: str) -> dict[str, list[dict[str, list[str]]]]:
    """Post what a curl command of the tutorial posts, to the port that the server really has."""
    words = shlex.split(line)
    with registry.open() as reg:
        endpoint = reg.deployments.all("spam/1")[0].endpoint
    url = words[2].replace("http://127.0.0.1:PORT", endpoint)
    request = urllib.request.Request(url, words[4].encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, list[dict[str, list[str]]]] = json.load(response)
    return answer


@pytest.mark.timeout(900)
def test_the_python_page_runs_as_it_stands(shared_data: SharedData, workplace: Path) -> None:
    with shared_data("sms_spam/sms_spam.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    with (workplace / "sms_spam.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows[:2001])
    (example,) = blocks("docs/python.md", "python")
    variables: dict[str, object] = {}
    run(example, variables)
    reg = variables["reg"]
    assert isinstance(reg, registry.api.Registry)
    assert reg.version("spam/1").stage in ("trained", "evaluated")
    assert {row.kind for row in reg.evidence("spam/1")} >= {"run.train", "eval.performance", "check.pii"}


def test_the_plugin_page_runs_as_it_stands(tmp_path: Path) -> None:
    import pyarrow as pa

    plugin, test = blocks("docs/plugins.md", "python")
    variables: dict[str, object] = {"pa": pa}
    run(plugin, variables)
    run(test, variables)
    counts = variables["test_counts"]
    assert callable(counts)
    counts(tmp_path)


def test_the_reference_is_what_the_code_says() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "docs/make_reference.py", "-"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (ROOT / "docs/reference.md").read_text("utf-8"), "run: make reference"
