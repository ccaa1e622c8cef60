"""Several processes as an indexed Job of Kubernetes. The home must be on a volume that the pods share."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from pydantic import Field

from registry.domain.digests import digest_of
from registry.errors import BadInput, RunFailed
from registry.files import write_atomically
from registry.runner.folder import RunFolder
from registry.runner.launchers.base import EngineOptions, Launcher
from registry.runner.launchers.settling import settle
from registry.runner.starting import DEFAULTS, MARK

_TICK = 2.0
_PORT = 29500
_INDEX = "batch.kubernetes.io/job-completion-index"
_JOB = "batch.kubernetes.io/job-name"


class KubernetesOptions(EngineOptions):
    """Options of Kubernetes."""

    image: str = Field(default="", description="image with Phasegate and what the plugin needs; required")
    claim: str = Field(
        default="", description="volume claim that holds the home; empty: the nodes' own folder of that path"
    )
    namespace: str = Field(default="", description="where the Job is made; empty: as kubectl has it")
    service_account: str = Field(default="", description="under which the pods run")
    cpus: str = Field(default="1", description="CPUs of each process, as Kubernetes writes them")
    memory: str = Field(default="2Gi", description="memory of each process, as Kubernetes writes it")
    gpus: int = Field(default=0, ge=0, description="GPUs of each process")
    python: str = Field(default="python", description="python in the image")
    retries: int = Field(
        default=0, ge=0, description="how often Kubernetes starts a failed pod again by itself"
    )
    grace: int = Field(default=60, ge=1, description="seconds in which a pod that must go saves its work")


class Kubernetes(Launcher[KubernetesOptions]):
    """A Job, applied with kubectl and waited for by the run's first process."""

    name = "kubernetes"
    options_type = KubernetesOptions

    def check(self, processes: int, options: KubernetesOptions) -> None:
        self.check_manifest(processes, options)
        if shutil.which("kubectl") is None:
            raise BadInput(
                "engine 'kubernetes' needs kubectl on the PATH",
                hint="see https://kubernetes.io/docs/tasks/tools, or only write the Job: --manifest FILE",
            )

    def check_manifest(self, processes: int, options: KubernetesOptions) -> None:
        """Refuse what no Job can be written for.

        Raises:
            BadInput: No image, or a number of processes that it cannot run.
        """
        super().check(processes, options)
        if not options.image:
            raise BadInput(
                "engine 'kubernetes' needs an image", hint="add --engine-set image=REGISTRY/NAME:TAG"
            )

    def run(self, folder: RunFolder, processes: int, options: KubernetesOptions) -> int:
        from yaml import safe_dump_all

        spec = folder.spec
        made = manifest(folder.path, Path(folder.ticket.home), processes, options, spec.run)
        name = made[-1]["metadata"]["name"]
        path = folder.path / "manifest.yaml"
        write_atomically(path, safe_dump_all(made, sort_keys=False).encode())
        _kubectl("apply", "-f", str(path))
        while not _over(json.loads(_kubectl("get", "-f", str(path), "-o", "json")), name):
            time.sleep(_TICK)
        chosen = [f"--namespace={options.namespace}"] if options.namespace else []
        pods = json.loads(_kubectl("get", "pods", "-l", f"{_JOB}={name}", "-o", "json", *chosen))
        print(_kubectl("logs", "-l", f"{_JOB}={name}", "--prefix", "--tail=-1", *chosen), flush=True)  # noqa: T201
        bad = {rank: status for rank, status in _statuses(pods).items() if status}
        return settle(folder, bad) if bad else 0

    def clear(self, folder: RunFolder) -> None:
        super().clear(folder)
        path = folder.path / "manifest.yaml"
        if path.exists():
            _kubectl("delete", "-f", str(path), "--ignore-not-found", "--cascade=foreground", "--wait=true")


def manifest(
    path: Path, home: Path, processes: int, options: KubernetesOptions, run: str
) -> list[dict[str, Any]]:
    """What is applied: a headless service, at which the pods find the first one, and the Job.

    https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode: pod N of an indexed Job
    is found as `JOB-N.SERVICE`.

    Args:
        path: The run's folder, in the pods as here.
        home: The registry's home, which holds it.
        processes: How many pods.
        options: Of the engine.
        run: The run's number.
    """
    # Homes of one namespace have runs of the same numbers.
    name = f"phasegate-{digest_of(str(home)).partition(':')[2][:6]}-run-{run}"
    about = {"name": name, "labels": {"app.kubernetes.io/managed-by": "phasegate", "phasegate/run": run}}
    if options.namespace:
        about["namespace"] = options.namespace
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about,
        "spec": {
            "clusterIP": "None",
            # The first pod must be found before it is ready: the others wait for it.
            "publishNotReadyAddresses": True,
            "selector": {_JOB: name},
            "ports": [{"name": "meeting", "port": _PORT}],
        },
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": about,
        "spec": {
            "completionMode": "Indexed",
            "completions": processes,
            "parallelism": processes,
            "backoffLimit": options.retries,
            "template": {
                "metadata": {"labels": about["labels"]},
                "spec": _pod(path, home, processes, options, name),
            },
        },
    }
    return [service, job]


def _pod(path: Path, home: Path, processes: int, options: KubernetesOptions, name: str) -> dict[str, Any]:
    amounts = {"cpu": options.cpus, "memory": options.memory}
    if options.gpus:
        amounts["nvidia.com/gpu"] = str(options.gpus)
    plain = {
        **DEFAULTS,
        "PYTHONUNBUFFERED": "1",
        MARK: str(path),
        "WORLD_SIZE": str(processes),
        "LOCAL_RANK": "0",
        "MASTER_ADDR": f"{name}-0.{name}",
        "MASTER_PORT": str(_PORT),
    }
    index = {"fieldRef": {"fieldPath": f"metadata.annotations['{_INDEX}']"}}
    volume: dict[str, Any] = (
        {"persistentVolumeClaim": {"claimName": options.claim}}
        if options.claim
        else {"hostPath": {"path": str(home), "type": "Directory"}}
    )
    return {
        "restartPolicy": "Never",
        "subdomain": name,
        "terminationGracePeriodSeconds": options.grace,
        **({"serviceAccountName": options.service_account} if options.service_account else {}),
        "containers": [
            {
                "name": "plugin",
                "image": options.image,
                "command": [options.python, "-P", "-m", "registry.runner.rank", str(path)],
                "env": [
                    {"name": "RANK", "valueFrom": index},
                    *({"name": key, "value": value} for key, value in plain.items()),
                ],
                "resources": {"requests": amounts, "limits": amounts},
                "ports": [{"containerPort": _PORT}],
                "volumeMounts": [{"name": "home", "mountPath": str(home)}],
            }
        ],
        "volumes": [{"name": "home", **volume}],
    }


def _kubectl(*words: str) -> str:
    done = subprocess.run(["kubectl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"kubectl {words[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _over(found: dict[str, Any], name: str) -> bool:
    """Whether the Job of a list of objects is complete or has failed."""
    jobs = [each for each in found["items"] if each["kind"] == "Job" and each["metadata"]["name"] == name]
    if not jobs:
        raise RunFailed(f"job {name} is gone: somebody has deleted it")
    conditions = jobs[0].get("status", {}).get("conditions", [])
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def _statuses(pods: dict[str, Any]) -> dict[int, int | None]:
    """Exit statuses by rank, of the last pod of each; None of one that was taken away."""
    found: dict[int, int | None] = {}
    for pod in sorted(pods["items"], key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))):
        rank = int(pod["metadata"]["annotations"][_INDEX])
        ended = [each["state"].get("terminated") for each in pod["status"].get("containerStatuses", [])]
        code = ended[0]["exitCode"] if ended and ended[0] else None
        # As shells have it, 128 and the number of the signal.
        found[rank] = 128 - code if code is not None and code > 128 else code
    return found
