"""The gate: what the policies in force say of a dossier. It fails closed."""

from __future__ import annotations

from collections.abc import Sequence

from registry.domain.decision import Verdict
from registry.domain.dossier import Dossier
from registry.domain.lifecycle import Step
from registry.policy.binding import BoundPolicy, bind
from registry.policy.judging import Judge
from registry.policy.view import View

__all__ = ["BoundPolicy", "bind", "decide"]


def decide(bound: Sequence[BoundPolicy], dossier: Dossier, *, open_step: bool) -> Verdict:
    """What the policies in force say of a version that asks to move.

    Args:
        bound: Policies in force; those that do not govern this step, or whose scope leaves the version
            out, are passed over.
        dossier: All that they may look at. It says where the version is and where it wants to go.
        open_step: Whether the lifecycle lets the step pass without any rule.

    Returns:
        Every rule's finding. Allowed if no denying rule failed to pass, and there was one at all.
    """
    step = Step(dossier.subject.stage, dossier.to, open_step)
    gate = [policy for policy in bound if policy.matches(step)]
    view = View(dossier)
    results = tuple(
        result
        for policy in gate
        if policy.covers(dossier)
        for result in Judge(policy, dossier, view).results()
    )
    if not results and not open_step:
        what = f"none of the {len(gate)} policies for" if gate else "no policy governs"
        reason = f"{what} {step.origin} -> {step.to}" + (" applies to it" if gate else "")
        return Verdict(False, (), f"{reason}; a step without rules permits nothing")
    return Verdict(not any(result.blocks for result in results), results)
