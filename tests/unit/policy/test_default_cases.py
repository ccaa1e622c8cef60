"""The default policies' own cases: all hold, nothing is left out, and nothing missing ever passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from unit.policy.removing import removals

from registry.domain.decision import Outcome
from registry.policy import bind, parse_lifecycle
from registry.policy.cases.case import Case
from registry.policy.cases.collecting import Collected, collect
from registry.policy.cases.mutants import bare
from registry.policy.cases.report import run_cases
from registry.policy.judging import Judge, items_of
from registry.policy.templates import name_of
from registry.policy.view import View

POLICIES = Path(__file__).resolve().parents[3] / "policies"


@lru_cache
def collected() -> Collected:
    lifecycle = parse_lifecycle((POLICIES / "lifecycle.yaml").read_text("utf-8"), "lifecycle.yaml")
    texts = {str(path.relative_to(POLICIES)): path.read_text("utf-8") for path in POLICIES.rglob("*.yaml")}
    return collect(texts, {}, lifecycle)


def test_every_case_holds_every_outcome_is_shown_and_every_mutant_noticed() -> None:
    assert [problem.message for problem in collected().problems] == []
    report = run_cases(collected(), 1.0, mutate=True)
    assert [(result.policy, result.name, result.wrong) for result in report.failed] == []
    assert [text for _, text in report.complaints] == []
    assert report.mutants is not None
    assert report.mutants > len(report.coverage)


def blinded() -> Iterator[tuple[str, Outcome]]:
    """For every rule that passes in a case: what it says with any one thing gone that it reads."""
    for one in collected().sets:
        for case in one.cases:
            yield from _blinded(case)


def _blinded(case: Case) -> Iterator[tuple[str, Outcome]]:
    for rule in case.bound.rules:
        alone = bind(bare(case.policy, [rule.validation]), case.bound.binding)
        for item in items_of(rule.validation.each, case.dossier):
            name = rule.validation.id if item is None else f"{rule.validation.id}[{name_of(item)}]"
            if case.expected.get(name) != "pass":
                continue
            for path in rule.test.names.paths:
                for done, without in removals(path, case.dossier, item):
                    # A waiver would hide what the rule itself says.
                    given = replace(without, waivers=())
                    told = f"{case.policy.name}/{name} in {case.name!r}: {done}"
                    results = [
                        result
                        for result in Judge(alone, given, View(given)).results()
                        if result.rule
                        in (f"{case.policy.name}/{name}", f"{case.policy.name}/{rule.validation.id}")
                    ]
                    yield from ((told, result.outcome) for result in results)


def test_no_rule_passes_when_anything_that_it_reads_is_gone() -> None:
    judged = dict(blinded())
    assert len(judged) > 500
    assert [told for told, outcome in judged.items() if outcome not in _NO] == []


_NO = (Outcome.MISSING, Outcome.INSUFFICIENT, Outcome.ERROR)
