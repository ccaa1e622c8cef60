"""Installs the bad plugins for processes that a test starts: a distribution."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
PLUGINS = {
    "raises": "ending:Raises",
    "declines": "ending:Declines",
    "hangs": "ending:Hangs",
    "lingers": "ending:Lingers",
    "holds": "ending:Holds",
    "kills-itself": "ending:KillsItself",
    "leaves-quietly": "ending:LeavesQuietly",
    "nan-metric": "results:NanMetric",
    "nan-evidence": "results:NanEvidence",
    "nan-table": "results:NanTable",
    "impossible-coverage": "results:ImpossibleCoverage",
    "wrong-type": "results:WrongType",
    "evidence-elsewhere": "results:EvidenceElsewhere",
    "dataset-elsewhere": "results:DatasetElsewhere",
    "dataset-behind-a-link": "results:DatasetBehindALink",
    "damaged-dataset": "results:DamagedDataset",
    "empty-folder": "results:EmptyFolder",
    "goes-elsewhere": "results:GoesElsewhere",
    "own-evidence-folder": "results:OwnEvidenceFolder",
    "fills-the-disk": "greedy:FillsTheDisk",
    "fills-and-leaves": "greedy:FillsAndLeaves",
    "floods": "greedy:Floods",
    "churns": "greedy:Churns",
    "scribbles": "greedy:Scribbles",
    "counts": "working:Counts",
    "breeds": "working:Breeds",
    "descends": "descending:Descends",
    "adds-up": "together:AddsUp",
    "trains": "deploying:Trains",
    "wavers": "wavering:Wavers",
    "deploys": "deploying:Deploys",
    "needs-more": "needing:NeedsMore",
    "broken": "broken:Broken",
    "another-name": "ending:Raises",
    "no-plugin": "dist:install",
}


def install(folder: Path) -> list[Path]:
    """Write the distribution's metadata in a folder; returns what must be on the path."""
    metadata = folder / "bad_plugins-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-plugins\nVersion: 1.0\n")
    points = "\n".join(f"{name} = bad_plugins.{where}" for name, where in PLUGINS.items())
    (metadata / "entry_points.txt").write_text(f"[phasegate.plugins]\n{points}\n")
    return [folder, PACKAGE.parent]
