"""The content-addressed store: what was put is what is fetched, or it is not fetched at all."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.domain.digests import digest_bytes, digest_of
from registry.errors import BadInput, IntegrityViolated
from registry.files import manifest_of
from registry.storage.artifacts import ArtifactStore, Stored

FILES = {"a.txt": b"one", "deep/er/b.bin": bytes(range(256)), "deep/empty": b"", "deep/same.txt": b"one"}


def lay_out(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(params=["path", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    """A store on each kind of address that needs no server."""
    place = f"store-{uuid.uuid4().hex}"
    url = {"path": str(tmp_path / place), "file": f"file://{tmp_path / place}", "memory": f"memory://{place}"}
    yield ArtifactStore(url[request.param], tmp_path / "cache")
    if request.param == "memory":
        from fsspec.implementations.memory import MemoryFileSystem

        if MemoryFileSystem().exists(f"/{place}"):
            MemoryFileSystem().rm(f"/{place}", recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "store"), tmp_path / "cache")


def bytes_in(store: ArtifactStore) -> list[Path]:
    """Every file of a store in a folder."""
    return sorted(path for path in Path(store.url).rglob("*") if path.is_file())


def test_what_was_put_is_fetched(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put(lay_out(tmp_path / "made"))
    assert stored.manifest == {name: digest_bytes(content) for name, content in FILES.items()}
    assert stored.digest == digest_of(stored.manifest)
    assert stored.size == sum(map(len, FILES.values()))
    fetched = store.fetch(stored.digest, stored.manifest)
    assert contents(fetched) == FILES
    assert store.problems(stored.manifest) == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex(r"[a-zé][a-z ]{0,5}(/[a-z]{1,5}){0,2}\.x", fullmatch=True),
        st.binary(max_size=64),
        min_size=1,
    )
)
def test_any_folder_comes_back(tmp_path: Path, files: dict[str, bytes]) -> None:
    base = tmp_path / uuid.uuid4().hex
    store = ArtifactStore(str(base / "store"), base / "cache")
    stored = store.put(lay_out(base / "made", files))
    assert contents(store.fetch(stored.digest, stored.manifest)) == files


def test_the_same_bytes_are_kept_once(local: ArtifactStore, tmp_path: Path) -> None:
    first = local.put(lay_out(tmp_path / "first"))
    before = {path: path.stat().st_mtime_ns for path in bytes_in(local)}
    assert len(before) == len(set(FILES.values()))
    assert local.put(lay_out(tmp_path / "second")) == first
    local.put(lay_out(tmp_path / "third", {"other-name": b"one"}))
    assert {path: path.stat().st_mtime_ns for path in bytes_in(local)} == before


def test_bytes_lie_under_their_hash(local: ArtifactStore, tmp_path: Path) -> None:
    local.put(lay_out(tmp_path / "made"))
    for path in bytes_in(local):
        assert path.name == hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.parent.name == path.name[:2]
        assert path.stat().st_mode & 0o222 == 0


def test_nothing_half_written_stays(local: ArtifactStore, tmp_path: Path) -> None:
    local.put(lay_out(tmp_path / "made"))
    assert [path for path in bytes_in(local) if path.name.startswith(".")] == []


def put_then_forget_the_copy(store: ArtifactStore, tmp_path: Path) -> Stored:
    return store.put(lay_out(tmp_path / "made"))


@pytest.mark.parametrize("forged", [b"two", b"longer than it was", b""])
def test_changed_bytes_are_never_handed_out(local: ArtifactStore, tmp_path: Path, forged: bytes) -> None:
    stored = local.put(lay_out(tmp_path / "made"))
    place = next(path for path in bytes_in(local) if path.read_bytes() == b"one")
    place.chmod(0o644)
    place.write_bytes(forged)
    with pytest.raises(IntegrityViolated, match="the store holds other bytes under sha256:") as caught:
        local.fetch(stored.digest, stored.manifest)
    assert caught.value.hint == "phasegate audit verify --artifacts"
    assert list((tmp_path / "cache").iterdir()) == []
    assert [problem.partition(" ")[0] for problem in local.problems(stored.manifest)] == [
        "a.txt",
        "deep/same.txt",
    ]


def test_lost_bytes_are_said_to_be_lost(local: ArtifactStore, tmp_path: Path) -> None:
    stored = local.put(lay_out(tmp_path / "made"))
    bytes_in(local)[0].unlink()
    with pytest.raises(IntegrityViolated, match=f"the store at {local.url} has lost sha256:") as caught:
        local.fetch(stored.digest, stored.manifest)
    assert caught.value.hint == "restore it from a backup of the store"
    assert "is gone" in local.problems(stored.manifest)[0]


def test_what_was_fetched_is_verified_each_time(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put(lay_out(tmp_path / "made"))
    fetched = store.fetch(stored.digest, stored.manifest)
    for spoil in ("change", "delete", "add"):
        if spoil == "change":
            (fetched / "a.txt").chmod(0o644)
            (fetched / "a.txt").write_bytes(b"two")
        elif spoil == "delete":
            (fetched / "a.txt").unlink()
        else:
            (fetched / "more.txt").write_bytes(b"")
        assert store.fetch(stored.digest, stored.manifest) == fetched
        assert contents(fetched) == FILES


def test_a_cached_copy_that_became_a_link_is_laid_out_anew(local: ArtifactStore, tmp_path: Path) -> None:
    stored = local.put(lay_out(tmp_path / "made"))
    fetched = local.fetch(stored.digest, stored.manifest)
    (fetched / "a.txt").unlink()
    (fetched / "a.txt").symlink_to(tmp_path / "made" / "a.txt")
    assert local.fetch(stored.digest, stored.manifest) == fetched
    assert not (fetched / "a.txt").is_symlink()
    assert contents(fetched) == FILES


def test_a_fetched_copy_is_read_only(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put(lay_out(tmp_path / "made"))
    fetched = store.fetch(stored.digest, stored.manifest)
    assert all(path.stat().st_mode & 0o222 == 0 for path in fetched.rglob("*") if path.is_file())


def test_a_forged_manifest_fetches_nothing(store: ArtifactStore, tmp_path: Path) -> None:
    stored = store.put(lay_out(tmp_path / "made"))
    forged = {**stored.manifest, "../../escaped.txt": stored.manifest["a.txt"]}
    with pytest.raises(IntegrityViolated, match="is not the one that its digest names"):
        store.fetch(stored.digest, forged)
    assert not (tmp_path / "escaped.txt").exists()


def test_a_spoilt_store_is_mended_by_putting_it_again(local: ArtifactStore, tmp_path: Path) -> None:
    stored = local.put(lay_out(tmp_path / "made"))
    bytes_in(local)[0].unlink()
    local.put(tmp_path / "made")
    assert contents(local.fetch(stored.digest, stored.manifest)) == FILES


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "dangling link", "pipe"])
def test_only_plain_files_are_stored(store: ArtifactStore, tmp_path: Path, kind: str) -> None:
    folder = lay_out(tmp_path / "made")
    (tmp_path / "secret").mkdir()
    match kind:
        case "link to a file":
            (folder / "odd").symlink_to(folder / "a.txt")
        case "link to a folder":
            (folder / "odd").symlink_to(tmp_path / "secret")
        case "dangling link":
            (folder / "odd").symlink_to(tmp_path / "nowhere")
        case "pipe":
            os.mkfifo(folder / "odd")
    with pytest.raises(BadInput, match="odd is a link or a special file: only plain files can be stored"):
        store.put(folder)


def test_a_file_name_that_is_no_text_is_refused(local: ArtifactStore, tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "made")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.txt")).write_bytes(b"")
    with pytest.raises(BadInput, match="a value cannot be recorded"):
        local.put(folder)


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: (path / "deep").mkdir(parents=True)]
)
def test_an_empty_folder_is_no_artifact(store: ArtifactStore, tmp_path: Path, make: object) -> None:
    make(tmp_path / "made")  # type: ignore[operator]
    with pytest.raises(BadInput, match="holds no files"):
        store.put(tmp_path / "made")


FETCH = """
import json, sys
from pathlib import Path
from registry.storage.artifacts import ArtifactStore

url, cache, wanted = sys.argv[1:]
store = ArtifactStore(url, Path(cache))
print("ready", flush=True)
sys.stdin.readline()
for digest, manifest in json.loads(wanted):
    folder = store.fetch(digest, manifest)
    assert sorted(path.name for path in folder.iterdir()) == sorted(manifest)
"""


def test_two_runs_that_fetch_the_same_at_once(local: ArtifactStore, tmp_path: Path) -> None:
    import json

    wanted = []
    for number in range(40):
        stored = local.put(
            lay_out(tmp_path / f"made-{number}", {f"{n}.txt": b"%d" % number for n in range(8)})
        )
        wanted.append((stored.digest, stored.manifest))
    command = [sys.executable, "-c", FETCH, local.url, str(tmp_path / "cache"), json.dumps(wanted)]
    processes = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == ["", ""]
    for digest, manifest in wanted:
        assert manifest_of(local.fetch(digest, manifest)) == manifest
    assert [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")] == []
