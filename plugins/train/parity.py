"""Whether the artifact, loaded again, answers as the model that was trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import RunFailed
from registry.plugins.train.engine.task import Task

if TYPE_CHECKING:
    import torch

# Examples that both answer.
_ROWS = 8
# Weights are the same numbers, so only the order of additions may differ.
_MOST = 1e-4


def answers(task: Task) -> torch.Tensor:
    """Logits of the trained model, as it was trained: before adapters are merged."""
    return _answer(task, task.model.cpu().eval())


def parity(task: Task, artifact: Path, ours: torch.Tensor) -> dict[str, float]:
    """Largest difference of any logit between the trained model and the artifact loaded again.

    Args:
        task: What was learned.
        artifact: Where it was saved.
        ours: What `answers` gave.

    Raises:
        RunFailed: They answer differently, or the artifact lacks weights: it must not be recorded.
    """
    most = float((ours - _answer(task, task.reload(artifact).eval())).abs().max())
    if not most <= _MOST:
        raise RunFailed(
            f"the artifact, loaded again, answers unlike the trained model: logits differ by {most:.3g}",
            hint="a weight was not saved, or not merged; this is a defect of the plugin",
        )
    return {"parity.max_difference": most, "parity.rows": float(len(ours))}


def _answer(task: Task, model: torch.nn.Module) -> torch.Tensor:
    import torch

    examples = task.validation or task.train
    batch = task.batch(examples, range(min(_ROWS, len(examples))), None)
    with torch.no_grad():
        logits: torch.Tensor = model(**task.inputs(batch)).logits
    return logits.float()
