"""A run's live metrics as files that other tools read: CSV, and TensorBoard's event files."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from registry.errors import AlreadyExists, BadInput, MissingExtra
from registry.files import write_atomically

Curves = Mapping[str, Sequence[tuple[int, float]]]


def as_csv(curves: Curves) -> str:
    """Metrics as lines of `metric,step,value`; numbers read back as they were recorded."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("metric", "step", "value"))
    for name, points in curves.items():
        writer.writerows((name, step, repr(value)) for step, value in points)
    return text.getvalue()


def write_csv(curves: Curves, file: Path) -> None:
    """Write metrics as CSV, the whole file or none.

    Raises:
        BadInput: The file cannot be written.
    """
    try:
        write_atomically(file, as_csv(curves).encode())
    except OSError as cause:
        raise BadInput(f"{file} cannot be written: {cause.strerror}") from cause


def write_events(curves: Curves, folder: Path, at: datetime) -> None:
    """Write metrics as TensorBoard's event files; TensorFlow is not needed.

    Args:
        curves: Metrics by name.
        folder: A new one, for TensorBoard shows all that a folder holds as one run.
        at: When the run began.

    Raises:
        MissingExtra: TensorBoard's package is not installed.
        AlreadyExists: The folder holds files.
        BadInput: It cannot be written.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingExtra(
            "writing TensorBoard's files needs tensorboard", hint="pip install 'phasegate[tensorboard]'"
        )
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyExists(f"{folder} holds files already", hint="name another folder, or empty this one")
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    try:
        folder.mkdir(parents=True, exist_ok=True)
        writer = EventFileWriter(str(folder))
    except OSError as cause:
        raise BadInput(f"{folder} cannot be written: {cause.strerror}") from cause
    try:
        for name, points in curves.items():
            for step, value in points:
                scalar = Summary(value=[Summary.Value(tag=name, simple_value=value)])
                writer.add_event(Event(wall_time=at.timestamp(), step=step, summary=scalar))
    finally:
        writer.close()
