"""What a run of cases showed, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from registry.policy.cases.case import CaseResult
from registry.policy.cases.collecting import Collected
from registry.policy.cases.covering import RuleCoverage, cover, rate
from registry.policy.cases.mutating import Survivor, try_mutants
from registry.policy.cases.running import run_case


@dataclass(frozen=True, slots=True)
class CaseReport:
    """Results, coverage and complaints.

    Attributes:
        policies: Names of the policies under test.
        wanted: The coverage that was asked for, 0 to 1.
        rate: The coverage that there is.
        mutants: How many changes of the policies were tried; None if none were asked for.
        surviving: Those that no case noticed.
    """

    policies: tuple[str, ...]
    results: tuple[CaseResult, ...]
    coverage: tuple[RuleCoverage, ...]
    wanted: float
    rate: float
    mutants: int | None = None
    surviving: tuple[Survivor, ...] = ()

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if not result.passed)

    @property
    def complaints(self) -> tuple[tuple[str, str], ...]:
        """What is wrong and belongs to no single case: name and text."""
        return tuple(self._complaints())

    @property
    def passed(self) -> bool:
        return not self.failed and not self.complaints

    def _complaints(self) -> Iterator[tuple[str, str]]:
        if not self.policies:
            yield "policies", "there is no policy to test"
        for policy in self.policies:
            if not any(result.policy == policy for result in self.results):
                yield policy, f"{policy} has no cases: an empty set of cases fails"
        for one in self.coverage:
            for outcome in one.refuted:
                yield (
                    one.policy,
                    f"{one.policy}/{one.rule} is never {outcome}, the cases say; but one of them is",
                )
        if self.rate < self.wanted:
            lacking = [
                f"{one.policy}/{one.rule}: no case where it is {' or '.join(one.lacking)}"
                for one in self.coverage
                if one.lacking
            ]
            what = f"coverage is {self.rate:.1%}, and {self.wanted:.1%} is asked for"
            yield "coverage", "\n".join([what, *lacking])
        for survivor in self.surviving:
            yield "mutation", f"{survivor.text}: no case notices"

    @property
    def summary(self) -> str:
        """All of it in a line."""
        number, failed = len(self.results), len(self.failed)
        told = [f"{number} case{'s' if number != 1 else ''}, {failed or 'none'} failed"]
        shown = sum(len(one.wanted) - len(one.lacking) for one in self.coverage)
        told.append(f"coverage {self.rate:.1%} ({shown} of {sum(len(one.wanted) for one in self.coverage)})")
        if self.mutants is not None:
            told.append(f"{self.mutants - len(self.surviving)} of {self.mutants} mutants noticed")
        return "; ".join(told)


def run_cases(collected: Collected, wanted: float = 0.0, *, mutate: bool = False) -> CaseReport:
    """Judge every case.

    Args:
        collected: Without problems.
        wanted: The share of outcomes that cases must show, 0 to 1.
        mutate: Whether to change the policies, too, and see that cases notice; only if all cases hold.
    """
    results = tuple(run_case(case) for one in collected.sets for case in one.cases)
    coverage = cover(collected.policies, collected.sets, results)
    names = tuple(policy.name for policy in collected.policies)
    report = CaseReport(names, results, coverage, wanted, rate(coverage))
    if not mutate or report.failed:
        return report
    mutants, surviving = try_mutants(collected)
    return replace(report, mutants=mutants, surviving=surviving)
