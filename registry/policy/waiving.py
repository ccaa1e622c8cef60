"""Exceptions that people granted: which one holds for a rule, and what is said of it.

A waiver is believed no further than its policy allows, whatever the dossier says of it: not for a rule
that may not be waived, nor for longer than the policy lets one last, nor from who asked for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from registry.domain.decision import Outcome, RuleResult
from registry.domain.dossier import Dossier, WaiverFacts
from registry.policy.policies import GatePolicy, Validation

# What a rule says of the version may be excepted; that it could not be judged at all may not.
WAIVABLE = (Outcome.FAIL, Outcome.MISSING, Outcome.INSUFFICIENT)


def can_be_waived(policy: GatePolicy, rule: Validation) -> bool:
    """Whether an exception to a rule is possible at all."""
    return rule.waivable and policy.max_waiver_days > 0


def waive(result: RuleResult, policy: GatePolicy, rule: Validation, dossier: Dossier) -> RuleResult:
    """The result, waived if an exception to it holds."""
    if result.outcome not in WAIVABLE or not can_be_waived(policy, rule):
        return result
    holding = [waiver for waiver in dossier.waivers if _holds(waiver, result, policy, dossier)]
    if not holding:
        return result
    waiver = max(holding, key=lambda one: (one.until, one.id))
    told = (
        f"waived by {waiver.approved_by} until {waiver.until:%Y-%m-%d}; instead: {waiver.control}. "
        f"Without that: {result.message}"
    )
    return replace(result, outcome=Outcome.WAIVED, waiver=waiver.id, message=told)


def _holds(waiver: WaiverFacts, result: RuleResult, policy: GatePolicy, dossier: Dossier) -> bool:
    # A waiver for a rule that is judged per item covers all of them, unless it names one.
    return (
        waiver.holds
        and waiver.policy == policy.digest
        and waiver.rule in (result.rule, result.rule.partition("[")[0])
        and waiver.approved_by not in ("", waiver.requested_by)
        and dossier.now < waiver.until <= dossier.now + timedelta(days=policy.max_waiver_days)
    )
