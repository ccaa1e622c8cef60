"""The digests that a report mentions, in full, for its appendix."""

from __future__ import annotations

from collections.abc import Iterator

from registry.reports.facts import ReportFacts


def mentioned(facts: ReportFacts) -> dict[str, list[str]]:
    """Every digest with the things that it identifies, in the order in which a reader meets them."""
    found: dict[str, list[str]] = {}
    for digest, what in _all(facts):
        names = found.setdefault(digest, [])
        if digest and what not in names:
            names.append(what)
    found.pop("", None)
    return found


def _all(facts: ReportFacts) -> Iterator[tuple[str, str]]:
    subject = facts.subject
    yield subject.digest, f"{subject.ref}: plan, data, design and artifact together"
    yield subject.artifact, f"{subject.ref}: artifact"
    yield subject.criteria_digest, "targets in force"
    yield facts.ledger.root, f"root of the ledger at {facts.ledger.size} entries"
    for step in facts.next:
        for result in step.verdict.results:
            yield result.policy, f"policy {result.rule.split('/')[0]}"
    for record in facts.decisions:
        yield record.decision.digest, f"{subject.ref} as decision {record.decision.id} saw it"
        for result in record.decision.verdict.results:
            yield result.policy, f"policy {result.rule.split('/')[0]}"
    for data in facts.data:
        yield data.digest, f"dataset {data.ref}"
    for evidence in facts.evidence:
        yield evidence.subject, evidence.about
        yield evidence.criteria_digest, "targets when evidence was made"
    for approval in facts.approvals:
        yield approval.digest, f"{subject.ref} as {approval.actor} saw it"
    for waiver in facts.waivers:
        yield waiver.policy, f"policy {waiver.rule.split('/')[0]} as waiver {waiver.id} excepts it"
    for deployment in facts.deployments:
        yield deployment.artifact, f"artifact of deployment {deployment.id}"
    for entry in facts.timeline:
        yield entry.digest, f"ledger entry {entry.entry}"
