"""What people said, accepted and signed in the life that `report_sample` tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from registry.domain.digests import digest_of
from registry.domain.dossier import ChampionFacts
from registry.reports.oversight import (
    AliasRecord,
    ApprovalRecord,
    FindingRecord,
    PersonRecord,
    RiskRecord,
    ServiceRecord,
    SignatureRecord,
    TargetRecord,
    WaiverRecord,
)

START = datetime(2026, 3, 9, 8, 14, 5, tzinfo=UTC)
VERSION = digest_of("version")


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def targets() -> tuple[TargetRecord, ...]:
    """Met, missed, measured under other targets, and not measured."""
    fixed: dict[str, Any] = {"fixed_entry": 1, "fixed_at": START, "fixed_by": "mara"}
    judged = {**fixed, "evidence": 1, "run": "r-04", "run_entry": 11, "run_at": at(1444)}
    return (
        TargetRecord("f1", ">=", 0.9, True, 0.9312, True, True, **judged, registration="before"),
        TargetRecord("auroc", ">=", 0.95, True, 0.9708, True, True, **judged, registration="before"),
        TargetRecord(
            "latency_ms.p50", "<=", 20, True, 24.6, False, False, **judged, registration="other targets"
        ),
        TargetRecord("robustness.typos", ">=", 0.85, False, 0.0, False, False, **fixed),
    )


def approvals() -> tuple[ApprovalRecord, ...]:
    """A rejection, an approval that went stale, a developer's own, and one in somebody's stead."""
    return (
        ApprovalRecord(
            "jonas",
            "rejected",
            "deployed",
            "The groups differ by 0.213.",
            at(41),
            VERSION,
            False,
            True,
            23,
            ("approver", "reviewer"),
            ("validation",),
            "",
            ("artifact", "evidence check.bias"),
        ),
        ApprovalRecord(
            "mara", "approved", "deployed", "", at(1490), VERSION, True, False, 23, ("approver", "developer")
        ),
        ApprovalRecord(
            "lea",
            "approved",
            "deployed",
            "Repaired; group sizes noted.",
            at(1500),
            VERSION,
            True,
            True,
            24,
            ("approver",),
            ("validation",),
            "jonas",
            (),
            (2,),
        ),
    )


PEOPLE = (
    PersonRecord(
        "mara",
        ("approver", "developer"),
        (),
        True,
        True,
        True,
        True,
        ("deployed",),
        (),
        (),
        ("deployed",),
        ("deployment 1",),
    ),
    PersonRecord(
        "jonas",
        ("approver", "reviewer"),
        ("validation",),
        rejected=("deployed",),
        excepted=("waiver 3", "risk 1"),
    ),
    PersonRecord("lea", ("approver",), ("validation",), approved=("deployed",)),
)


def waivers() -> tuple[WaiverRecord, ...]:
    """One that holds, and one that does not any more."""
    common: dict[str, Any] = {
        "about": "loans/1",
        "reason": "No corpus of typing errors in this language exists yet.",
        "requested_by": "mara",
        "requested_at": at(1460),
        "decided_by": "jonas",
        "decided_at": at(1470),
        "ended_by": "",
        "ended_at": None,
        "end_reason": "",
        "end_entry": -1,
    }
    return (
        WaiverRecord(
            id=3,
            rule="robustness/typos",
            policy=digest_of("policy robustness"),
            state="approved",
            holds=True,
            why_not="",
            control="a clerk reads every application with typing errors",
            until=at(20_160),
            ends_soon=True,
            decision_reason="Two weeks, not longer.",
            entry=18,
            decision_entry=19,
            **common,
        ),
        WaiverRecord(
            id=1,
            rule="privacy/no-personal-data[train]",
            policy=digest_of("policy privacy"),
            state="approved",
            holds=False,
            why_not="the version is not what it was granted for any more",
            control="the data stay on one machine",
            until=at(9000),
            ends_soon=False,
            decision_reason="",
            entry=6,
            decision_entry=7,
            **common,
        ),
    )


def findings() -> tuple[FindingRecord, ...]:
    """Overdue, open and closed."""
    return (
        FindingRecord(
            2,
            "loans/1",
            "Applications in dialect are ranked lower",
            "See the slice of rural branches.",
            "high",
            "mara",
            at(2000),
            True,
            True,
            "jonas",
            at(1465),
            "",
            None,
            "",
            None,
            20,
            -1,
        ),
        FindingRecord(
            3,
            "system lending",
            "Nobody reads the second samples",
            "",
            "medium",
            "lea",
            at(40_000),
            True,
            False,
            "jonas",
            at(1466),
            "",
            None,
            "",
            None,
            20,
            -1,
        ),
        FindingRecord(
            1,
            "loans/1",
            "Women are ranked lower than men",
            "Difference 0.213.",
            "critical",
            "mara",
            at(3000),
            False,
            False,
            "jonas",
            at(42),
            "jonas",
            at(1455),
            "Repaired by reweighing.",
            2,
            12,
            17,
        ),
    )


def risks() -> tuple[RiskRecord, ...]:
    """One that nobody has accepted and that is due for review, an accepted one, a closed one."""
    return (
        RiskRecord(
            2,
            "lending",
            "launch/performance",
            "Inputs drift after a change of the form",
            "",
            "3x3",
            9,
            "windows of 500 inputs are compared daily",
            "3x2",
            6,
            "",
            "mara",
            at(2500),
            True,
            "open",
            "mara",
            at(60),
            "",
            None,
            "",
            "",
            None,
            "",
            15,
            -1,
            -1,
        ),
        RiskRecord(
            1,
            "lending",
            "training/bias",
            "Groups are treated differently",
            "Old decisions were unfair.",
            "4x4",
            16,
            "reweighing; a clerk confirms every decision",
            "2x4",
            8,
            "",
            "jonas",
            at(200_000),
            False,
            "accepted",
            "jonas",
            at(50),
            "jonas",
            at(1480),
            "Tolerable while a clerk confirms.",
            "",
            None,
            "",
            14,
            22,
            -1,
        ),
        RiskRecord(
            3,
            "lending",
            "training/privacy",
            "Names in free text",
            "",
            "3x4",
            12,
            "masking",
            "1x1",
            1,
            "",
            "mara",
            at(200_000),
            False,
            "closed",
            "mara",
            at(70),
            "",
            None,
            "",
            "jonas",
            at(100),
            "All are masked since loans/2.",
            16,
            -1,
            17,
        ),
    )


def signatures() -> tuple[SignatureRecord, ...]:
    """One that counts, one that does not."""
    key, other = digest_of("key").partition(":")[2], digest_of("other key").partition(":")[2]
    return (
        SignatureRecord(1, "artifact", "artifacts:1", "mara", key, True, True, "", at(1446), entry=16),
        SignatureRecord(
            2,
            "check.bias",
            "evidence:2",
            "",
            other,
            False,
            False,
            "nobody here knows the key",
            at(1453),
            entry=17,
        ),
    )


def service() -> ServiceRecord:
    """A champion on other data, a version to fall back to, and what would miss this one."""
    return ServiceRecord(
        (
            AliasRecord("canary", "loans/1", 3, True, True, at(1504), "mara", None, 26),
            AliasRecord("preview", "loans/1", 4, False, False, at(1400), "mara", at(1450), 12),
        ),
        ChampionFacts(True, "loans/0", False, {"f1": 0.912, "auroc": 0.9731, "f1.lower": 0.89}),
        {"f1": 0.9312, "auroc": 0.9708, "f1.lower": 0.9101},
        ("loans/0",),
        ("loans@canary", "deployment 1"),
    )
