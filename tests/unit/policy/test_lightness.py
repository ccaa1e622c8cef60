"""Importing the policy layer costs nothing that a command would wait for."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("cel_expr_python", "google.protobuf", "yaml", "pydantic", "sqlalchemy", "numpy")


def test_importing_loads_neither_cel_nor_protobuf_nor_yaml() -> None:
    code = f"import sys, registry.policy\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
