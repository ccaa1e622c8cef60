"""Cases for every rule of the default policies: what it must refuse, and what it must let pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from unit.policy import samples
from unit.policy.samples import approval, target, with_evidence

from registry.domain.dossier import Dossier

Change = Callable[[Dossier], Dossier]

PREPARED = ("planned", "prepared")
DESIGNED = ("prepared", "designed")
TRAINED = ("designed", "trained")
TUNED = ("trained", "tuned")
TUNED_BASE = ("designed", "tuned")
EVALUATED = ("trained", "evaluated")
EVALUATED_TUNED = ("tuned", "evaluated")
DEPLOYED = ("evaluated", "deployed")
MONITORED = ("deployed", "monitored")


def metric(kind: str, **metrics: float) -> Change:
    named = {name.replace("__", "."): value for name, value in metrics.items()}
    return lambda given: with_evidence(given, kind, metrics=named)


def about(kind: str, **fields: object) -> Change:
    return lambda given: with_evidence(given, kind, **fields)


def fields(**changes: object) -> Change:
    return lambda given: replace(given, **changes)  # type: ignore[arg-type]


def of_subject(**changes: object) -> Change:
    return lambda given: replace(given, subject=replace(given.subject, **changes))  # type: ignore[arg-type]


def people(*approvals: object, tier: str = "high") -> Change:
    return lambda given: replace(
        given,
        approvals=approvals,  # type: ignore[arg-type]
        subject=replace(given.subject, risk_tier=tier),
    )


def of_data(role: str, **changes: object) -> Change:
    return lambda given: replace(given, data={**given.data, role: samples.data(role, **changes)})


RITA, ROB = approval("rita"), approval("rob")
NO = replace(RITA, verdict="rejected", reason="too few women")

# step, rule, a change that it must refuse, and one at the edge that it must not.
CASES: list[tuple[tuple[str, str], str, Change, Change | None]] = [
    (PREPARED, "purpose-and-targets/purpose", of_subject(purpose=" \n"), of_subject(purpose="x")),
    (PREPARED, "purpose-and-targets/risk-tier", of_subject(risk_tier=""), of_subject(risk_tier="minimal")),
    (PREPARED, "purpose-and-targets/targets", fields(targets=()), fields(targets=(target(),))),
    (PREPARED, "data-roles/train", of_data("train", rows=0), of_data("train", rows=1)),
    (PREPARED, "data-roles/test", of_data("test", rows=0), of_data("test", rows=1)),
    (PREPARED, "data-roles/different", of_data("test", digest="sha256:train"), None),
    (
        PREPARED,
        "data-quality/completeness",
        metric("data.quality", completeness=0.949),
        metric("data.quality", completeness=0.95),
    ),
    (PREPARED, "data-quality/duplicates", metric("data.quality", duplicate_share=0.001), None),
    (PREPARED, "data-quality/rows", metric("data.quality", rows=29.0), metric("data.quality", rows=30.0)),
    (PREPARED, "personal-data/scanned", about("check.pii", coverage=0.99), None),
    (PREPARED, "personal-data/nobody-found", metric("check.pii", findings=1.0), None),
    (PREPARED, "split-leakage/no-shared-rows", metric("data.split", leaked_rows=1.0), None),
    (DESIGNED, "design-recorded/recorded", of_subject(design={}), of_subject(design={"architecture": "x"})),
    (DESIGNED, "design-recorded/architecture", of_subject(design={"architecture": " "}), None),
    (TRAINED, "training-healthy/artifact", of_subject(artifact=""), None),
    (TRAINED, "training-healthy/converged", metric("run.train", converged=0.0), None),
    (
        TRAINED,
        "training-healthy/loss-fell",
        metric("run.train", train_loss=0.7),
        metric("run.train", train_loss=0.69),
    ),
    (TRAINED, "training-healthy/nothing-running", of_subject(runs_active=1), None),
    (
        TRAINED,
        "inputs-whole/truncated",
        metric("run.train", truncated_share=0.051),
        metric("run.train", truncated_share=0.05),
    ),
    (TUNED, "tuning-healthy/artifact", of_subject(artifact=""), None),
    (TUNED, "tuning-healthy/converged", metric("run.train", converged=0.0), None),
    (
        TUNED_BASE,
        "tuning-healthy/loss-fell",
        metric("run.train", train_loss=0.7),
        metric("run.train", train_loss=0.69),
    ),
    (TUNED_BASE, "tuning-healthy/nothing-running", of_subject(runs_active=1), None),
    (
        TUNED_BASE,
        "inputs-whole/truncated",
        metric("run.train", truncated_share=0.051),
        metric("run.train", truncated_share=0.05),
    ),
    (
        EVALUATED,
        "targets-met/met",
        fields(targets=(target(), target("auroc", met=False))),
        fields(targets=(target(),)),
    ),
    (EVALUATED_TUNED, "targets-met/fixed-before", fields(targets=(target(criteria_current=False),)), None),
    (EVALUATED_TUNED, "evaluation-sound/no-leakage", metric("eval.performance", leaked_rows=1.0), None),
    (
        EVALUATED_TUNED,
        "evaluation-sound/rows",
        metric("eval.performance", rows=99.0),
        metric("eval.performance", rows=100.0),
    ),
    (EVALUATED, "evaluation-sound/coverage", about("eval.performance", coverage=0.9), None),
    (
        EVALUATED,
        "calibration/ece",
        metric("eval.performance", ece=0.101),
        metric("eval.performance", ece=0.10),
    ),
    (
        DEPLOYED,
        "group-fairness/dp-difference",
        metric("check.bias", demographic_parity_difference__upper=0.101),
        metric("check.bias", demographic_parity_difference__upper=0.10),
    ),
    (
        DEPLOYED,
        "group-fairness/eo-difference",
        metric("check.bias", equal_opportunity_difference__upper=0.151),
        metric("check.bias", equal_opportunity_difference__upper=0.15),
    ),
    (
        DEPLOYED,
        "group-fairness/recent",
        about("check.bias", created_at=samples.NOW - timedelta(days=90, seconds=1)),
        about("check.bias", created_at=samples.NOW - timedelta(days=90)),
    ),
    (DEPLOYED, "artifact-safe/unsafe-files", metric("eval.security", unsafe_files=1.0), None),
    (DEPLOYED, "artifact-safe/unknown-files", metric("eval.security", unknown_files=1.0), None),
    (DEPLOYED, "artifact-safe/coverage", about("eval.security", coverage=0.5), None),
    (DEPLOYED, "approvals/independent", people(RITA), people(RITA, ROB)),
    (DEPLOYED, "approvals/independent", people(RITA, replace(RITA)), None),
    (DEPLOYED, "approvals/independent", people(RITA, replace(ROB, current=False)), None),
    (DEPLOYED, "approvals/independent", people(RITA, replace(ROB, independent=False)), None),
    (DEPLOYED, "approvals/independent", people(RITA, replace(ROB, to="retired")), None),
    (DEPLOYED, "approvals/independent", people(RITA, replace(ROB, verdict="rejected")), None),
    (DEPLOYED, "approvals/independent", people(tier="limited"), people(RITA, tier="limited")),
    (DEPLOYED, "approvals/independent", people(RITA, tier=""), people(tier="minimal")),
    (
        DEPLOYED,
        "approvals/no-rejection",
        people(RITA, ROB, replace(NO, actor="ann")),
        people(RITA, ROB, replace(NO, current=False)),
    ),
    (
        DEPLOYED,
        "approvals/no-rejection",
        people(NO, tier="minimal"),
        people(replace(NO, to="retired"), tier="minimal"),
    ),
    (MONITORED, "deployment-healthy/active", fields(deployments=()), None),
    (
        MONITORED,
        "deployment-healthy/active",
        lambda given: replace(given, deployments=(replace(given.deployments[0], artifact="sha256:older"),)),
        None,
    ),
    (
        MONITORED,
        "deployment-healthy/active",
        lambda given: replace(given, deployments=(replace(given.deployments[0], state="stopped"),)),
        None,
    ),
    (MONITORED, "deployment-healthy/healthy", metric("deploy.health", healthy=0.0), None),
    (MONITORED, "deployment-healthy/parity", metric("deploy.health", parity__agreement=0.999), None),
    (
        MONITORED,
        "first-window/window",
        metric("monitor.window", rows=0.0),
        metric("monitor.window", rows=1.0),
    ),
    (MONITORED, "drift/no-drift", metric("monitor.window", drifted=1.0), None),
    (("monitored", "retired"), "nothing-runs/no-active-run", of_subject(runs_active=1), None),
    (
        ("planned", "retired"),
        "nothing-runs/no-active-deployment",
        lambda given: replace(given, deployments=(replace(given.deployments[0], state="active"),)),
        fields(deployments=()),
    ),
    (
        ("deployed", "retired"),
        "retirement-recorded/undeployed",
        metric("retirement", deployments_running=1.0),
        None,
    ),
]
