"""deploy-local: a model version behind HTTP on this machine."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from registry.domain.references import Ref
from registry.errors import BadInput, RunFailed
from registry.extension import (
    Deployed,
    DeploymentInput,
    DeployPlugin,
    Evidence,
    PluginConfig,
    Predictor,
    RunContext,
)
from registry.extension.predictor import read_card
from registry.files import manifest_of
from registry.plugins.deploy.classifier import OnnxClassifier
from registry.plugins.deploy.client import Client, serves
from registry.plugins.deploy.export import Parity, export_onnx
from registry.plugins.deploy.process import on_probation, stop
from registry.plugins.deploy.service import MODEL, TOKENIZER, Service

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "text-classifier"

# Rows of the first request over HTTP, which must be answered as the artifact would.
_FIRST = 8


class DeployLocalConfig(PluginConfig):
    """Options of `deploy-local`."""

    port: int = Field(default=0, ge=0, le=65535, description="port on 127.0.0.1; 0 takes a free one")
    parity_rows: int = Field(
        default=200, ge=1, description="real rows on which the exported model is compared"
    )
    tolerance: float = Field(
        default=1e-3, ge=0, description="largest difference of a probability that still passes"
    )
    requests: int = Field(default=30, ge=1, description="single-row requests whose latency is measured")
    log_inputs: bool = Field(
        default=True,
        description="log the texts that are sent: they may be personal data; without them only their lengths "
        "and the scores can be monitored",
    )
    max_rows: int = Field(default=256, ge=1, description="rows in one request")
    max_body_bytes: int = Field(default=1 << 20, ge=1, description="bytes in one request")
    traffic_mb: int = Field(
        default=32, ge=1, description="size of a part of the traffic log; two parts are kept"
    )
    threads: int = Field(default=1, ge=1, description="threads of one prediction")
    start_timeout_s: float = Field(default=60, gt=0, description="how long the server may take to answer")


class Details(BaseModel):
    """What a deployment's record says of its server.

    Attributes:
        started: Unix time at which the process began, seconds.
        digest: Of the description that the server was started with, which names every file's digest.
        artifact: Digest of the artifact that it serves.
    """

    pid: int
    started: float
    port: int
    model: str
    version: str
    digest: str
    artifact: str


class DeployLocal(DeployPlugin[DeployLocalConfig]):
    """Serves a text classifier over the Open Inference Protocol v2 on this machine, from ONNX.

    The server is its own process on the loopback interface and outlives the run. It loads only
    the bytes that were deployed. Before it is kept, the exported model must predict what the
    artifact predicts, on real rows and over HTTP.
    """

    name = "deploy-local"
    evidence = "deploy.health"
    requires = (
        "fastapi",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "tokenizers",
        "torch",
        "transformers",
        "uvicorn",
    )
    extra = "deploy"

    def run(self, ctx: RunContext, config: DeployLocalConfig) -> Deployed:
        card = read_card(ctx.artifact)
        if card["format"] != FORMAT:
            raise BadInput(
                f"{self.name} serves artifacts of format {FORMAT!r}; this one is {card['format']!r}"
            )
        predictor = ctx.predictor()
        texts = _real_texts(ctx, card["columns"]["text"], config.parity_rows)
        truth = predictor.probabilities(_table(card["columns"]["text"], texts))

        ctx.progress(1, 4, "exporting to ONNX")
        begun = time.monotonic()
        bundle = ctx.output("bundle")
        service = _export(ctx, config, predictor, card["max_length"], bundle)
        export_s = time.monotonic() - begun
        ctx.check_cancelled()

        ctx.progress(2, 4, f"comparing on {len(texts)} rows")
        parity = Parity.between(truth, OnnxClassifier.load(bundle, service).probabilities(texts))
        parity.check(config.tolerance, "the exported model")
        ctx.check_cancelled()

        ctx.progress(3, 4, "starting the server")
        digest = service.install(bundle, ctx.keep)
        timeout_s = config.start_timeout_s
        with on_probation(
            ctx.keep, service, digest, timeout_s=timeout_s, alive=ctx.check_cancelled
        ) as server:
            with Client(server.endpoint, timeout_s) as client:
                first = min(len(texts), _FIRST, config.max_rows)
                answered = client.probabilities(service.model, service.version, texts[:first])
                Parity.between(truth[:first], answered).check(config.tolerance, "the server")
                latency_ms = client.latency_ms(service.model, service.version, texts, config.requests)
            ctx.check_cancelled()
            server.keep()
        ctx.progress(4, 4, f"serving on {server.endpoint}")

        evidence = Evidence(
            metrics={
                "healthy": 1.0,
                "parity.max_abs_diff": parity.max_abs_diff,
                "parity.agreement": parity.agreement,
                "parity.rows": parity.rows,
                "latency_ms.p50": latency_ms,
                "bytes": sum((bundle / name).stat().st_size for name in service.files),
                "export_seconds": export_s,
                "start_seconds": server.seconds,
            },
            facts={
                "runtime": f"onnxruntime {version('onnxruntime')}, CPU, {config.threads} thread(s) a request",
                "endpoint": server.endpoint,
                "protocol": "Open Inference Protocol v2",
                "inputs_logged": "texts" if config.log_inputs else "lengths only",
            },
            summary=f"{ctx.subject} answers on {server.endpoint} as its artifact does: probabilities within "
            f"{parity.max_abs_diff:.1e} on {parity.rows} rows, {latency_ms:.1f} ms a request.",
        )
        details = Details(
            pid=server.pid,
            started=server.started,
            port=server.port,
            model=service.model,
            version=service.version,
            digest=digest,
            artifact=service.artifact,
        )
        return Deployed(
            target="local", endpoint=server.endpoint, details=details.model_dump(), evidence=evidence
        )

    def stop(self, deployment: DeploymentInput) -> None:
        """End the server: SIGTERM, then SIGKILL. One that is gone already is no error.

        Raises:
            RunFailed: It does not end, or its endpoint still answers although its process is gone.
        """
        details = Details.model_validate(deployment.details)
        stop(details.pid, details.started, grace_s=10)
        if self.healthy(deployment):
            raise RunFailed(
                f"{deployment.endpoint} still serves {details.model}/{details.version}, though not from the "
                f"process that was deployed: {details.pid} is gone",
                hint=f"find what listens on port {details.port} and end it",
            )

    def healthy(self, deployment: DeploymentInput) -> bool:
        """Whether the endpoint answers now with the version that was deployed."""
        details = Details.model_validate(deployment.details)
        return serves(deployment.endpoint, details.model, details.version)


def _real_texts(ctx: RunContext, column: str, rows: int) -> list[str]:
    """At most `rows` texts of the version's data, of test data if it has any, drawn without replacement."""
    data = ctx.role("test", "validation", "train")
    table = data.read()
    if column not in table.column_names:
        raise BadInput(f"{data.ref} has no column {column!r}, which the model reads")
    texts = [text for text in table.column(column).to_pylist() if text is not None]
    if not texts:
        raise BadInput(f"{data.ref} has no text in {column!r} to compare the exported model on")
    return random.Random(ctx.seed).sample(texts, min(rows, len(texts)))


def _table(column: str, texts: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    return pa.table({column: pa.array(texts, pa.string())})


def _export(
    ctx: RunContext, config: DeployLocalConfig, predictor: Predictor, max_length: int, bundle: Path
) -> Service:
    """Write the artifact as a server needs it, and describe it."""
    pad_id = export_onnx(ctx.artifact, bundle / MODEL)
    shutil.copyfile(ctx.artifact / TOKENIZER, bundle / TOKENIZER)
    ref = Ref.parse(ctx.model.ref)
    return Service(
        model=ref.name,
        version=str(ref.number),
        artifact=ctx.model.artifact_digest,
        files=manifest_of(bundle),
        labels=predictor.labels,
        positive=predictor.positive,
        max_length=max_length,
        pad_id=pad_id,
        traffic_bytes=config.traffic_mb << 20,
        **config.model_dump(include={"port", "max_rows", "max_body_bytes", "log_inputs", "threads"}),
    )
