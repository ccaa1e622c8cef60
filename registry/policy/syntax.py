"""Reading back what CEL's type checker made of an expression.

A compiled expression serialises as `cel.expr.CheckedExpr`. Described here is the part of it
that is read, with the field numbers of cel-spec `proto/cel/expr/{checked,syntax}.proto`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

# message -> field -> (number, type): `*` marks a repeated field, `#` a map from node ids.
_SHAPE: dict[str, dict[str, tuple[int, str]]] = {
    "Any": {"value": (2, "CheckedExpr")},
    "CheckedExpr": {"type_map": (3, "#Type"), "expr": (4, "Expr"), "source_info": (5, "SourceInfo")},
    "SourceInfo": {"positions": (4, "#int")},
    "Type": {
        "dyn": (1, "Nothing"),
        "primitive": (3, "int"),
        "list_type": (6, "ListType"),
        "map_type": (7, "MapType"),
        "message_type": (9, "str"),
    },
    "Nothing": {},
    "ListType": {"elem": (1, "Type")},
    "MapType": {"key": (1, "Type"), "value": (2, "Type")},
    "Expr": {
        "id": (2, "int"),
        "const": (3, "Constant"),
        "ident": (4, "Ident"),
        "select": (5, "Select"),
        "call": (6, "Call"),
        "list": (7, "CreateList"),
        "struct": (8, "CreateStruct"),
        "loop": (9, "Comprehension"),
    },
    "Constant": {"text": (6, "str")},
    "Ident": {"name": (1, "str")},
    "Select": {"operand": (1, "Expr"), "field": (2, "str")},
    "Call": {"target": (1, "Expr"), "function": (2, "str"), "args": (3, "*Expr")},
    "CreateList": {"elements": (1, "*Expr")},
    "CreateStruct": {"entries": (2, "*Entry")},
    "Entry": {"key": (3, "Expr"), "value": (4, "Expr")},
    "Comprehension": {
        "variable": (1, "str"),
        "range": (2, "Expr"),
        "accumulator": (3, "str"),
        "start": (4, "Expr"),
        "condition": (5, "Expr"),
        "step": (6, "Expr"),
        "result": (7, "Expr"),
    },
}
_PACKAGE = "checked"
_STRING = 5  # Type.PrimitiveType.STRING
_PRIMITIVES = ("", "bool", "int", "uint", "double", "string", "bytes")

# Messages of the shape above; protobuf makes their classes at run time.
Node = Any
NodeType = Any


class Tree:
    """A checked expression: its root node, the type of every node, and where each stands.

    Raises:
        ValueError: It is nested too deeply: CEL compiles more than protobuf reads.
    """

    def __init__(self, serialized: bytes) -> None:
        from google.protobuf.message import DecodeError

        try:
            checked = _reader().FromString(serialized).value
        except DecodeError as error:
            raise ValueError(str(error)) from error
        self.root: Node = checked.expr
        self._types = checked.type_map
        self._positions = checked.source_info.positions

    def type_of(self, node: Node) -> NodeType:
        return self._types[node.id]

    def position(self, node: Node) -> int:
        """Offset of the node in the text, in characters."""
        return int(self._positions[node.id])

    def primitive(self, node: Node) -> str:
        """`bool`, `int`, `uint`, `double`, `string` or `bytes`; empty for any other type."""
        return _PRIMITIVES[self.type_of(node).primitive]

    def literal(self, node: Node) -> str | None:
        """The text of a string literal; None for any other node."""
        is_text = node.HasField("const") and self.type_of(node).primitive == _STRING
        return str(node.const.text) if is_text else None


@lru_cache
def _reader() -> Any:
    from google.protobuf import descriptor_pool, message_factory
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    scalars = {"int": Field.TYPE_INT64, "str": Field.TYPE_STRING}
    file = FileDescriptorProto(name="checked.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _SHAPE.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            target = message.field.add(name=field, number=number, label=Field.LABEL_OPTIONAL)
            if kind.startswith("#"):
                entry = message.nested_type.add(name=field.title().replace("_", "") + "Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, type=Field.TYPE_INT64, label=Field.LABEL_OPTIONAL)
                value = entry.field.add(name="value", number=2, label=Field.LABEL_OPTIONAL)
                target.type_name = f".{_PACKAGE}.{name}.{entry.name}"
            else:
                value = target
            if kind[0] in "#*":
                target.type, target.label = Field.TYPE_MESSAGE, Field.LABEL_REPEATED
            kind = kind.lstrip("#*")
            if kind in scalars:
                value.type = scalars[kind]
            else:
                value.type, value.type_name = Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Any"))
