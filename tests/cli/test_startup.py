"""What the quick commands do not import: the seconds that nobody waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.command import Phasegate, environment

HEAVY = {"torch", "transformers", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "onnx"}
CHECKS = {"presidio_analyzer", "spacy", "fairlearn", "phonenumbers"}
STORAGE = {"sqlalchemy", "alembic"}

LIST_MODULES = (
    "import sys; from registry.cli.main import execute; code = execute(sys.argv[1:]);"
    "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(code)"
)


def imported(*arguments: str, home: Path) -> set[str]:
    """Top-level modules in `sys.modules` when a command has ended."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment(home),
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("plugin", "list")])
def test_help_and_plugins_load_neither_science_nor_storage(
    arguments: tuple[str, ...], phasegate: Phasegate
) -> None:
    assert not imported(*arguments, home=phasegate.home) & (HEAVY | CHECKS | STORAGE)


def test_looking_at_models_loads_storage_only(phasegate: Phasegate) -> None:
    found = imported("model", "list", home=phasegate.home)
    assert "sqlalchemy" in found
    assert not found & (HEAVY | CHECKS | {"alembic"})
