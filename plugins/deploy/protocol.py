"""Open Inference Protocol v2 over REST: requests read, answers made. No server here.

https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md

One input, `text`: BYTES of shape [n]. Two outputs, `label`: BYTES of shape [n], and
`probabilities`: FP64 of shape [n, labels], row by row.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from registry.errors import BadInput

if TYPE_CHECKING:
    import numpy as np

    from registry.plugins.deploy.service import Service

INPUT = "text"
OUTPUTS = ("label", "probabilities")
PLATFORM = "onnx_onnxv1"


class TooLarge(BadInput):
    """More than one request may hold."""

    code = "too-large"
    http_status = 413


class _Part(BaseModel):
    # Servers may ignore parameters that they do not know; a number as a string they may not.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class RequestInput(_Part):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class RequestOutput(_Part):
    name: str


class InferenceRequest(_Part):
    """`$inference_request` of the specification."""

    id: str = ""
    inputs: list[RequestInput]
    outputs: list[RequestOutput] | None = None


class Question(BaseModel):
    """A request that can be answered.

    Attributes:
        id: The client's, or one made here: the key by which labels can be joined to the traffic later.
        wanted: Outputs asked for, in that order.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    texts: list[str]
    wanted: tuple[str, ...]


def read_question(body: bytes, max_rows: int) -> Question:
    """Read the body of an inference request.

    Raises:
        BadInput: Not JSON, not a request, or not the input that this model takes; says which field.
        TooLarge: More rows than `max_rows`.
    """
    try:
        request = InferenceRequest.model_validate_json(body)
    except ValidationError as cause:
        first = cause.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{place}: {first['msg']}" if place else first["msg"]) from cause
    names = [tensor.name for tensor in request.inputs]
    if names != [INPUT]:
        raise BadInput(f"inputs must be one tensor named {INPUT!r} (got {names})")
    texts = _texts(request.inputs[0], max_rows)
    wanted = tuple(output.name for output in request.outputs) if request.outputs is not None else OUTPUTS
    if unknown := sorted(set(wanted) - set(OUTPUTS)):
        raise BadInput(
            f"outputs: there is no {', '.join(map(repr, unknown))}; there are {', '.join(OUTPUTS)}"
        )
    return Question(id=request.id or uuid.uuid4().hex, texts=texts, wanted=wanted)


def answer(
    question: Question, probabilities: np.ndarray, labels: Sequence[str], service: Service
) -> dict[str, Any]:
    """`$inference_response`: the outputs that were asked for."""
    rows = len(question.texts)
    tensors = {
        "label": {"name": "label", "shape": [rows], "datatype": "BYTES", "data": list(labels)},
        "probabilities": {
            "name": "probabilities",
            "shape": [rows, len(service.labels)],
            "datatype": "FP64",
            "data": probabilities.ravel().tolist(),
        },
    }
    return {
        "model_name": service.model,
        "model_version": service.version,
        "id": question.id,
        "outputs": [tensors[name] for name in question.wanted],
    }


def server_metadata() -> dict[str, Any]:
    """`$metadata_server_response`."""
    return {"name": "phasegate deploy-local", "version": version("phasegate"), "extensions": []}


def model_metadata(service: Service) -> dict[str, Any]:
    """`$metadata_model_response`; a dimension of -1 varies."""
    return {
        "name": service.model,
        "versions": [service.version],
        "platform": PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(service.labels)]},
        ],
    }


def _texts(tensor: RequestInput, max_rows: int) -> list[str]:
    if tensor.datatype != "BYTES":
        raise BadInput(f"{INPUT}: datatype must be BYTES (got {tensor.datatype!r})")
    if tensor.shape != [len(tensor.data)]:
        raise BadInput(f"{INPUT}: shape {tensor.shape} does not fit {len(tensor.data)} elements of data")
    if not tensor.data:
        raise BadInput(f"{INPUT}: there is nothing in it")
    if len(tensor.data) > max_rows:
        raise TooLarge(f"{INPUT}: {len(tensor.data)} rows, at most {max_rows} in one request")
    for row, text in enumerate(tensor.data):
        if not isinstance(text, str):
            raise BadInput(f"{INPUT}: element {row} is no string but {type(text).__name__}")
    return tensor.data
