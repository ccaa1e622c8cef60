"""The wheel holds what git holds: an editable install forgives a forgotten folder, a user's does not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"registry": "", "plugins": "registry/", "migrations": "registry/", "policies": "registry/"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def known() -> list[Path]:
    """Files that git knows or would add, in the four folders that are shipped."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [Path(name) for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(known: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no stale build folder of the checkout can add to it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    extra = [Path(name) for name in ("pyproject.toml", "README.md", "LICENSE") if (ROOT / name).exists()]
    for name in [*known, *extra]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", "-w", str(out), str(source)]
    done = subprocess.run([sys.executable, "-m", "pip", *build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("phasegate-*.whl"))


def test_holds_every_file_that_git_knows(known: list[Path], wheel: Path) -> None:
    shipped = set(zipfile.ZipFile(wheel).namelist())
    expected = {FOLDERS[path.parts[0]] + path.as_posix() for path in known}
    assert {"registry/errors.py", "registry/plugins/__init__.py"} <= expected
    assert expected - shipped == set()


def test_holds_nothing_else(known: list[Path], wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped == {FOLDERS[path.parts[0]] + path.as_posix() for path in known}


def test_carries_the_licence(wheel: Path) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_every_package_folder_is_named_in_pyproject(known: list[Path]) -> None:
    folders = {path.parent for path in known if path.suffix == ".py"}
    packages = {(FOLDERS[folder.parts[0]] + folder.as_posix()).replace("/", ".") for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages


def test_every_package_folder_has_an_init(known: list[Path]) -> None:
    folders = {path.parent for path in known if path.suffix == ".py"}
    assert {folder for folder in folders if folder / "__init__.py" not in known} == set()


declared = [
    EntryPoint(name, value, group)
    for group, points in {
        "console_scripts": PROJECT["project"]["scripts"],
        **PROJECT["project"]["entry-points"],
    }.items()
    for name, value in points.items()
]


@pytest.mark.parametrize("point", declared, ids=lambda point: f"{point.group}:{point.name}")
def test_entry_point_loads_and_is_installed(point: EntryPoint) -> None:
    assert callable(point.load())
    installed = entry_points(group=point.group, name=point.name)
    assert [found.value for found in installed] == [point.value]
