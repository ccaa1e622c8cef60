"""Replay: a candidate policy against every recorded decision, and what it would have changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry.domain.decision import Action, Outcome, RuleResult
from registry.domain.lifecycle import Step
from registry.domain.names import did_you_mean
from registry.errors import NoSuchStage, NoSuchTransition, NotFound
from registry.policy import BoundPolicy, GateBinding, GatePolicy, bind
from registry.policy.documents import ReadFile
from registry.policy.recorded import dossier_from_json, result_from_json
from registry.policy.replaying import rejudge
from registry.storage.lifecycles import current_lifecycle, from_document
from registry.storage.tables import BindingRow, DecisionRow, LifecycleRow, Model, PolicyRow, Version
from registry.usecases.policy_files import all_of, read_text


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that would say something else.

    Attributes:
        before, after: Its outcome; empty where it was not judged.
        action: What its binding makes of the outcome that it would have.
        message: Why, in words.
    """

    rule: str
    before: str
    after: str
    action: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ReplayedDecision:
    """One decision of the past, and what it would be now."""

    decision: int
    ref: str
    origin: str
    to: str
    at: datetime
    allowed: bool
    would_be_allowed: bool
    changes: tuple[RuleChange, ...]

    @property
    def verdict(self) -> str:
        """`stopped` or `let through` by the candidate, else `same`."""
        if self.allowed == self.would_be_allowed:
            return "same"
        return "stopped" if self.allowed else "let through"


def replay(
    session: Session, path: Path, *, since: datetime | None = None, policy: str = "", only: bool = False
) -> list[ReplayedDecision]:
    """Ask a file's policies about every recorded decision, oldest first.

    Rules of other bindings keep the results that were recorded. A policy that the file does not bind takes
    the place of its older versions in the bindings in force; if there is none, it denies.

    Args:
        session: Nothing is written.
        path: Policies and bindings: the candidate.
        since: Only decisions from then on.
        policy: Only this policy of the file.
        only: Judge the candidate alone, as if nothing else were in force.

    Raises:
        BadDocument: Something is wrong with the file; it tells everything.
        BadInput: A binding in force does not fit the candidate.
        NotFound: The file has no policy of that name.
    """
    candidate = _candidate(session, path, policy)
    query = (
        select(DecisionRow, Model.name, Version.number)
        .join(Version, Version.id == DecisionRow.version_id)
        .join(Model, Model.id == Version.model_id)
        .order_by(DecisionRow.id)
    )
    if since is not None:
        query = query.where(DecisionRow.created_at >= since)
    lifecycles = list(session.scalars(select(LifecycleRow).order_by(LifecycleRow.id)))
    found = []
    for row, model, number in session.execute(query).yield_per(200):
        step = _step(lifecycles, row)
        found.append(_replayed(row, f"{model}/{number}", step, candidate, only=only))
    return found


def _candidate(session: Session, path: Path, only: str) -> tuple[BoundPolicy, ...]:
    """The file's policies, bound."""
    published = {
        row.name: GatePolicy.from_document(row.document)
        for row in session.scalars(select(PolicyRow).order_by(PolicyRow.id))
    }
    read = ReadFile(read_text(path), str(path), current_lifecycle(session))
    read.check_bindings(published.values())
    if read.problems:
        raise all_of(read.problems)
    own = {policy.name: policy for policy in read.policies}
    bindings = list(read.bindings)
    bound = {binding.policy for binding in bindings}
    rows = session.execute(
        select(BindingRow.document, PolicyRow.name)
        .join(PolicyRow, PolicyRow.id == BindingRow.policy_id)
        .where(BindingRow.in_force.is_not(None))
        .order_by(BindingRow.id)
    )
    in_force: Mapping[str, list[GateBinding]] = {name: [] for name in own}
    for document, name in rows:
        if name in in_force:
            in_force[name].append(GateBinding.from_document(document))
    for name in own:
        if name not in bound:
            bindings += in_force[name] or [GateBinding(name, name, Action.DENY)]
    chosen = [bind({**published, **own}[one.policy], one) for one in bindings if only in ("", one.policy)]
    if only and not chosen:
        raise NotFound(f"{path} has no policy {only!r}", hint=did_you_mean(only, {*own, *bound}))
    return tuple(chosen)


def _step(lifecycles: Sequence[LifecycleRow], row: DecisionRow) -> Step:
    """The step as the lifecycle of that time had it."""
    of_then = [one for one in lifecycles if one.created_at <= row.created_at] or list(lifecycles[:1])
    try:
        return from_document(of_then[-1].document).step(row.from_stage, row.to_stage)
    except (NoSuchStage, NoSuchTransition, IndexError):
        return Step(row.from_stage, row.to_stage, open=row.allowed and not row.results)


def _replayed(
    row: DecisionRow, ref: str, step: Step, candidate: Sequence[BoundPolicy], *, only: bool
) -> ReplayedDecision:
    recorded = dossier_from_json(row.dossier)
    before = [result_from_json(result) for result in row.results]
    replaced = {bound.binding.name for bound in candidate}
    after = [result for bound in candidate for result in rejudge(bound, recorded, step)]
    kept = [] if only else [result for result in before if result.binding not in replaced]
    together = [*kept, *after]
    allowed = not any(result.blocks for result in together) and (bool(together) or step.open)
    return ReplayedDecision(
        decision=row.id,
        ref=ref,
        origin=row.from_stage,
        to=row.to_stage,
        at=row.created_at,
        allowed=row.allowed,
        would_be_allowed=allowed,
        changes=_changes([result for result in before if result.binding in replaced], after),
    )


def _changes(before: Sequence[RuleResult], after: Sequence[RuleResult]) -> tuple[RuleChange, ...]:
    """Rules that say something else, those that are new and do not pass, and those that are gone."""
    old = {(result.binding, result.rule): result for result in before}
    new = {(result.binding, result.rule): result for result in after}
    found = []
    for key, result in new.items():
        was = old.get(key)
        told = (was.outcome, was.action) if was else (Outcome.PASS, result.action)
        if told != (result.outcome, result.action):
            said = was.outcome.value if was else ""
            change = (result.rule, said, result.outcome.value, result.action.value, result.message)
            found.append(RuleChange(*change))
    gone = [result for key, result in old.items() if key not in new]
    return (*found, *(RuleChange(one.rule, one.outcome.value, "", "") for one in gone))
