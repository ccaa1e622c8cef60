"""Files of checkpoints: whole or not at all, whoever writes meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from registry import files
from registry.ledger.checkpoints import Checkpoint, SignedCheckpoint
from registry.ledger.keys import Kind, SigningKey
from registry.storage.checkpoint_files import add_checkpoint, file_name, read_checkpoints

LOG = SigningKey("example.com/ledger", Kind.LOG, bytes(range(32)))
WITNESSES = [SigningKey(f"w{number}.example", Kind.WITNESS, bytes([number]) * 32) for number in range(8)]


def signed(size: int) -> SignedCheckpoint:
    return SignedCheckpoint.of(Checkpoint(LOG.name, size, bytes([size]) * 32).signed(LOG))


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("example.com/ledger", "example.com_ledger.checkpoints"),
        ("a", "a.checkpoints"),
        ("../../etc/x", "_.._etc_x.checkpoints"),
        ("/etc/x", "_etc_x.checkpoints"),
    ],
)
def test_a_file_is_named_for_its_ledger_and_stays_in_its_folder(origin: str, name: str) -> None:
    assert file_name(origin) == name


def test_many_append_at_once(tmp_path: Path) -> None:
    file = tmp_path / "x.checkpoints"
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda size: add_checkpoint(file, signed(size)), [*range(16), *range(16)]))
    assert sum(added) == 16
    assert sorted(found.checkpoint.size for found in read_checkpoints(file)) == list(range(16))
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_many_cosign_at_once(tmp_path: Path) -> None:
    file = tmp_path / "x.checkpoints"
    notes = [SignedCheckpoint.of(signed(7).note.sign(key, at=5)) for key in WITNESSES]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda note: add_checkpoint(file, note), notes))
    (found,) = read_checkpoints(file)
    assert len(found.note.signers([LOG.verifier, *(key.verifier for key in WITNESSES)])) == 9


def test_a_crash_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.checkpoints"
    add_checkpoint(file, signed(1))
    before = file.read_bytes()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            add_checkpoint(file, signed(2))
    assert file.read_bytes() == before
    assert add_checkpoint(file, signed(2))
    assert [found.checkpoint.size for found in read_checkpoints(file)] == [1, 2]
