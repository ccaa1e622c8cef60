"""Licences: of the whole lineage, by SPDX name, and nothing passes for allowed that was not named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from registry.domain.evidence import EvidenceStatus
from registry.errors import BadConfig
from registry.extension import Evidence, OriginInput
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.check.licences import Licences
from registry.plugins.check.spdx import KNOWN, choices


class TestContract(PluginContract):
    plugin = Licences


def licences(folder: Path, licence: str, *parents: str, **options: Any) -> Evidence:
    data = dataset_input(
        folder / "in",
        pa.table({"text": ["a"]}),
        ref="reviews-train/1",
        licence=licence,
        source="reviews.csv",
        parents=tuple(
            OriginInput(ref=f"old/{number}", digest="sha256:0", licence=name, source="")
            for number, name in enumerate(parents, 1)
        ),
    )
    evidence: Evidence = run_plugin(Licences(), folder / "run", dataset=data, config=options)
    return evidence


VERDICTS = ("allowed", "disallowed", "unlicensed", "unknown")


@pytest.mark.parametrize(
    ("licence", "verdict"),
    [
        ("CC-BY-4.0", "allowed"),
        ("cc-by-4.0", "allowed"),
        ("MIT OR GPL-3.0-only", "allowed"),
        ("MIT AND CC0-1.0", "allowed"),
        ("MIT AND GPL-3.0-only", "disallowed"),
        ("CC-BY-NC-4.0", "disallowed"),
        ("CC-BY-SA-4.0", "disallowed"),
        ("LicenseRef-Contract-17", "disallowed"),
        ("", "unlicensed"),
        ("  ", "unlicensed"),
        ("proprietary", "unknown"),
        ("CC BY 4.0", "unknown"),
        ("MIT OR free", "unknown"),
        ("(MIT)", "unknown"),
        ("MIT OR", "unknown"),
    ],
)
def test_sorts_a_licence(tmp_path: Path, licence: str, verdict: str) -> None:
    evidence = licences(tmp_path, licence)
    assert {name: evidence.metrics[name] for name in VERDICTS} == {name: name == verdict for name in VERDICTS}
    assert evidence.facts["licence"] == licence
    assert (evidence.facts["problems"] == "none") == (verdict == "allowed")


def test_looks_at_everything_that_it_was_made_from(tmp_path: Path) -> None:
    evidence = licences(tmp_path, "CC-BY-4.0", "CC-BY-NC-4.0", "", "CC-BY 4.0")
    assert evidence.metrics == {
        "datasets": 4,
        "allowed": 1,
        "disallowed": 1,
        "unlicensed": 1,
        "unknown": 1,
        "sourceless": 3,
    }
    assert evidence.facts["problems"] == (
        "old/1 is under CC-BY-NC-4.0, which is not allowed; old/2 names no licence; "
        "old/3 names 'CC-BY 4.0', which is no SPDX name (did you mean 'CC-BY-4.0'?)"
    )
    assert [row["verdict"] for row in evidence.tables["lineage"]] == list(VERDICTS)


def test_a_company_allows_its_own(tmp_path: Path) -> None:
    allowed = "LicenseRef-Contract-17, mit"
    assert licences(tmp_path / "1", "LicenseRef-Contract-17", allowed=allowed).metrics["allowed"] == 1
    assert licences(tmp_path / "2", "MIT", allowed=allowed).metrics["allowed"] == 1
    assert licences(tmp_path / "3", "CC-BY-4.0", allowed=allowed).metrics["disallowed"] == 1


@pytest.mark.parametrize("allowed", ["CC-BY 4.0", "", "proprietary", "LicenseRef-"])
def test_refuses_a_list_that_names_no_licence(tmp_path: Path, allowed: str) -> None:
    with pytest.raises(BadConfig, match="option 'allowed'"):
        licences(tmp_path, "MIT", allowed=allowed)


def test_a_run_that_was_told_of_no_lineage_has_not_judged(tmp_path: Path) -> None:
    data = dataset_input(tmp_path / "in", pa.table({"text": ["a"]})).model_copy(update={"lineage": ()})
    evidence = run_plugin(Licences(), tmp_path / "run", dataset=data)
    assert evidence.status is EvidenceStatus.INSUFFICIENT


def test_every_known_name_is_a_licence_of_its_own() -> None:
    assert len({name.casefold() for name in KNOWN}) == len(KNOWN)
    assert all(choices(name) == [[name]] for name in KNOWN)
