"""Testing policies on given dossiers. It needs no registry: what is read are files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from registry.policy.cases.report import CaseReport, run_cases
from registry.usecases.policy_files import collect_files, lifecycle_of


def try_policies(
    paths: Sequence[Path], *, lifecycle: Path | None = None, wanted: float = 0.0, mutate: bool = False
) -> CaseReport:
    """Judge every case of some policy files.

    Args:
        paths: Files, and folders that are searched with all that is below them.
        lifecycle: Whose steps the cases take; the shipped one if not given.
        wanted: The share of outcomes that the cases must show, 0 to 1.
        mutate: Whether to see that the cases notice every change of an operator or a number.

    Raises:
        BadDocument: A file cannot be read, or there is something wrong in it; it tells everything.
    """
    return run_cases(collect_files(paths, lifecycle_of(lifecycle)), wanted, mutate=mutate)
