"""The protocol's routes."""

# FastAPI reads annotations when a route is defined, and it is imported in here only: so they stay
# objects, without `from __future__ import annotations`.
from typing import TYPE_CHECKING, Any

from registry.errors import NotFound, RegistryError
from registry.plugins.deploy.classifier import OnnxClassifier
from registry.plugins.deploy.protocol import (
    Question,
    TooLarge,
    answer,
    model_metadata,
    read_question,
    server_metadata,
)
from registry.plugins.deploy.service import Service
from registry.plugins.deploy.traffic import TrafficLog

if TYPE_CHECKING:
    from fastapi import FastAPI, Request


def create_app(service: Service, classifier: OnnxClassifier, traffic: TrafficLog) -> "FastAPI":
    """An application that answers for one model version; every error is `{"error": ...}`."""
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse
    from starlette.concurrency import run_in_threadpool
    from starlette.exceptions import HTTPException

    app = FastAPI(title="Open Inference Protocol v2", docs_url=None, redoc_url=None)

    def check(name: str, version: str) -> None:
        if name != service.model or version not in ("", service.version):
            asked = f"{name}/{version}" if version else name
            raise NotFound(f"there is no model {asked!r} here; there is {service.model}/{service.version}")

    def predict(question: Question) -> dict[str, Any]:
        probabilities = classifier.probabilities(question.texts)
        labels = [service.labels[best] for best in probabilities.argmax(axis=1)]
        scores = probabilities[:, service.labels.index(service.positive)].tolist()
        traffic.append(question.id, zip(question.texts, labels, scores, strict=True))
        return answer(question, probabilities, labels, service)

    @app.get("/v2")
    @app.get("/v2/", include_in_schema=False)
    async def metadata() -> Any:
        return server_metadata()

    @app.get("/v2/health/live")
    async def live() -> Any:
        return {"live": True}

    # The specification's text names the field `live` here too; probes look at the status alone.
    @app.get("/v2/health/ready")
    async def ready() -> Any:
        return {"live": True, "ready": True}

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def model(name: str, version: str = "") -> Any:
        check(name, version)
        return model_metadata(service)

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str = "") -> Any:
        check(name, version)
        return {"name": name, "ready": True}

    @app.post("/v2/models/{name}/infer")
    @app.post("/v2/models/{name}/versions/{version}/infer")
    async def infer(request: Request, name: str, version: str = "") -> Any:
        check(name, version)
        question = read_question(await _body(request, service.max_body_bytes), service.max_rows)
        return JSONResponse(await run_in_threadpool(predict, question))

    @app.exception_handler(RegistryError)
    async def refused(_: Request, error: RegistryError) -> JSONResponse:
        return JSONResponse({"error": error.message}, error.http_status)

    @app.exception_handler(HTTPException)
    async def no_route(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"the prediction failed: {type(error).__name__}"}, 500)

    return app


async def _body(request: "Request", limit: int) -> bytes:
    """The body, never more of it in memory than is allowed."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise TooLarge(f"the body is over {limit} bytes")
    return bytes(body)
