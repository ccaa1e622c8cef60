"""A version that passes every shipped gate, and ways to take things away from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from registry.domain.decision import Action, RuleResult
from registry.domain.dossier import (
    ApprovalFacts,
    DataFacts,
    DeploymentFacts,
    Dossier,
    SubjectFacts,
    SystemFacts,
    TargetFacts,
)
from registry.domain.evidence import EvidenceFacts
from registry.policy import GateBinding, GatePolicy, Match, Validation, bind, decide

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARTIFACT = "sha256:" + "a" * 64

ABOUT_DATA: Mapping[str, Mapping[str, float]] = {
    "data.quality": {"rows": 500.0, "completeness": 1.0, "duplicate_share": 0.0},
    "check.pii": {"findings": 0.0, "rows_with_findings": 0.0},
    "data.split": {"rows": 500.0, "leaked_rows": 0.0},
}
ABOUT_VERSION: Mapping[str, Mapping[str, float]] = {
    "run.train": {"train_loss": 0.1, "first_loss": 0.7, "converged": 1.0, "truncated_share": 0.0},
    "eval.performance": {"rows": 500.0, "leaked_rows": 0.0, "f1": 0.95, "ece": 0.03},
    "check.bias": {
        f"{metric}_difference{end}": value
        for metric in ("demographic_parity", "equal_opportunity")
        for end, value in (("", 0.04), (".lower", 0.01), (".upper", 0.08))
    },
    "eval.security": {"files": 5.0, "unsafe_files": 0.0, "unknown_files": 0.0},
    "deploy.health": {"healthy": 1.0, "parity.agreement": 1.0},
    "monitor.window": {"rows": 300.0, "drifted": 0.0, "psi.max": 0.02},
    "retirement": {"deployments_running": 0.0},
}


def evidence(kind: str, metrics: Mapping[str, float], **changes: Any) -> EvidenceFacts:
    """A complete piece of evidence, a day old."""
    facts = EvidenceFacts(
        id=1,
        kind=kind,
        subject=ARTIFACT,
        status="complete",
        reason="",
        metrics=metrics,
        facts={"device": "cpu"},
        coverage=1.0,
        producer="sample 1",
        run="1",
        actor="dev",
        criteria_digest="sha256:c",
        created_at=NOW - timedelta(days=1),
    )
    return replace(facts, **changes)


def data(role: str, **changes: Any) -> DataFacts:
    """A linked dataset about which everything is known."""
    facts = DataFacts(
        ref=f"loans-{role}/2",
        role=role,
        digest=f"sha256:{role}",
        rows=500,
        licence="CC0",
        source="generated",
        evidence={kind: evidence(kind, metrics) for kind, metrics in ABOUT_DATA.items()},
    )
    return replace(facts, **changes)


def target(metric: str = "f1", **changes: Any) -> TargetFacts:
    """A target that is met."""
    return replace(TargetFacts(metric, ">=", 0.9, True, 0.95, True, True), **changes)


def approval(actor: str, **changes: Any) -> ApprovalFacts:
    """An independent person's yes to the deployment of what the version is now."""
    facts = ApprovalFacts(
        actor=actor, verdict="approved", to="deployed", reason="", at=NOW, current=True, independent=True
    )
    return replace(facts, **changes)


def subject(stage: str = "evaluated", **changes: Any) -> SubjectFacts:
    facts = SubjectFacts(
        ref="loans/1",
        model="loans",
        number=1,
        stage=stage,
        digest="sha256:v",
        artifact=ARTIFACT,
        criteria_digest="sha256:c",
        purpose="decide on loans",
        task="classification",
        risk_tier="high",
        system=SystemFacts(name="loans", risk_tier="high"),
        design={"architecture": "encoder"},
        developers=("dev",),
        created_by="dev",
        created_at=NOW - timedelta(days=9),
    )
    return replace(facts, **changes)


def dossier(stage: str = "evaluated", to: str = "deployed", **changes: Any) -> Dossier:
    """A version at a stage about which everything is known and good."""
    state = "stopped" if to == "retired" else "active"
    facts = Dossier(
        subject=subject(stage),
        to=to,
        now=NOW,
        evidence={kind: evidence(kind, metrics) for kind, metrics in ABOUT_VERSION.items()},
        data={role: data(role) for role in ("train", "test")},
        targets=(target(), target("accuracy")),
        approvals=(approval("rita"), approval("rob")),
        deployments=(DeploymentFacts(1, "local", "http://127.0.0.1:1", state, ARTIFACT),),
        unusable={},
    )
    return replace(facts, **changes)


def without_evidence(given: Dossier, kind: str) -> Dossier:
    """The dossier as if a kind of evidence had never been made."""
    return replace(
        given,
        evidence=_without(given.evidence, kind),
        data={
            role: replace(facts, evidence=_without(facts.evidence, kind))
            for role, facts in given.data.items()
        },
    )


def with_evidence(given: Dossier, kind: str, **changes: Any) -> Dossier:
    """The dossier with fields of all evidence of a kind changed; `metrics` are merged."""

    def change(found: Mapping[str, EvidenceFacts]) -> dict[str, EvidenceFacts]:
        changed = dict(found)
        if kind in changed:
            metrics = {**changed[kind].metrics, **changes.get("metrics", {})}
            changed[kind] = replace(changed[kind], **{**changes, "metrics": metrics})
        return changed

    linked = {role: replace(facts, evidence=change(facts.evidence)) for role, facts in given.data.items()}
    return replace(given, evidence=change(given.evidence), data=linked)


def without_metric(given: Dossier, kind: str, metric: str) -> Dossier:
    """The dossier as if a metric had not been measured."""

    def change(found: Mapping[str, EvidenceFacts]) -> dict[str, EvidenceFacts]:
        return {
            name: replace(facts, metrics=_without(facts.metrics, metric)) if name == kind else facts
            for name, facts in found.items()
        }

    linked = {role: replace(facts, evidence=change(facts.evidence)) for role, facts in given.data.items()}
    return replace(given, evidence=change(given.evidence), data=linked)


def _without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}


def policy(expression: str, **fields: Any) -> GatePolicy:
    """A policy of one rule for the step into `deployed`; `when` and `params` are the policy's."""
    when, params = fields.pop("when", ""), fields.pop("params", {})
    rule = Validation(id="rule", expression=expression, message=fields.pop("message", "no"), **fields)
    return GatePolicy("sample", Match(("deployed",), (), when), (rule,), params)


def judge(expression: str, given: Dossier | None = None, **fields: Any) -> list[RuleResult]:
    """What a gate of that one rule says."""
    made = policy(expression, **fields)
    bound = bind(made, GateBinding("sample", "sample", Action.DENY))
    return list(decide([bound], given or dossier(), open_step=False).results)


def judge_one(expression: str, given: Dossier | None = None, **fields: Any) -> RuleResult:
    (result,) = judge(expression, given, **fields)
    return result
