"""A replay: the first steps of a run, done again, and how its numbers compare with those recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

IDENTICAL, CLOSE, DIFFERENT = "identical", "within tolerance", "different"
BITWISE, SAME_MACHINE, STATISTICAL = "bitwise", "same machine", "statistical"
# Relative differences that are allowed: of a run that claims to come again bit by bit, elsewhere than where
# it ran, for other kernels add in another order; and of one that claims no more than to be like itself.
_ELSEWHERE, _MUCH_ALIKE = 1e-4, 1e-2
# What two numbers may differ by, whatever they are: below it, a gradient is no gradient.
_NOTHING = 1e-9

Points = Mapping[tuple[str, int], float]
"""A run's numbers by metric and step."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A number that did not come again; `again` is None if nothing came."""

    metric: str
    step: int
    recorded: float
    again: float | None

    @property
    def relative(self) -> float:
        """By how much, of the larger one; 1 if nothing came."""
        if self.again is None:
            return 1.0
        return abs(self.recorded - self.again) / max(abs(self.recorded), abs(self.again))


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of doing the first steps of a run again.

    Attributes:
        run: Its number.
        steps: That were done again.
        compared: Numbers that were compared.
        claim: What the run says of its determinism: `bitwise`, `same machine` or `statistical`.
        tolerance: Relative difference allowed; 0 where the claim is the same bits.
        environment: What is not as it was, by name: before, now.
        packages: Of them, those that are not as they were: before, now; empty for one that was not there.
        differences: Numbers that are not the same, in the order of steps.
        verdict: `identical`, `within tolerance` or `different`.
        evidence: Number of the evidence about the artifact; None if the run made none.
    """

    run: int
    steps: int
    compared: int
    claim: str
    tolerance: float
    environment: Mapping[str, tuple[str, str]]
    packages: Mapping[str, tuple[str, str]]
    differences: tuple[Difference, ...]
    verdict: str
    evidence: int | None = None

    @property
    def repeats(self) -> bool:
        """Whether the numbers came again as exactly as the run claims."""
        return self.verdict != DIFFERENT

    @property
    def max_difference(self) -> float:
        """Largest relative difference."""
        return max((found.relative for found in self.differences), default=0.0)


def judge(
    run: int,
    steps: int,
    *,
    recorded: Points,
    again: Points,
    before: Mapping[str, str],
    now: Mapping[str, str],
    packages: tuple[str, str] = ("", ""),
) -> Replay:
    """Compare a replay with what was recorded.

    Args:
        run: Number of the run.
        steps: That were done again.
        recorded: Its numbers.
        again: Those of the replay.
        before: What the run said that it ran on; empty if it said nothing.
        now: What the replay ran on.
        packages: Both lists of packages, `name==version digest` a line.
    """
    claim = before.get("determinism") or now.get("determinism", "")
    environment = {
        name: (before[name], value) for name, value in now.items() if before.get(name, value) != value
    }
    differences = compare(recorded, again)
    tolerance = allowed(claim, same_environment=not environment)
    if not differences:
        verdict = IDENTICAL
    elif all(_close(found, tolerance) for found in differences):
        verdict = CLOSE
    else:
        verdict = DIFFERENT
    return Replay(
        run=run,
        steps=steps,
        compared=len(recorded),
        claim=claim,
        tolerance=tolerance,
        environment=environment,
        packages=_changed(*packages) if "packages" in environment else {},
        differences=differences,
        verdict=verdict,
    )


def compare(recorded: Points, again: Points) -> tuple[Difference, ...]:
    """Recorded numbers that did not come again bit by bit, in the order of steps."""
    order = sorted(recorded, key=lambda point: (point[1], point[0]))
    return tuple(
        Difference(name, step, recorded[name, step], again.get((name, step)))
        for name, step in order
        if recorded[name, step] != again.get((name, step))
    )


def allowed(claim: str, *, same_environment: bool) -> float:
    """Relative difference that a claim leaves room for; 0 for none.

    Bits are claimed for the same packages, machine and settings only. What is not said to be exact is
    held to be statistical.
    """
    if claim not in (BITWISE, SAME_MACHINE):
        return _MUCH_ALIKE
    return 0.0 if same_environment else _ELSEWHERE


def summary(found: Replay) -> str:
    """What came of it, in one sentence."""
    numbers = f"{found.compared} numbers of {found.steps} steps"
    if found.verdict == IDENTICAL:
        return f"{numbers} came again, bit by bit"
    first = found.differences[0]
    where = f"first {first.metric} at step {first.step}, at most {found.max_difference:.2g} of the number"
    return f"{len(found.differences)} of {numbers} differ ({where}; allowed: {found.tolerance:g})"


def _close(found: Difference, tolerance: float) -> bool:
    if found.again is None or not tolerance:
        return False
    return found.relative <= tolerance or abs(found.recorded - found.again) <= _NOTHING


def _changed(before: str, now: str) -> dict[str, tuple[str, str]]:
    """Packages of two lists that are not the same: version, or digest where that is the same."""
    old, new = ({line.partition("==")[0]: line for line in text.splitlines()} for text in (before, now))
    found = {}
    for name in sorted(old.keys() | new.keys(), key=str.casefold):
        one, other = (lines.get(name, "").partition("==")[2] for lines in (old, new))
        if one != other:
            same_version = one.split(" ")[0] == other.split(" ")[0]
            found[name] = (one, other) if same_version else (one.split(" ")[0], other.split(" ")[0])
    return found
