"""Tuning by real runs, from a version with replay and from a folder, and what is told of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from integration.test_evidence_made import LIFECYCLE, RETIREMENT, TRAINING, Life

from registry.api import Registry
from registry.domain.digests import short
from registry.errors import BadConfig
from registry.storage import find
from registry.storage.home import Home
from registry.storage.tables import Artifact
from registry.usecases import attest
from registry.usecases.runs import RunOptions

QUICK = {"epochs": 1, "max_length": 32}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """films/1 from scratch; films/2 from it with new data and old; films/3 from a folder, by adapters."""
    folder = tmp_path_factory.mktemp("tuned")
    (folder / "workshop.yaml").write_text(LIFECYCLE)
    with Registry(Home.at(folder / "home"), "ann") as registry:
        registry.initialise(lifecycle=folder / "workshop.yaml")
        life = Life(registry, folder)
        old, new = life.reviews("old", 240), life.reviews("new", 90)
        registry.add_system("films", purpose="sorts reviews", risk_tier="minimal")
        for train in (old, new, new):
            registry.plan("films", system="films", data={"train": train})
        registry.run("train-classifier", "films/1", config=TRAINING)
        registry.run("train-classifier", "films/2", base="films/1", config={**QUICK, "replay_share": 0.3})
        artifact = registry.version("films/1").artifact
        with registry._opened.read() as session:
            stored = session.get_one(Artifact, artifact)
            path = registry._opened.store.fetch(artifact, stored.manifest)
        shutil.copytree(path, folder / "shared-model")
        (folder / "shared-model" / "LICENSE").write_text("MIT License\n")
        registry.run(
            "train-classifier", "films/3", base=str(folder / "shared-model"), config={**QUICK, "lora_rank": 4}
        )
        shutil.rmtree(folder / "shared-model")
        yield life


def of(life: Life, ref: str) -> dict[str, str]:
    (run,) = life.registry.runs.all(about=ref)
    (evidence,) = life.registry.runs.evidence(run.id)
    return {**evidence.facts, **{name: str(value) for name, value in evidence.metrics.items()}}


def test_what_a_version_is_tuned_from_is_known_by_digest_licence_and_data(tuned: Life) -> None:
    facts = of(tuned, "films/2")
    assert (facts["base.ref"], facts["base.head"]) == ("films/1", "kept")
    assert facts["base.digest"] == tuned.registry.version("films/1").artifact
    assert (facts["base.licence"], facts["base.data"]) == ("CC0-1.0", "old/1")


def test_old_data_is_what_the_base_was_trained_on_unless_another_is_named(tuned: Life) -> None:
    facts = of(tuned, "films/2")
    assert facts["replay"] == "old/1"
    assert facts["replay.drawn"] == "39.0"  # 0.3 of an epoch with 90 new rows
    assert {"replay.loss_before", "replay.loss_after"} <= set(facts)


def test_a_folder_is_kept_with_its_licence_though_it_is_gone(tuned: Life) -> None:
    facts = of(tuned, "films/3")
    assert (facts["base.ref"], facts["base.licence"]) == ("shared-model", "MIT License")
    assert facts["lora"].startswith("rank 4")
    assert tuned.registry.verify(artifacts=True).ok


def test_the_base_is_an_input_of_the_run_and_stands_in_history_and_provenance(tuned: Life) -> None:
    registry = tuned.registry
    (run,) = registry.runs.all(about="films/2")
    digest = registry.version("films/1").artifact
    assert registry.runs.one(run.id).inputs == {"base": "films/1", "replay": "old/1", "train": "new/1"}
    (queued,) = (e for e in registry.history("films/2") if e.action == "run-queued")
    assert queued.payload["base"] == {"ref": "films/1", "digest": digest}
    assert queued.text == f"train-classifier on films/2, from films/1 ({short(digest)})"
    with registry._opened.read() as session:
        provenance = attest._run(session, find.run(session, run.id), "films/2")
    materials = {each["name"]: each for each in provenance["buildDefinition"]["resolvedDependencies"]}
    assert materials["base"]["uri"] == "phasegate:films/1"
    assert materials["base"]["digest"] == {"sha256": digest.removeprefix("sha256:")}


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        ({"lora_rank": 4}, {}, "lora_rank is 4, and the training begins with no base"),
        ({"replay_share": 0.2}, {}, "replay_share is 0.2, and there is nothing to replay"),
        ({"patience": 2}, {}, "patience needs validation data"),
        ({"tensor": 2}, {}, "tensor 2, and the run has one process"),
        ({"tensor": 2}, {"engine": "torchrun", "processes": 3}, "tensor 2 does not divide the run's 3"),
        ({"hidden_size": 64}, {"base": "films/1"}, "hidden_size does nothing with a base"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_there_is_a_run(
    tuned: Life, config: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    before, base = len(tuned.registry.runs.all()), options.pop("base", "")
    with pytest.raises(BadConfig, match=message):
        tuned.registry.runs.start(
            "train-classifier", "films/2", config=config, base=base, options=RunOptions(**options)
        )
    assert len(tuned.registry.runs.all()) == before


def test_whoever_retires_a_base_sees_who_stands_on_it(tuned: Life) -> None:
    tuned.run("retire", "films/1", **RETIREMENT | {"dependants": "none"})
    retirement = tuned.evidence["retirement"]
    assert retirement.facts["dependants"] == "films/2"
    assert retirement.metrics["dependants"] == 1


def test_a_version_is_tuned_from_itself(tuned: Life) -> None:
    registry = tuned.registry
    before = registry.version("films/3").artifact
    registry.run("train-classifier", "films/3", base="films/3", config={**QUICK, "freeze": "all-but-head"})
    newest = registry.runs.all(about="films/3")[0]
    (evidence,) = registry.runs.evidence(newest.id)
    assert evidence.facts["base.digest"] == before != registry.version("films/3").artifact
    # What the folder asked is asked on.
    assert evidence.facts["base.licence"] == "CC0-1.0 AND MIT License"
