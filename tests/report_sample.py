"""The facts of one version's life, as a report shows them: refused twice, repaired, deployed, drifting."""

from __future__ import annotations

import math
from typing import Any

from report_oversight import (
    PEOPLE,
    START,
    VERSION,
    approvals,
    at,
    findings,
    risks,
    service,
    signatures,
    targets,
    waivers,
)

from registry.domain.decision import Action, Decision, Outcome, RuleResult, Verdict
from registry.domain.digests import digest_of, short
from registry.domain.dossier import SystemFacts
from registry.domain.people import EMBEDDED_TRUST
from registry.reports.facts import (
    DataRecord,
    DecisionRecord,
    DeploymentRecord,
    EvidenceRecord,
    LedgerState,
    NextStep,
    ReportFacts,
    ReportSubject,
    RunRecord,
    TimelineEntry,
)

ARTIFACT, OLD_ARTIFACT = digest_of("artifact"), digest_of("old artifact")
TRAIN, TEST, CRITERIA = digest_of("loans-train/1"), digest_of("loans-test/1"), digest_of("criteria")


def rule(name: str, outcome: Outcome, value: str = "", limit: str = "", **more: Any) -> RuleResult:
    policy = name.split("/", maxsplit=1)[0]
    words = {"action": Action.DENY, **more}
    return RuleResult(
        name, digest_of(f"policy {policy}"), f"{policy}-prod", outcome, value=value, limit=limit, **words
    )


HOLDING = (
    rule("targets/met[f1]", Outcome.PASS, "0.9312", ">= 0.9"),
    rule("targets/met[auroc]", Outcome.PASS, "0.9708", ">= 0.95"),
    rule("artifact/only-safe-formats", Outcome.PASS, "0 unsafe of 5", "0"),
    rule("privacy/no-personal-data[train]", Outcome.PASS, "0 findings", "0"),
    rule("leakage/test-rows-unseen", Outcome.PASS, "0", "0"),
)
UNFAIR = rule(
    "group-fairness/dp-difference",
    Outcome.FAIL,
    "0.213 [0.171, 0.244]",
    "0.10",
    message="demographic parity difference above the limit: women 412, men 388",
    remedy="phasegate run train-classifier loans/1 --set reweigh=sex",
)
UNAPPROVED = rule(
    "approvals/independent",
    Outcome.MISSING,
    "0 of 1",
    "1",
    message="nobody but the developers has approved",
    remedy="phasegate approve loans/1 deployed --as REVIEWER",
)
DRIFTED = rule(
    "monitoring/no-drift",
    Outcome.FAIL,
    "PSI 0.61",
    "0.25",
    message="live inputs no longer look like the training data: characters, words",
    remedy="phasegate model plan loans",
)
SMALL_GROUP = rule(
    "group-fairness/group-size[age=over-75]",
    Outcome.INSUFFICIENT,
    "11 rows",
    "30",
    action=Action.WARN,
    message="too few rows to judge",
)
WAIVED = rule(
    "robustness/typos",
    Outcome.WAIVED,
    "0.79",
    "0.85",
    message=(
        "waived by jonas until 2026-03-23; instead: a clerk reads every application with typing errors. "
        "Without that: accuracy under typing errors below the limit"
    ),
    remedy="phasegate run robustness loans/1",
    waiver=3,
)


def evidence(
    number: int, kind: str, minutes: float, metrics: dict[str, float], **more: Any
) -> EvidenceRecord:
    words: dict[str, Any] = {
        "about": "loans/1",
        "role": "",
        "subject": ARTIFACT,
        "standing": "current",
        "status": "complete",
        "reason": "",
        "summary": "",
        "facts": {},
        "coverage": 1.0,
        "producer": f"{kind.split('.')[-1]} 1",
        "run": "r-04",
        "actor": "mara",
        "valid_until": None,
        "criteria_digest": CRITERIA,
        "entry": 12 + number,
    }
    return EvidenceRecord(id=number, kind=kind, metrics=metrics, created_at=at(minutes), **words | more)


GROUPS = [
    {
        "column": column,
        "group": group,
        "rows": rows,
        "selection_rate": rate,
        "selection_rate.lower": low,
        "selection_rate.upper": high,
    }
    for column, group, rows, rate, low, high in (
        ("sex", "women", 412, 0.547, 0.499, 0.594),
        ("sex", "men", 388, 0.588, 0.538, 0.636),
        ("age", "under 30", 240, 0.551, 0.488, 0.612),
        ("age", "30 to 75", 549, 0.574, 0.532, 0.615),
        ("age", "over 75", 11, 0.545, 0.280, 0.787),
    )
]
CALIBRATION = [
    {
        "confidence": (index + 0.5) / 10,
        "accuracy": min(1.0, max(0.0, (index + 0.5) / 10 + 0.05 * math.sin(index))),
        "rows": 30 + 17 * index,
    }
    for index in range(10)
]
CONFUSION = [
    {"true label": "declined", "predicted declined": 318, "predicted granted": 27},
    {"true label": "granted", "predicted declined": 31, "predicted granted": 424},
]
HISTOGRAMS = [
    {"feature": feature, "low": low, "high": high, "reference_share": reference, "live_share": live}
    for feature, bins in {
        "characters": (
            (12, 40, 0.2, 0.02),
            (40, 61, 0.2, 0.08),
            (61, 88, 0.2, 0.15),
            (88, 90, 0.2, 0.35),
            (90, 412, 0.2, 0.4),
        ),
        "score": (
            (0, 0.04, 0.2, 0.19),
            (0.04, 0.31, 0.2, 0.22),
            (0.31, 0.7, 0.2, 0.2),
            (0.7, 0.96, 0.2, 0.21),
            (0.96, 1, 0.2, 0.18),
        ),
    }.items()
    for low, high, reference, live in bins
]
FEATURES = [
    {"feature": "characters", "psi": 0.6103, "ks": 0.371, "p": 1.2e-19, "drifted": True},
    {"feature": "score", "psi": 0.0071, "ks": 0.031, "p": 0.41, "drifted": False},
]


def curve(start: float, end: float, steps: int, every: int) -> list[tuple[float, float]]:
    return [
        (step, end + (start - end) * math.exp(-step / 70) + 0.015 * math.sin(step))
        for step in range(every, steps + 1, every)
    ]


def run(number: int, plugin: str, minutes: float, seconds: float | None, **more: Any) -> RunRecord:
    words: dict[str, Any] = {
        "subject": "loans/1",
        "state": "succeeded",
        "actor": "mara",
        "config": {},
        "inputs": {},
        "outputs": {},
    }
    return RunRecord(
        f"r-{number:02}",
        plugin,
        started_at=at(minutes),
        seconds=seconds,
        entry=3 + 2 * number,
        **words | more,
    )


def sample() -> ReportFacts:
    """A version that is deployed and may not be called monitored, because its inputs drift."""
    system = SystemFacts(
        "lending",
        "Decide which loan applications a clerk looks at first",
        "Consumer Credit",
        "high",
        ("women", "men", "people over 75"),
        ("declining an application without a person", "pricing"),
        "A clerk confirms every decision; a second one samples 5 % of them.",
    )
    subject = ReportSubject(
        "loans/1",
        "deployed",
        VERSION,
        ARTIFACT,
        "Rank free-text loan applications by the chance that a clerk grants them.",
        "text-classification",
        "high",
        system,
        {"architecture": "encoder", "layers": "2", "hidden_size": "64", "parameters": "312,450"},
        CRITERIA,
        "mara",
        START,
    )

    def decided(number: int, minutes: float, step: tuple[str, str], *results: RuleResult) -> DecisionRecord:
        allowed = not any(result.blocks for result in results)
        decision = Decision("loans/1", *step, VERSION, Verdict(allowed, results), number, 20 + number)
        return DecisionRecord(decision, "mara", at(minutes))

    timeline = [
        (0, "mara", "version planned", "loans/1 was planned with targets f1>=0.9 and auroc>=0.95.", 1, False),
        (2, "mara", "dataset added", "loans/1 names loans/1 as its raw data: 4,000 rows.", 3, False),
        (3, "mara", "run ended", "pii looked at 4,000 rows and found 212 people's data.", 5, False),
        (4, "mara", "stage refused", "prepared was refused: 2 of 6 rules do not hold.", 21, True),
        (9, "mara", "dataset made", "clean and mask made loans/2; 212 rows were masked.", 9, False),
        (11, "mara", "stage entered", "loans/1 is prepared.", 22, True),
        (31, "mara", "artifact made", "train-classifier made an artifact in 48.2 s.", 13, False),
        (40, "mara", "stage refused", "deployed was refused: the groups differ by 0.213.", 23, True),
        (1445, "mara", "artifact made", "train-classifier made an artifact with reweigh=sex.", 15, False),
        (1500, "jonas", "approved", "jonas approved the step to deployed.", 24, True),
        (1502, "mara", "stage entered", "loans/1 is deployed.", 25, True),
        (2890, "watch", "evidence recorded", "monitor-drift saw 2 of 14 features drift.", 26, False),
    ]
    return ReportFacts(
        subject=subject,
        made_at=at(3000),
        made_with="phasegate 0.1.0",
        ledger=LedgerState(27, digest_of("root"), True, 27),
        next=(
            NextStep("monitored", Verdict(False, (*HOLDING, DRIFTED, SMALL_GROUP, WAIVED, UNAPPROVED))),
            NextStep(
                "retired", Verdict(True, (rule("retirement/reason", Outcome.PASS, "stated", "stated"),))
            ),
        ),
        targets=targets(),
        timeline=tuple(
            TimelineEntry(
                at(minutes),
                actor,
                action,
                text,
                entry,
                ARTIFACT if "artifact" in action else "",
                heavy,
                ("robustness/typos (waiver 3)",) if entry == 25 else (),
            )
            for minutes, actor, action, text, entry, heavy in timeline
        ),
        decisions=(
            decided(1, 40, ("evaluated", "deployed"), *HOLDING, UNFAIR, UNAPPROVED),
            decided(2, 1502, ("evaluated", "deployed"), *HOLDING, SMALL_GROUP, WAIVED),
        ),
        evidence=(
            evidence(
                1,
                "eval.performance",
                1450,
                {
                    "rows": 800,
                    "f1": 0.9312,
                    "f1.lower": 0.9101,
                    "f1.upper": 0.9498,
                    "auroc": 0.9708,
                    "accuracy": 0.9275,
                    "brier": 0.0571,
                    "ece": 0.0214,
                    "leaked_rows": 0,
                },
                summary="On 800 unseen rows the model is right in 92.8 % of cases.",
                tables={"calibration": CALIBRATION, "confusion": CONFUSION},
            ),
            evidence(
                2,
                "check.bias",
                1452,
                {
                    "demographic_parity_difference": 0.041,
                    "demographic_parity_difference.lower": 0.003,
                    "demographic_parity_difference.upper": 0.093,
                    "groups": 5,
                    "smallest_group": 11,
                },
                status="insufficient",
                reason="age: over 75 has 11 rows; 30 are needed",
                facts={"sensitive": "sex, age", "bootstrap": "1,000 rounds, seed 0"},
                tables={"groups": GROUPS},
            ),
            evidence(
                3,
                "check.pii",
                12,
                {"findings": 0, "rows_with_findings": 0},
                about="loans/2",
                role="train",
                subject=TRAIN,
                run="r-01",
                coverage=0.9996,
                criteria_digest="",
                valid_until=at(130_000),
                facts={
                    "sees": "EMAIL_ADDRESS, PHONE_NUMBER, IBAN_CODE, CREDIT_CARD",
                    "blind_to": "PERSON, ADDRESS",
                },
            ),
            evidence(
                4,
                "monitor.window",
                2890,
                {"rows": 500, "reference_rows": 2600, "psi.max": 0.6103, "drifted_features": 2, "drifted": 1},
                run="r-05",
                tables={"features": FEATURES, "histograms": HISTOGRAMS},
            ),
            evidence(
                5,
                "check.bias",
                35,
                {"demographic_parity_difference": 0.213},
                subject=OLD_ARTIFACT,
                standing="stale",
            ),
        ),
        data=(
            DataRecord(
                "train",
                "loans-train/1",
                TRAIN,
                2600,
                "CC0-1.0",
                "made by phasegate demo, seed 0",
                ("loans/2", "loans/1"),
                10,
            ),
            DataRecord("test", "loans-test/1", TEST, 800, "CC0-1.0", "", ("loans/2", "loans/1"), 11),
        ),
        runs=(
            run(1, "pii", 11, 6.31, subject="loans/2"),
            run(2, "mask", 8, 2.4, subject="loans/1"),
            run(3, "train-classifier", 30, 48.2, state="failed"),
            run(
                4,
                "train-classifier",
                1444,
                133.8,
                config={"reweigh": "sex", "epochs": 3, "learning_rate": 5e-4, "max_length": 96},
                inputs={"train": f"loans-train/1 {short(TRAIN)}"},
                outputs={"artifact": short(ARTIFACT)},
                curves={
                    "train_loss": curve(0.69, 0.11, 300, 2),
                    "validation_loss": curve(0.67, 0.19, 300, 25),
                },
            ),
            run(5, "monitor-drift", 2889, None, state="running", actor="watch"),
        ),
        approvals=approvals(),
        people=PEOPLE,
        waivers=waivers(),
        findings=findings(),
        risks=risks(),
        signatures=signatures(),
        deployments=(
            DeploymentRecord(
                1,
                "local",
                "http://127.0.0.1:8501/v2/models/loans",
                "running",
                ARTIFACT,
                "mara",
                at(1503),
                None,
                25,
            ),
        ),
        service=service(),
        tier_basis="computed from the answers of assessment 1",
        trust=EMBEDDED_TRUST,
    )
