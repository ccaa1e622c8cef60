"""`registry.deployments`: what serves versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import usecases
from registry.api.opened import Opened
from registry.storage import find

if TYPE_CHECKING:
    from registry.usecases.views import DeploymentView


class DeploymentsApi:
    """Deployments of versions; a run of a deploy plugin makes one."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def all(self, ref: str | None = None) -> list[DeploymentView]:
        with self._opened.read() as session:
            return usecases.look_runs.deployments(session, find.ref(session, ref) if ref else None)

    def one(self, number: int) -> DeploymentView:
        with self._opened.read() as session:
            return usecases.look_runs.deployment(session, number)

    def healthy(self, number: int) -> bool:
        """Whether a deployment answers now."""
        with self._opened.read() as session:
            return usecases.deployments.is_healthy(session, self._opened.home, number)

    def stop(self, number: int, reason: str = "stopped on request") -> None:
        """Stop a deployment."""
        with self._opened.write() as work:
            usecases.deployments.stop_deployment(work, self._opened.home, number, reason)

    def predict(self, number: int, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Ask a deployment over HTTP; one `{"label", "probability"}` per text."""
        with self._opened.read() as session:
            endpoint, details = usecases.predict.find_endpoint(session, number)
        return usecases.predict.predict(endpoint, details, texts)

    def texts_of(self, source: str | Path, column: str = "text") -> list[str]:
        """The texts of a table's column, to ask a deployment about."""
        return usecases.predict.read_texts(Path(source), column)
