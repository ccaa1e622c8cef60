"""`phasegate model fetch`: a version's files, whole and verified, or none."""

from __future__ import annotations

from pathlib import Path

from cli.command import Phasegate
from integration.builder import Builder

from registry.domain.digests import digest_of
from registry.files import manifest_of


def test_the_files_are_those_of_the_digest(phasegate: Phasegate, tmp_path: Path) -> None:
    with Builder(phasegate.home, f"sqlite:///{phasegate.home / 'registry.db'}") as builder:
        builder.bring(builder.plan("loans"), "trained")
    folder = tmp_path / "new" / "loans"
    said = phasegate("model", "fetch", "loans/1", folder, "--json").json
    assert digest_of(manifest_of(folder)) == said["artifact"]
    assert said["files"] == sorted(manifest_of(folder))
    assert "is there already, and is not empty" in phasegate.refuses("model", "fetch", "loans/1", folder).err

    for file in [*(phasegate.home / "artifacts").rglob("*/??/*"), *phasegate.home.rglob("cache/**/*")]:
        if file.is_file():
            file.parent.chmod(0o755)
            file.chmod(0o644)
            file.write_bytes(b"changed")
    refused = phasegate.refuses("model", "fetch", "loans/1", tmp_path / "again", code=4).err
    assert "the store holds other bytes" in refused
    assert not (tmp_path / "again").exists()


def test_a_version_without_artifact_has_none(phasegate: Phasegate, version: str, tmp_path: Path) -> None:
    said = phasegate.refuses("model", "fetch", version, tmp_path / "model").err
    assert "has no artifact yet" in said
    assert "gate explain moods/1 trained" in said
