"""What a training ran on and learned from: enough to do it again, and to see that it was done on this."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, distributions, version
from pathlib import Path

from registry.domain.digests import digest_bytes
from registry.extension import DatasetInput
from registry.files import sha256_of, write_atomically

# The list of packages, in a run's folder and among its evidence's files.
PACKAGES = "packages.txt"
# Environment variables that decide in which order numbers are added, or by which kernels.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "MKL_CBWR",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "ATEN_CPU_CAPABILITY",
)


def packages(path: Path) -> str:
    """Write every installed package, its version and a digest of its RECORD, one a line.

    A RECORD holds the digest of each file of a package, so two environments with the same lines hold the
    same code. Returns the digest of the list.
    """
    lines = sorted({_line(found) for found in distributions()}, key=str.casefold)
    data = "".join(f"{line}\n" for line in lines).encode()
    write_atomically(path, data)
    return digest_bytes(data)


def environment(packages: Sequence[str] = ("transformers", "tokenizers")) -> dict[str, str]:
    """Machine, and versions of what decides the bytes: of Python, and of these packages."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "platform": platform.platform(),
        "cpu": _cpu(),
        **{f"env.{name}": os.environ.get(name, "not set") for name in _VARIABLES},
    }


def torch_environment() -> dict[str, str]:
    """What torch computes with: kernels, GPU, and its switches."""
    import torch

    # Which kernels torch chose for the processor: other ones add in another order.
    return {"cpu.kernels": torch.backends.cpu.get_cpu_capability(), **_gpu(), **_switches()}


def commit(folder: Path) -> str:
    """The commit that a folder's checkout is at, and whether it was changed since; `none` if it is none."""
    try:
        told = [
            subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=5, check=True
            ).stdout
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.SubprocessError):
        return "none"
    return told[0].strip() + (", changed since" if told[1].strip() else "")


def learned_from(data: Mapping[str, DatasetInput]) -> dict[str, str]:
    """The data that was read, by role and digest: `--data` may name other data than the version."""
    facts = {}
    for role in ("train", "validation", "replay"):
        facts[role] = data[role].ref if role in data else "none"
        facts[f"{role}.digest"] = data[role].digest if role in data else "none"
    return facts


def files_of(artifact: Path) -> dict[str, str]:
    """Digests of the artifact's tokenizer and chat template, if it has them: what text becomes of them."""
    template = artifact / "chat_template.jinja"
    if not template.exists():
        template = artifact / "chat_template.json"
    parts = {"tokenizer.digest": artifact / "tokenizer.json", "chat_template.digest": template}
    return {name: sha256_of(path) for name, path in parts.items() if path.exists()}


def ran_on(folder: Path, facts: Mapping[str, str]) -> dict[str, str]:
    """All that decides the bytes of a run, beside its data and options.

    Args:
        folder: Of the run; the list of packages is written there.
        facts: As the engine gives them: where it really ran.
    """
    found = {**facts, **environment(), **torch_environment(), "packages": packages(folder / PACKAGES)}
    return {**found, "determinism": determinism(found)}


def determinism(facts: Mapping[str, str]) -> str:
    """What the same run, done again with the same packages, gives.

    `bitwise`: the same bytes, on any machine for which torch chooses the same kernels (`cpu.kernels`): one
    process, one CPU thread, nothing compiled. `same machine`: the same bytes on this machine, elsewhere maybe
    not: several threads or processes, or compiled, add in an order that depends on the machine.
    `statistical`: much the same numbers, never the same bytes: a GPU adds in the order in which its threads
    come, unless torch is told to use deterministic algorithms.

    Args:
        facts: As the engine and `environment` give them: where it really ran.
    """
    if facts["device"] != "cpu" and facts.get("deterministic_algorithms") != "yes":
        return "statistical"
    plain = facts["threads"] == "1" and facts["compiled"] == "no" and facts["processes"] == "1"
    return "bitwise" if plain and facts["device"] == "cpu" else "same machine"


def _line(found: Distribution) -> str:
    """`name==version sha256:...`; a package that has no RECORD has no digest.

    Of the RECORD, the lines of the package's own files: scripts name the folder that they were installed in,
    compiled files have no digest there, and the rest tells who installed it.
    """
    name = f"{found.name}=={found.version}"
    record = found.read_text("RECORD")
    if record is None:
        return name
    own = sorted(line for line in record.splitlines() if _is_code(line))
    return f"{name} {digest_bytes(chr(10).join(own).encode())}"


def _is_code(line: str) -> bool:
    return "sha256=" in line and not line.startswith(("../", "/")) and ".dist-info/" not in line


def _cpu() -> str:
    """The processor's name, as the system has it."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpu() -> dict[str, str]:
    import torch

    if not torch.cuda.is_available():
        return {"gpu": "none"}
    found = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "gpu": f"{found.name}, {found.total_memory / 2**30:.0f} GiB",
        "gpu.driver": _driver(),
        "cuda": torch.version.cuda or "none",
        "cudnn": str(torch.backends.cudnn.version()),
    }


def _driver() -> str:
    """Version of the GPU's driver, as the kernel module tells it."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text("utf-8")
    except OSError:
        return "unknown"
    words = text.splitlines()[0].split()
    return next((word for word in words if word[0].isdigit() and "." in word), "unknown")


def _switches() -> dict[str, str]:
    """Torch's own: what it may round, and whether it must add in one order."""
    import torch

    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return {
        "deterministic_algorithms": _yes(torch.are_deterministic_algorithms_enabled()),
        "cudnn.deterministic": _yes(cudnn.deterministic),
        "cudnn.benchmark": _yes(cudnn.benchmark),
        "tf32": _yes(cudnn.allow_tf32 and matmul.allow_tf32),
        "mkl": _yes(torch.backends.mkl.is_available()),
        "mkldnn": _yes(torch.backends.mkldnn.is_available()),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
