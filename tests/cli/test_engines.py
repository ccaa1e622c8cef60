"""Engines: what is refused before anything starts, and the Job that is only written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cli.command import Phasegate

from registry.runner.launchers.ray import Ray

KUBERNETES = ("--engine", "kubernetes", "--engine-set", "image=here/phasegate:1")
TRAIN = ("run", "train-classifier", "moods/1")


@pytest.mark.parametrize(
    ("words", "complaint", "hint"),
    [
        ("--engine slum", "there is no engine 'slum'", "did you mean 'slurm'?"),
        ("--processes 2", "engine 'local' runs one process, and 2 are asked for", "--engine torchrun"),
        ("--processes 0", "0 processes run nothing", "--processes 1 or more"),
        ("--engine torchrun --processes -1", "-1 processes run nothing", "--processes 1 or more"),
        ("--engine-set restarts=1", "engine 'local' has no option 'restarts'", "it has no options"),
        (
            "--engine torchrun --engine-set restart=1",
            "engine 'torchrun' has no option 'restart'",
            "did you mean 'restarts'?",
        ),
        (
            "--engine torchrun --engine-set restarts=often",
            "engine 'torchrun', option 'restarts': Input should be a valid integer",
            "restarts, grace",
        ),
        (
            "--engine ray --processes 2 --engine-set min_processes=3",
            "min_processes is 3, more than the 2 processes asked for",
            "--processes 3",
        ),
        (
            "--engine slurm --processes 3 --engine-set nodes=2",
            "3 processes cannot be shared equally by 2 nodes",
            "--processes 4",
        ),
        (
            "--engine slurm --engine-set cluster=local --processes 2 --engine-set nodes=2",
            "cluster=local has one node",
            "leave nodes out",
        ),
        ("--engine slurm", "engine 'slurm' needs sbatch, srun", "--engine-set cluster=local"),
        ("--engine kubernetes", "engine 'kubernetes' needs an image", "image=REGISTRY/NAME:TAG"),
        (" ".join(KUBERNETES), "engine 'kubernetes' needs kubectl on the PATH", "--manifest FILE"),
        ("--manifest -", "engine 'local' has no manifest", "--engine kubernetes"),
        ("--engine-config nowhere.yaml", "nowhere.yaml cannot be read as YAML", ""),
    ],
)
def test_what_cannot_be_started_is_refused_before(
    words: str,
    complaint: str,
    hint: str,
    phasegate: Phasegate,
    version: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # there are no clusters on this machine
    answer = phasegate.refuses(*TRAIN, *words.split())
    assert complaint in answer.err
    assert hint in answer.err


def test_a_plugin_that_cannot_share_its_work_runs_as_one_process(phasegate: Phasegate, words: str) -> None:
    answer = phasegate.refuses("run", "profile", words, "--engine", "torchrun", "--processes", "2")
    assert "plugin 'profile' runs as one process, and 2 are asked for" in answer.err
    assert "leave --processes out" in answer.err


def test_an_engine_that_is_not_installed_says_what_installs_it(
    phasegate: Phasegate, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ray, "requires", ("no_such_module",))
    answer = phasegate.refuses(*TRAIN, "--engine", "ray")
    assert answer.err == ("Error: engine 'ray' needs no_such_module\n  -> pip install 'phasegate[ray]'\n")


def test_engine_and_processes_stand_in_run_and_ledger(phasegate: Phasegate, words: str) -> None:
    phasegate("run", "profile", words, "--engine", "slurm", "--engine-set", "cluster=local")
    run = phasegate("runs", "show", "1", "--json").json
    how = {"engine": "slurm", "processes": 1, "engine_options": {"cluster": "local"}}
    assert {key: run[key] for key in how} == how
    assert "slurm, cluster=local" in phasegate("runs", "show", "1").out
    queued = next(
        entry for entry in phasegate("audit", "log", "--json").json if entry["action"] == "run-queued"
    )
    assert {key: queued["payload"][key] for key in how} == how
    phasegate.verify()


def test_doctor_tells_what_trainings_can_run_on(phasegate: Phasegate) -> None:
    found = {check["name"]: check for check in phasegate("doctor", "--json").json}
    assert found["torch"]["text"].startswith("torch ")
    assert found["engine ray"]["ok"]
    assert found["engine slurm"]["text"].startswith("submitit ")
    assert {"gpus", "engine kubernetes"} <= set(found)
    assert not found["gpus"]["fatal"]


class TestManifest:
    @pytest.fixture
    def written(self, phasegate: Phasegate, version: str, tmp_path: Path) -> list[dict[str, Any]]:
        file = tmp_path / "job.yaml"
        options = ("claim=registry", "namespace=ml", "gpus=1", "memory=16Gi", "grace=45")
        settings = [word for option in options for word in ("--engine-set", option)]
        answer = phasegate(*TRAIN, *KUBERNETES, *settings, "--processes", "4", "--manifest", file)
        assert answer.out == ""
        return list(yaml.safe_load_all(file.read_text()))

    def test_nothing_is_started(self, written: Any, phasegate: Phasegate) -> None:
        assert phasegate("runs", "list", "--json").json == []

    def test_every_process_is_a_pod_of_an_indexed_job(self, written: list[dict[str, Any]]) -> None:
        job = written[1]
        assert (job["apiVersion"], job["kind"], job["metadata"]["namespace"]) == ("batch/v1", "Job", "ml")
        spec = job["spec"]
        assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
        assert spec["backoffLimit"] == 0
        pod = spec["template"]["spec"]
        assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Never", 45)
        (container,) = pod["containers"]
        assert container["image"] == "here/phasegate:1"
        assert container["resources"]["limits"] == {"cpu": "1", "memory": "16Gi", "nvidia.com/gpu": "1"}
        environment = {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
        assert "job-completion-index" in environment["RANK"]["fieldRef"]["fieldPath"]
        assert (environment["WORLD_SIZE"], environment["LOCAL_RANK"]) == ("4", "0")

    def test_pods_find_the_first_one(self, written: list[dict[str, Any]]) -> None:
        service, job = written
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        name = job["metadata"]["name"]
        pod = job["spec"]["template"]["spec"]
        assert pod["subdomain"] == service["metadata"]["name"]
        values = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
        assert values["MASTER_ADDR"] == f"{name}-0.{service['metadata']['name']}"
        assert int(values["MASTER_PORT"]) == service["spec"]["ports"][0]["port"]
        assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}

    def test_the_home_is_where_it_is_here(self, written: list[dict[str, Any]], phasegate: Phasegate) -> None:
        pod = written[1]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["volumeMounts"] == [{"name": "home", "mountPath": str(phasegate.home)}]
        assert pod["volumes"] == [{"name": "home", "persistentVolumeClaim": {"claimName": "registry"}}]
        assert container["command"][-1].startswith(str(phasegate.home / "runs"))

    def test_without_a_claim_it_is_the_nodes_own_folder(self, phasegate: Phasegate, version: str) -> None:
        answer = phasegate(*TRAIN, *KUBERNETES, "--manifest", "-")
        assert "&" not in answer.out, "what stands twice is written twice: people read it"
        job = list(yaml.safe_load_all(answer.out))[1]
        (volume,) = job["spec"]["template"]["spec"]["volumes"]
        assert volume["hostPath"]["path"] == str(phasegate.home)

    def test_options_come_from_a_file_too(self, phasegate: Phasegate, version: str, tmp_path: Path) -> None:
        file = tmp_path / "engine.yaml"
        file.write_text("image: here/other:2\ncpus: '4'\n")
        settings = ("--engine", "kubernetes", "--engine-config", file, "--engine-set", "cpus=8")
        job = list(yaml.safe_load_all(phasegate(*TRAIN, *settings, "--manifest", "-").out))[1]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "here/other:2"
        assert container["resources"]["requests"]["cpu"] == "8"

    def test_an_option_of_the_plugin_is_checked(self, phasegate: Phasegate, version: str) -> None:
        answer = phasegate.refuses(*TRAIN, *KUBERNETES, "--manifest", "-", "--set", "epoch=1")
        assert "did you mean 'epochs'?" in answer.err
