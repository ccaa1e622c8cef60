"""`phasegate dataset`."""

from __future__ import annotations

from pathlib import Path

import click

from registry.cli.completion import dataset_refs
from registry.cli.render import facts, table
from registry.cli.shell import Shell, example, with_shell
from registry.domain.digests import short


@click.group()
def dataset() -> None:
    """Datasets and their versions."""


@dataset.command(
    epilog=example(
        "phasegate dataset add reviews reviews.csv --text comment --label stars --licence CC-BY-4.0"
    )
)
@click.argument("name")
@click.argument("file", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@click.option("--text", default="", help="The column that a model reads ['text' if there is one].")
@click.option("--image", default="", help="The column of pictures that it reads ['image' if there is one].")
@click.option("--label", default="", help="The column that it learns ['label' if there is one].")
@click.option("--sensitive", multiple=True, help="A column that names a group of people; repeatable.")
@click.option("--encoding", default="utf-8", show_default=True, help="Of a text file.")
@click.option(
    "--columns", default="", metavar="A,B,...", help="Column names, for a CSV file without a header."
)
@click.option("--licence", "--license", "licence", default="", help="Under which it may be used.")
@click.option("--note", default="", help="For its datasheet: how it was collected.")
@with_shell
def add(
    shell: Shell,
    name: str,
    file: Path,
    text: str,
    image: str,
    label: str,
    sensitive: tuple[str, ...],
    encoding: str,
    columns: str,
    licence: str,
    note: str,
) -> None:
    """Store a file or a folder of pictures as the next version of dataset NAME.

    A file is a table: .csv, .tsv, .jsonl or .parquet. A folder has a folder of PNG or JPEG files per class,
    or such files and an annotations.jsonl that says what is where in them.
    """
    made = shell.registry().add_dataset(
        name,
        file,
        text=text,
        image=image,
        label=label,
        sensitive=sensitive,
        encoding=encoding,
        columns=[column.strip() for column in columns.split(",") if column.strip()],
        licence=licence,
        note=note,
    )

    def say() -> None:
        click.echo(f"Added {made.ref}: {made.rows:,} rows, {len(made.schema)} columns, {short(made.digest)}")
        roles = {role: column for role, column in made.columns.items() if column}
        click.echo(f"  columns   {', '.join(made.schema)}")
        facts({"  roles   ": roles})

    shell.answer(made, say)


@dataset.command("list", epilog=example("phasegate dataset list"))
@with_shell
def list_(shell: Shell) -> None:
    """List dataset versions."""
    found = shell.registry().datasets()
    rows = [(row.ref, row.rows, short(row.digest), row.parents or row.source, row.note) for row in found]
    shell.answer(found, lambda: table(["dataset", "rows", "digest", "made from", "note"], rows))


@dataset.command(epilog=example("phasegate dataset show reviews/1"))
@click.argument("ref", metavar="DATASET/N", shell_complete=dataset_refs)
@with_shell
def show(shell: Shell, ref: str) -> None:
    """Show one dataset version and what is known about it."""
    found = shell.registry().dataset(ref)

    def say() -> None:
        facts(
            {
                "dataset": found.ref,
                "digest": found.digest,
                "rows": found.rows,
                "columns": found.schema,
                "roles": {role: column for role, column in found.columns.items() if column},
                "source": found.source,
                "licence": found.licence or "not stated",
                "made from": found.parents,
                "note": found.note,
                "added": f"{found.created_at:%Y-%m-%d %H:%M} by {found.created_by}",
            }
        )
        if found.evidence:
            click.echo()
            rows = [(row.kind, row.status, row.summary or row.metrics, row.run) for row in found.evidence]
            table(["evidence", "status", "found", "run"], rows)

    shell.answer(found, say)
