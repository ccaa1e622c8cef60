"""What plugins would find: everything good, so that a test can make one thing bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta


@dataclass(frozen=True)
class Finding:
    """Evidence to be recorded: what a check plugin would have returned.

    Attributes:
        facts: Beside the digests of the data that it read, which are those of the version's data.
    """

    kind: str
    metrics: Mapping[str, float]
    status: str = "complete"
    coverage: float = 1.0
    valid_for: timedelta | None = None
    files: Mapping[str, bytes] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


def ends(name: str, value: float, *, by: float = 0.02) -> dict[str, float]:
    """A figure with the ends of its interval."""
    return {name: value, f"{name}.lower": value - by, f"{name}.upper": value + by}


def document(kind: str, *, words: int = 150) -> Finding:
    """A document that has all of its headings."""
    facts = {"owner": "Ann", "missing": "none"}
    return Finding(f"doc.{kind}", {"words": words, "headings_missing": 0}, facts=facts)


# About every dataset, whatever the risk.
GOOD_DATA = (
    Finding(
        "data.quality",
        {
            "rows": 500,
            "completeness": 1,
            "duplicate_share": 0,
            "label.missing_share": 0,
            "label.minority_share": 0.4,
        },
    ),
    Finding(
        "check.pii",
        {
            "findings": 0,
            **dict.fromkeys(
                (
                    f"findings.{name}"
                    for name in ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN")
                ),
                0,
            ),
        },
        files={"findings.txt": b"nobody\n"},
        facts={"threshold": "0.35", "sees": "EMAIL_ADDRESS, PHONE_NUMBER"},
    ),
    Finding(
        "check.license",
        {"datasets": 1, "allowed": 1, "sourceless": 0},
        facts={"problems": "none", "allowed": "CC0-1.0"},
    ),
    Finding("data.split", {"rows": 500, "leaked_rows": 0}),
)
# About the data of a system of high risk.
DATASHEET = document("datasheet")
REPRESENTATIVE = Finding(
    "data.representativeness",
    {**ends("tv.max", 0.05), "groups.missing": 0, "confidence": 0.95},
    facts={"missing": "none"},
)
# About the test data, with the training data's digest.
UNSEEN = Finding("check.contamination", {"exact_rows": 0, "contaminated_share": 0})

GOOD_TRAINING = Finding(
    "run.train",
    {
        "converged": 1,
        "train_loss": 0.1,
        "first_loss": 0.7,
        "truncated_share": 0,
        "alarms.diverged": 0,
        "alarms.overfitted": 0,
        "label_audit.mismatches": 0,
        "label_audit.rows": 64,
        "parity.max_difference": 0,
    },
    facts={
        "seed": "0",
        "packages": "sha256:packages",
        "device": "cpu",
        "precision": "fp32",
        "differs_from_design": "no",
        "alarms": "none",
    },
)
# What a run that begins with a base tells beside.
TUNED = replace(
    GOOD_TRAINING,
    facts={
        **GOOD_TRAINING.facts,
        "base.digest": "sha256:minilm",
        "base.licence": "Apache-2.0",
    },
)
GOOD_EVALUATION = Finding(
    "eval.performance",
    {"f1": 0.93, "rows": 400, "leaked_rows": 0, "ece": 0.02, "ece.bins": 15, "confidence": 0.95},
)
EVERY_SLICE = Finding(
    "eval.subgroup",
    {**ends("accuracy.worst", 0.85), "slices.smallest": 60, "confidence": 0.95},
    facts={"accuracy.worst": "sex=f"},
)
ROBUST = Finding(
    "eval.robustness",
    {**ends("f1.drop.max", 0.03), "strength": 0.1, "confidence": 0.95},
    facts={"perturbations": "typos, case, whitespace, punctuation", "worst": "typos"},
)
FAIR = Finding(
    "check.bias",
    {
        "smallest_group": 180,
        "confidence": 0.95,
        **ends("demographic_parity_difference", 0.03),
        **ends("equal_opportunity_difference", 0.03),
        **ends("equalized_odds_difference", 0.03),
    },
)
SAFE = Finding("eval.security", {"files": 1, "unsafe_files": 0, "unknown_files": 0})
DISCREET = Finding("eval.memorisation", {**ends("membership.auc", 0.51), "confidence": 0.95})
HEALTHY = Finding("deploy.health", {"healthy": 1, "parity.agreement": 1, "parity.rows": 200})
QUIET_WINDOW = Finding(
    "monitor.window", {"rows": 200, "drifted": 0, "psi.max": 0.02}, facts={"alarm": "none"}
)
RETIREMENT = Finding(
    "retirement",
    {"deployments_running": 0, "dependants": 0},
    facts={
        "data_migration": "none needed",
        "resource_release": "the server",
        "risk": "low",
        "dependants": "none",
        "successor": "none",
    },
)

# What a gate asks of a version beside its artifact, its evaluation and its approvals, tier by tier.
OF_TIER: Mapping[str, Mapping[str, tuple[Finding, ...]]] = {
    "minimal": {"tuned": (document("base-model"),), "deployed": (SAFE,)},
    "limited": {
        "designed": (document("design-review"),),
        "tuned": (document("base-model"),),
        "deployed": (FAIR, SAFE, document("rollback-plan"), document("monitoring-plan")),
    },
    "high": {
        "designed": (document("design-review"),),
        "tuned": (document("base-model"),),
        "evaluated": (EVERY_SLICE, ROBUST, document("metric-rationale")),
        "deployed": (
            FAIR,
            SAFE,
            DISCREET,
            *(
                document(kind)
                for kind in (
                    "rollback-plan",
                    "monitoring-plan",
                    "oversight",
                    "instructions",
                    "impact-assessment",
                    "security",
                )
            ),
        ),
    },
}
