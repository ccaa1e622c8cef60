"""retire: deployments really end, the archive is whole, and nothing is retired that still runs."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from registry.errors import BadConfig, BadReference, RunFailed
from registry.extension import DeploymentInput, Retired
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.files import manifest_of
from registry.plugins.deploy.local import DeployLocal
from registry.plugins.deploy.process import on_probation, stop
from registry.plugins.deploy.service import Service
from registry.plugins.retire.retire import Retire

STATED = {
    "reason": "the loan product ended",
    "dependants": "none",
    "data_migration": "nothing depends on it",
    "resource_release": "the server",
    "risk": "none: clerks decide until the next product",
}


class TestContract(PluginContract):
    plugin = Retire


def retire(
    folder: Path, *deployments: DeploymentInput, config: dict[str, Any] = STATED, **given: Any
) -> Retired:
    result = run_plugin(Retire(), folder, deployments=deployments, config=config, **given)
    assert isinstance(result, Retired)
    return result


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, tiny_artifact: Path, sentiment_test: pa.Table) -> Path:
    """What deploy-local serves, exported once."""
    folder = tmp_path_factory.mktemp("bundle")
    test = dataset_input(folder / "test", sentiment_test, ref="films/1", role="test", text="text")
    result = run_plugin(
        DeployLocal(),
        folder / "run",
        artifact=tiny_artifact,
        data={"test": test},
        config={"parity_rows": 20, "requests": 1},
    )
    stop(result.details["pid"], result.details["started"], grace_s=10)
    return folder / "run" / "keep"


@pytest.fixture
def deployment(bundle: Path, tmp_path: Path) -> Iterator[DeploymentInput]:
    """A server that runs, as deploy-local left it."""
    folder = Path(shutil.copytree(bundle, tmp_path / "keep"))
    service = Service.read(folder)
    with on_probation(folder, service, "", timeout_s=60, alive=lambda: None) as server:
        server.keep()
    named = service.model_dump(include={"model", "version", "artifact"})
    yield DeploymentInput(
        id=7,
        target="local",
        endpoint=server.endpoint,
        plugin="deploy-local",
        folder=folder,
        details=named | {"pid": server.pid, "started": server.started, "port": server.port, "digest": ""},
    )
    stop(server.pid, server.started, grace_s=10)


def test_a_version_that_runs_nowhere_is_archived_whole(tmp_path: Path, tiny_artifact: Path) -> None:
    result = retire(tmp_path / "run", artifact=tiny_artifact)
    assert result.stopped == ()
    assert result.archive.is_relative_to(tmp_path / "run")
    manifest = manifest_of(tiny_artifact)
    with tarfile.open(result.archive / "artifact.tar") as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert manifest_of(tmp_path / "unpacked") == manifest
    metrics = result.evidence.metrics
    assert metrics["deployments_running"] == 0
    assert metrics["archived_files"] == len(manifest)
    assert metrics["archived_bytes"] == sum(path.stat().st_size for path in result.archive.iterdir())


def test_the_same_artifact_makes_the_same_archive(tmp_path: Path, tiny_artifact: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in sorted(tiny_artifact.iterdir(), reverse=True):
        (copy / path.name).write_bytes(path.read_bytes())
        (copy / path.name).chmod(0o600)
    one = retire(tmp_path / "one", artifact=tiny_artifact).archive / "artifact.tar"
    other = retire(tmp_path / "other", artifact=copy).archive / "artifact.tar"
    assert one.read_bytes() == other.read_bytes()


def test_the_tombstone_tells_the_story(
    tmp_path: Path, tiny_artifact: Path, sentiment_train: pa.Table
) -> None:
    train = dataset_input(tmp_path / "train", sentiment_train, ref="films-train/2", role="train", text="text")
    plan = {"purpose": "sort film reviews", "prohibited_uses": ["people"]}
    config = STATED | {"successor": "films/2", "dependants": "branch app, call centre", "keep_days": 30}
    archive = retire(
        tmp_path / "run", artifact=tiny_artifact, data={"train": train}, plan=plan, config=config
    ).archive
    tombstone = json.loads((archive / "tombstone.json").read_text())
    assert tombstone["ref"] == "model/1"
    assert tombstone["plan"] == plan
    assert tombstone["reason"] == "the loan product ended"
    assert tombstone["successor"] == "films/2"
    assert tombstone["dependants"] == ["branch app", "call centre"]
    assert tombstone["resource_release"] == "the server"
    assert tombstone["data_migration"] == "nothing depends on it"
    assert tombstone["risk"] == "none: clerks decide until the next product"
    assert tombstone["data"] == {"train": {"ref": "films-train/2", "digest": train.digest}}
    assert tombstone["artifact"]["files"] == manifest_of(tiny_artifact)
    assert tombstone["artifact"]["archive_digest"] == manifest_of(archive)["artifact.tar"]
    retired = date.fromisoformat(tombstone["retired_at"][:10])
    assert date.fromisoformat(tombstone["keep_until"]) == retired + timedelta(days=30)


def test_a_version_without_an_artifact_leaves_a_tombstone_alone(tmp_path: Path) -> None:
    result = retire(tmp_path)
    assert [path.name for path in result.archive.iterdir()] == ["tombstone.json"]
    assert json.loads((result.archive / "tombstone.json").read_text())["artifact"] is None
    assert result.evidence.metrics["archived_files"] == 0


def test_the_plan_stands_in_the_evidence(tmp_path: Path) -> None:
    evidence = retire(tmp_path).evidence
    assert evidence.facts == STATED | {"successor": "none", "deployments_stopped": "none"}
    assert (evidence.metrics["dependants"], evidence.metrics["keep_days"]) == (0, 3650)
    used = retire(tmp_path / "used", config=STATED | {"dependants": ["branch app", "call centre"]}).evidence
    assert used.metrics["dependants"] == 2
    assert used.facts["dependants"] == "branch app, call centre"


@pytest.mark.parametrize("given", [None, "", "  "])
@pytest.mark.parametrize("option", sorted(STATED))
def test_all_of_the_plan_must_be_stated(tmp_path: Path, option: str, given: str | None) -> None:
    config = {name: value for name, value in STATED.items() if name != option}
    with pytest.raises(BadConfig, match=f"option '{option}'"):
        retire(tmp_path, config=config if given is None else config | {option: given})


def test_a_successor_is_a_version(tmp_path: Path) -> None:
    with pytest.raises(BadReference, match="'films' names no version"):
        retire(tmp_path, config=STATED | {"successor": "films"})


def test_a_deployment_that_still_answers_is_not_retired(
    deployment: DeploymentInput, tmp_path: Path, tiny_artifact: Path
) -> None:
    details = deployment.details | {"started": deployment.details["started"] - 3600}
    stranger = deployment.model_copy(update={"details": details})
    with pytest.raises(RunFailed, match=r"not retired: 1 of 1 .* deployment 7 \(http.*still serves model/1"):
        retire(tmp_path / "run", stranger, artifact=tiny_artifact)
    assert DeployLocal().healthy(deployment)
    assert not (tmp_path / "run" / "outputs").exists()


def test_one_that_cannot_be_stopped_fails_the_run_and_the_others_are_stopped(
    deployment: DeploymentInput, tmp_path: Path
) -> None:
    lost = deployment.model_copy(update={"id": 3, "plugin": "deploy-nowhere"})
    with pytest.raises(RunFailed, match=r"1 of 2 .* deployment 3 .*there is no plugin 'deploy-nowhere'"):
        retire(tmp_path / "run", lost, deployment)
    assert not DeployLocal().healthy(deployment)


def test_deployments_are_stopped_and_retiring_again_does_no_harm(
    deployment: DeploymentInput, tmp_path: Path, tiny_artifact: Path
) -> None:
    for attempt in ("one", "two"):
        retired = retire(tmp_path / attempt, deployment, artifact=tiny_artifact)
        assert retired.stopped == (7,)
        assert retired.evidence.facts["deployments_stopped"] == "7"
        assert not DeployLocal().healthy(deployment)
    tombstone = json.loads((retired.archive / "tombstone.json").read_text())
    assert tombstone["deployments"][0]["details"] == deployment.details
