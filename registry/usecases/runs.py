"""Starting runs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from registry.domain.events import RunQueued
from registry.domain.references import Ref
from registry.errors import AlreadyExists, BadInput, RunFailed
from registry.extension.contract import TrainPlugin
from registry.extension.discovery import (
    AnyPlugin,
    check_requirements,
    kind_of_evidence,
    load_plugin,
    read_config,
)
from registry.extension.inputs import (
    RunSpec,
)
from registry.runner.folder import RunFolder, Ticket
from registry.runner.launchers.find import find_launcher
from registry.runner.launchers.kubernetes import Kubernetes, manifest
from registry.runner.lease import put_lease
from registry.runner.processes import ProcessId
from registry.storage.artifacts import ArtifactStore
from registry.storage.database import Database
from registry.storage.home import Home
from registry.storage.register import register_artifact
from registry.storage.tables import (
    Run,
    RunInput,
)
from registry.usecases.recovery import hand_over, mark_lost
from registry.usecases.run_inputs import RunInputs, resolve_inputs

_QUOTA = 20 << 30


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run is run.

    Attributes:
        engine: What starts its processes.
        processes: How many of them.
        engine_options: Of the engine, by name.
        seed: For every random choice of the plugin.
        device: `cpu`, or a torch device name.
        max_seconds: Time limit, 0 for none.
        max_bytes: Most that the run folder may hold.
    """

    engine: str = "local"
    processes: int = 1
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    max_seconds: float = 0.0
    max_bytes: int = _QUOTA


def start_run(
    database: Database,
    store: ArtifactStore,
    home: Home,
    actor: str,
    name: str,
    ref: Ref,
    *,
    data: Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
    base: str = "",
    options: RunOptions | None = None,
) -> int:
    """Start a plugin on a dataset or model version, and return the run's number at once.

    A training begins with `base`, a version or a folder, if one is named. Everything that can be
    wrong with the request is found before anything is started.

    Raises:
        NotFound: No such plugin, version or engine.
        MissingExtra: The plugin's or the engine's packages are not installed.
        BadConfig: An option that it has not, or of the wrong type; data that it needs is not named.
        BadInput: More processes than the plugin or the engine can have.
        WrongStage: The lifecycle does not allow this work now.
        IntegrityViolated: An input is not what its digest says.
        AlreadyExists: The home holds runs of another database.
        RunFailed: The home cannot be written, or no process started.
    """
    options = options or RunOptions()
    plugin = load_plugin(name)
    check_requirements(plugin)
    checked = read_config(plugin, dict(config or {}))
    evidence = kind_of_evidence(plugin, checked)
    engine_options = check_engine(plugin, options)
    with database.read() as session:
        replays = isinstance(plugin, TrainPlugin) and plugin.replays(checked)
        inputs = resolve_inputs(session, store, home, plugin, ref, dict(data or {}), base, replays=replays)
    values = checked.model_dump(mode="json", exclude_unset=True)
    spec = _spec(name, inputs, values, options)
    plugin.settle(spec, checked)
    with database.write(actor) as work:
        run = Run(
            plugin=name,
            plugin_version=plugin.version,
            kind=plugin.kind,
            version_id=inputs.version_id,
            dataset_version_id=inputs.dataset_version_id,
            config=values,
            seed=options.seed,
            engine=options.engine,
            processes=options.processes,
            engine_options=engine_options,
            environment=_environment(plugin, inputs, options),
            criteria_digest=inputs.criteria,
            state="queued",
            reason="",
            token=1,
            metrics_digest="",
            created_at=work.at,
            created_by=work.actor.id,
        )
        work.session.add(run)
        work.session.flush()
        if inputs.base is not None and inputs.base.stored is not None:
            register_artifact(work, inputs.base.stored)
        for role, reference, digest in inputs.read():
            work.session.add(RunInput(run_id=run.id, role=role, ref=reference, digest=digest))
        put_lease(work.session.connection(), run.id, run.token, ProcessId.of())
        begun = {"ref": inputs.base.given.ref, "digest": inputs.base.given.digest} if inputs.base else {}
        work.record(
            RunQueued(
                f"run:{run.id}",
                name,
                inputs.about,
                values,
                options.seed,
                inputs.criteria,
                options.engine,
                options.processes,
                engine_options,
                begun,
            )
        )
        number = run.id
        folder = RunFolder(home.runs / str(number))
        if folder.path.exists():
            raise AlreadyExists(
                f"run {number} would write to {folder.path}, which a run of another database has left there",
                hint=f"move {home.runs} away, or give each database a --home of its own",
            )
    try:
        folder.prepare(
            spec.model_copy(update={"run": str(number), "keep": _keep(number, plugin, home)}),
            _ticket(number, plugin, evidence, home, options, engine_options),
        )
        hand_over(database, folder, number, 1)
    except BaseException as cause:
        # Nobody waits for it any more: it must neither stay queued nor begin by itself later.
        if folder.path.exists():
            folder.ask_to_cancel()
        mark_lost(database, actor, number, f"it was never started: {str(cause) or type(cause).__name__}")
        if isinstance(cause, OSError):
            raise RunFailed(f"run {number} cannot be started: {cause}", hint="phasegate doctor") from cause
        raise
    return number


def _keep(number: int, plugin: AnyPlugin, home: Home) -> Path | None:
    """A folder for what a deployment keeps."""
    if plugin.kind != "deploy":
        return None
    keep = home.deployments / str(number)
    keep.mkdir(parents=True, exist_ok=True)
    return keep


def _spec(name: str, inputs: RunInputs, values: dict[str, Any], options: RunOptions) -> RunSpec:
    """What a run is to do; it has no number yet."""
    return RunSpec(
        run="",
        plugin=name,
        subject=inputs.about.partition(":")[2],
        config=values,
        seed=options.seed,
        device=options.device,
        processes=options.processes,
        dataset=inputs.dataset,
        data=inputs.data,
        model=inputs.model,
        evidence=inputs.evidence,
        deployments=inputs.deployments,
        base=inputs.base.given if inputs.base else None,
    )


def check_engine(plugin: AnyPlugin, options: RunOptions) -> dict[str, Any]:
    """Refuse what the engine cannot start; returns its options as they were given, in their types.

    Raises:
        NotFound: No such engine.
        BadConfig: An option that it has not, or of the wrong type.
        BadInput: A number of processes that engine or plugin cannot have.
        MissingExtra: The engine's packages are not installed.
    """
    engine = find_launcher(options.engine)
    read = engine.read_options(options.engine_options)
    engine.check(options.processes, read)
    check_together(plugin, options.processes)
    given: dict[str, Any] = read.model_dump(mode="json", exclude_unset=True)
    return given


def check_together(plugin: AnyPlugin, processes: int) -> None:
    """Refuse several processes of a plugin that would do the same work in each.

    Raises:
        BadInput: It runs as one process.
    """
    if processes > 1 and not (plugin.distributed or plugin.in_parts):
        raise BadInput(
            f"plugin {plugin.name!r} runs as one process, and {processes} are asked for",
            hint="leave --processes out",
        )


def write_manifest(
    home: Home, name: str, *, config: Mapping[str, Any] | None = None, options: RunOptions | None = None
) -> str:
    """What a run with these options would have Kubernetes apply; its number is not known yet: `N`.

    Raises:
        BadInput: The engine is another one, or no Job can be written for these options.
        BadConfig: An option that plugin or engine has not, or of the wrong type.
    """
    from yaml import SafeDumper, dump_all

    class Plain(SafeDumper):
        """What stands twice is written twice."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    options = options or RunOptions()
    engine = find_launcher(options.engine)
    if not isinstance(engine, Kubernetes):
        raise BadInput(f"engine {options.engine!r} has no manifest", hint="add --engine kubernetes")
    plugin = load_plugin(name)
    read_config(plugin, dict(config or {}))
    read = engine.read_options(options.engine_options)
    engine.check_manifest(options.processes, read)
    check_together(plugin, options.processes)
    made = manifest(home.runs / "N", home.root, options.processes, read, "n")
    return str(dump_all(made, Dumper=Plain, sort_keys=False))


def _ticket(
    number: int,
    plugin: AnyPlugin,
    evidence: str,
    home: Home,
    options: RunOptions,
    engine_options: dict[str, Any],
) -> Ticket:
    return Ticket(
        run=number,
        token=1,
        engine="local" if plugin.in_parts else options.engine,
        engine_options={} if plugin.in_parts else engine_options,
        parts=options.engine,
        parts_options=engine_options,
        evidence=evidence,
        valid_days=plugin.valid_days,
        home=str(home.root),
        artifacts=home.artifacts,
        max_seconds=options.max_seconds,
        max_bytes=options.max_bytes,
    )


def _environment(plugin: AnyPlugin, inputs: RunInputs, options: RunOptions) -> dict[str, Any]:
    """What the run runs on, and by which design: enough to build it again, and to run it again."""
    packages = {}
    for name in ("phasegate", *plugin.requires):
        try:
            packages[name] = installed_version(name.replace("_", "-"))
        except PackageNotFoundError:
            packages[name] = "unknown"
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": packages,
        "device": options.device,
        "design": inputs.model.design if inputs.model else {},
    }
