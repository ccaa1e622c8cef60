"""Operations of an expression that may fail at run time, though they are well typed."""

from __future__ import annotations

from collections.abc import Iterator

from registry.policy.syntax import Node, Tree

_WHOLE = ("int", "uint")
# Which type of argument makes a function fail for some values: from text anything, from doubles a range.
_CONVERSIONS = {
    "int": ("string", "double", "uint"),
    "uint": ("string", "double", "int"),
    "double": ("string",),
    "timestamp": ("string", "int"),
    "duration": ("string",),
    "bool": ("string",),
    "days": ("double",),
}


def can_fail(tree: Tree, node: Node) -> bool:
    """Whether a call may fail on values that only the dossier decides.

    What parameters and literals alone decide is not meant: it is known when a policy is bound. Nor is an
    overflow of 64-bit counts, nor more than 10,000 turns of loops: no dossier has such numbers.
    """
    call = node.call
    arguments = [*([call.target] if call.HasField("target") else []), *call.args]
    name = call.function
    if name == "_[_]":
        return not tree.type_of(arguments[0]).HasField("map_type")
    if name in ("_/_", "_%_"):
        return tree.primitive(arguments[0]) in _WHOLE and _depends(tree, arguments[1])
    if name == "matches":
        return _depends(tree, arguments[-1])
    if name in _CONVERSIONS and arguments:
        return tree.primitive(arguments[0]) in _CONVERSIONS[name] and _depends(tree, arguments[0])
    return False


def _depends(tree: Tree, node: Node) -> bool:
    """Whether a value depends on more than literals and parameters."""
    return any(not name.startswith("params.") for name in _variables(node))


def _variables(node: Node) -> Iterator[str]:
    if node.HasField("ident"):
        yield node.ident.name.lstrip(".")
    for part in parts_of(node):
        yield from _variables(part)


def parts_of(node: Node) -> list[Node]:
    """The nodes directly below a node."""
    if node.HasField("select"):
        return [node.select.operand]
    if node.HasField("call"):
        return [*([node.call.target] if node.call.HasField("target") else []), *node.call.args]
    if node.HasField("loop"):
        loop = node.loop
        return [loop.range, loop.start, loop.condition, loop.step, loop.result]
    if node.HasField("list"):
        return list(node.list.elements)
    return [part for entry in node.struct.entries for part in (entry.key, entry.value)]
