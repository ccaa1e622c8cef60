"""Plugins that make an artifact and deploy it in a way that cannot be recorded."""

from __future__ import annotations

from registry.errors import RunFailed
from registry.extension import (
    Deployed,
    DeploymentInput,
    DeployPlugin,
    Evidence,
    PluginConfig,
    RunContext,
    Trained,
    TrainPlugin,
)


class TrainConfig(PluginConfig):
    inside: bool = True


class Trains(TrainPlugin[TrainConfig]):
    """Learns nothing; its artifact is in its folder, or is the data itself."""

    name = "trains"
    evidence = "run.train"

    def run(self, ctx: RunContext, config: TrainConfig) -> Trained:
        folder = ctx.output("model") if config.inside else ctx.role("train").path
        if config.inside:
            (folder / "phasegate.json").write_text('{"format": "nothing"}')
        return Trained(path=folder, evidence=Evidence(metrics={"train_loss": 0.5}))


class DeployConfig(PluginConfig):
    stops: bool = True


class Deploys(DeployPlugin[DeployConfig]):
    """Starts a service, a file here, under an address that no database holds."""

    name = "deploys"
    evidence = "deploy.health"

    def run(self, ctx: RunContext, config: DeployConfig) -> Deployed:
        (ctx.keep / "service").write_text("running")
        return Deployed(
            target="local",
            endpoint="http://nowhere/\ud800",
            details={"stops": config.stops},
            evidence=Evidence(metrics={"healthy": 1.0}),
        )

    def stop(self, deployment: DeploymentInput) -> None:
        if not deployment.details["stops"]:
            raise RunFailed("it does not listen")
        (deployment.folder / "service").write_text("stopped")

    def healthy(self, deployment: DeploymentInput) -> bool:
        return (deployment.folder / "service").read_text() == "running"
