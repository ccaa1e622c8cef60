"""How well an attacker tells, from a model's answer, whether it was trained on a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# A probability of exactly 0 would be an infinite loss.
_TINY = 1e-12
# Share of wrong accusations that the attacker allows himself.
_FALSE_ALARMS = 0.01


def losses(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Cross-entropy of each row in nats."""
    import numpy as np

    found: np.ndarray = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _TINY))
    return found


def attack(
    members: np.ndarray, others: np.ndarray, *, rounds: int, confidence: float, seed: int
) -> dict[str, float]:
    """Figures of the attack that calls rows of low loss members.

    Yeom et al. (2018), "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting"; the
    share found at few false alarms after Carlini et al. (2022), "Membership Inference Attacks From First
    Principles". Intervals are percentile bootstraps over the rows of both sides.

    Args:
        members: Losses of rows that were trained on.
        others: Losses of rows that were not.
        rounds: Of the bootstrap.
        confidence: Of the intervals.
        seed: Of the bootstrap.
    """
    import numpy as np

    values, place = np.unique(np.concatenate([members, others]), return_inverse=True)
    ours = np.bincount(place[: len(members)], minlength=len(values))
    theirs = np.bincount(place[len(members) :], minlength=len(values))
    # Lowest losses are accused first: after each different loss, how many of both sides are.
    found, accused = np.cumsum(ours) / len(members), np.cumsum(theirs) / len(others)
    few = found[accused <= _FALSE_ALARMS]
    metrics = {
        "membership.auc": _auc(ours, theirs),
        "membership.advantage": float(max(np.max(found - accused), 0.0)),
        "membership.tpr_at_1pct_fpr": float(few[-1]) if len(few) else 0.0,
        "loss.gap": float(others.mean() - members.mean()),
    }
    dice = np.random.default_rng(seed)
    areas, gaps = [], []
    for _ in range(rounds):
        one = dice.multinomial(len(members), ours / len(members))
        other = dice.multinomial(len(others), theirs / len(others))
        areas.append(_auc(one, other))
        gaps.append(other @ values / len(others) - one @ values / len(members))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    for name, drawn in (("membership.auc", areas), ("loss.gap", gaps)):
        metrics[f"{name}.lower"], metrics[f"{name}.upper"] = np.quantile(drawn, tails).tolist()
    return metrics


def _auc(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Chance that a member's loss is below another row's, ties counted half, of counts by ascending loss."""
    above = theirs.sum() - theirs.cumsum()
    return float(ours @ (above + theirs / 2) / (ours.sum() * theirs.sum()))
