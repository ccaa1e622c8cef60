"""Registries with lifecycles of their own, and any walk through one: only by its steps, each on record."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from registry.api import Registry
from registry.errors import BadDocument, NoSuchTransition
from registry.policy import parse_lifecycle
from registry.storage.home import Home

OPEN = """
kind: Lifecycle
metadata: {name: open}
stages: [draft, built, checked, live, gone]
steps:
  - {from: draft, to: built, open: true}
  - {from: built, to: checked, open: true}
  - {from: checked, to: live, open: true}
  - {from: [built, checked], to: draft, open: true, why: rework}
  - {from: live, to: checked, open: true, why: withdrawn}
  - {from: any, to: gone, open: true}
work: {data: [draft], design: [draft, built], train: [built], deploy: [live], retire: [draft, built, live]}
"""
LIFECYCLE = parse_lifecycle(OPEN, "open.yaml")


@pytest.fixture
def fresh(empty_url: str, tmp_path: Path) -> Iterator[Registry]:
    with Registry(Home.at(tmp_path / "home", database=empty_url), "alice") as registry:
        yield registry


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "open.yaml"
    path.write_text(OPEN)
    return path


def test_a_lifecycle_of_ones_own(fresh: Registry, file: Path) -> None:
    assert fresh.initialise(lifecycle=file)
    assert fresh.stages() == ["draft", "built", "checked", "live", "gone"]
    # Of the shipped policies, those that fit: one about a stage that is not there guards nothing.
    assert {stage for policy in fresh.policies() for stage in policy.stages} <= set(fresh.stages())
    fresh.add_system("support", purpose="answers mail", risk_tier="minimal")
    ref = fresh.plan("mail", system="support").ref
    assert fresh.version(ref).stage == "draft"
    assert fresh.promote(ref, "built").allowed
    assert fresh.verify().ok


def test_policies_that_fit_a_lifecycle_are_in_force(fresh: Registry, tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(
        "kind: Lifecycle\nmetadata: {name: short}\nstages: [planned, prepared, retired]\n"
        "steps: [{from: planned, to: prepared}, {from: any, to: retired}]\n"
        "work: {data: [planned], design: [planned], train: [planned], deploy: [planned], retire: [planned]}\n"
    )
    fresh.initialise(lifecycle=file)
    assert {stage for policy in fresh.policies() for stage in policy.stages} == {"prepared", "retired"}
    fresh.add_system("support", purpose="answers mail", risk_tier="minimal")
    ref = fresh.plan("mail", system="support").ref
    refused = {result.rule for result in fresh.promote(ref, "prepared").verdict.blocking}
    assert {"purpose-and-targets/targets", "data-roles/train"} <= refused
    assert fresh.promote(ref, "retired").allowed


def test_making_a_registry_again_changes_nothing(fresh: Registry, file: Path) -> None:
    assert fresh.initialise(lifecycle=file)
    before = fresh.verify()
    assert not fresh.initialise()
    assert fresh.verify() == before
    assert fresh.stages()[0] == "draft"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OPEN.replace("train: [built]", "train: [bilt]"), "open.yaml:12:55: there is no stage 'bilt'"),
        ("kind: [", "open.yaml:1"),
        ("", "open.yaml"),
    ],
)
def test_a_lifecycle_file_that_cannot_be_used_makes_nothing(
    fresh: Registry, file: Path, text: str, says: str
) -> None:
    file.write_text(text)
    with pytest.raises(BadDocument) as caught:
        fresh.initialise(lifecycle=file)
    assert says in caught.value.message
    assert fresh.revision() is None


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"\xff\xfe")])
def test_a_lifecycle_file_that_cannot_be_read_makes_nothing(
    fresh: Registry, file: Path, spoil: object
) -> None:
    spoil(file)  # type: ignore[operator]
    with pytest.raises(BadDocument, match="cannot be read"):
        fresh.initialise(lifecycle=file)
    assert fresh.revision() is None


class Walk(RuleBasedStateMachine):
    """Two versions that are moved about; a model in memory says where each must be."""

    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        Path(self.folder.name, "registry.db").write_bytes(template())
        self.registry = Registry.open(self.folder.name, actor="alice")
        self.registry.add_system("support", purpose="answers mail", risk_tier="minimal")
        self.stages = {self.registry.plan("mail", system="support").ref: "draft" for _ in range(2)}
        self.moves: dict[str, list[tuple[str, str]]] = {ref: [] for ref in self.stages}

    @rule(which=st.integers(0, 1), to=st.sampled_from(LIFECYCLE.stages))
    def promote(self, which: int, to: str) -> None:
        ref = sorted(self.stages)[which]
        origin = self.stages[ref]
        if to in LIFECYCLE.following(origin):
            assert self.registry.promote(ref, to).allowed
            self.stages[ref] = to
            self.moves[ref].append((origin, to))
        else:
            with pytest.raises(NoSuchTransition):
                self.registry.promote(ref, to)

    @invariant()
    def the_registry_agrees(self) -> None:
        for ref, stage in self.stages.items():
            assert self.registry.version(ref).stage == stage
            assert [(d.origin, d.to) for d in self.registry.decisions(ref)] == self.moves[ref]

    def teardown(self) -> None:
        if hasattr(self, "registry"):
            audit = self.registry.verify()
            assert audit.ok, audit.problems
            self.registry.close()
            self.folder.cleanup()


@cache
def template() -> bytes:
    """A registry file with the open lifecycle."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "open.yaml")
        file.write_text(OPEN)
        with Registry(Home.at(folder), "root") as registry:
            registry.initialise(lifecycle=file)
        return Path(folder, "registry.db").read_bytes()


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=6, stateful_step_count=15, deadline=None)
