"""The log: ledger entries, filtered, and told in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.digests import short
from registry.domain.names import check_name
from registry.domain.references import Ref
from registry.storage import find
from registry.storage.tables import Deployment, LedgerEntry, Run, RunOutput, Version
from registry.usecases.views import EntryView


def log(
    session: Session,
    *,
    subjects: Sequence[str] = (),
    actor: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 0,
    before: int | None = None,
) -> list[EntryView]:
    """Ledger entries in order; with a limit, the newest ones of those before an entry."""
    names = find.actor_names(session)
    query = select(LedgerEntry).order_by(LedgerEntry.index.desc())
    if subjects:
        query = query.where(LedgerEntry.subject.in_(subjects))
    if actor:
        query = query.where(LedgerEntry.actor_id.in_([id for id, name in names.items() if name == actor]))
    if action:
        query = query.where(LedgerEntry.action == action)
    if since:
        query = query.where(LedgerEntry.at >= since)
    if until:
        query = query.where(LedgerEntry.at < until)
    if before is not None:
        query = query.where(LedgerEntry.index < before)
    if limit:
        query = query.limit(limit)
    entries = [_entry(row, names) for row in session.scalars(query)]
    return entries[::-1]


def history(session: Session, of: str) -> list[EntryView]:
    """Everything that happened to a version, its runs, its deployments, its data and their ancestors.

    Of a model, the histories of all its versions, and what happened to its aliases. Refusals are in it.
    """
    if "/" in of or "@" in of:
        return log(session, subjects=sorted(_subjects(session, find.ref(session, of))))
    model = find.model(session, check_name(of, "the model's name"))
    subjects = {f"model:{model.name}"}
    for number in session.scalars(select(Version.number).where(Version.model_id == model.id)):
        subjects |= _subjects(session, Ref(model.name, number))
    return log(session, subjects=sorted(subjects))


def _subjects(session: Session, ref: Ref) -> set[str]:
    version = find.version(session, ref)
    data = find.lineage(session, version.id)
    refs = [find.ref_of(row) for row in data]
    runs = {
        *session.scalars(select(Run.id).where(Run.version_id == version.id)),
        *session.scalars(select(Run.id).where(Run.dataset_version_id.in_([row.id for row in data]))),
        *session.scalars(select(RunOutput.run_id).where(RunOutput.ref.in_(refs))),
    }
    deployments = session.scalars(select(Deployment.id).where(Deployment.version_id == version.id))
    return {
        f"model:{ref}",
        *(f"run:{number}" for number in runs),
        *(f"deployment:{number}" for number in deployments),
        *(f"dataset:{found}" for found in refs),
    }


def _entry(row: LedgerEntry, names: Mapping[int, str]) -> EntryView:
    payload = json.loads(row.payload)["event"] if row.payload is not None else {}
    return EntryView(
        index=row.index,
        at=row.at,
        actor=names[row.actor_id],
        action=row.action,
        subject=row.subject,
        text=_tell(row.action, _named(payload, names), _who(row.subject, names)),
        leaf=row.leaf.hex(),
        payload=payload,
    )


def _tell(action: str, event: Mapping[str, Any], subject: str) -> str:
    """An event in words; an erased one says so."""
    if not event:
        return "(erased)"
    teller = _TELLERS.get(action) or _OF_PEOPLE.get(action)
    if teller is None:
        return ", ".join(f"{key}={value}" for key, value in event.items())
    return teller({**event, "subject": subject})


def _named(event: Mapping[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """An event with the names of the people whom it has by number: what is erased must not name them."""
    return {
        key: names.get(value, value) if key in _PEOPLE and isinstance(value, int) else value
        for key, value in event.items()
    }


def _who(subject: str, names: Mapping[int, str]) -> str:
    """`actor:3` by name; any other subject as it is, without its kind."""
    kind, _, key = subject.partition(":")
    return names.get(int(key), key) if kind == "actor" and key.isdigit() else key


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _day(text: str) -> str:
    return text[:10]


def _scope(scope: Mapping[str, list[str]]) -> str:
    """For whom a binding is: ` for risk tiers limited or high`; nothing if for all."""
    return "".join(f" for {key.replace('_', ' ')} {' or '.join(names)}" for key, names in scope.items())


def _decided(event: Mapping[str, Any]) -> str:
    if event["allowed"] and event["to"].startswith("@"):
        return f"allowed: {event['to']} while {event['origin']} (decision {event['decision']})"
    if event["allowed"]:
        return f"moved from {event['origin']} to {event['to']} (decision {event['decision']})"
    rules = ", ".join(event["blocking"]) or "no policy governs this step"
    return f"refused: {event['origin']} to {event['to']} (decision {event['decision']}), by {rules}"


def _ended(event: Mapping[str, Any]) -> str:
    made = f", made {_pairs(event['outputs'])}" if event["outputs"] else ""
    why = f": {event['reason']}" if event["reason"] else ""
    return f"{event['state']}{why}{made}"


def _pointed(event: Mapping[str, Any]) -> str:
    if not event["version"]:
        return f"@{event['alias']} points to nothing any more: {event['reason']}"
    if event["version"] != event["subject"]:
        return f"@{event['alias']} went to {event['version']} (decision {event['decision']})"
    instead = f" instead of {event['before']}" if event.get("before") else ""
    return f"@{event['alias']} points here{instead} (decision {event['decision']})"


# Fields that hold an actor's number.
_PEOPLE = ("to", "member", "owner")

_OF_PEOPLE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "role-granted": lambda e: f"{e['subject']} is {e['role']} now",
    "role-revoked": lambda e: f"{e['subject']} is {e['role']} no more",
    "group-added": lambda e: f"group {e['name']} made",
    "member-added": lambda e: f"{e['member']} is in {e['subject']} now",
    "member-removed": lambda e: f"{e['member']} is in {e['subject']} no more",
    "role-delegated": lambda e: (
        f"{e['to']} is {e['role']} for {e['subject']} until {e['until'][:16].replace('T', ' ')}"
    ),
    "delegation-ended": lambda e: f"{e['to']} is {e['role']} for {e['subject']} no more",
    "alias-moved": _pointed,
}

_TELLERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "registry-created": lambda e: f"registry made by release {e['release']}",
    "actor-added": lambda e: f"first seen: {e['name']}",
    "lifecycle-published": lambda e: f"lifecycle {e['name']} in force ({short(e['digest'])})",
    "policy-published": lambda e: f"policy published ({short(e['digest'])})",
    "policy-bound": lambda e: (
        f"in force: {e['policy']} ({short(e['digest'])}){_scope(e['scope'])}, {e['action_on_failure']}"
    ),
    "policy-unbound": lambda e: (
        f"no longer in force: {e['policy']}" + (f": {e['reason']}" if e["reason"] else "")
    ),
    "system-added": lambda e: f"system of risk tier {e['risk_tier']}, owner {e['owner']}",
    "system-changed": lambda e: f"changed: {', '.join(key.replace('_', ' ') for key in e['changed'])}",
    "dataset-added": lambda e: (
        f"{e['rows']:,} rows from {', '.join(e['parents']) or e['source']} ({short(e['digest'])})"
    ),
    "version-planned": lambda e: f"planned for {e['system']}, targets {', '.join(e['targets']) or 'none'}",
    "data-linked": lambda e: f"data: {_pairs(e['data'])}",
    "design-recorded": lambda e: f"design: {_pairs(e['design'])}",
    "run-queued": lambda e: (
        f"{e['plugin']} on {e['about'].partition(':')[2]}"
        + (f", from {base['ref']} ({short(base['digest'])})" if (base := e.get("base")) else "")
    ),
    "run-started": lambda e: "started" if e["token"] == 1 else f"started again (take {e['token']})",
    "run-taken-over": lambda e: f"its supervisor was gone; another took over (take {e['token']})",
    "run-ended": _ended,
    "run-replayed": lambda e: (
        f"its first {e['steps']} steps were done again: {e['verdict']}"
        f"{'' if e['repeats'] else ', which is not what it claims'}"
    ),
    "evidence-recorded": lambda e: f"{e['kind']} about {short(e['about'])}: {e['status']} (run {e['run']})",
    "artifact-produced": lambda e: f"artifact {short(e['artifact'])} (run {e['run']})",
    "stage-decided": _decided,
    "verdict-given": lambda e: f"{e['verdict']} for {e['to']} ({short(e['digest'])})",
    "ledger-key-made": lambda e: f"a key signs the ledger: {e['verifier']}",
    "ledger-key-rotated": lambda e: (
        f"another key signs the ledger: {e['verifier']}, for {e['replaces']}"
        f"{'' if e['statement'] else ', which was lost'}{': ' + e['reason'] if e['reason'] else ''}"
    ),
    "payloads-erased": lambda e: (
        f"{'1 payload was' if len(e['entries']) == 1 else str(len(e['entries'])) + ' payloads were'} erased: "
        f"{e['reason']}"
    ),
    "deployment-started": lambda e: f"{e['version']} runs at {e['endpoint']}",
    "waiver-requested": lambda e: f"waiver {e['waiver']} of {e['rule']} asked for, until {_day(e['until'])}",
    "waiver-decided": lambda e: f"waiver {e['waiver']} of {e['rule']} {e['state']}",
    "waiver-revoked": lambda e: f"waiver {e['waiver']} of {e['rule']} revoked",
    "finding-raised": lambda e: f"finding {e['finding']} raised: {e['severity']}, due {_day(e['due'])}",
    "finding-closed": lambda e: f"finding {e['finding']} ({e['severity']}) closed",
    "risk-added": lambda e: f"risk {e['risk']} ({e['category']}) entered, residual {e['residual']}",
    "risk-changed": lambda e: f"risk {e['risk']} ({e['category']}) judged anew, residual {e['residual']}",
    "risk-accepted": lambda e: f"risk {e['risk']} ({e['category']}) accepted, residual {e['residual']}",
    "risk-closed": lambda e: f"risk {e['risk']} ({e['category']}) closed",
    "tier-assessed": lambda e: (
        f"assessment {e['assessment']}: answers come to {e['computed']}; {e['tier']} {e['state']}"
    ),
    "tier-decided": lambda e: f"assessment {e['assessment']}: {e['tier']} {e['state']}",
    "deployment-stopped": lambda e: f"{e['version']} stopped: {e['reason']}",
    "key-trusted": lambda e: f"signs with the key {e['keyid'][:12]}",
    "key-distrusted": lambda e: f"the key {e['keyid'][:12]} is not trusted any more: {e['reason']}",
    "statement-signed": lambda e: f"{e['about']} signed with the key {e['keyid'][:12]} ({e['row']})",
}
