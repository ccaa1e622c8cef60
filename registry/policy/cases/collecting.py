"""From texts of files to the policies under test and their cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.domain.lifecycle import Lifecycle
from registry.errors import BadDocument
from registry.policy.cases.case import Case, CaseSet
from registry.policy.cases.reading import CaseReader
from registry.policy.documents import ReadFile
from registry.policy.policies import GatePolicy


@dataclass(frozen=True, slots=True)
class Collected:
    """What is to be tested.

    Attributes:
        policies: Under test, in the order of their files.
        sets: Their cases, document by document.
        problems: Everything that is wrong with the files; if there is anything, nothing should be judged.
        files: Where each policy stands, by its name.
        asked: The files that are under test themselves.
    """

    policies: tuple[GatePolicy, ...]
    sets: tuple[CaseSet, ...]
    problems: tuple[BadDocument, ...]
    files: Mapping[str, ReadFile]
    asked: tuple[ReadFile, ...]

    def cases_of(self, policy: GatePolicy) -> tuple[Case, ...]:
        return tuple(case for one in self.sets if one.policy == policy for case in one.cases)


def collect(
    named: Mapping[str, str],
    around: Mapping[str, str],
    lifecycle: Lifecycle,
    known: Iterable[GatePolicy] = (),
) -> Collected:
    """Read policies and cases.

    Args:
        named: Texts of the files that are to be tested, by name: every policy and every case in them.
        around: Texts of files beside them, where the policies of named cases, and the cases of named
            policies, are looked for. What is wrong with anything else in them does not matter here.
        lifecycle: Whose steps the cases may take.
        known: Policies that stand in no file, which bindings and cases may name; of one name, the last.
    """
    asked = [ReadFile(text, file, lifecycle) for file, text in named.items()]
    beside = [ReadFile(text, file, lifecycle) for file, text in around.items() if file not in named]
    problems = _twice(asked)
    policies: dict[str, GatePolicy] = {}
    files: dict[str, ReadFile] = {}
    for read in (*asked, *beside):
        for policy in read.policies:
            policies.setdefault(policy.name, policy)
            files.setdefault(policy.name, read)
    for name, policy in {policy.name: policy for policy in known}.items():
        policies.setdefault(name, policy)
    declared = {name for read in asked for name in read.declared_policies}
    for read in asked:
        read.check_bindings(policies.values(), declared)
    bindings = {one.name: one for read in (*beside, *asked) for one in read.bindings}
    tested = {policy.name: policy for read in asked for policy in read.policies}
    sets: list[CaseSet] = []
    for read in (*asked, *beside):
        reader = CaseReader(read.source, lifecycle, policies, bindings)
        for node in read.cases:
            about = read.source.peek(node, "policy")
            name = about.value if about is not None else ""
            if read in beside and name not in tested:
                continue
            before = len(read.source.problems)
            if name in declared - set(policies):
                continue  # it was complained about where it stands
            if (made := reader.read(node)) is not None:
                sets.append(made)
                tested.setdefault(made.policy.name, made.policy)
            if read in beside:
                problems += read.source.problems[before:]
    problems += [problem for read in asked for problem in read.problems]
    return Collected(tuple(tested.values()), tuple(sets), tuple(problems), files, tuple(asked))


def _twice(asked: Iterable[ReadFile]) -> list[BadDocument]:
    """Two files that declare one policy: nobody could say which of them a case is about."""
    first: dict[str, str] = {}
    problems = []
    for read in asked:
        for policy in read.policies:
            file = first.setdefault(policy.name, read.source.file)
            if file != read.source.file:
                said = f"policy {policy.name!r} is also in {file}: test them one after the other"
                problems.append(BadDocument(said, file=read.source.file))
    return problems
