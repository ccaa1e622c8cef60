"""Lifecycle files: stages, steps and the work that each stage allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from registry.domain.lifecycle import Lifecycle, Step
from registry.domain.names import check_name, did_you_mean
from registry.errors import BadName
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

ANY = "any"
# Work that changes what a version is. A lifecycle must speak of each: what it leaves out is allowed anywhere.
WORK = ("data", "design", "train", "deploy", "retire")


def parse_lifecycle(text: str, file: str) -> Lifecycle:
    """Read a lifecycle file.

    `{from: any, to: retired}` stands for a step from every other stage.

    Raises:
        BadDocument: The first problem, with line and column.
    """
    source = Source(text, file)
    documents = source.documents()
    lifecycle = read_lifecycle(source, documents[0]) if documents else None
    for extra in documents[1:]:
        source.report(extra, "a lifecycle file holds one document")
    problems = sorted(source.problems, key=lambda problem: (problem.line, problem.column))
    if problems:
        raise problems[0]
    assert lifecycle is not None
    return lifecycle


def read_lifecycle(source: Source, node: Node) -> Lifecycle | None:
    """Read a lifecycle document; what is wrong with it is reported to the source."""
    before = len(source.problems)
    kind = source.peek(node, "kind")
    if kind is not None and source.choice_of(kind, "kind of lifecycle file", ("Lifecycle",)) is None:
        return None
    needed = ("kind", "metadata", "stages", "steps", "work")
    fields = source.mapping(node, "a lifecycle", (*needed, "aliases"), needed)
    metadata = source.mapping(fields.get("metadata"), "metadata", ("name", "description"), ("name",))
    name = source.text_of(metadata.get("name"), "name")
    stages = _stages(source, fields.get("stages"))
    steps = [
        step for item in source.items(fields.get("steps"), "steps") for step in _steps(source, item, stages)
    ]
    if "steps" in fields and stages:
        _check_reach(source, fields["steps"], stages, steps)
    work = _work(source, fields.get("work"), stages)
    aliases = _names(source, fields.get("aliases"), "aliases", "the alias")
    if len(source.problems) > before or name is None:
        return None
    return Lifecycle(name, stages, tuple(steps), work, tuple(aliases))


def _stages(source: Source, node: Node | None) -> tuple[str, ...]:
    found = _names(source, node, "stages", "the stage")
    for stage, place in found.items():
        if stage == ANY:
            source.report(place, f"a stage cannot be called {ANY!r}: it stands for every stage")
    if node is not None and len(found) == 1:
        source.report(node, "a lifecycle needs at least two stages")
    return tuple(found)


def _names(source: Source, node: Node | None, what: str, one: str) -> dict[str, Node]:
    found = source.texts_of(node, what)
    for name, place in found.items():
        try:
            check_name(name, one)
        except BadName as error:
            source.report(place, error.message, error.hint)
    return found


def _steps(source: Source, node: Node, stages: tuple[str, ...]) -> Iterator[Step]:
    fields = source.mapping(node, "a step", ("from", "to", "open", "why"), ("from", "to"))
    to = source.text_of(fields.get("to"), "to")
    origins = source.texts_of(fields.get("from"), "from")
    is_open = source.flag_of(fields.get("open"), "open")
    why = source.text_of(fields.get("why"), "why") or ""
    if to is not None:
        _check_stage(source, fields["to"], to, stages)
    for origin, place in origins.items():
        if origin != ANY:
            _check_stage(source, place, origin, stages)
        if origin == to:
            source.report(place, f"a step from {origin} to itself leads nowhere")
        elif to is not None:
            starts = [stage for stage in stages if stage != to] if origin == ANY else [origin]
            yield from (Step(start, to, is_open, why) for start in starts)


def _check_stage(source: Source, node: Node, stage: str, stages: tuple[str, ...]) -> None:
    if stage not in stages:
        source.report(node, f"there is no stage {stage!r}", did_you_mean(stage, stages))


def _check_reach(source: Source, node: Node, stages: tuple[str, ...], steps: list[Step]) -> None:
    pairs = [(step.origin, step.to) for step in steps]
    for origin, to in sorted({pair for pair in pairs if pairs.count(pair) > 1}):
        source.report(node, f"the step from {origin} to {to} is there twice")
    if any(origin == stages[-1] for origin, _ in pairs):
        source.report(node, f"{stages[-1]} is the last stage: nothing can follow it")
    for stage in stages[1:]:
        if stage not in {to for _, to in pairs}:
            source.report(node, f"no step leads to {stage}")


def _work(source: Source, node: Node | None, stages: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    fields = source.mapping(node, "work", WORK, WORK)
    found = {}
    for kind, place in fields.items():
        allowed = source.texts_of(place, f"work {kind!r}")
        for stage, entry in allowed.items():
            _check_stage(source, entry, stage, stages)
        found[kind] = tuple(allowed)
    return found
