"""Waivers: approved exceptions to one rule, for one version as it is or for one system, until a date."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlalchemy import select

from registry.domain.events import WaiverDecided, WaiverRequested, WaiverRevoked
from registry.domain.names import did_you_mean
from registry.domain.people import APPROVER
from registry.errors import BadInput, Conflict, NotFound
from registry.policy import GatePolicy, Validation
from registry.storage import find
from registry.storage.dossiers import targets_of
from registry.storage.gates import in_force
from registry.storage.tables import WaiverRow
from registry.storage.unit_of_work import UnitOfWork
from registry.usecases.independence import see_that_others_decide, speaking_as
from registry.usecases.subjects import Subject, find_subject, subject_of

REQUESTED, APPROVED, REJECTED, REVOKED = "requested", "approved", "rejected", "revoked"
_RULE = re.compile(r"(?P<policy>[^/\[\]]+)/(?P<validation>[^/\[\]]+)(?:\[(?P<item>.+)\])?\Z")
# How far the clock of somebody who types `30d` may be ahead of the database's.
_CLOCKS = timedelta(minutes=1)


def request_waiver(
    work: UnitOfWork,
    rule: str,
    *,
    ref: str = "",
    system: str = "",
    reason: str,
    control: str,
    until: datetime,
) -> WaiverRow:
    """Ask for an exception to one rule, for a version as it is now or for a whole system.

    It is for the policy as it is in force now. There is no extending: to renew is to ask again.

    Args:
        work: The open transaction.
        rule: `policy/validation`, or `policy/validation[item]` where it is judged per item.
        ref: The version; or
        system: the system, with all versions that it has.
        reason: Why the rule cannot be kept.
        control: What is done instead.
        until: When the exception ends, at the latest as many days after its approval as the policy allows.

    Raises:
        NotFound: No such version or system, or no policy in force has the rule.
        BadInput: No reason or control; an end that is past or too late; a rule that allows no exception.
    """
    if not reason.strip():
        raise BadInput("a waiver needs a reason", hint="say with --reason why the rule cannot be kept")
    if not control.strip():
        raise BadInput(
            "a waiver needs a compensating control", hint="say with --control what is done instead"
        )
    subject = find_subject(work.session, ref, system, lock=True)
    policy = _policies_with(work, rule, subject)[0]
    _check_end(policy, until, work.at, _CLOCKS)
    row = WaiverRow(
        rule=rule,
        policy_digest=policy.digest,
        version_id=subject.version_id,
        system_id=subject.system_id,
        digest=subject.version.digest if subject.version is not None else "",
        reason=reason.strip(),
        control=control.strip(),
        until=until,
        state=REQUESTED,
        created_at=work.at,
        created_by=work.actor.id,
    )
    work.session.add(row)
    work.session.flush()
    work.record(WaiverRequested(subject.entry, row.id, rule, until.isoformat()))
    return row


def approve_waiver(work: UnitOfWork, number: int, reason: str = "") -> WaiverRow:
    """Grant an exception. Its length counts from now.

    Raises:
        NotFound: There is no such waiver.
        NotPermitted: The actor is no approver, asked for it, or developed what it is about.
        Conflict: It was decided before, or is not about what is in force any more.
        BadInput: Its end is past, or later than the policy allows.
    """
    speakers = speaking_as(work, "decide on waivers", APPROVER)
    row, subject = _pending(work, number)
    see_that_others_decide(speakers, [_name(work, row.created_by)], f"asked for waiver {number}")
    see_that_others_decide(speakers, subject.developers(work), f"developed {subject.name}")
    again = "ask for another: phasegate waive"
    if subject.version is not None and subject.version.digest != row.digest:
        raise Conflict(f"{subject.name} has changed since waiver {number} was asked for", hint=again)
    try:
        policies = _policies_with(work, row.rule, subject)
    except NotFound as gone:
        raise Conflict(f"waiver {number}: {gone.message}", hint=again) from gone
    policy = next((found for found in policies if found.digest == row.policy_digest), None)
    if policy is None:
        raise Conflict(
            f"another version of {policies[0].name} is in force than waiver {number} was asked for",
            hint=again,
        )
    _check_end(policy, row.until, work.at, timedelta())
    return _decide(work, row, subject, APPROVED, reason)


def reject_waiver(work: UnitOfWork, number: int, reason: str) -> WaiverRow:
    """Say no to an exception. Whoever asked for it may take it back in this way.

    Raises:
        NotFound: There is no such waiver.
        NotPermitted: The actor is neither an approver nor the one who asked.
        Conflict: It was decided before.
        BadInput: No reason.
    """
    if not reason.strip():
        raise BadInput("a rejection needs a reason", hint="say it with --reason")
    row, subject = _pending(work, number)
    if row.created_by != work.actor.id:
        speaking_as(work, "decide on waivers", APPROVER)
    return _decide(work, row, subject, REJECTED, reason)


def revoke_waiver(work: UnitOfWork, number: int, reason: str) -> WaiverRow:
    """End an exception that was granted, from now on and for good.

    Raises:
        NotFound: There is no such waiver.
        NotPermitted: The actor is neither an approver nor the one who asked.
        Conflict: It was not granted, or is revoked already.
        BadInput: No reason.
    """
    if not reason.strip():
        raise BadInput("a revocation needs a reason", hint="say it with --reason")
    row, subject = _locked(work, number)
    if row.created_by != work.actor.id:
        speaking_as(work, "revoke waivers", APPROVER)
    if row.state != APPROVED:
        raise Conflict(f"waiver {number} is {row.state}: only one that was approved can be revoked")
    row.state, row.ended_at, row.ended_by, row.end_reason = REVOKED, work.at, work.actor.id, reason.strip()
    work.record(WaiverRevoked(subject.entry, number, row.rule))
    return row


def _decide(work: UnitOfWork, row: WaiverRow, subject: Subject, state: str, reason: str) -> WaiverRow:
    row.state, row.decided_at, row.decided_by = state, work.at, work.actor.id
    row.decision_reason = reason.strip()
    work.record(WaiverDecided(subject.entry, row.id, row.rule, state))
    return row


def _pending(work: UnitOfWork, number: int) -> tuple[WaiverRow, Subject]:
    row, subject = _locked(work, number)
    if row.state != REQUESTED:
        raise Conflict(f"waiver {number} is {row.state} already", hint=f"phasegate waiver show {number}")
    return row, subject


def _locked(work: UnitOfWork, number: int) -> tuple[WaiverRow, Subject]:
    """A waiver and what it is about, locked: the version first, as a promotion does."""
    query = select(WaiverRow).where(WaiverRow.id == number)
    row = work.session.scalar(query)
    if row is None:
        raise NotFound(f"there is no waiver {number}", hint="phasegate waiver list")
    subject = subject_of(work.session, row.version_id, row.system_id, lock=True)
    locked = query.with_for_update().execution_options(populate_existing=True)
    return work.session.scalars(locked).one(), subject


def _policies_with(work: UnitOfWork, rule: str, subject: Subject) -> list[GatePolicy]:
    """The policies in force that have a rule and allow exceptions to it, the one bound last first."""
    found = _RULE.match(rule)
    if found is None:
        raise BadInput(f"{rule!r} names no rule", hint="write POLICY/VALIDATION, or POLICY/VALIDATION[ITEM]")
    policies = [bound.policy for bound in reversed(in_force(work.session).policies)]
    having = []
    for policy in policies:
        for validation in policy.validations:
            if (policy.name, validation.id) == (found["policy"], found["validation"]):
                _check_waivable(policy, validation)
                _check_item(work, validation, rule, found["item"], subject)
                having.append(policy)
    if not having:
        known = {f"{policy.name}/{one.id}" for policy in policies for one in policy.validations}
        asked = rule.partition("[")[0]
        raise NotFound(f"no policy in force has a rule {asked!r}", hint=did_you_mean(asked, known))
    return having


def _check_waivable(policy: GatePolicy, validation: Validation) -> None:
    if policy.max_waiver_days <= 0:
        raise BadInput(f"policy {policy.name} allows no waivers")
    if not validation.waivable:
        raise BadInput(f"{policy.name}/{validation.id} cannot be waived: its policy says so")


def _check_item(work: UnitOfWork, rule: Validation, name: str, item: str | None, subject: Subject) -> None:
    if item is None:
        return
    if not rule.each:
        raise BadInput(f"{name!r}: {rule.id} is not judged per item", hint="leave out what is in brackets")
    if subject.version is None:
        return
    if rule.each == "data":
        known = [find.ref_of(row) for row in find.data_of(work.session, subject.version.id).values()]
    else:
        known = [target.metric for target in targets_of(subject.version)]
    if item not in known:
        raise NotFound(
            f"{subject.name} has no {item!r} among its {rule.each}", hint=did_you_mean(item, known)
        )


def _check_end(policy: GatePolicy, until: datetime, at: datetime, slack: timedelta) -> None:
    if until <= at:
        raise BadInput(f"the end, {until:%Y-%m-%d %H:%M}, is past", hint="give one to come, for example 14d")
    last = at + timedelta(days=policy.max_waiver_days)
    if until > last + slack:
        raise BadInput(
            f"the end, {until:%Y-%m-%d %H:%M}, is later than policy {policy.name} allows:"
            f" {policy.max_waiver_days} days, now until {last:%Y-%m-%d %H:%M}",
            hint=f"give an end within {policy.max_waiver_days} days; a longer need is a new waiver then",
        )


def _name(work: UnitOfWork, actor_id: int) -> str:
    return find.actor_names(work.session)[actor_id]
