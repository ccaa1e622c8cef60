"""`phasegate run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.completion import any_refs, engine_names, plugin_names
from registry.cli.render import facts
from registry.cli.shell import Shell, example, pairs, with_shell
from registry.domain.digests import short

if TYPE_CHECKING:
    from registry.api import Registry


@click.command(
    epilog=example(
        "phasegate run pii reviews-train/1 reviews-test/1",
        "phasegate run train-classifier reviews/1 --set epochs=4 --set learning_rate=0.001",
        "phasegate run train-classifier reviews/2 --base reviews/1 --set freeze=embeddings",
        "phasegate run bias loans/1 --data test=loans-test/2 --detach",
        "phasegate run train-classifier reviews/1 --engine torchrun --processes 2",
        "phasegate run train-classifier reviews/1 --engine slurm --engine-set partition=gpu",
    )
)
@click.argument("plugin", shell_complete=plugin_names)
@click.argument("refs", metavar="REF...", nargs=-1, required=True, shell_complete=any_refs)
@click.option("--data", multiple=True, metavar="ROLE=DATASET/N", help="Use this data for a role; repeatable.")
@click.option(
    "--base",
    default="",
    metavar="MODEL/N|FOLDER",
    help="What a training begins with: a version, or ./FOLDER with config.json and .safetensors.",
)
@click.option(
    "--set", "values", multiple=True, metavar="KEY=VALUE", help="An option of the plugin; repeatable."
)
@click.option("--config", type=click.Path(path_type=Path), help="Options of the plugin, as a YAML file.")
@click.option(
    "--engine",
    default="local",
    show_default=True,
    shell_complete=engine_names,
    help="What starts its processes: local, torchrun, ray, slurm or kubernetes.",
)
@click.option("--processes", type=int, default=1, show_default=True, help="How many work together.")
@click.option("--engine-set", multiple=True, metavar="KEY=VALUE", help="An option of the engine; repeatable.")
@click.option(
    "--engine-config", type=click.Path(path_type=Path), help="Options of the engine, as a YAML file."
)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="With --engine kubernetes: write the Job here (- for standard output), and start nothing.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, or a torch device such as cuda:0.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="For every random choice."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Stop it after this long [no limit].",
)
@click.option(
    "--quota",
    type=click.IntRange(1),
    default=20 << 30,
    metavar="BYTES",
    help="Most that its folder may hold [20 GiB].",
)
@click.option("--detach", is_flag=True, help="Return at once; see `phasegate runs`.")
@with_shell
def run(
    shell: Shell,
    plugin: str,
    refs: tuple[str, ...],
    data: tuple[str, ...],
    base: str,
    values: tuple[str, ...],
    config: Path | None,
    engine: str,
    processes: int,
    engine_set: tuple[str, ...],
    engine_config: Path | None,
    manifest: Path | None,
    device: str,
    seed: int,
    timeout: float,
    quota: int,
    detach: bool,
) -> None:
    """Run a plugin on dataset or model versions. Each REF gets a run, in a process of its own."""
    from registry.cli.follow import watch
    from registry.usecases.runs import RunOptions

    registry = shell.registry()
    given = pairs(data, "ROLE=DATASET/N")
    options = RunOptions(
        engine=engine,
        processes=processes,
        engine_options={**_read(engine_config), **pairs(engine_set, "KEY=VALUE")},
        seed=seed,
        device=device,
        max_seconds=timeout,
        max_bytes=quota,
    )
    settings = {**_read(config), **_typed(plugin, pairs(values, "KEY=VALUE"))}
    if manifest is not None:
        _write(manifest, registry.runs.manifest(plugin, config=settings, options=options))
        return
    answers = []
    for ref in refs:
        number = registry.runs.start(plugin, ref, data=given, config=settings, base=base, options=options)
        if not detach:
            watch(registry, number, quiet=shell.as_json)
        answers.append({"run": registry.runs.one(number), "evidence": registry.runs.evidence(number)})
        if not shell.as_json:
            _say(registry, number)
    if shell.as_json:
        shell.answer(answers, lambda: None)


def _say(registry: Registry, number: int) -> None:
    run = registry.runs.one(number)
    if run.state != "succeeded":
        click.echo(f"Run {number} is {run.state}: phasegate runs logs -f {number}")
        return
    click.echo(f"Run {number} ({run.plugin}) succeeded in {run.seconds or 0:.1f} s.")
    facts({f"  made {name}": made for name, made in run.outputs.items()})
    for found in registry.runs.evidence(number)[:1]:
        judged = "" if found.status == "complete" else f" ({found.status}: {found.reason})"
        click.echo(f"  evidence {found.kind} about {short(found.subject)}{judged}")
        click.echo(f"  {found.summary}")


def _write(path: Path, text: str) -> None:
    from registry.errors import BadInput

    try:
        with click.open_file(str(path), "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as cause:
        raise BadInput(f"{path} cannot be written: {cause.strerror}") from cause


def _read(path: Path | None) -> dict[str, Any]:
    """Options from a YAML file.

    Raises:
        BadInput: It cannot be read, or is no mapping.
    """
    if path is None:
        return {}
    import yaml

    from registry.errors import BadInput

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as cause:
        raise BadInput(f"{path} cannot be read as YAML: {cause}") from cause
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no options: write KEY: VALUE lines")
    return {str(key): value for key, value in found.items()}


def _typed(plugin: str, values: dict[str, str]) -> dict[str, Any]:
    """Words from the command line; an option that takes a list is split at commas."""
    from registry.extension.discovery import list_options, load_plugin

    lists = list_options(load_plugin(plugin)) if values else frozenset()
    return {
        key: [part.strip() for part in text.split(",") if part.strip()] if key in lists else text
        for key, text in values.items()
    }
