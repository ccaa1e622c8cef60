"""What an expression names: the evidence, metrics and data without which it must not pass.

CEL lets `'x' in evidence`, `has()`, `||` and `?:` step around a value that is not there. So a
gate first looks up everything that the expression names, wherever it stands in it, and judges
only if all of it is there. That needs every piece of evidence to be named where it is read:
what cannot be traced to a name is refused when the policy is checked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from registry.domain.dossier import DataFacts, TargetFacts
from registry.domain.evidence import EvidenceFacts
from registry.policy.complaints import Problem, problem_at
from registry.policy.runtime import can_fail
from registry.policy.schema import type_name
from registry.policy.syntax import Node, NodeType, Tree

# A way into the dossier: fields and literal keys; None stands for any element or computed key.
Path = tuple[str | None, ...]

EVIDENCE = "evidence"
CHAMPION = "champion"
# A key that the item of the rule names, `metrics[item.metric]`: known when the item is.
ITEM_METRIC = "\0item.metric"
# In the place of a root: a key of the mapping whose path follows, or a list of some of its keys.
_KEY, _KEYS = "\0key", "\0keys"
_WHOLE = {type_name(DataFacts): ("data", None), type_name(TargetFacts): ("targets", None)}
_EVIDENCE = type_name(EvidenceFacts)
_MEASURED = ("metrics", "facts")
_CHECKED = ("duration", "timestamp", "matches")
_UNTRACED = "what is looked into cannot be traced to a name", "write evidence['check.bias'].metrics out"


@dataclass(frozen=True, slots=True)
class Names:
    """What an expression names.

    Attributes:
        roots: Variables that it reads; parameters as `params.x`.
        paths: What must be there before it may pass; a path stands for all that it begins with.
        constants: Function, literal argument and offset of calls that can be tried out at once.
        problems: Evidence that is read without being named, and other ways to fool a gate.
        keyed: Whether an entry of some mapping is looked up, which may not be there.
        fields: What is read of which class, as `SubjectFacts.tags`; variables as `Dossier.champion`.
        can_fail: Whether an operation on what the dossier holds may fail: `list[0]`, `int(text)`, `1 / n`.
    """

    roots: frozenset[str]
    paths: tuple[Path, ...]
    constants: tuple[tuple[str, str, int], ...]
    problems: tuple[Problem, ...]
    keyed: bool = False
    can_fail: bool = False
    fields: frozenset[str] = frozenset()


def names_in(tree: Tree, text: str, taken: Collection[str]) -> Names:
    """Read the names out of a checked expression; no loop may reuse one that is taken."""
    reader = _Reader(tree, text, taken)
    reader.visit(tree.root, {})
    whole = (
        path
        for path in reader.paths
        if not any(path == other[: len(path)] for other in reader.paths - {path})
    )
    paths = sorted(whole, key=lambda path: [part or "" for part in path])
    return Names(
        frozenset(reader.roots),
        tuple(paths),
        tuple(reader.constants),
        tuple(reader.problems),
        reader.keyed,
        reader.can_fail,
        frozenset(reader.fields),
    )


class _Reader:
    def __init__(self, tree: Tree, text: str, taken: Collection[str]) -> None:
        self._tree = tree
        self._text = text
        self._taken = taken
        self.roots: set[str] = set()
        self.paths: set[Path] = set()
        self.constants: list[tuple[str, str, int]] = []
        self.problems: list[Problem] = []
        self.keyed = False
        self.fields: set[str] = set()
        self.can_fail = False

    def visit(self, node: Node, bound: Mapping[str, Path | None], *, keyed: bool = False) -> Path | None:
        """Note what a node names; return its own path if it has one.

        Args:
            node: Any node of the tree.
            bound: Paths of the variables of the loops around it.
            keyed: Whether the parent picks one entry of it by name.
        """
        kind = self._tree.type_of(node)
        if kind.HasField("dyn"):
            self._object(node, "this mixes types, so that nothing can be checked", "write it without dyn()")
        path = self._path(node, bound)
        if path is None and kind.message_type in _WHOLE:
            path = _WHOLE[kind.message_type]
        if kind.message_type == _EVIDENCE and path is None:
            self._object(
                node, "this evidence cannot be traced to a name", "read it as evidence['check.bias']"
            )
        if _is_evidence_map(kind) and not keyed:
            self._object(node, "evidence must be named where it is read", "write evidence['check.bias']")
        if path:
            self._note(path)
        return path

    def _path(self, node: Node, bound: Mapping[str, Path | None]) -> Path | None:
        if node.HasField("ident"):
            name = node.ident.name.lstrip(".")
            if name in bound:
                return bound[name]
            self.roots.add(name)
            self.fields.add(f"Dossier.{name}")
            return (name,)
        if node.HasField("select"):
            base = self.visit(node.select.operand, bound, keyed=True)
            owner = self._tree.type_of(node.select.operand).message_type
            self.fields.add(f"{owner.rpartition('.')[2]}.{node.select.field}")
            if base is None and self._tree.type_of(node.select.operand).HasField("map_type"):
                self._object(node, *_UNTRACED)
            return (*base, node.select.field) if base else None
        if node.HasField("call"):
            return self._call(node, bound)
        if node.HasField("loop"):
            return self._loop(node.loop, bound)
        if node.HasField("list"):
            for element in node.list.elements:
                self.visit(element, bound)
            if node.list.elements and self._tree.type_of(node).list_type.elem.HasField("dyn"):
                self._object(node, "this list mixes types, so that nothing can be checked")
        for entry in node.struct.entries:
            if entry.HasField("key"):
                self.visit(entry.key, bound)
            self.visit(entry.value, bound)
        return None

    def _call(self, node: Node, bound: Mapping[str, Path | None]) -> Path | None:
        call = node.call
        self.can_fail = self.can_fail or can_fail(self._tree, node)
        if call.function == "_[_]":
            return self._entry(call.args[0], call.args[1], bound)
        if call.function == "@in":
            self._membership(call.args[0], call.args[1], bound)
            return None
        if call.HasField("target"):
            self.visit(call.target, bound)
        for argument in call.args:
            self.visit(argument, bound)
        if call.function in _CHECKED and call.args:
            literal = self._tree.literal(call.args[0])
            if literal is not None:
                self.constants.append((call.function, literal, self._tree.position(call.args[0])))
        return None

    def _entry(self, container: Node, key: Node, bound: Mapping[str, Path | None]) -> Path | None:
        """`container[key]`: the path goes on if the key is a literal."""
        self.keyed = self.keyed or self._tree.type_of(container).HasField("map_type")
        base = self.visit(container, bound, keyed=True)
        self.visit(key, bound)
        return (*base, self._key_of(container, key, base, bound)) if base else None

    def _key_of(self, container: Node, key: Node, base: Path, bound: Mapping[str, Path | None]) -> str | None:
        """The name of an entry; None for any of them, where the key is certain to be there."""
        name = self._tree.literal(key)
        if name is None and _is_evidence_map(self._tree.type_of(container)):
            self._object(key, "evidence must be named by a literal", "write evidence['check.bias']")
        if name is not None or not _is_measured(base):
            return name
        if (
            key.HasField("select")
            and key.select.field == "metric"
            and key.select.operand.ident.name == "item"
        ):
            return ITEM_METRIC
        if not key.HasField("ident") or bound.get(key.ident.name.lstrip(".")) != (_KEY, *base):
            hint = "write metrics['f1'], item.metric with `each: targets`, or loop over the metrics"
            self._object(key, "what is looked up here cannot be traced to a name", hint)
        return None

    def _membership(self, key: Node, container: Node, bound: Mapping[str, Path | None]) -> None:
        """`key in container`: to ask whether evidence is there is to ask for it."""
        base = self.visit(container, bound, keyed=True)
        self.visit(key, bound)
        kind = self._tree.type_of(container)
        name = self._tree.literal(key)
        measured = base is not None and _is_measured(base)
        if name is None and (_is_evidence_map(kind) or measured):
            self._object(key, "only a literal can be looked for in evidence", "write 'f1' in ...metrics")
        elif kind.HasField("map_type") and name is not None:
            if base is None:
                self._object(container, *_UNTRACED)
            else:
                self._note((*base, name))

    def _loop(self, loop: Node, bound: Mapping[str, Path | None]) -> Path | None:
        """`all`, `exists`, `filter`, `map`: a macro is this loop by now."""
        over = self.visit(loop.range, bound)
        if loop.variable in self._taken:
            self._object(
                loop.range, f"the loop variable {loop.variable!r} hides what a gate sees", "rename it"
            )
        kind = self._tree.type_of(loop.range)
        element = self._element(over, kind)
        inner = {**bound, loop.variable: element, loop.accumulator: None}
        for part in (loop.start, loop.condition, loop.step):
            self.visit(part, inner)
        self.visit(loop.result, inner)
        if over and _keeps_variable(loop):
            return (_KEYS, *over) if kind.HasField("map_type") else over
        return None

    def _element(self, over: Path | None, kind: NodeType) -> Path | None:
        """The path of what a loop's variable stands for."""
        if not over:
            return None
        if over[0] == _KEYS:
            return (_KEY, *over[1:])
        if kind.HasField("list_type"):
            return (*over, None)
        if _is_measured(over):
            self.paths.add((*over, None))  # every entry is looked at: each must be a number, and there be one
        return (_KEY, *over)

    def _note(self, path: Path) -> None:
        if path[0] in (EVIDENCE, CHAMPION, "data", "targets", "item") and path != (EVIDENCE,):
            self.paths.add(path)

    def _object(self, node: Node, message: str, hint: str = "") -> None:
        self.problems.append(problem_at(self._text, self._tree.position(node), message, hint))


def _is_measured(path: Path) -> bool:
    """Whether a path leads to a mapping of what was measured: its entries may be missing."""
    owned = EVIDENCE in path[:-1] or path[0] == CHAMPION
    return owned and path[-1] in _MEASURED


def _keeps_variable(loop: Node) -> bool:
    """Whether a loop gathers some of what it runs over, as it is: `filter`, not `map`."""
    choice = loop.step.call
    if choice.function != "_?_:_":
        return False
    gathered = choice.args[1].call
    if gathered.function != "_+_":
        return False
    added = gathered.args[1].list.elements
    return len(added) == 1 and added[0].ident.name == loop.variable


def _is_evidence_map(kind: NodeType) -> bool:
    return bool(kind.map_type.value.message_type == _EVIDENCE)
