"""A text classifier on onnxruntime: tokenizer and graph, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from registry.plugins.deploy.service import Service

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"

_BATCH = 32


class OnnxClassifier:
    """Class probabilities of texts. Safe to call from several threads at once."""

    def __init__(
        self, graph: bytes, tokenizer: bytes, *, max_length: int, pad_id: int, threads: int = 1
    ) -> None:
        """Load a graph with the inputs `INPUTS` and the output `OUTPUT`, and the tokenizer of the artifact.

        Raises:
            BadInput: onnxruntime or tokenizers cannot read them.
        """
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            self._tokenizer: Any = Tokenizer.from_str(tokenizer.decode())
        except Exception as cause:  # both raise Exception itself
            raise BadInput(f"the exported model cannot be loaded: {cause}") from cause
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._pad_id = pad_id

    @classmethod
    def load(cls, folder: Path, service: Service) -> OnnxClassifier:
        """Load what a deployment's folder holds, if it is what was deployed.

        Raises:
            IntegrityViolated: It is not.
        """
        from registry.plugins.deploy.service import MODEL, TOKENIZER

        return cls(
            service.load(folder, MODEL),
            service.load(folder, TOKENIZER),
            max_length=service.max_length,
            pad_id=service.pad_id,
            threads=service.threads,
        )

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Float64 of shape (texts, labels), rows summing to 1; texts of like length share a batch."""
        import numpy as np

        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
        logits = np.concatenate([self._logits([tokens[row] for row in batch]) for batch in batches])
        found = np.empty_like(logits)
        found[order] = _softmax(logits)
        return found

    def _logits(self, tokens: list[list[int]]) -> np.ndarray:
        import numpy as np

        ids = np.full((len(tokens), max(map(len, tokens))), self._pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, line in enumerate(tokens):
            ids[row, : len(line)] = line
            mask[row, : len(line)] = 1
        (logits,) = self._session.run([OUTPUT], dict(zip(INPUTS, (ids, mask), strict=True)))
        return np.asarray(logits, dtype=np.float64)


def _softmax(logits: np.ndarray) -> np.ndarray:
    import numpy as np

    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
