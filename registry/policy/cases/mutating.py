"""Do the cases notice it when a rule is changed? Every mutant that no case tells apart is a hole in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from registry.policy.binding import bind
from registry.policy.cases.case import NOT_APPLICABLE, Case, rule_of
from registry.policy.cases.collecting import Collected
from registry.policy.cases.mutants import (
    Mutant,
    bare,
    compiles,
    mutants_of,
    readers_of,
    show_param,
    values_near,
)
from registry.policy.cases.running import outcomes_of
from registry.policy.documents import ReadFile
from registry.policy.policies import GateBinding, GatePolicy, ParamValue


@dataclass(frozen=True, slots=True)
class Survivor:
    """A change that no case noticed, and where it was made.

    Attributes:
        where: `policy/rule`, `policy/when`, `policy/params.NAME` or `binding NAME/params.NAME`.
    """

    file: str
    line: int
    column: int
    where: str
    before: str
    after: str

    @property
    def text(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.where}: {self.before} -> {self.after}"


def try_mutants(collected: Collected) -> tuple[int, tuple[Survivor, ...]]:
    """How many mutants there are, and those that no case notices.

    Args:
        collected: Policies whose cases all hold: one that fails as it is would notice anything.
    """
    tried = [*_of_policies(collected), *_of_bindings(collected)]
    return len(tried), tuple(survivor for survivor in tried if survivor is not None)


def _of_policies(collected: Collected) -> Iterator[Survivor | None]:
    for policy in collected.policies:
        cases, file = collected.cases_of(policy), collected.files[policy.name]
        for mutant in mutants_of(policy):
            if compiles(mutant):
                noticed = any(_tells(case, mutant.policy, case.bound.binding) for case in cases)
                yield None if noticed else _survivor(file, policy, mutant)


def _of_bindings(collected: Collected) -> Iterator[Survivor | None]:
    """Parameters that bindings set are thresholds, too."""
    known = {policy.name: policy for policy in collected.policies}
    for file in collected.asked:
        for binding in file.bindings:
            if (policy := known.get(binding.policy)) is not None:
                yield from _of_binding(collected, file, policy, binding)


def _of_binding(
    collected: Collected, file: ReadFile, policy: GatePolicy, binding: GateBinding
) -> Iterator[Survivor | None]:
    for name, value in binding.params.items():
        judged = bare(policy, readers_of(policy, name))
        cases = [case for case in collected.cases_of(policy) if _uses(case, binding, name, value)]
        for other in values_near(value) if judged.validations else ():
            noticed = any(_tells(case, judged, _with(case.bound.binding, name, other)) for case in cases)
            line, column = file.binding_place(binding.name, name)
            where = f"binding {binding.name}/params.{name}"
            said = (show_param(value), show_param(other))
            yield None if noticed else Survivor(file.source.file, line, column, where, *said)


def _uses(case: Case, binding: GateBinding, name: str, value: ParamValue) -> bool:
    """Whether a case is judged with a binding's parameter, and not with one of its own."""
    return case.bound.binding.name == binding.name and case.bound.binding.params.get(name) == value


def _with(binding: GateBinding, name: str, value: ParamValue) -> GateBinding:
    return replace(binding, params={**binding.params, name: value})


def _tells(case: Case, mutant: GatePolicy, binding: GateBinding) -> bool:
    """Whether a case finds other outcomes than it expects."""
    got = outcomes_of(case, bind(mutant, binding))
    rules = {rule.id for rule in mutant.validations}
    wanted = {name: one for name, one in case.expected.items() if rule_of(name) in rules}
    if any(got.get(name, NOT_APPLICABLE) != one for name, one in wanted.items()):
        return True
    return any(name not in case.expected for name in got)


def _survivor(file: ReadFile, policy: GatePolicy, mutant: Mutant) -> Survivor:
    line, column = file.place(policy.name, mutant.field, mutant.text, mutant.offset)
    where = f"{policy.name}/{mutant.field.removeprefix('match.').removesuffix('.expression')}"
    return Survivor(file.source.file, line, column, where, mutant.before, mutant.after)
