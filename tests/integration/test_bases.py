"""What a version is tuned from: named, taken in, refused, remembered, and missed when it is retired."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.builder import TUNED, Builder
from integration.conftest import At
from integration.found import GOOD_TRAINING, document
from integration.tables import contents_of

from registry.domain.references import Ref
from registry.errors import BadInput, NotFound, RegistryError, WrongStage
from registry.extension.discovery import load_plugin
from registry.storage import find
from registry.usecases.bases import Base, resolve_base

REF = "loans/1"


@pytest.fixture
def designed(at: At) -> Builder:
    """With loans/1, which may be trained, and minilm/1, which has an artifact."""
    builder = at("designed")
    builder.base()
    return builder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as others hand it out."""
    path = tmp_path / "bert-tiny"
    (path / "1_Pooling").mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(b"weights")
    (path / "1_Pooling" / "config.json").write_text("{}")
    (path / ".gitattributes").write_text("*.bin filter=lfs")
    (path / "modeling.py").write_text("print('hello')")
    (path / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    return path


def resolve(builder: Builder, named: str) -> Base:
    with builder.database.read() as session:
        return resolve_base(session, builder.store, load_plugin("train-classifier"), named)


# -- versions ------------------------------------------------------------------------------------


def test_a_version_is_its_artifact_with_what_its_data_asks(designed: Builder) -> None:
    base = resolve(designed, "minilm/1")
    assert base.stored is None
    assert (base.given.ref, base.given.licence) == ("minilm/1", "")  # the run read no data that is known
    assert (base.given.path / "model.safetensors").read_bytes() == b"base weights"
    assert base.given.digest == designed.acting("alice").version("minilm/1").artifact


def test_an_alias_is_the_version_that_it_points_to_now(designed: Builder) -> None:
    assert designed.acting("alice").move_alias("minilm/1", "small").allowed
    assert resolve(designed, "minilm@small").given.ref == "minilm/1"


@pytest.mark.parametrize(
    ("named", "error", "says"),
    [
        ("minilm/2", NotFound, "model 'minilm' has no version 2"),
        ("minilm@smal", NotFound, "points to no version"),
        ("nobody/1", NotFound, "there is no model 'nobody'"),
        ("./nowhere", NotFound, r"there is no folder \./nowhere"),
        (REF, WrongStage, "the base loans/1 has no artifact"),
    ],
)
def test_a_base_that_is_not_there_leaves_nothing(
    designed: Builder, named: str, error: type[RegistryError], says: str
) -> None:
    before = contents_of(designed.database)
    with pytest.raises(error, match=says):
        designed.acting("alice").runs.start("train-classifier", REF, base=named)
    assert contents_of(designed.database) == before


def test_only_trainings_that_can_begin_with_a_base_take_one(designed: Builder) -> None:
    alice = designed.acting("alice")
    with pytest.raises(BadInput, match="bias begins with no base: --base does not apply"):
        alice.runs.start("bias", "minilm/1", base="minilm/1")
    with pytest.raises(BadInput, match="profile works on a dataset: --base does not apply"):
        alice.runs.start("profile", "loans-train/1", base="minilm/1")
    with pytest.raises(BadInput, match=r"--data base=\.\.\.: a run reads something else by that name"):
        alice.runs.start("train-classifier", REF, data={"base": "loans-train/1"})


def test_nothing_new_is_built_on_what_is_retired(designed: Builder) -> None:
    assert designed.acting("alice").promote("minilm/1", "retired").allowed
    with pytest.raises(WrongStage, match="the base minilm/1 is retired"):
        designed.acting("alice").runs.start("train-classifier", REF, base="minilm/1")


# -- folders -------------------------------------------------------------------------------------


def test_of_a_folder_only_what_cannot_run_is_stored(designed: Builder, folder: Path) -> None:
    base = resolve(designed, str(folder))
    assert base.stored is not None
    assert set(base.stored.manifest) == {
        "1_Pooling/config.json", "README.md", "config.json", "model.safetensors"
    }  # fmt: skip
    assert (base.given.ref, base.given.licence) == ("bert-tiny", "apache-2.0")
    assert base.given.path != folder  # what changes in the folder afterwards changes nothing


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "x.PTH", "a/b.ckpt", "scaler.pkl", "tf.h5"]
)
def test_what_may_run_code_is_refused_with_the_way_out(designed: Builder, folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\x80")
    with pytest.raises(BadInput, match="can run code when it is loaded") as caught:
        resolve(designed, str(folder))
    assert "save_pretrained(FOLDER)" in caught.value.hint


def test_links_are_refused(designed: Builder, folder: Path) -> None:
    (folder / "vocab.txt").symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match=r"vocab.txt in .* is a link or a special file"):
        resolve(designed, str(folder))


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_folder_without_a_model_is_none(designed: Builder, folder: Path, lost: str) -> None:
    (folder / lost).unlink()
    with pytest.raises(BadInput, match=r"is no model: it needs config.json and weights as .safetensors"):
        resolve(designed, str(folder))


def test_adapters_alone_are_no_model(designed: Builder, folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/elsewhere"}))
    with pytest.raises(BadInput, match="holds an adapter, not a model"):
        resolve(designed, str(folder))


def test_a_folder_that_was_named_like_a_version_is_found_by_a_path(
    designed: Builder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(BadInput) as caught:
        designed.acting("alice").runs.start("train-classifier", REF, base="bert-tiny")
    assert caught.value.hint == "--base ./bert-tiny"
    assert resolve(designed, "./bert-tiny").given.ref == "bert-tiny"


@pytest.mark.parametrize(
    ("name", "text", "licence"),
    [
        ("LICENSE", "\n  MIT License\n\nCopyright ...", "MIT License"),
        ("LICENSE.txt", "Apache License\nVersion 2.0", "Apache License"),
        ("notes.txt", "license: nothing of the kind", ""),
    ],
)
def test_the_licence_is_what_its_owner_wrote(
    designed: Builder, folder: Path, name: str, text: str, licence: str
) -> None:
    (folder / "README.md").write_text("# A model\n")
    (folder / name).write_text(text)
    assert resolve(designed, str(folder)).given.licence == licence


# -- what the gates see --------------------------------------------------------------------------


def test_the_gate_into_tuned_judges_what_was_tuned(at: At) -> None:
    builder = at("trained")
    alice = builder.acting("alice")
    rules = {result.rule for result in alice.promote(REF, "tuned").verdict.blocking}
    assert rules == {"tuned-from-base/has-base"}
    builder.train(REF, b"tuned", finding=TUNED, base=REF)  # a version may be tuned from itself
    rules = {result.rule.partition("/")[0] for result in alice.promote(REF, "tuned").verdict.blocking}
    assert rules == {"base-model"}
    builder.judge(REF, document("base-model"))
    assert alice.promote(REF, "tuned").allowed


def test_what_was_trained_again_at_trained_is_judged_again(at: At) -> None:
    builder = at("trained")
    alice = builder.acting("alice")
    worse = {**GOOD_TRAINING.metrics, "converged": 0}
    builder.train(REF, b"worse", finding=type(GOOD_TRAINING)("run.train", worse, facts=GOOD_TRAINING.facts))
    builder.supply(REF, "evaluated")
    (blocking,) = alice.promote(REF, "evaluated").verdict.blocking
    assert blocking.rule == "training-healthy/converged"


def test_a_base_is_asked_about_even_if_nobody_calls_it_tuned(designed: Builder) -> None:
    designed.train(REF, finding=GOOD_TRAINING, base="minilm/1")
    rules = {result.rule for result in designed.acting("alice").promote(REF, "trained").verdict.blocking}
    assert {"base-licence/licence", "base-model/owner"} <= rules


def test_old_data_must_be_named_by_the_version(designed: Builder) -> None:
    old = designed.dataset("old")
    designed.train(REF, replay=old)
    (blocking,) = designed.acting("alice").promote(REF, "trained").verdict.blocking
    assert blocking.rule == "replay-named/own-data"


# -- who stands on it ----------------------------------------------------------------------------


def test_a_base_knows_who_was_tuned_from_it(designed: Builder) -> None:
    alice = designed.acting("alice")
    assert alice.explain("minilm/1", "retired")[1].dependants == ()
    designed.train(REF, b"tuned", finding=TUNED, base="minilm/1")
    assert alice.explain("minilm/1", "retired")[1].dependants == (REF,)
    subject = alice.explain(REF, "trained")[1].subject
    assert (subject.base, subject.base_digest) == ("minilm/1", alice.version("minilm/1").artifact)
    # Trained anew from scratch, it stands on nothing any more.
    designed.train(REF, b"from scratch")
    assert alice.explain("minilm/1", "retired")[1].dependants == ()
    assert alice.explain(REF, "trained")[1].subject.base == ""


def test_a_base_that_was_trained_anew_still_knows_them(designed: Builder) -> None:
    designed.train(REF, b"tuned", finding=TUNED, base="minilm/1")
    designed.train("minilm/1", b"better base weights")
    assert designed.acting("alice").explain("minilm/1", "retired")[1].dependants == (REF,)


def test_a_retired_version_misses_nothing(designed: Builder) -> None:
    designed.train(REF, b"tuned", finding=TUNED, base="minilm/1")
    assert designed.acting("alice").promote(REF, "retired").allowed
    assert designed.acting("alice").explain("minilm/1", "retired")[1].dependants == ()


def test_a_version_does_not_depend_on_itself(designed: Builder) -> None:
    designed.train(REF)
    designed.train(REF, b"tuned", finding=TUNED, base=REF)
    with designed.database.read() as session:
        version = find.version(session, Ref.parse(REF))
        assert find.ref_of(version) == REF
    assert designed.acting("alice").explain(REF, "trained")[1].dependants == ()
