"""Whether a limit is older than what it is compared with: goalposts that moved must show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from registry.domain.dossier import DataFacts, Dossier
from registry.domain.evidence import EvidenceFacts
from registry.policy.gaps import Item
from registry.policy.names import Path


def is_late(paths: Iterable[Path], dossier: Dossier, item: Item | None, since: datetime) -> bool:
    """Whether a rule came into force, or got its limit, after evidence that it judges was made.

    Args:
        paths: What the rule names, see `registry.policy.names`.
        dossier: What it looks at.
        item: What `item` stands for, in a rule that is judged per item.
        since: When the rule's binding was made.
    """
    return any(found.created_at < since for path in paths for found in _evidence(path, dossier, item))


def _evidence(path: Path, dossier: Dossier, item: Item | None) -> Iterator[EvidenceFacts]:
    match path:
        case ("evidence", kind, *_):
            yield from _of_kind(kind, dossier.evidence)
        case ("data", role, "evidence", kind, *_):
            for data in dossier.data.values() if role is None else [dossier.data.get(role)]:
                if data is not None:
                    yield from _of_kind(kind, data.evidence)
        case (_, "evidence", kind, *_) if isinstance(item, DataFacts):
            yield from _of_kind(kind, item.evidence)


def _of_kind(kind: str | None, evidence: Mapping[str, EvidenceFacts]) -> Iterator[EvidenceFacts]:
    if kind is not None and kind in evidence:
        yield evidence[kind]
