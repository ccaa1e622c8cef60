"""Testing policies on given dossiers. It needs no registry: what is read are files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from registry.domain.lifecycle import Lifecycle
from registry.errors import BadDocument
from registry.policy import parse_lifecycle, shipped_lifecycle
from registry.policy.cases.collecting import Collected, collect
from registry.policy.cases.report import CaseReport, run_cases

_ENDINGS = (".yaml", ".yml")
_CASES = "cases"  # the folder beside policies that holds their cases


def try_policies(
    paths: Sequence[Path], *, lifecycle: Path | None = None, wanted: float = 0.0, mutate: bool = False
) -> CaseReport:
    """Judge every case of some policy files.

    Args:
        paths: Files, and folders that are searched with all that is below them. The cases of a policy file
            are looked for beside it and in `cases/`, the policies of a file of cases beside it and above.
        lifecycle: Whose steps the cases take; the shipped one if not given.
        wanted: The share of outcomes that the cases must show, 0 to 1.
        mutate: Whether to see that the cases notice every change of an operator or a number.

    Raises:
        BadDocument: A file cannot be read, or there is something wrong in it; it tells everything.
    """
    return run_cases(collect_cases(paths, lifecycle), wanted, mutate=mutate)


def collect_cases(paths: Sequence[Path], lifecycle: Path | None = None) -> Collected:
    """Policies and cases of some files; see `try_policies`.

    Raises:
        BadDocument: As there.
    """
    chosen = read_lifecycle_file(lifecycle) if lifecycle else shipped_lifecycle()
    named: dict[str, str] = {}
    for path in paths:
        files = sorted(_yaml_in(path.rglob("*"))) if path.is_dir() else [path]
        named.update({str(file): read_text(file) for file in files})
    around: dict[str, str] = {}
    for path in paths:
        if not path.is_dir():
            around.update(_readable(_beside(path)))
    collected = collect(named, around, chosen)
    if collected.problems:
        raise all_of(collected.problems)
    return collected


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        BadDocument: It cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise BadDocument(f"cannot be read: {cause}", file=str(path)) from cause


def read_lifecycle_file(path: Path) -> Lifecycle:
    """The lifecycle of a file.

    Raises:
        BadDocument: It cannot be read, or is none.
    """
    return parse_lifecycle(read_text(path), str(path))


def all_of(problems: Sequence[BadDocument]) -> BadDocument:
    """Several problems as one error, that tells all of them."""
    first, *others = problems
    told = [f"{other.message} ({other.hint})" if other.hint else other.message for other in others]
    error = BadDocument(first.reason, file=first.file, line=first.line, column=first.column, hint=first.hint)
    if told:
        error.message += (f" ({first.hint})" if first.hint else "") + "".join(f"\n{text}" for text in told)
        error.hint = f"{len(problems)} problems"
    return error


def _yaml_in(found: Iterable[Path]) -> list[Path]:
    return [path for path in found if path.suffix in _ENDINGS and path.is_file()]


def _beside(file: Path) -> list[Path]:
    """Files where policies for these cases, or cases for these policies, may be."""
    folder = file.parent
    folders = [folder, folder / _CASES, *([folder.parent] if folder.name == _CASES else [])]
    found = [path for one in folders if one.is_dir() for path in sorted(_yaml_in(one.iterdir()))]
    return [path for path in found if path.resolve() != file.resolve()]


def _readable(files: Iterable[Path]) -> Mapping[str, str]:
    """Texts of those files that can be read: the others were not asked for."""
    texts = {}
    for file in files:
        try:
            texts[str(file)] = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    return texts
