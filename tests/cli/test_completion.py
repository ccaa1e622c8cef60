"""Shell completion: the scripts, and the words that a registry knows."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from cli.command import EXECUTABLE, Phasegate, environment

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def complete(phasegate: Phasegate, monkeypatch: pytest.MonkeyPatch):
    """What bash would offer for the last of some words."""

    def offered(*words: str) -> set[str]:
        with monkeypatch.context() as shell:
            shell.setenv("_PHASEGATE_COMPLETE", "bash_complete")
            shell.setenv("COMP_WORDS", " ".join(("phasegate", *words)))
            shell.setenv("COMP_CWORD", str(len(words)))
            answer = phasegate()
        assert answer.err == ""
        return {line.partition(",")[2] for line in answer.out.splitlines() if line}

    return offered


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_that_it_accepts(shell: str, phasegate: Phasegate, tmp_path) -> None:
    script = phasegate("completion", shell).out
    assert "_PHASEGATE_COMPLETE" in script
    if program := shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([program, "-n", file], check=True, capture_output=True)


def test_a_shell_without_a_script_is_refused(phasegate: Phasegate) -> None:
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in phasegate.refuses("completion", "tcsh").err


def test_commands_and_options(complete) -> None:
    assert {"run", "runs"} == complete("run")
    assert {"list", "show", "logs", "cancel", "resume"} <= complete("runs", "")
    assert "--timeout" in complete("run", "profile", "words/1", "--t")


def test_versions_datasets_and_plugins(complete, version: str, words: str) -> None:
    assert complete("model", "show", "mo") == {version}
    assert complete("dataset", "show", "") == {words}
    assert complete("run", "prof") == {"profile"}
    assert complete("run", "profile", "") == {version, words}
    assert complete("model", "show", "nothing") == set()


def test_only_stages_that_can_follow(complete, version: str) -> None:
    assert complete("promote", version, "") == {"prepared", "retired"}
    assert complete("gate", "explain", version, "re") == {"retired"}
    assert {"planned", "deployed"} <= complete("model", "list", "--stage", "")


def test_no_registry_and_no_such_version_complete_nothing(complete, tmp_path) -> None:
    assert complete("model", "show", "--home", str(tmp_path / "nowhere"), "") == set()
    assert complete("promote", "nothing/1", "") == set()
    assert complete("promote", "no reference", "") == set()


def test_completion_in_a_real_bash(phasegate: Phasegate, version: str) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    script = (
        'eval "$(phasegate completion bash)"; COMP_WORDS=(phasegate promote moods/1 pre); COMP_CWORD=3;'
        " _phasegate_completion phasegate; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    known = environment(phasegate.home)
    known["PATH"] = f"{EXECUTABLE.parent}:{known['PATH']}"
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True, env=known)
    assert (done.stdout, done.stderr) == ("prepared\n", "")
