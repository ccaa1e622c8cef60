"""What a rule names and the dossier lacks: found before the rule is judged, so that it cannot pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from registry.domain.decision import Outcome
from registry.domain.digests import short
from registry.domain.dossier import DataFacts, Dossier, TargetFacts
from registry.domain.evidence import EvidenceFacts, EvidenceStatus
from registry.domain.names import nearest
from registry.policy.names import CHAMPION, ITEM_METRIC, Path

Item = DataFacts | TargetFacts
_JUDGED = ("value", "met", "criteria_current")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is not there, or could not judge."""

    outcome: Outcome
    message: str


def find_gap(paths: Iterable[Path], dossier: Dossier, item: Item | None = None) -> Gap | None:
    """The first thing that a rule names and the dossier lacks; None if all of it is there.

    Args:
        paths: What the rule names, see `registry.policy.names`.
        dossier: What there is.
        item: What `item` stands for, in a rule that is judged per item.
    """
    search = _Search(dossier)
    for path in paths:
        for gap in search.along(path, item):
            return gap
    return None


def unusable(evidence: EvidenceFacts, now: datetime) -> str:
    """Why a piece of evidence may not be judged; empty if it may."""
    if evidence.status != EvidenceStatus.COMPLETE:
        return evidence.reason or f"its status is {evidence.status}"
    if evidence.valid_until is not None and evidence.valid_until <= now:
        return f"expired on {evidence.valid_until:%Y-%m-%d}"
    return ""


class _Search:
    def __init__(self, dossier: Dossier) -> None:
        self._dossier = dossier

    def along(self, path: Path, item: Item | None) -> Iterator[Gap]:
        if ITEM_METRIC in path and isinstance(item, TargetFacts):
            path = tuple(item.metric if part == ITEM_METRIC else part for part in path)
        root, rest = path[0], path[1:]
        if root == "evidence":
            yield from self._evidence(rest, self._dossier.evidence, None)
        elif root == "data":
            yield from self._roles(rest)
        elif root == "targets":
            yield from self._targets(rest)
        elif root == CHAMPION:
            yield from self._champion(rest)
        elif isinstance(item, DataFacts):
            yield from self._data(rest, item)
        elif isinstance(item, TargetFacts):
            yield from self._target(rest, item)

    def _champion(self, path: Path) -> Iterator[Gap]:
        champion = self._dossier.champion
        if path == ("exists",):
            return
        if not champion.exists:
            yield Gap(Outcome.MISSING, f"{self._dossier.subject.model} has no champion to compare it with")
        elif len(path) == 2 and path[0] == "metrics":
            yield from self._entry(champion.ref, "metric", champion.metrics, path[1])

    def _roles(self, path: Path) -> Iterator[Gap]:
        data = self._dossier.data
        if not data:
            yield Gap(Outcome.MISSING, f"{self._dossier.subject.ref} names no data")
        elif path and path[0] is not None and path[0] not in data:
            yield Gap(Outcome.MISSING, f"{self._dossier.subject.ref} names no {path[0]} data")
        elif path:
            for facts in data.values() if path[0] is None else [data[path[0]]]:
                yield from self._data(path[1:], facts)

    def _data(self, path: Path, facts: DataFacts) -> Iterator[Gap]:
        if path and path[0] == "evidence":
            yield from self._evidence(path[1:], facts.evidence, facts)

    def _targets(self, path: Path) -> Iterator[Gap]:
        if not self._dossier.targets:
            yield Gap(Outcome.MISSING, f"{self._dossier.subject.ref} has no targets")
        for target in self._dossier.targets:
            yield from self._target(path[1:], target)

    def _target(self, path: Path, target: TargetFacts) -> Iterator[Gap]:
        if path and path[0] in _JUDGED and not target.measured:
            yield Gap(Outcome.MISSING, f"nothing has measured {target.metric} of {self._about(None)}")

    def _evidence(
        self, path: Path, evidence: Mapping[str, EvidenceFacts], data: DataFacts | None
    ) -> Iterator[Gap]:
        if not path or path[0] is None:
            return
        kind, *rest = path
        assert kind is not None
        if kind not in evidence:
            why = self._dossier.unusable.get(f"{data.role}:{kind}" if data else kind, "")
            told = f"no {kind} about {self._about(data)}" + (f" ({why})" if why else "")
            yield Gap(Outcome.MISSING, told)
        elif reason := unusable(evidence[kind], self._dossier.now):
            insufficient = evidence[kind].status != EvidenceStatus.COMPLETE
            outcome = Outcome.INSUFFICIENT if insufficient else Outcome.MISSING
            yield Gap(outcome, f"{kind} about {self._about(data)} cannot be used: {reason}")
        elif len(rest) == 2 and rest[0] in ("metrics", "facts"):
            known = evidence[kind].metrics if rest[0] == "metrics" else evidence[kind].facts
            yield from self._entry(kind, rest[0].removesuffix("s"), known, rest[1])

    def _entry(self, owner: str, what: str, known: Mapping[str, object], name: str | None) -> Iterator[Gap]:
        """A metric or fact that is not there; of all of them, if the rule looks at all."""
        if name is None and not known:
            yield Gap(Outcome.MISSING, f"{owner} has no {what}s at all")
        for one in known if name is None else (name,):
            value = known.get(one)
            # A number that is none is never shown to a rule: it would answer every comparison with False.
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                close = nearest(one, [other for other in known if other != one])
                also = f"; it has {close!r}" if close else ""
                yield Gap(Outcome.MISSING, f"{owner} has no {what} {one!r}{also}")

    def _about(self, data: DataFacts | None) -> str:
        """What evidence is about, in words."""
        subject = self._dossier.subject
        if data is not None:
            return f"{data.role} data {data.ref} ({short(data.digest)})"
        return (
            f"artifact {short(subject.artifact)}"
            if subject.artifact
            else f"{subject.ref}, which has no artifact"
        )
