"""Folders of pictures become datasets, whole or not at all; other plugins take them as they come."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.command import Phasegate
from drawn import bars, png
from PIL import Image

import registry
from registry.storage.pictures import import_pictures

GREY = np.full((6, 8), 90, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, with a PNG and a JPEG file each."""
    for number, name in enumerate(("cats", "dogs")):
        group = tmp_path / "pets" / name
        group.mkdir(parents=True)
        (group / "a.png").write_bytes(png(GREY + number))
        Image.fromarray(GREY + number).save(group / "b.JPG", "JPEG")
    return tmp_path / "pets"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two pictures of 8 x 6 pixels, and a line about each."""
    where = tmp_path / "scene"
    (where / "deep").mkdir(parents=True)
    (where / "a.png").write_bytes(png(GREY))
    (where / "deep" / "b.png").write_bytes(png(GREY + 1))
    lines = [
        {"file": "deep/b.png", "objects": []},
        {"file": "a.png", "objects": [{"box": [0, 1.5, 8, 4.5], "label": "cat"}]},
    ]
    (where / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return where


def table_of(source: Path, tmp_path: Path) -> pa.Table:
    (tmp_path / "made").mkdir()
    import_pictures(source, tmp_path / "made")
    return pq.read_table(tmp_path / "made" / "data.parquet")


def test_a_folder_per_class(phasegate: Phasegate, folder: Path, tmp_path: Path) -> None:
    answer = phasegate("dataset", "add", "pets", folder)
    assert "Added pets/1: 4 rows, 3 columns" in answer.out
    shown = phasegate("dataset", "show", "pets/1").out
    assert "image" in shown
    table = table_of(folder, tmp_path)
    assert table["label"].to_pylist() == ["cats", "cats", "dogs", "dogs"]
    assert table["file"].to_pylist() == ["cats/a.png", "cats/b.JPG", "dogs/a.png", "dogs/b.JPG"]
    assert table["image"][0].as_py() == (folder / "cats" / "a.png").read_bytes()
    phasegate.verify()


def test_pictures_with_what_is_in_them(phasegate: Phasegate, scene: Path, tmp_path: Path) -> None:
    phasegate("dataset", "add", "scene", scene)
    table = table_of(scene, tmp_path)
    assert table["file"].to_pylist() == ["deep/b.png", "a.png"]
    assert table["label"].to_pylist() == [[], [{"box": [0.0, 1.5, 8.0, 4.5], "label": "cat"}]]


def test_a_table_with_a_column_of_pictures(phasegate: Phasegate, tmp_path: Path) -> None:
    table = bars(30, seed=0).rename_columns(["scan", "label", "hand"])
    pq.write_table(table, tmp_path / "bars.parquet")
    phasegate("dataset", "add", "bars", tmp_path / "bars.parquet", "--image", "scan", "--sensitive", "hand")
    with registry.open(phasegate.home) as opened:
        assert opened.dataset("bars/1").columns["image"] == "scan"
    answer = phasegate.refuses("dataset", "add", "bars", tmp_path / "bars.parquet", "--image", "scam")
    assert "no column 'scam'" in answer.err
    assert "scan" in answer.err


def test_other_plugins_take_pictures_as_they_come(phasegate: Phasegate, tmp_path: Path) -> None:
    twice = pa.concat_tables([bars(30, seed=0)] * 2)
    pq.write_table(twice, tmp_path / "bars.parquet")
    phasegate("dataset", "add", "bars", tmp_path / "bars.parquet", "--sensitive", "hand")
    phasegate("run", "profile", "bars/1")
    phasegate("run", "split", "bars/1")
    phasegate("run", "pii", "bars/1", "--set", "columns=hand")
    phasegate("run", "clean", "bars/1")
    with registry.open(phasegate.home) as opened:
        found = {evidence.kind: evidence for evidence in opened.dataset("bars/1").evidence}
        assert found["data.quality"].metrics["duplicate_share"] == 0.5
        assert found["data.quality"].metrics["label.classes"] == 2
        part = opened.dataset("bars-train/1")
        assert part.columns["image"] == "image"
        assert next(each for each in part.evidence if each.kind == "data.split").metrics["leaked_rows"] == 0
        assert opened.dataset("bars/2").rows == 30


def test_annotated_pictures_can_be_profiled_split_and_cleaned(
    phasegate: Phasegate, scene: Path, tmp_path: Path
) -> None:
    lines = []
    for number in range(20):
        (scene / f"{number}.png").write_bytes(png(GREY + number + 2))
        lines.append({"file": f"{number}.png", "objects": [{"box": [0, 0, 2, 2], "label": "dog"}]})
    with (scene / "annotations.jsonl").open("a") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    phasegate("dataset", "add", "scene", scene)
    for plugin in ("profile", "split", "clean"):
        phasegate("run", plugin, "scene/1")
    with registry.open(phasegate.home) as opened:
        parts = [opened.dataset(f"scene-{part}/1").rows for part in ("train", "validation", "test")]
        assert sum(parts) == 22
        assert opened.dataset("scene/2").rows == 22


def bomb() -> bytes:
    """A few kilobytes that unpack to 200 million pixels."""
    stream = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


SPOIL: dict[str, tuple[Callable[[Path], object], str]] = {
    "junk": (lambda at: (at / "cats" / "notes.txt").write_text("x"), "cats/notes.txt is no picture"),
    "hidden": (lambda at: (at / "cats" / ".DS_Store").write_bytes(b"x"), "cats/.DS_Store is no picture"),
    "stray": (lambda at: (at / "stray.png").write_bytes(png(GREY)), "stray.png lies in pets outside"),
    "empty": (lambda at: (at / "birds").mkdir(), "the folder birds has no pictures"),
    "deeper": (lambda at: (at / "cats" / "more").mkdir(), "cats/more is no picture"),
    "text": (lambda at: (at / "cats" / "c.png").write_text("no"), "cats/c.png is a broken picture, or none"),
    "nothing": (lambda at: (at / "cats" / "c.png").touch(), "cats/c.png is a broken picture, or none"),
    "cut": (
        lambda at: (at / "cats" / "c.png").write_bytes(png(GREY)[:-20]),
        "cats/c.png is a broken picture, or none",
    ),
    "bomb": (lambda at: (at / "cats" / "c.png").write_bytes(bomb()), "cats/c.png is a broken picture"),
    "link": (lambda at: (at / "cats" / "c.png").symlink_to(at / "dogs" / "a.png"), "cats/c.png is a link"),
    "linked folder": (lambda at: (at / "birds").symlink_to(at / "dogs"), "pets/birds is a link"),
}


@pytest.mark.parametrize("case", SPOIL)
def test_a_folder_with_anything_else_is_refused_and_the_file_named(
    case: str, phasegate: Phasegate, folder: Path
) -> None:
    spoil, message = SPOIL[case]
    spoil(folder)
    assert message in " ".join(phasegate.refuses("dataset", "add", "pets", folder).err.split())


def test_a_folder_without_anything_is_refused(phasegate: Phasegate, tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    assert "has no pictures" in phasegate.refuses("dataset", "add", "void", tmp_path / "void").err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "annotations.jsonl line 3 cannot be read"),
        ('{"file": "a.png"}', "line 3 cannot be read: KeyError: 'objects'"),
        ('{"file": ["a.png"], "objects": []}', "line 3 cannot be read: TypeError"),
        ('{"file": "a.png", "objects": []}', "line 3 names 'a.png', which is not there, or was named before"),
        ('{"file": "../a.png", "objects": []}', "line 3 names '../a.png', which is not there"),
        ('{"file": "c.png", "objects": [{"box": [0, 0, 9, 2], "label": "x"}]}', "c.png is 8 x 6 pixels"),
        ('{"file": "c.png", "objects": [{"box": [0, 0, 0, 2], "label": "x"}]}', "line 3: c.png is 8 x 6"),
        ('{"file": "c.png", "objects": [{"box": [0, NaN, 2, 2], "label": "x"}]}', "line 3: c.png is 8 x 6"),
        ('{"file": "c.png", "objects": [{"box": [0, 2], "label": "x"}]}', "line 3: c.png is 8 x 6"),
        ("", "annotations.jsonl has no line for c.png"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(
    line: str, message: str, phasegate: Phasegate, scene: Path
) -> None:
    (scene / "c.png").write_bytes(png(GREY + 5))
    with (scene / "annotations.jsonl").open("a") as stream:
        stream.write(line)
    assert message in " ".join(phasegate.refuses("dataset", "add", "scene", scene).err.split())
