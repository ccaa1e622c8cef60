"""A dossier with one thing taken away that a rule reads: every way in which it can be missing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from registry.domain.dossier import ChampionFacts, Dossier
from registry.domain.evidence import EvidenceFacts
from registry.policy.gaps import Item
from registry.policy.names import ITEM_METRIC, Path
from registry.policy.templates import name_of

Removal = tuple[str, Dossier]


def removals(path: Path, given: Dossier, item: Item | None) -> Iterator[Removal]:
    """The dossier without what a path leads to, in every way; each with what was done.

    Args:
        path: A way into the dossier, as `registry.policy.names` finds it in a rule.
        given: In which it leads somewhere.
        item: What `item` stands for.
    """
    root, *rest = path
    if ITEM_METRIC in rest and item is not None:
        rest = [name_of(item) if part == ITEM_METRIC else part for part in rest]
    if root == "evidence":
        for done, evidence in _evidence(rest, given.evidence, given.now):
            yield done, replace(given, evidence=evidence)
    elif root == "data" and rest:
        yield from _data(rest, given, given.data if rest[0] is None else [rest[0]])
    elif root == "item" and item is not None and given.data and item in given.data.values():
        role = next(role for role, facts in given.data.items() if facts == item)
        yield from _data([role, *rest], given, [role])
        yield "no data at all", replace(given, data={})
    elif root in ("targets", "item"):
        yield from _targets([part for part in rest if part is not None], given, item)
    elif root == "champion":
        yield from _champion(rest, given)


def _champion(rest: list[Any], given: Dossier) -> Iterator[Removal]:
    if rest == ["exists"]:
        return
    yield "no champion", replace(given, champion=ChampionFacts())
    metrics = given.champion.metrics
    if rest[:1] == ["metrics"] and len(rest) == 2:
        for name in [rest[1]] if rest[1] is not None else list(metrics):
            told = f"champion without {name}"
            yield told, replace(given, champion=replace(given.champion, metrics=_without(metrics, name)))


def _targets(rest: list[Any], given: Dossier, item: Item | None) -> Iterator[Removal]:
    yield "no targets", replace(given, targets=())
    if rest[:1] not in (["value"], ["met"], ["criteria_current"]):
        return
    for target in given.targets if item is None else [item]:
        blind = replace(target, measured=False, value=0.0, met=False, criteria_current=False)  # type: ignore[call-arg]
        changed = tuple(blind if one == target else one for one in given.targets)
        yield f"{name_of(target)} not measured", replace(given, targets=changed)


def _data(rest: list[Any], given: Dossier, roles: Any) -> Iterator[Removal]:
    for role in roles:
        if rest[0] is not None and len(roles) == 1:
            yield f"no {role} data", replace(given, data=_without(given.data, role))
        if rest[1:2] == ["evidence"] and role in given.data:
            facts = given.data[role]
            for done, evidence in _evidence(rest[2:], facts.evidence, given.now):
                changed = {**given.data, role: replace(facts, evidence=evidence)}
                yield f"{role} data: {done}", replace(given, data=changed)


def _evidence(
    rest: list[Any], evidence: Mapping[str, EvidenceFacts], now: datetime
) -> Iterator[tuple[str, dict[str, EvidenceFacts]]]:
    if not rest or rest[0] is None or rest[0] not in evidence:
        return
    kind = rest[0]
    facts = evidence[kind]

    def having(**changes: Any) -> dict[str, EvidenceFacts]:
        return {**evidence, kind: replace(facts, **changes)}

    yield f"no {kind}", _without(evidence, kind)
    yield f"{kind} is insufficient", having(status="insufficient")
    yield f"{kind} has expired", having(valid_until=now)
    yield f"{kind} covers a share that is no number", having(coverage=math.nan)
    if rest[1:2] == ["metrics"] and len(rest) == 3:
        for name in [rest[2]] if rest[2] is not None else list(facts.metrics):
            yield f"{kind}: {name} is no number", having(metrics={**facts.metrics, name: math.nan})
        if rest[2] is not None:
            yield f"{kind} without {rest[2]}", having(metrics=_without(facts.metrics, rest[2]))
        yield f"{kind} without metrics", having(metrics={})
    if rest[1:2] == ["facts"] and len(rest) == 3 and rest[2] is not None:
        yield f"{kind} without {rest[2]}", having(facts=_without(facts.facts, rest[2]))


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}
