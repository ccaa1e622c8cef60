"""Decisions: what a gate said, rule by rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one rule. Only `PASS` permits; `WAIVED` is an exception that people granted."""

    PASS = "pass"
    FAIL = "fail"
    MISSING = "missing"
    INSUFFICIENT = "insufficient"
    ERROR = "error"
    WAIVED = "waived"


class Action(StrEnum):
    """What a binding does with a rule that does not pass."""

    AUDIT = "audit"
    WARN = "warn"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule's finding.

    Attributes:
        rule: `policy/validation`, with `[item]` where a rule is judged per item.
        policy: Digest of the policy that holds the rule.
        binding: Name of the binding that put it here.
        outcome: What became of it.
        action: What its binding makes of that.
        message: Why, in words; empty for a pass.
        value: What was seen, as text; empty if there was nothing to see.
        limit: What was asked for, as text.
        remedy: The command that would supply what is missing.
        waiver: Number of the waiver that holds for it, 0 if none does.
        late: Whether the rule, or its limit, is younger than evidence that it judges.
    """

    rule: str
    policy: str
    binding: str
    outcome: Outcome
    action: Action
    message: str = ""
    value: str = ""
    limit: str = ""
    remedy: str = ""
    waiver: int = 0
    late: bool = False

    @property
    def blocks(self) -> bool:
        """Whether this result alone refuses the transition."""
        return self.outcome not in (Outcome.PASS, Outcome.WAIVED) and self.action is Action.DENY


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say together, before anything is recorded.

    Attributes:
        allowed: No blocking result, and the gate is not empty (unless the lifecycle leaves the step open).
        results: Every rule's finding, in the order of the bindings.
        reason: Why it is refused although no rule blocks; empty otherwise.
    """

    allowed: bool
    results: tuple[RuleResult, ...]
    reason: str = ""

    @property
    def blocking(self) -> tuple[RuleResult, ...]:
        return tuple(result for result in self.results if result.blocks)


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict on one version's transition, as recorded.

    Attributes:
        id: Row of the decision; 0 if it was only explained, not recorded.
        entry: Index of the ledger entry; -1 if not recorded.
    """

    ref: str
    origin: str
    to: str
    digest: str
    verdict: Verdict
    id: int = 0
    entry: int = -1

    @property
    def allowed(self) -> bool:
        return self.verdict.allowed
