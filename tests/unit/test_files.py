"""Files that are there whole or not at all, and manifests that name every byte below a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from registry.errors import BadInput
from registry.files import manifest_of, sha256_of, write_atomically

KILLED = """
import os, signal, sys
from pathlib import Path
from registry import files

files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_atomically(Path(sys.argv[1]), b"new")
"""


def test_a_file_is_written_and_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file"
    for content in (b"old", b"", b"new" * 100_000):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_killed_before_the_end_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "occupied").touch()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "file", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_manifest_names_every_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("b", "a/b", "a/.hidden"):
        write_atomically(tmp_path / name, name.encode())
    assert manifest_of(tmp_path) == {name: sha256_of(tmp_path / name) for name in ("a/.hidden", "a/b", "b")}
    assert manifest_of(tmp_path / "empty") == {}


def test_a_manifest_of_links_is_none(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(BadInput, match="link is a link or a special file"):
        manifest_of(tmp_path)


def test_a_large_file_is_hashed_whole(tmp_path: Path) -> None:
    import hashlib

    content = os.urandom((1 << 20) + 17)
    (tmp_path / "large").write_bytes(content)
    assert sha256_of(tmp_path / "large") == "sha256:" + hashlib.sha256(content).hexdigest()
