"""People with keys, and what they sign."""

from __future__ import annotations

from pathlib import Path

from integration.builder import Builder


def key_of(builder: Builder, folder: Path, owner: str, *, ed25519: bool = False) -> str:
    """The file of a new key that is trusted as somebody's."""
    file = folder / f"{owner}-{len(list(folder.glob('*.key')))}.key"
    builder.acting("root").keys.make(file, owner=owner, ed25519=ed25519)
    return str(file)


def sign_all(builder: Builder, ref: str, folder: Path) -> None:
    """A version that rita signed, with a key that she still has, and a key of hers that was distrusted."""
    lost = builder.acting("root").keys.make(folder / "lost.key", owner="rita")
    builder.acting("root").keys.distrust(lost.keyid, "lost")
    builder.acting("rita").keys.sign(ref, key_of(builder, folder, "rita"))
