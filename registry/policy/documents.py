"""Policy files: YAML to policies and bindings, every problem with its line and column."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.domain.lifecycle import Lifecycle
from registry.domain.names import did_you_mean
from registry.errors import BadDocument
from registry.policy.binding import wrong_params
from registry.policy.lifecycles import parse_lifecycle, read_lifecycle
from registry.policy.policies import GateBinding, GatePolicy
from registry.policy.reading import ReadBinding, Reader
from registry.policy.yaml_nodes import Source

if TYPE_CHECKING:
    from yaml.nodes import Node

__all__ = [
    "GateBinding",
    "GatePolicy",
    "PolicyFile",
    "ReadFile",
    "check",
    "parse_documents",
    "parse_lifecycle",
]

KINDS = ("GatePolicy", "GateBinding", "Lifecycle", "PolicyCases")


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a policy file holds, in its order."""

    policies: tuple[GatePolicy, ...]
    bindings: tuple[GateBinding, ...]


class ReadFile:
    """A policy file as far as it could be read.

    Attributes:
        cases: Its case documents, which `registry.policy.cases` reads once all policies are known.
    """

    def __init__(self, text: str, file: str, lifecycle: Lifecycle) -> None:
        self.source = Source(text, file)
        self._reader = Reader(self.source, lifecycle)
        self._bindings: list[ReadBinding] = []
        self.policies: list[GatePolicy] = []
        self.cases: list[Node] = []
        self.lifecycles: list[Node] = []
        for node in self.source.documents():
            self._read(_kind_of(self.source, node), node)

    @property
    def bindings(self) -> tuple[GateBinding, ...]:
        return tuple(read.binding for read in self._bindings)

    @property
    def problems(self) -> list[BadDocument]:
        """Everything that is wrong with it, in the order of its lines."""
        return sorted(self.source.problems, key=lambda problem: (problem.line, problem.column))

    @property
    def declared_policies(self) -> frozenset[str]:
        """Names of its policies, the broken ones included."""
        return self._reader.declared_policies

    def place(self, policy: str, field: str, text: str = "", offset: int = 0) -> tuple[int, int]:
        """Line and column in the file of a place in a policy.

        Args:
            policy: Its name.
            field: `match.when`, `ID.expression` or `params.NAME`.
            text: The expression that stands there.
            offset: Of a character in it.
        """
        before = text[:offset]
        line, column = before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
        return self.source.place_within(self._reader.places[policy][field], line, column)

    def binding_place(self, binding: str, param: str) -> tuple[int, int]:
        """Line and column where a binding sets a parameter."""
        (read,) = (read for read in self._bindings if read.binding.name == binding)
        return self.source.place_of(read.params[param])

    def check_bindings(self, policies: Iterable[GatePolicy], declared: Collection[str] = ()) -> None:
        """Report the bindings that fit none of the policies; `declared` names those that are broken."""
        by_name = {policy.name: policy for policy in (*policies, *self.policies)}
        declared = self.declared_policies.union(declared)
        for read in self._bindings:
            _check_binding(self.source, read, by_name, declared)

    def _read(self, kind: str | None, node: Node) -> None:
        if kind == "GatePolicy" and (policy := self._reader.policy(node)):
            self.policies.append(policy)
        elif kind == "GateBinding" and (binding := self._reader.binding(node)):
            self._bindings.append(binding)
        elif kind == "Lifecycle":
            self.lifecycles.append(node)
            read_lifecycle(self.source, node)
        elif kind == "PolicyCases":
            self.cases.append(node)


def parse_documents(
    text: str, file: str, lifecycle: Lifecycle, known: Iterable[GatePolicy] = ()
) -> PolicyFile:
    """Read a policy file. Cases in it are passed over: `registry.policy.cases` reads them.

    Args:
        text: One or more YAML documents.
        file: Its name, for messages.
        lifecycle: Whose stages the policies may name.
        known: Policies published elsewhere, which bindings may name too.

    Raises:
        BadDocument: The first problem; `check` gives all of them.
    """
    read = ReadFile(text, file, lifecycle)
    read.check_bindings(known)
    if problems := read.problems:
        raise problems[0]
    return PolicyFile(tuple(read.policies), read.bindings)


def check(text: str, file: str, lifecycle: Lifecycle, known: Iterable[GatePolicy] = ()) -> list[BadDocument]:
    """Every problem of a policy or lifecycle file, in the order of its lines. Nothing is raised."""
    read = ReadFile(text, file, lifecycle)
    read.check_bindings(known)
    return read.problems


def _kind_of(source: Source, node: Node) -> str | None:
    value = source.peek(node, "kind")
    if value is None:
        source.report(node, "the document says no 'kind'", f"one of: {', '.join(KINDS)}")
        return None
    return source.choice_of(value, "kind of document", KINDS)


def _check_binding(
    source: Source, read: ReadBinding, policies: dict[str, GatePolicy], declared: frozenset[str]
) -> None:
    """A binding must fit a policy that is known; one that is declared but broken was complained about."""
    name = read.binding.policy
    if name in policies:
        for problem, hint, param in wrong_params(policies[name], read.binding.params):
            source.report(read.params[param], problem, hint)
    elif name not in declared:
        hint = did_you_mean(name, policies) or "publish the policy first: phasegate policy publish FILE"
        source.report(read.policy, f"there is no policy {name!r}", hint)
