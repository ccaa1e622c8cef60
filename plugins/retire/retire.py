"""retire: undeploy, archive, and leave a tombstone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from registry.domain.references import Ref
from registry.errors import Cancelled, RegistryError, RunFailed
from registry.extension import DeploymentInput, Evidence, PluginConfig, Retired, RetirePlugin, RunContext
from registry.extension.discovery import load_deployer
from registry.extension.options import Words
from registry.files import manifest_of, sha256_of, write_atomically
from registry.plugins.retire.archive import write_tar

TAR = "artifact.tar"
TOMBSTONE = "tombstone.json"

# What is answered when somebody looked and there is nothing.
NONE = "none"

Stated = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class RetireConfig(PluginConfig):
    """Options of `retire`."""

    reason: Stated = Field(description="why it is retired")
    dependants: Words = Field(
        min_length=1,
        description="services, people and models that use it, comma-separated; none: you looked, nobody does",
    )
    data_migration: Stated = Field(description="what becomes of data that it made or that depend on it")
    resource_release: Stated = Field(
        description="what else is given back: machines, quotas, licences, accounts"
    )
    risk: Stated = Field(description="what could go wrong by ending it, and what is done about that")
    successor: str = Field(
        default="", description="version that takes its place, MODEL/N; empty if none does"
    )
    keep_days: int = Field(
        default=3650,
        ge=0,
        description="days that the archive must be kept; ten years unless you say otherwise",
    )

    @property
    def using(self) -> tuple[str, ...]:
        """Who uses it; nobody if the answer was `none`."""
        return tuple(name for name in self.dependants if name.casefold() != NONE)


class Retire(RetirePlugin[RetireConfig]):
    """Stops every deployment of a version, archives its artifact and writes its tombstone.

    Whoever retires it must say who depends on it, what becomes of its data and of its resources, and what
    could go wrong: that is the retirement plan, and stands in the evidence.
    If one deployment cannot be stopped, or still answers, nothing is retired: the run fails
    and says which. Running it again is safe.
    """

    name = "retire"
    evidence = "retirement"

    def run(self, ctx: RunContext, config: RetireConfig) -> Retired:
        if config.successor:
            Ref.parse(config.successor)
        steps = len(ctx.deployments) + 1
        failed: list[str] = []
        for done, deployment in enumerate(ctx.deployments):
            ctx.check_cancelled()
            ctx.progress(done, steps, f"stopping {deployment.endpoint}")
            if problem := _undeploy(ctx, deployment):
                failed.append(f"deployment {deployment.id} ({deployment.endpoint}): {problem}")
        if failed:
            raise RunFailed(
                f"{ctx.subject} is not retired: {len(failed)} of {len(ctx.deployments)} deployments could "
                f"not be stopped: {'; '.join(failed)}",
                hint="stop what still runs, then run this again: what is stopped already does no harm",
            )

        ctx.progress(steps - 1, steps, "archiving")
        archive = ctx.output("archive")
        files = write_tar(ctx.model.artifact, archive / TAR) if ctx.model.artifact else 0
        tombstone = _tombstone(ctx, config, archive)
        write_atomically(archive / TOMBSTONE, json.dumps(tombstone, indent=2).encode())
        ctx.progress(steps, steps, "archived")

        stopped = tuple(deployment.id for deployment in ctx.deployments)
        using = _using(ctx, config)
        size = sum(path.stat().st_size for path in archive.iterdir())
        return Retired(
            stopped=stopped,
            archive=archive,
            evidence=Evidence(
                metrics={
                    "deployments_running": 0,
                    "deployments_stopped": len(stopped),
                    "dependants": len(using),
                    "archived_files": files,
                    "archived_bytes": size,
                    "keep_days": config.keep_days,
                },
                facts={
                    "reason": config.reason,
                    "successor": config.successor or NONE,
                    "dependants": ", ".join(using) or NONE,
                    "data_migration": config.data_migration,
                    "resource_release": config.resource_release,
                    "risk": config.risk,
                    "deployments_stopped": ", ".join(map(str, stopped)) or NONE,
                },
                summary=f"{ctx.subject} is out of use: {len(stopped)} deployment(s) stopped, {files} file(s) "
                f"of its artifact archived. Reason: {config.reason}",
            ),
        )


def _using(ctx: RunContext, config: RetireConfig) -> tuple[str, ...]:
    """Whom the answer names, and the versions that the registry knows to be tuned from this one."""
    return tuple(dict.fromkeys((*config.using, *ctx.model.descendants)))


def _undeploy(ctx: RunContext, deployment: DeploymentInput) -> str:
    """Stop a deployment and make sure; returns what went wrong, empty if nothing did."""
    try:
        ctx.stop(deployment)
        if load_deployer(deployment.plugin).healthy(deployment):
            return "it still answers after it was stopped"
    except Cancelled:
        raise
    except Exception as cause:  # whatever a plugin raises, the others are stopped too, and the run fails
        return cause.message if isinstance(cause, RegistryError) else f"{type(cause).__name__}: {cause}"
    return ""


def _tombstone(ctx: RunContext, config: RetireConfig, archive: Path) -> dict[str, Any]:
    """What remains known of the version when its artifact is gone."""
    model, now = ctx.model, datetime.now(UTC)
    return {
        "format": "phasegate-tombstone/1",
        "ref": model.ref,
        "stage": model.stage,
        "digest": model.digest,
        "artifact": {
            "digest": model.artifact_digest,
            "files": manifest_of(model.artifact),
            "archive": TAR,
            "archive_digest": sha256_of(archive / TAR),
        }
        if model.artifact
        else None,
        "data": {role: {"ref": data.ref, "digest": data.digest} for role, data in ctx.data.items()},
        "plan": model.plan,
        "design": model.design,
        "targets": model.targets,
        "history": model.history,
        "deployments": [
            deployment.model_dump(mode="json", include={"id", "target", "endpoint", "plugin", "details"})
            for deployment in ctx.deployments
        ],
        "retired_at": now.isoformat(timespec="seconds"),
        "keep_until": (now + timedelta(days=config.keep_days)).date().isoformat(),
        "dependants": _using(ctx, config),
        **config.model_dump(include={"reason", "successor", "data_migration", "resource_release", "risk"}),
    }
