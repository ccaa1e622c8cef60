"""Checkpoints: tensors as safetensors, the rest as JSON, so that nothing in them can run.

A folder is complete once the run declares it (`RunContext.checkpoint`): its manifest then
holds the digest of every file. Weights and optimizer state are whole and by parameter
name, so that a run can go on with other processes than it began with. Weights that are not
trained are not in it: they are as the run begins with them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import RunFailed
from registry.extension import RunContext
from registry.files import sync_folder, write_atomically

if TYPE_CHECKING:
    import torch

FOLDER = "training"
_STATE, _WEIGHTS, _OPTIMIZER = "state.json", "weights.safetensors", "optimizer.safetensors"
_JOIN = "\x1f"


def save(
    folder: Path,
    weights: dict[str, torch.Tensor],
    optimizer: dict[str, dict[str, Any]],
    state: dict[str, Any],
) -> None:
    """Write a checkpoint folder, durable when this returns; the run declares it afterwards.

    Args:
        folder: New, or left by a run that was killed while writing it.
        weights: By name, those that are trained.
        optimizer: What it remembers of each weight, by the weight's name; its options are the run's.
        state: JSON values.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _write(folder, weights, optimizer, state)
    except BaseException:
        # On a full disk, what is half written leaves no room to say so.
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(
    folder: Path, weights: dict[str, torch.Tensor], optimizer: dict[str, Any], state: dict[str, Any]
) -> None:
    folder.mkdir(parents=True)
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, Any] = {}
    for name, values in optimizer.items():
        for key, value in values.items():
            target = tensors if hasattr(value, "dtype") else plain
            target[f"{name}{_JOIN}{key}"] = value
    save_tensors(weights, folder / _WEIGHTS)
    save_tensors(tensors, folder / _OPTIMIZER)
    write_atomically(folder / _STATE, json.dumps({**state, "optimizer": plain}).encode())


def load(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]], dict[str, Any]]:
    """Weights, optimizer state and the rest of a verified checkpoint."""
    from safetensors.torch import load_file

    state = json.loads((folder / _STATE).read_text("utf-8"))
    optimizer: dict[str, dict[str, Any]] = {}
    for joined, value in [*load_file(folder / _OPTIMIZER).items(), *state.pop("optimizer").items()]:
        name, _, key = joined.partition(_JOIN)
        optimizer.setdefault(name, {})[key] = value
    return load_file(folder / _WEIGHTS), optimizer, state


def save_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write tensors as safetensors, fsynced; weights that are tied are written under each of their names."""
    from safetensors.torch import save_file

    seen: set[int] = set()
    plain = {}
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous()
        if flat.untyped_storage().data_ptr() in seen or flat.untyped_storage().nbytes() > flat.nbytes:
            flat = flat.clone()
        seen.add(flat.untyped_storage().data_ptr())
        plain[name] = flat
    save_file(plain, path)
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    sync_folder(path.parent)


def folder_of(ctx: RunContext, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return ctx.folder / FOLDER / f"step-{step:09d}"


def keep_last(ctx: RunContext, step: int, count: int, best: Path | None) -> None:
    """Delete all but the last `count` checkpoints and the best one.

    What lies beyond `step`, that of the newest, was left by a run that was killed while writing it.
    """
    newest = folder_of(ctx, step)
    folders = sorted((ctx.folder / FOLDER).glob("step-*"))
    done = [folder for folder in folders if folder <= newest]
    for folder in {*folders} - {*done[-count:], best}:
        shutil.rmtree(folder, ignore_errors=True)


def check_space(folder: Path, *, trained: int, whole: int, checkpoints: int) -> None:
    """Refuse a training whose checkpoints and artifact would fill the disk.

    Args:
        folder: On the disk that is meant.
        trained: Weights that are trained; a checkpoint holds them and two moments of the optimizer, in fp32.
        whole: Weights of the model, which the artifact holds.
        checkpoints: How many are kept; one more is there while it is written.

    Raises:
        RunFailed: Says how much is needed and how much there is.
    """
    need = 12 * trained * (checkpoints + 1) + 4 * whole
    free = shutil.disk_usage(folder).free
    if need > free:
        raise RunFailed(
            f"{checkpoints} checkpoints and the artifact need {need:,} bytes, and {folder} has {free:,}",
            hint="keep fewer (--set checkpoints=1), or move the home to a larger disk",
        )
