"""Asking a deployment, by the Open Inference Protocol v2."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from registry.domain.names import did_you_mean
from registry.errors import BadInput, NotFound
from registry.storage.tables import Deployment
from registry.storage.tabular import read_table

_SECONDS = 30


def find_endpoint(session: Session, number: int) -> tuple[str, Mapping[str, Any]]:
    """Where a deployment answers, and what its plugin noted about it.

    Raises:
        NotFound: No such deployment, or it was stopped.
    """
    row = session.get(Deployment, number)
    if row is None or row.state != "active":
        raise NotFound(f"there is no active deployment {number}", hint="phasegate deployment list")
    return row.endpoint, row.details


def predict(endpoint: str, details: Mapping[str, Any], texts: Sequence[str]) -> list[dict[str, Any]]:
    """One label and its probability per text.

    Raises:
        BadInput: No texts, or the server refused them or does not answer.
    """
    if not texts:
        raise BadInput("there is nothing to predict: no text was given")
    body = {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}
    request = urllib.request.Request(
        f"{endpoint}/v2/models/{details['model']}/infer",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as cause:
        raise BadInput(f"{endpoint} refused: {cause.read().decode(errors='replace')[:300]}") from cause
    except (urllib.error.URLError, TimeoutError) as cause:
        raise BadInput(f"{endpoint} does not answer: {cause}", hint="phasegate deployment list") from cause
    outputs = {output["name"]: output for output in answer["outputs"]}
    width = outputs["probabilities"]["shape"][1]
    flat = outputs["probabilities"]["data"]
    return [
        {"label": label, "probability": max(flat[i * width : (i + 1) * width])}
        for i, label in enumerate(outputs["label"]["data"])
    ]


def read_texts(source: Path, column: str) -> list[str]:
    """The texts of a table's column.

    Raises:
        BadTable: The file is no table.
        BadInput: It has no such column.
    """
    table = read_table(source)
    if column not in table.column_names:
        raise BadInput(
            f"{source.name} has no column {column!r}", hint=did_you_mean(column, table.column_names)
        )
    return [str(text) for text in table.column(column).to_pylist()]
