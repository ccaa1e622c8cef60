"""Predictor of the `text-classifier` format: `tokenizer.json`, `config.json`, `model.safetensors`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from registry.domain.names import did_you_mean
from registry.errors import BadInput, MissingExtra
from registry.extension import Predictor
from registry.plugins.predict.cards import check_column, check_labels, check_weights

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BATCH = 64


class TextClassifier(Predictor):
    """Labels texts with a transformer that reads them whole, from weights that cannot run code.

    Attributes:
        max_length: Longest input in tokens; the rest of a text is not read.
        text_column: Name of the column that it reads.
        device: Where the weights lie.
    """

    format = "text-classifier"

    def __init__(self, model: Any, tokenizer: Any, card: dict[str, Any], device: str) -> None:
        self.labels = tuple(card["labels"])
        self.positive = card["positive"]
        self.max_length = card["max_length"]
        self.text_column = card["columns"]["text"]
        self.device = device
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path, card: dict[str, Any], device: str) -> Self:
        """Load the folder without any code of its own and without the network.

        Raises:
            BadInput: A file is missing or broken, weights are missing or do not fit the
                configuration, or the card disagrees with the model.
            MissingExtra: transformers or tokenizers is not installed.
        """
        _check_card(card)
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            if not (folder / name).is_file():
                raise BadInput(f"the artifact has no {name}")
        try:
            from tokenizers import Tokenizer
            from transformers import AutoModelForSequenceClassification
            from transformers.utils import logging
        except ModuleNotFoundError as cause:
            raise MissingExtra(
                f"{cls.format} needs {cause.name}", hint="pip install 'phasegate[train]'"
            ) from cause

        logging.disable_progress_bar()
        try:
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            model, report = AutoModelForSequenceClassification.from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except Exception as cause:  # tokenizers raises Exception itself; any of them means a broken artifact
            raise BadInput(f"the artifact cannot be loaded: {type(cause).__name__}: {cause}") from cause
        _check_model(model, report, card)
        tokenizer.no_padding()
        tokenizer.enable_truncation(card["max_length"])
        return cls(model.to(device).eval(), tokenizer, card, device)

    def probabilities(self, table: pa.Table) -> np.ndarray:
        """Class probabilities, float64 of shape (rows, labels), in the order of the rows.

        Texts of like length share a batch, so that little is computed for padding.

        Raises:
            BadInput: The text column is missing, holds no text, or has empty cells.
        """
        import numpy as np
        import torch

        encodings = self._tokenizer.encode_batch(self._texts(table))
        lengths = np.fromiter(
            (len(encoding.ids) for encoding in encodings), dtype=np.int64, count=len(encodings)
        )
        order = np.argsort(lengths, kind="stable")
        found = np.empty((len(encodings), len(self.labels)), dtype=np.float64)
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                rows = order[start : start + _BATCH]
                shape = (len(rows), int(lengths[rows].max()))
                ids = torch.full(shape, self._model.config.pad_token_id or 0, dtype=torch.long)
                mask = torch.zeros_like(ids)
                for line, row in enumerate(rows):
                    ids[line, : lengths[row]] = torch.tensor(encodings[row].ids)
                    mask[line, : lengths[row]] = 1
                logits = self._model(
                    input_ids=ids.to(self.device), attention_mask=mask.to(self.device)
                ).logits
                found[rows] = logits.double().softmax(dim=-1).cpu().numpy()
        return found

    def _texts(self, table: pa.Table) -> list[str]:
        import pyarrow as pa

        if self.text_column not in table.column_names:
            raise BadInput(
                f"the data has no column {self.text_column!r}, which the model reads",
                hint=did_you_mean(self.text_column, table.column_names),
            )
        column = table.column(self.text_column)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise BadInput(f"column {self.text_column!r} holds {column.type}, the model reads text")
        if column.null_count:
            raise BadInput(
                f"{column.null_count} of {len(column)} rows have no {self.text_column!r}",
                hint="phasegate run clean drops rows without text",
            )
        texts: list[str] = column.to_pylist()
        return texts


def _check_card(card: dict[str, Any]) -> None:
    check_labels(card)
    check_column(card, "text")
    length = card.get("max_length")
    if not (isinstance(length, int) and length > 2):
        raise BadInput(f"phasegate.json: 'max_length' must be a number of tokens above 2 (got {length!r})")


def _check_model(model: Any, report: dict[str, Any], card: dict[str, Any]) -> None:
    check_weights(model, report, card)
    positions = getattr(model.config, "max_position_embeddings", card["max_length"])
    if card["max_length"] > positions:
        raise BadInput(f"the card allows {card['max_length']} tokens, the model {positions}")
