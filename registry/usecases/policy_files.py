"""Policy files on disk: read, with those beside them, and checked. It needs no registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from registry.domain.lifecycle import Lifecycle
from registry.errors import BadDocument
from registry.policy import GatePolicy, parse_lifecycle, shipped_lifecycle
from registry.policy.cases.collecting import Collected, collect

_ENDINGS = (".yaml", ".yml")
_CASES = "cases"  # the folder beside policies that holds their cases


def check_policy_file(
    path: Path, lifecycle: Lifecycle, known: Iterable[GatePolicy] = ()
) -> list[BadDocument]:
    """Every problem of a file of policies, bindings, lifecycles or cases, in the order of its lines.

    Args:
        path: The file.
        lifecycle: Whose stages it may name.
        known: Policies that it may name, too, beside its own and those beside it.

    Raises:
        BadDocument: It cannot be read at all.
    """
    text = read_text(path)
    around = _readable(_beside(path)) if "PolicyCases" in text else {}
    found = collect({str(path): text}, around, lifecycle, known).problems
    return [problem for problem in found if problem.file == str(path)]


def collect_files(paths: Sequence[Path], lifecycle: Lifecycle) -> Collected:
    """Policies and cases of files, and of folders with all that is below them.

    The cases of a policy file are looked for beside it and in `cases/`, the policies of a file of cases
    beside it and above.

    Raises:
        BadDocument: A file cannot be read, or there is something wrong in it; it tells everything.
    """
    named: dict[str, str] = {}
    around: dict[str, str] = {}
    for path in paths:
        files = sorted(_yaml_in(path.rglob("*"))) if path.is_dir() else [path]
        named.update({str(file): read_text(file) for file in files})
        if not path.is_dir():
            around.update(_readable(_beside(path)))
    collected = collect(named, around, lifecycle)
    if collected.problems:
        raise all_of(collected.problems)
    return collected


def lifecycle_of(path: Path | None) -> Lifecycle:
    """The lifecycle of a file; the shipped one if none is named.

    Raises:
        BadDocument: It cannot be read, or is none.
    """
    return parse_lifecycle(read_text(path), str(path)) if path else shipped_lifecycle()


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        BadDocument: It cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise BadDocument(f"cannot be read: {cause}", file=str(path)) from cause


def all_of(problems: Sequence[BadDocument]) -> BadDocument:
    """Several problems as one error, that tells all of them."""
    first, *others = problems
    error = BadDocument(first.reason, file=first.file, line=first.line, column=first.column, hint=first.hint)
    if others:
        error.message = "\n".join(
            f"{one.message} ({one.hint})" if one.hint else one.message for one in problems
        )
        error.hint = f"{len(problems)} problems; nothing was done"
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
