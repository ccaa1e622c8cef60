"""Asking a server of the protocol: the few requests that a deployer needs."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from collections.abc import Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from registry.errors import RunFailed

if TYPE_CHECKING:
    import numpy as np


class Client:
    """One connection to an endpoint, kept open between requests; never through a proxy."""

    def __init__(self, endpoint: str, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def model_ready(self, model: str, version: str) -> bool:
        """Whether this version is what answers there.

        Raises:
            RunFailed: Nobody answers, or not in the protocol.
        """
        status, _ = self._ask("GET", f"/v2/models/{model}/versions/{version}/ready")
        return status == http.client.OK

    def probabilities(self, model: str, version: str, texts: Sequence[str]) -> np.ndarray:
        """Class probabilities, float64 of shape (texts, labels).

        Raises:
            RunFailed: Nobody answers, or the request is refused.
        """
        import numpy as np

        tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
        question = {"inputs": [tensor], "outputs": [{"name": "probabilities"}]}
        status, said = self._ask("POST", f"/v2/models/{model}/versions/{version}/infer", question)
        if status != http.client.OK:
            raise RunFailed(
                f"{self._endpoint} refused a request of {len(texts)} row(s): {said.get('error', status)}"
            )
        output = said["outputs"][0]
        return np.asarray(output["data"], dtype=np.float64).reshape(output["shape"])

    def latency_ms(self, model: str, version: str, texts: Sequence[str], requests: int) -> float:
        """Median time of a request of one row over the open connection, milliseconds.

        Raises:
            RunFailed: Nobody answers, or a request is refused.
        """
        times = []
        for text in islice(cycle(texts), requests):
            begun = time.perf_counter()
            self.probabilities(model, version, [text])
            times.append(time.perf_counter() - begun)
        return 1000 * statistics.median(times)

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        try:
            self._connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            said = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as cause:
            raise RunFailed(f"{self._endpoint} does not answer: {type(cause).__name__}: {cause}") from cause
        return answer.status, said if isinstance(said, dict) else {}


def serves(endpoint: str, model: str, version: str, timeout_s: float = 2.0) -> bool:
    """Whether the endpoint answers now, with this very version: not another that took over its port."""
    try:
        with Client(endpoint, timeout_s) as client:
            return client.model_ready(model, version)
    except RunFailed:
        return False
