"""The scan: what can run code never passes, whatever its name; what is not proved safe is not called safe."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.domain.evidence import EvidenceStatus
from registry.errors import Cancelled
from registry.extension import Evidence
from registry.extension.context import CANCEL
from registry.extension.testing import PluginContract, run_plugin
from registry.plugins.check.contents import judge
from registry.plugins.check.pickle_program import read_pickle
from registry.plugins.check.safetensors_header import MAX_HEADER, check_safetensors
from registry.plugins.check.scan_artifact import ScanArtifact, files_below
from registry.plugins.check.strict_json import Malformed


class Evil:
    """Pickles as an order to run a command."""

    def __reduce__(self) -> Any:
        return os.system, ("echo owned",)


def scan(folder: Path, **options: Any) -> Evidence:
    evidence: Evidence = run_plugin(ScanArtifact(), folder.parent / "run", artifact=folder, config=options)
    return evidence


def verdict_of(tmp_path: Path, name: str, data: bytes, **options: Any) -> tuple[str, str]:
    folder = tmp_path / "artifact"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    [row] = scan(folder, **options).tables["files"]
    return row["verdict"], row["reason"]


def safetensors(
    header: dict[str, Any] | str | bytes, data: bytes = b"", *, length: int | None = None
) -> bytes:
    text = json.dumps(header) if isinstance(header, dict) else header
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def tensor(begin: int, end: int, shape: list[Any], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def push(text: bytes) -> bytes:
    """The opcode that puts a text on a pickle's stack."""
    return b"\x8c" + bytes([len(text)]) + text


# Two texts, to the memo and back, drop and double: what decides the names that STACK_GLOBAL finds.
OPERATIONS = [push(b"os"), push(b"system"), b"\x94", b"h\x00", b"0", b"2"]


class Catching(pickle.Unpickler):
    """Imports nothing, but remembers what it was asked for."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.asked: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.asked.add(f"{module} {name}")
        return tuple


class TestContract(PluginContract):
    plugin = ScanArtifact


class TestArtifacts:
    def test_a_trained_classifier_is_safe(self, tiny_artifact: Path) -> None:
        evidence = run_plugin(ScanArtifact(), tiny_artifact.parent / "scan", artifact=tiny_artifact)
        assert evidence.status is EvidenceStatus.COMPLETE
        assert evidence.coverage == 1.0
        assert evidence.metrics == {
            "files": 6,
            "unsafe_files": 0,
            "unknown_files": 0,
            "bytes": sum(path.stat().st_size for path in tiny_artifact.iterdir()),
        }
        assert evidence.facts["formats"] == "json 4, md 1, safetensors 1"

    def test_what_is_unknown_is_never_complete(self, tmp_path: Path) -> None:
        folder = tmp_path / "artifact"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
        evidence = scan(folder)
        assert (evidence.metrics["unsafe_files"], evidence.metrics["unknown_files"]) == (0, 1)
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert "model.onnx" in evidence.reason
        assert evidence.coverage == pytest.approx(2 / 13)

    def test_an_empty_artifact_proves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "artifact").mkdir()
        evidence = scan(tmp_path / "artifact")
        assert evidence.status is EvidenceStatus.INSUFFICIENT
        assert evidence.coverage == 0.0

    def test_stops_when_asked(self, tiny_artifact: Path, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / CANCEL).touch()
        with pytest.raises(Cancelled):
            run_plugin(ScanArtifact(), tmp_path / "run", artifact=tiny_artifact)


class TestMaliciousPickles:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    @pytest.mark.parametrize(
        "name", ["model.bin", "model.pkl", "config.json", "vocab.txt", "model.safetensors", "model"]
    )
    def test_under_any_name(self, tmp_path: Path, name: str, protocol: int) -> None:
        data = pickle.dumps({"weights": [1.0], "extra": Evil()}, protocol=protocol)
        verdict, reason = verdict_of(tmp_path, name, data)
        assert verdict == "unsafe"
        assert f"{os.system.__module__} system" in reason or "not what its name says" in reason

    def test_the_reason_names_what_it_would_import(self, tmp_path: Path) -> None:
        assert verdict_of(tmp_path, "model.bin", pickle.dumps(Evil())) == (
            "unsafe",
            f"loading it runs a program that imports {os.system.__module__} system",
        )

    def test_saved_by_torch(self, tmp_path: Path) -> None:
        import torch

        buffer = io.BytesIO()
        torch.save({"weight": torch.zeros(2), "extra": Evil()}, buffer)
        verdict, reason = verdict_of(tmp_path, "pytorch_model.pt", buffer.getvalue())
        assert verdict == "unsafe"
        assert reason == "such a file can hold code"

    def test_broken_after_the_payload(self, tmp_path: Path) -> None:
        """A reader runs all that stands before the break."""
        data = pickle.dumps(Evil())[:-1] + b"\xff"
        verdict, reason = verdict_of(tmp_path, "model.bin", data)
        assert verdict == "unsafe"
        assert "system" in reason
        assert "broken" in reason

    def test_a_harmless_one_is_unsafe_too(self, tmp_path: Path) -> None:
        assert verdict_of(tmp_path, "weights.pkl", pickle.dumps([1, 2]))[0] == "unsafe"


class TestAllowedPickles:
    @pytest.mark.parametrize("protocol", [3, 4, 5])
    def test_arrays_pass(self, tmp_path: Path, protocol: int) -> None:
        data = pickle.dumps({"w": np.arange(3.0), "n": "x"}, protocol=protocol)
        assert verdict_of(tmp_path, "weights.pkl", data, allow_pickle=True) == ("safe", "")

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_commands_do_not(self, tmp_path: Path, protocol: int) -> None:
        data = pickle.dumps([np.arange(3.0), Evil()], protocol=protocol)
        assert verdict_of(tmp_path, "weights.pkl", data, allow_pickle=True)[0] == "unsafe"

    def test_names_hidden_behind_others_do_not(self, tmp_path: Path) -> None:
        """The last texts that the file pushes are harmless; the ones that are used are not."""
        module, name = push(b"os"), push(b"system")
        decoys = push(b"collections") + push(b"OrderedDict") + b"00"
        data = b"\x80\x04" + module + name + decoys + b"\x93" + push(b"echo owned") + b"\x85R."
        assert pickle_calls_system(data)
        verdict, reason = verdict_of(tmp_path, "weights.pkl", data, allow_pickle=True)
        assert verdict == "unsafe"
        assert "(computed)" in reason

    def test_names_from_the_memo_are_followed(self, tmp_path: Path) -> None:
        # Stored under 0 and 1, dropped, fetched again.
        data = b"\x80\x04" + push(b"os") + b"\x940" + push(b"system") + b"\x940" + b"h\x00h\x01\x93."
        assert pickle.loads(data) is os.system  # noqa: S301
        program = read_pickle(io.BytesIO(data))
        assert program is not None
        assert program.globals == ("os system",)

    def test_a_second_program_behind_the_first_does_not(self, tmp_path: Path) -> None:
        data = pickle.dumps([1]) + pickle.dumps(Evil())
        verdict, reason = verdict_of(tmp_path, "weights.pkl", data, allow_pickle=True)
        assert verdict == "unsafe"
        assert "followed by more" in reason

    def test_persistent_ids_and_extensions_do_not(self, tmp_path: Path) -> None:
        for data in (b"\x80\x02X\x01\x00\x00\x00aQ.", b"\x80\x02\x82\x01."):
            assert verdict_of(tmp_path, "weights.pkl", data, allow_pickle=True)[0] == "unsafe"

    def test_archives_do_not(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("data.pkl", pickle.dumps([1]))
        assert verdict_of(tmp_path, "model.pt", buffer.getvalue(), allow_pickle=True)[0] == "unsafe"

    def test_nothing_is_imported_that_was_not_named(self) -> None:
        """In all short programs, Python's own reader asks for no name that ours did not tell."""
        asked = 0
        for length in range(6):
            for operations in itertools.product(OPERATIONS, repeat=length):
                data = b"\x80\x04" + b"".join(operations) + b"\x93."
                reader = Catching(io.BytesIO(data))
                with contextlib.suppress(pickle.UnpicklingError, TypeError):
                    reader.load()
                program = read_pickle(io.BytesIO(data))
                assert program is not None
                assert "(computed)" in program.globals or reader.asked <= set(program.globals), data
                asked += len(reader.asked)
        assert asked > 500

    @settings(max_examples=200)
    @given(st.binary(max_size=200))
    def test_no_bytes_break_the_reader(self, data: bytes) -> None:
        program = read_pickle(io.BytesIO(b"\x80\x04" + data))
        assert program is not None
        assert not (program.complete and b"." not in data)


def pickle_calls_system(data: bytes) -> bool:
    """Whether Python itself would run the command; tried in a process of its own."""
    code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    return done.stdout == b"owned\n"


class TestOtherCode:
    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("lib/helper.so", b"\x7fELF\x02\x01\x01" + b"\0" * 60),
            ("setup.exe", b"MZ\x90\x00" + b"\0" * 60),
            ("config.json", b"#!/bin/sh\nrm -rf /\n"),
            ("merges.txt", b"#!/usr/bin/env python\n"),
            ("README.md", b"#!/bin/sh\n"),
            ("a/b/c/vocab.txt", b"\x7fELF\x02\x01\x01" + b"\0" * 60),
            ("model.safetensors", b"PK\x03\x04" + b"\0" * 60),
            ("model.h5", b"\x89HDF\r\n\x1a\n"),
            ("weights.npy", b"\x93NUMPY\x01\x00"),
            ("model.tar.gz", b"\x1f\x8b\x08\x00"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_programs_and_archives(self, tmp_path: Path, name: str, data: bytes) -> None:
        assert verdict_of(tmp_path, name, data)[0] == "unsafe"

    def test_a_tar_archive(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("model.py"))
        assert verdict_of(tmp_path, "model.nemo", buffer.getvalue()) == (
            "unsafe",
            "such a file can hold code",
        )

    @pytest.mark.parametrize("name", ["modeling.py", "README", "chat_template.jinja", "notes.rst"])
    def test_what_is_not_verified_is_unknown(self, tmp_path: Path, name: str) -> None:
        assert verdict_of(tmp_path, name, b"category of things\nand more\n")[0] == "unknown"

    def test_a_configuration_that_brings_code(self, tmp_path: Path) -> None:
        config = json.dumps({"model_type": "bert", "auto_map": {"AutoModel": "modeling.Evil"}}).encode()
        verdict, reason = verdict_of(tmp_path, "config.json", config)
        assert verdict == "unsafe"
        assert "auto_map" in reason

    def test_a_token_that_is_spelt_like_it(self, tmp_path: Path) -> None:
        tokens = json.dumps({"model": {"vocab": {"auto_map": 17}}}).encode()
        assert verdict_of(tmp_path, "tokenizer.json", tokens) == ("safe", "")

    def test_links(self, tmp_path: Path) -> None:
        """A link is judged as a link, whether it points to a file, a folder, or nothing."""
        folder = tmp_path / "artifact"
        folder.mkdir()
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "config.json").write_text("{}")
        (folder / "config.json").symlink_to(tmp_path / "elsewhere" / "config.json")
        (folder / "folder").symlink_to(tmp_path / "elsewhere")
        (folder / "gone.json").symlink_to(tmp_path / "nowhere")
        assert judged(folder) == {"config.json": "unsafe", "folder": "unsafe", "gone.json": "unsafe"}

    def test_pipes_are_not_waited_for(self, tmp_path: Path) -> None:
        folder = tmp_path / "artifact"
        folder.mkdir()
        os.mkfifo(folder / "config.json")
        assert judged(folder) == {"config.json": "unsafe"}

    def test_what_cannot_be_read_is_unsafe(self, tmp_path: Path) -> None:
        """A file that is gone when its turn comes; one without permission takes the same way."""
        found = judge(tmp_path / "config.json")
        assert (found.verdict, found.examined) == ("unsafe", 0)
        assert "cannot be read" in found.reason


def judged(folder: Path) -> dict[str, str]:
    """Verdicts by file, of a folder that could not even be stored."""
    paths, _ = files_below(folder)
    return {path.relative_to(folder).as_posix(): judge(path).verdict for path in paths}


class TestText:
    @pytest.mark.parametrize(
        "data", [b"the\n##ing\n", "wörd\n日本\n".encode(), b"#version: 0.2\na b\n", b"cat\ndog\nrun\n"]
    )
    def test_a_vocabulary_is_safe(self, tmp_path: Path, data: bytes) -> None:
        assert verdict_of(tmp_path, "vocab.txt", data) == ("safe", "")

    @pytest.mark.parametrize("data", [b"a\x00b", b"\xff\xfea", b"\x1b[2J"], ids=["nul", "utf-16", "escape"])
    def test_bytes_that_are_no_text_are_not(self, tmp_path: Path, data: bytes) -> None:
        assert verdict_of(tmp_path, "vocab.txt", data)[0] == "unsafe"

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'\xff{"a": 1}', b"[" * 200_000, b"9" * 5000],
        ids=["empty", "cut", "twice", "nan", "binary", "deep", "huge-number"],
    )
    def test_json_that_readers_could_disagree_on_is_not(self, tmp_path: Path, data: bytes) -> None:
        verdict, reason = verdict_of(tmp_path, "config.json", data)
        assert verdict == "unsafe"
        assert "not what its name says" in reason


GOOD = safetensors({"a": tensor(0, 8, [2]), "b": tensor(8, 12, [1], "I32")}, b"\0" * 12)


class TestSafetensors:
    @pytest.mark.parametrize(
        "data",
        [
            GOOD,
            safetensors({}),
            safetensors({"__metadata__": {"format": "pt"}, "a": tensor(0, 4, [])}, b"\0" * 4),
            safetensors({"none": tensor(0, 0, [0, 7]), "a": tensor(0, 1, [2], "F4")}, b"\0"),
            safetensors('{"a": {"dtype":"U8","shape":[1],"data_offsets":[0,1]}}     ', b"\0"),
        ],
        ids=["two", "none", "metadata", "empty-tensor", "padded"],
    )
    def test_sound_files_pass(self, tmp_path: Path, data: bytes) -> None:
        assert verdict_of(tmp_path, "model.safetensors", data) == ("safe", "")

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "0 bytes are too few"),
            (b"\x08\0\0", "3 bytes are too few"),
            (GOOD[:-1], "cover 12 bytes of 11"),
            (GOOD + b"\0", "cover 12 bytes of 13"),
            (GOOD[:40], "its header would be"),
            (safetensors({}, length=2**63), "its header would be 9223372036854775808"),
            (safetensors(b"{" + b" " * MAX_HEADER + b"}"), "its header would be"),
            (safetensors("[]"), "does not begin with"),
            (safetensors(" {}"), "does not begin with"),
            (safetensors(b"{\xff}"), "no JSON"),
            (safetensors('{"a": 1'), "no JSON"),
            (safetensors('{"a": {}, "a": {}}'), "'a' is there twice"),
            (safetensors({"a": [0, 4]}), "not described by"),
            (safetensors({"a": tensor(0, 4, [1]) | {"code": "x"}}, b"\0" * 4), "not described by"),
            (safetensors({"a": tensor(0, 4, [1], "OBJ")}, b"\0" * 4), "unknown dtype 'OBJ'"),
            (safetensors({"a": tensor(0, 4, [1]) | {"dtype": ["F32"]}}, b"\0" * 4), "unknown dtype"),
            (safetensors({"a": tensor(0, 4, [-1])}, b"\0" * 4), "no usable shape"),
            (safetensors({"a": tensor(0, 4, [True])}, b"\0" * 4), "no usable shape"),
            (safetensors({"a": tensor(0, 4, [1.0])}, b"\0" * 4), "no usable shape"),
            (safetensors({"a": tensor(0, 0, [2**62, 2**62, 0])}), "no usable shape"),
            (
                safetensors({"a": tensor(0, 4, [1]) | {"data_offsets": [0, 4, 8]}}, b"\0" * 4),
                "no usable offsets",
            ),
            (
                safetensors({"a": tensor(0, 4, [1]) | {"data_offsets": [-4, 0]}}, b"\0" * 4),
                "no usable offsets",
            ),
            (safetensors({"a": tensor(4, 0, [1])}, b"\0" * 4), "do not hold"),
            (safetensors({"a": tensor(0, 4, [2])}, b"\0" * 4), "4 bytes do not hold F32 of shape [2]"),
            (safetensors({"a": tensor(0, 2, [3], "F4")}, b"\0" * 2), "do not hold"),
            (safetensors({"a": tensor(0, 4, [1]), "b": tensor(0, 4, [1])}, b"\0" * 4), "overlaps"),
            (safetensors({"a": tensor(0, 8, [2]), "b": tensor(4, 12, [2])}, b"\0" * 12), "overlaps"),
            (safetensors({"a": tensor(0, 4, [1]), "b": tensor(8, 12, [1])}, b"\0" * 12), "follows a hole"),
            (safetensors({"__metadata__": {"a": 1}}), "__metadata__"),
            (safetensors({"__metadata__": "x"}), "__metadata__"),
        ],
    )
    def test_unsound_files_do_not(self, tmp_path: Path, data: bytes, message: str) -> None:
        verdict, reason = verdict_of(tmp_path, "model.safetensors", data)
        assert verdict == "unsafe"
        assert message in reason

    def test_files_of_many_gigabytes_pass(self) -> None:
        half = 40 * 10**9
        head = safetensors({"a": tensor(0, half, [half], "U8"), "b": tensor(half, 2 * half, [half // 4])})
        assert check_safetensors(io.BytesIO(head), len(head) + 2 * half) == 2

    @given(
        st.dictionaries(
            st.text(max_size=8),
            st.tuples(
                st.sampled_from(["float32", "float16", "int64", "uint8", "bool"]),
                st.lists(st.integers(0, 4), max_size=3),
            ),
            max_size=5,
        ),
        st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    )
    def test_whatever_the_reference_writes_passes(
        self, tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str]
    ) -> None:
        from safetensors.numpy import save

        arrays = {
            name: np.zeros(shape, dtype) for name, (dtype, shape) in tensors.items() if name != "__metadata__"
        }
        data = save(arrays, metadata or None)
        assert check_safetensors(io.BytesIO(data), len(data)) == len(arrays)

    @settings(max_examples=400)
    @given(st.data())
    def test_whatever_passes_the_reference_reads(self, draw: st.DataObject) -> None:
        """Damage a sound file anywhere: if our reader still takes it, so does the reference."""
        from safetensors import deserialize

        data = bytearray(GOOD)
        for _ in range(draw.draw(st.integers(1, 3))):
            data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
        data = data[: draw.draw(st.integers(0, len(data)))] if draw.draw(st.booleans()) else data
        try:
            count = check_safetensors(io.BytesIO(data), len(data))
        except Malformed:
            return
        assert len(deserialize(bytes(data))) == count

    @given(st.binary(max_size=100))
    def test_no_bytes_break_the_reader(self, data: bytes) -> None:
        """It refuses or agrees; nothing else comes out of it."""
        for whole in (data, struct.pack("<Q", len(data)) + data, safetensors(b"{" + data)):
            with contextlib.suppress(Malformed):
                assert check_safetensors(io.BytesIO(whole), len(whole)) >= 0
