"""What is learned: the one interface between a loop that knows no task and tasks that know no loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import PreTrainedModel

Batch = dict[str, Any]


class Dice:
    """Randomness of the data: a generator for each row of each epoch, whoever asks for it and when.

    So augmentation and masking are the same after a resume, and on any number of processes.
    """

    def __init__(self, seed: int, epoch: int) -> None:
        self._key = (seed, epoch)

    def of(self, row: int) -> np.random.Generator:
        """The generator of one row."""
        import numpy as np

        return np.random.default_rng((*self._key, row))


class Task(ABC):
    """A model, its examples, and what its loss is.

    A loss is a sum, and `count` says over how many things: rows, or trained tokens. The engine
    divides sums by counts of a whole step, so that micro-batches and processes of unequal
    size give the loss, and the gradient, of one large batch.

    Attributes:
        auto: The class of transformers that loads such a model, `AutoModelFor...`.
        model: What is trained, in place.
        train: Examples to learn from.
        validation: Examples to judge by; may be empty.
        lengths: Of the training examples, to batch like with like; empty where all are alike.
        uninformed: Mean loss of a model that has learned nothing, so that learning can be told from none.
        rates: Share of the learning rate by parameter name, where it is not 1.
        replayed: How many of the training examples, the last ones, are old ones to be replayed.
        drawn: How many of those are drawn for each epoch.
        remembered: Old examples that are never trained on, to measure what is forgotten.
        pad_to: Length that every batch is padded to; None for that of its longest example. Pipelines
            set it, for their stages are of one shape.
    """

    auto: ClassVar[str]
    model: PreTrainedModel
    train: Sized
    validation: Sized = ()
    lengths: Sequence[int] = ()
    uninformed: float
    rates: Mapping[str, float] = {}
    replayed: int = 0
    drawn: int = 0
    remembered: Sized = ()
    pad_to: int | None = None

    @abstractmethod
    def batch(self, examples: Any, rows: Sequence[int], dice: Dice | None) -> Batch:
        """Tensors of some rows of `examples`, on the CPU.

        Args:
            examples: `train`, `validation` or `remembered`; each task has them as it likes.
            rows: Which.
            dice: For augmentation and masking; None: none, or the same every time.
        """

    @abstractmethod
    def count(self, batch: Batch) -> float:
        """Over how many things the loss of a batch is a sum."""

    def tokens(self, batch: Batch) -> int:
        """Tokens, or pictures, that a batch makes the model read; without padding."""
        mask = batch.get("attention_mask")
        return int(mask.sum()) if mask is not None else len(next(iter(batch.values())))

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model's forward takes of a batch."""
        return {name: batch[name] for name in ("input_ids", "attention_mask") if name in batch}

    @abstractmethod
    def loss_of(self, outputs: torch.Tensor, batch: Batch, *, training: bool) -> torch.Tensor:
        """The loss of a batch, summed, from the model's logits."""

    def loss(self, model: Any, batch: Batch, *, training: bool) -> torch.Tensor:
        """The loss of a batch, summed: a scalar to differentiate."""
        return self.loss_of(model(**self.inputs(batch)).logits, batch, training=training)

    def derived(self, train_loss: float, validation_loss: float | None) -> dict[str, float]:
        """Metrics that follow from the mean losses, such as perplexity; none by default."""
        return {}

    def scores(self) -> dict[str, float]:
        """Metrics of the trained model on the validation examples, beside the loss; none by default."""
        return {}

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the artifact: weights as safetensors, the rest as JSON, nothing pickled, with its card."""

    def reload(self, folder: Path) -> PreTrainedModel:
        """Load the artifact again as a stranger would, to be compared with the model that was saved."""
        import transformers

        model: PreTrainedModel = getattr(transformers, self.auto).from_pretrained(
            folder, use_safetensors=True, trust_remote_code=False, local_files_only=True
        )
        return model

    @abstractmethod
    def audit(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Training rows as the model is fed them, beside what the data says.

        Each has at least `row`, `same` (whether the model is fed what the data says), `share_trained`
        (share of its tokens that the loss counts) and `fed_text` (decoded; kept out of reports).
        """

    def facts(self) -> dict[str, str]:
        """What is to be known of model and data, in words."""
        return {}

    def metrics(self) -> dict[str, float]:
        """What is to be known of model and data, in numbers."""
        return {}

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """What is to be known of model and data, in rows."""
        return {}
