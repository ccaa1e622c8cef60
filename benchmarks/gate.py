"""A gate of 20 rules over 100 pieces of evidence: how long a decision takes, conversion included.

    python benchmarks/gate.py [--decisions 2000]

The peer is a bare Python function that looks the same numbers up in dictionaries and compares them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, datetime

from registry.domain.decision import Action
from registry.domain.dossier import Dossier, SubjectFacts, SystemFacts
from registry.domain.evidence import EvidenceFacts
from registry.policy import GateBinding, GatePolicy, Match, Validation, bind, decide

_KINDS, _METRICS, _RULES = 100, 10, 20


def main() -> None:
    """Print percentiles of one decision in milliseconds."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--decisions", type=int, default=2000)
    count = arguments.parse_args().decisions
    policy = GatePolicy(
        name="bench",
        match=Match(("deployed",)),
        params={"limit": 0.5},
        validations=tuple(
            Validation(
                id=f"rule-{n}",
                expression=f"evidence['check.k{n}'].metrics['m{n % _METRICS}'] <= params.limit",
                message="above the limit",
                value=f"evidence['check.k{n}'].metrics['m{n % _METRICS}']",
                limit="params.limit",
            )
            for n in range(_RULES)
        ),
    )
    gate = [bind(policy, GateBinding("bench", "bench", Action.DENY))]
    seen = dossier()
    assert decide(gate, seen, open_step=False).allowed
    ours = sorted(timed(lambda: decide(gate, seen, open_step=False)) for _ in range(count))
    peer = sorted(timed(lambda: by_hand(seen)) for _ in range(count))
    for name, values in (("gate", ours), ("dictionary look-ups", peer)):
        p50, p99 = values[count // 2], values[count * 99 // 100]
        print(f"{name:22} p50 {p50:8.4f} ms   p99 {p99:8.4f} ms   mean {statistics.mean(values):8.4f} ms")


def timed(call: object) -> float:
    assert callable(call)
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def by_hand(seen: Dossier) -> bool:
    return all(seen.evidence[f"check.k{n}"].metrics[f"m{n % _METRICS}"] <= 0.5 for n in range(_RULES))


def dossier() -> Dossier:
    """A version with 100 pieces of evidence of 10 metrics each."""
    at = datetime.now(UTC)
    evidence = {
        f"check.k{n}": EvidenceFacts(
            id=n, kind=f"check.k{n}", subject="sha256:0", status="complete", reason="",
            metrics={f"m{m}": 0.25 for m in range(_METRICS)}, facts={"tool": "bench"}, coverage=1.0,
            producer="bench@1", run="1", actor="bench", criteria_digest="", created_at=at,
        )
        for n in range(_KINDS)
    }  # fmt: skip
    subject = SubjectFacts(
        ref="bench/1", model="bench", number=1, stage="evaluated", digest="sha256:0", artifact="sha256:0",
        criteria_digest="", purpose="measure", task="", risk_tier="minimal", system=SystemFacts(), design={},
        developers=("bench",), created_by="bench", created_at=at,
    )  # fmt: skip
    return Dossier(subject, "deployed", at, evidence, {}, (), (), (), {})


if __name__ == "__main__":
    main()
