"""`scan-artifact`: whether loading the artifact could run code."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field

from registry.domain.evidence import EvidenceStatus
from registry.extension import CheckPlugin, Evidence, PluginConfig, RunContext
from registry.plugins.check.contents import UNKNOWN, UNSAFE, VERIFIED, Judgement, judge


class ScanConfig(PluginConfig):
    """What to accept beside the formats that hold weights and text only."""

    allow_pickle: bool = Field(
        False,
        description="accept pickles that import nothing but numpy arrays and OrderedDict; still no archives",
    )


class ScanArtifact(CheckPlugin[ScanConfig]):
    """Verify that every file of an artifact is of a format that cannot run code."""

    name = "scan-artifact"
    subject = "version"
    evidence = "eval.security"
    needs_artifact = True

    def run(self, ctx: RunContext, config: ScanConfig) -> Evidence:
        """Judge each file by its contents. What is unreadable is unsafe; what is not verified is unknown."""
        paths, unread = files_below(ctx.artifact)
        judgements: dict[str, Judgement] = {
            folder: Judgement("folder", UNSAFE, "its contents cannot be listed") for folder in unread
        }
        for done, path in enumerate(paths, 1):
            ctx.check_cancelled()
            name = path.relative_to(ctx.artifact).as_posix()
            judgements[name] = judge(path, allow_pickle=config.allow_pickle)
            ctx.progress(done, len(paths), name)

        verdicts = Counter(judgement.verdict for judgement in judgements.values())
        size = sum(judgement.bytes for judgement in judgements.values())
        examined = sum(judgement.examined for judgement in judgements.values())
        reason = "the artifact has no files" if not judgements else ""
        if verdicts[UNKNOWN]:
            unknown = [name for name, judgement in judgements.items() if judgement.verdict == UNKNOWN]
            reason = f"not verified: {', '.join(unknown)}"
        formats = Counter(judgement.format for judgement in judgements.values())
        return Evidence(
            metrics={
                "files": len(judgements),
                "unsafe_files": verdicts[UNSAFE],
                "unknown_files": verdicts[UNKNOWN],
                "bytes": size,
            },
            status=EvidenceStatus.INSUFFICIENT if reason else EvidenceStatus.COMPLETE,
            reason=reason,
            facts={
                "formats": ", ".join(f"{name} {count}" for name, count in sorted(formats.items())),
                "verifies": ", ".join(VERIFIED) + (", pickle" if config.allow_pickle else ""),
                "blind_to": "what the weights do, such as a planted trigger; all other formats",
            },
            coverage=examined / size if size else 0.0,
            summary=f"{verdicts[UNSAFE]} of {len(judgements)} files unsafe, {verdicts[UNKNOWN]} unknown",
            tables={"files": [_row(name, judgement) for name, judgement in judgements.items()]},
        )


def files_below(folder: Path) -> tuple[list[Path], list[str]]:
    """Everything below a folder that is no folder, links included, and the folders that cannot be listed."""
    paths: list[Path] = []
    unread: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=lambda error: unread.append(str(error.filename))):
        folders.sort()
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        paths += [Path(parent) / name for name in sorted([*files, *links])]
    return paths, unread


def _row(name: str, judgement: Judgement) -> dict[str, Any]:
    return {
        "file": name,
        "format": judgement.format,
        "bytes": judgement.bytes,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
    }
