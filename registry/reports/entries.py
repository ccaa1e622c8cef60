"""The ledger entries of a version and its system, and finding the one that recorded a thing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from registry.domain.references import Ref
from registry.usecases.log import history, log
from registry.usecases.views import EntryView

NONE = -1


def entries_of(session: Session, ref: Ref, system: str) -> list[EntryView]:
    """Everything that happened to a version, what it is made of, and its system; in order."""
    found = [*history(session, str(ref)), *log(session, subjects=[f"system:{system}"])]
    return sorted(found, key=lambda entry: entry.index)


class Entries:
    """Finds entries by what they are about. What was erased cannot be found by its content any more."""

    def __init__(self, entries: Sequence[EntryView]) -> None:
        self._first = {(entry.subject, entry.action): entry for entry in reversed(entries)}
        self._evidence = {
            (entry.payload["run"], entry.payload["about"]): entry.index
            for entry in entries
            if entry.action == "evidence-recorded" and entry.payload
        }
        self._verdicts = {
            (entry.actor, entry.at): entry.index for entry in entries if entry.action == "verdict-given"
        }
        # The last one wins: a risk that was judged anew is what it was judged to be last.
        self._numbered = {
            (entry.action, key, value): entry.index
            for entry in entries
            for key, value in entry.payload.items()
            if isinstance(value, int | str)
        }
        self._signed = {
            (entry.payload["row"], entry.payload["keyid"]): entry.index
            for entry in entries
            if entry.action == "statement-signed" and entry.payload
        }
        self._targets = {
            (entry.subject, entry.payload["criteria_digest"]): entry
            for entry in reversed(entries)
            if "targets" in entry.payload and "criteria_digest" in entry.payload
        }

    def first(self, subject: str, action: str) -> EntryView | None:
        """The first entry of an action on a subject."""
        return self._first.get((subject, action))

    def of(self, subject: str, action: str) -> int:
        """Its index, -1 if there is none."""
        found = self.first(subject, action)
        return found.index if found else NONE

    def actor(self, subject: str, action: str) -> str:
        """Who did it; empty if there is none."""
        found = self.first(subject, action)
        return found.actor if found else ""

    def holding(self, key: str, value: int | str, *actions: str) -> int:
        """The last entry of some actions whose event has a value under a key: `waiver` 3."""
        return max(self._numbered.get((action, key, value), NONE) for action in actions)

    def fixing(self, subject: str, criteria: str) -> EntryView | None:
        """The first entry that holds the targets with a digest."""
        return self._targets.get((subject, criteria))

    def evidence(self, run: int, about: str) -> int:
        """The entry of evidence that a run made about a digest."""
        return self._evidence.get((run, about), NONE)

    def signed(self, row: str, keyid: str) -> int:
        """The entry of the last signature with a key over a row."""
        return self._signed.get((row, keyid), NONE)

    def verdict(self, actor: str, at: datetime) -> int:
        """The entry of a person's word."""
        return self._verdicts.get((actor, at), NONE)
