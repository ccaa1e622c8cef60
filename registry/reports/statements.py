"""Sentences that sum up what a report shows: each is read off its facts, none decides anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from registry.domain.decision import Decision, Outcome
from registry.reports.facts import NextStep, ReportFacts
from registry.reports.oversight import (
    FindingRecord,
    PersonRecord,
    RiskRecord,
    ServiceRecord,
    TargetRecord,
    WaiverRecord,
)
from registry.reports.wording import number


def counted(step: NextStep) -> str:
    """How many rules of a gate hold, are waived, and refuse."""
    if not step.verdict.results:
        return "No rule governs this step."
    blocking = len(step.verdict.blocking)
    waived = f", {len(step.waived)} {_be(len(step.waived))} waived" if step.waived else ""
    refuse = f"{blocking} refuse{'s' if blocking == 1 else ''}" if blocking else "none refuses"
    others = len(step.missing) - blocking
    more = f", {others} more {'does' if others == 1 else 'do'} not hold without refusing" if others else ""
    return f"{len(step.holding)} of {_rules(len(step.verdict.results))} hold{waived}; {refuse}{more}."


def waived(decision: Decision) -> str:
    """How many rules a decision took as waived; empty if none."""
    count = sum(result.outcome is Outcome.WAIVED for result in decision.verdict.results)
    return f"{_rules(count)} waived" if count else ""


def besides(person: PersonRecord) -> str:
    """What somebody did besides developing, evaluating and approving."""
    done = {
        "rejected": person.rejected,
        "accepted": person.excepted,
        "moved it to": person.moved,
        "started": person.deployed,
        "was represented by": person.represented_by,
    }
    return "; ".join(f"{verb} {', '.join(things)}" for verb, things in done.items() if things)


def against(facts: ReportFacts) -> str:
    """What stands against a version and what is accepted all the same, in one line."""
    holding = sum(waiver.holds for waiver in facts.waivers)
    open_ones = [finding for finding in facts.findings if finding.open]
    late = sum(finding.overdue for finding in open_ones)
    live = [risk for risk in facts.risks if risk.state != "closed"]
    unaccepted = sum(risk.state == "open" for risk in live)
    unlooked = sum(risk.overdue for risk in live)
    findings = f"{len(open_ones)} open finding{_s(len(open_ones))}" + (f" ({late} overdue)" if late else "")
    notes = {"not accepted": unaccepted, "overdue for review": unlooked}
    noted = ", ".join(f"{count} {what}" for what, count in notes.items() if count)
    risks = f"{len(live)} risk{_s(len(live))}" + (f" ({noted})" if noted else "")
    return f"{holding} waiver{_s(holding)} in force, {findings}, {risks}"


def unregistered(targets: Sequence[TargetRecord]) -> list[str]:
    """What is wrong with the order of targets and evaluations; empty if nothing is."""
    found = []
    if other := _metrics(targets, "other targets"):
        found.append(
            f"{_and(other)} {_was(other)} measured by an evaluation that ran under other targets "
            "than those in force: the result was judged by what was fixed at another time."
        )
    if late := _metrics(targets, "after"):
        found.append(f"The target for {_and(late)} was fixed after its evaluation had been asked for.")
    if unknown := _metrics(targets, "unknown"):
        found.append(
            f"The ledger does not say whether the target for {_and(unknown)} was fixed before its evaluation."
        )
    return found


def separation(facts: ReportFacts) -> list[str]:
    """Who had more than one hand in it, and who did not."""
    developers = [person.name for person in facts.people if person.developer]
    both = [person.name for person in facts.people if person.trained and person.evaluated]
    dependent = sorted({word.actor for word in facts.approvals if not word.independent})
    free = [word for word in facts.approvals if word.independent and word.verdict == "approved"]
    standing = sorted({f"{word.actor} (for {word.to})" for word in free if word.current})
    counted = sorted({f"{word.actor} (decision {number})" for word in free for number in word.counted})
    said = []
    if developers:
        said.append(f"Its developers, who may not approve it: {_and(developers)}.")
    if both:
        said.append(f"{_and(both)} both trained and evaluated it.")
    elif any(person.trained for person in facts.people) and any(p.evaluated for p in facts.people):
        said.append("Nobody both trained and evaluated it.")
    if dependent:
        said.append(f"Not independent is the word of {_and(dependent)}.")
    if counted:
        said.append(f"Independent approvals that stood when a decision was taken: {_and(counted)}.")
    if standing:
        said.append(f"Independent approvals that stand now: {_and(standing)}.")
    elif facts.approvals:
        said.append("No independent approval stands now.")
    return said


def waiver_state(waiver: WaiverRecord) -> str:
    """A waiver's state as people say it; one that was granted and does not hold is no exception any more."""
    if waiver.holds:
        return "in force"
    return "not in force" if waiver.state == "approved" else waiver.state


def finding_state(finding: FindingRecord) -> str:
    """Whether a finding is open, overdue or closed."""
    return "overdue" if finding.overdue else "open" if finding.open else "closed"


def risk_state(risk: RiskRecord) -> str:
    """Whether somebody has accepted a risk; `not accepted` rather than `open`, which says less."""
    return "not accepted" if risk.state == "open" else risk.state


def matrix(risks: Collection[RiskRecord]) -> list[tuple[int, list[list[int]]]]:
    """Numbers of the risks that are not closed, by residual severity, 5 first, and likelihood."""
    placed: dict[tuple[int, int], list[int]] = {}
    for risk in risks:
        if risk.state != "closed":
            likelihood, severity = map(int, risk.residual.split("x"))
            placed.setdefault((severity, likelihood), []).append(risk.id)
    return [
        (severity, [sorted(placed.get((severity, likelihood), [])) for likelihood in range(1, 6)])
        for severity in range(5, 0, -1)
    ]


def comparison(service: ServiceRecord) -> list[tuple[str, str, str, str]]:
    """Metrics that a version and its champion share: name, own value, the champion's, the difference."""
    theirs = service.champion.metrics
    return [
        (
            name,
            number(own),
            number(theirs[name]),
            f"{'+' if own > theirs[name] else ''}{number(own - theirs[name])}",
        )
        for name, own in service.metrics.items()
        if name in theirs and not name.endswith((".lower", ".upper"))
    ]


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{number(value)}"


def _metrics(targets: Sequence[TargetRecord], registration: str) -> list[str]:
    return [target.metric for target in targets if target.registration == registration]


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _rules(count: int) -> str:
    return f"{count} rule{_s(count)}"
