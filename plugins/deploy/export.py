"""From an artifact to ONNX, and the proof that nothing was lost on the way."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput, RunFailed
from registry.plugins.deploy.classifier import INPUTS, OUTPUT

if TYPE_CHECKING:
    import numpy as np

# protobuf's limit for one message, which a graph with its weights is.
_MAX_BYTES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Parity:
    """How near two models' probabilities are.

    Attributes:
        max_abs_diff: Largest difference of any class probability of any row.
        agreement: Share of rows with the same most probable class.
    """

    rows: int
    max_abs_diff: float
    agreement: float

    @classmethod
    def between(cls, one: np.ndarray, other: np.ndarray) -> Parity:
        """Compare probabilities of shape (rows, labels)."""
        same = one.argmax(axis=1) == other.argmax(axis=1)
        return cls(len(one), float(abs(one - other).max()), float(same.mean()))

    def check(self, tolerance: float, what: str) -> None:
        """Refuse a difference.

        Raises:
            RunFailed: One above `tolerance`, one that is no number, or another label for any row.
        """
        if self.max_abs_diff <= tolerance and self.agreement == 1.0:
            return
        raise RunFailed(
            f"{what} does not predict what the artifact predicts: probabilities differ by up to "
            f"{self.max_abs_diff:.3g} (tolerance {tolerance:g}), and {1 - self.agreement:.2%} of {self.rows} "
            "rows get another label",
            hint="the artifact is untouched and nothing was deployed",
        )


def export_onnx(artifact: Path, target: Path) -> int:
    """Write the artifact's network as one ONNX file; returns the id of its padding token.

    Batch and length stay free. Tokens and mask go in, logits come out.

    Raises:
        BadInput: Too large for one file.
        RunFailed: The exporter cannot express the network.
    """
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging as transformers_logging

    if (size := (artifact / "model.safetensors").stat().st_size) > _MAX_BYTES:
        raise BadInput(
            f"the model has {size / 1e9:.1f} GB; one ONNX file holds at most {_MAX_BYTES / 1e9:.1f}"
        )
    transformers_logging.disable_progress_bar()
    # It tells at warning level of packages that it could have used.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    model = AutoModelForSequenceClassification.from_pretrained(
        artifact, use_safetensors=True, trust_remote_code=False, local_files_only=True
    )

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    # The exporter takes a size of 1 for a constant, and two equal sizes for one.
    ids = torch.ones(2, 5, dtype=torch.long)
    free = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # They are about the exporter's own use of torch: nothing that a user could act on.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Logits().eval(),
                (ids, torch.ones_like(ids)),
                target,
                dynamo=True,
                input_names=INPUTS,
                output_names=[OUTPUT],
                dynamic_shapes=dict.fromkeys(INPUTS, free),
                external_data=False,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as cause:
        raise RunFailed(
            f"this network cannot be exported to ONNX: {str(cause).strip().splitlines()[0]}"
        ) from cause
    return int(model.config.pad_token_id or 0)
