"""What every classifier's card and weights must agree on, checked before anything is asked of them."""

from __future__ import annotations

from typing import Any

from registry.errors import BadInput


def check_labels(card: dict[str, Any]) -> None:
    """Refuse a card without two or more different labels, one of them positive.

    Raises:
        BadInput: Says what is wrong.
    """
    labels = card.get("labels")
    if not (isinstance(labels, list) and len(labels) > 1 and all(isinstance(label, str) for label in labels)):
        raise BadInput(f"phasegate.json: 'labels' must list two or more names (got {labels!r})")
    if len(set(labels)) != len(labels):
        raise BadInput(f"phasegate.json: 'labels' names one twice: {labels!r}")
    if card.get("positive") not in labels:
        raise BadInput(
            f"phasegate.json: 'positive' is {card.get('positive')!r}, none of the labels {labels!r}"
        )


def check_column(card: dict[str, Any], role: str) -> None:
    """Refuse a card that does not name the column that the model reads."""
    columns = card.get("columns")
    if not (isinstance(columns, dict) and isinstance(columns.get(role), str) and columns[role]):
        raise BadInput(f"phasegate.json: 'columns' must name the {role!r} column")


def check_weights(model: Any, report: dict[str, Any], card: dict[str, Any]) -> None:
    """Refuse a model of transformers that lacks weights, or has another number of outputs than labels.

    Args:
        model: As it was loaded.
        report: Its `output_loading_info`: what is missing is filled with random numbers, and only told there.
        card: The artifact's card.
    """
    if absent := [*report["missing_keys"], *report["mismatched_keys"]]:
        raise BadInput(f"{len(absent)} weights are missing or of another shape, first {absent[0]!r}")
    if model.config.num_labels != len(card["labels"]):
        raise BadInput(
            f"the model has {model.config.num_labels} outputs, its card {len(card['labels'])} labels"
        )
