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


def parity(task: Task, artifact: Path) -> dict[str, float]:
    """Largest difference of any logit between the trained model and the artifact loaded again.

    Raises:
        RunFailed: They answer differently, or the artifact lacks weights: it must not be recorded.
    """
    import torch

    examples = task.validation or task.train
    batch = task.batch(examples, range(min(_ROWS, len(examples))), None)
    with torch.no_grad():
        ours = _answer(task, task.model.cpu().eval(), batch)
        theirs = _answer(task, task.reload(artifact).eval(), batch)
    most = float((ours - theirs).abs().max())
    if not most <= _MOST:
        raise RunFailed(
            f"the artifact, loaded again, answers unlike the trained model: logits differ by {most:.3g}",
            hint="a weight was not saved, or not merged; this is a defect of the plugin",
        )
    return {"parity.max_difference": most, "parity.rows": float(min(_ROWS, len(examples)))}


def _answer(task: Task, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    logits: torch.Tensor = model(**task.inputs(batch)).logits
    return logits.float()
