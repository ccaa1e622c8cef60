"""The types that an expression sees, made from the classes of `registry.domain.dossier`.

Each dataclass becomes a protobuf message of the same fields, in a pool of our own. So the
type checker of CEL knows every field by name and type, and a misspelt one cannot be published.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections import abc
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from registry.domain.dossier import Dossier
from registry.errors import Defect

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

PACKAGE = "phasegate"
TIMESTAMP = "google.protobuf.Timestamp"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Convert = Callable[[Any], Any]


def type_name(cls: type) -> str:
    """Full name of a dataclass's message."""
    return f"{PACKAGE}.{cls.__name__}"


@lru_cache
def seen_fields(cls: type) -> dict[str, Any]:
    """Fields of a dataclass and their types; `X | None` is X, which may be unset."""
    hints = get_type_hints(cls)
    return {field.name: _unwrap(hints[field.name]) for field in dataclasses.fields(cls)}


@lru_cache
def seen_classes() -> dict[str, type]:
    """Every dataclass within reach of a dossier, by name."""
    return {cls.__name__: cls for cls in _reachable(Dossier, set()) if cls is not Dossier}


def part_of(hint: Any) -> Any:
    """What a mapping or a tuple holds; anything else itself."""
    if get_origin(hint) is abc.Mapping:
        return get_args(hint)[1]
    if get_origin(hint) is tuple:
        return get_args(hint)[0]
    return hint


class Schema:
    """Message classes of everything that a gate sees, and the way from our objects to them."""

    def __init__(self) -> None:
        from google.protobuf import descriptor_pool, message_factory, timestamp_pb2

        self.pool: DescriptorPool = descriptor_pool.DescriptorPool()
        self.pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        self.pool.AddSerializedFile(_describe(seen_classes().values()))
        find = self.pool.FindMessageTypeByName
        self._timestamp = message_factory.GetMessageClass(find(TIMESTAMP))
        self._messages = {
            cls: message_factory.GetMessageClass(find(type_name(cls))) for cls in seen_classes().values()
        }
        self._fields: dict[type, list[tuple[str, Convert | None]]] = {}

    def message(self, value: Any) -> Message:
        """One of our objects as its message.

        Raises:
            ValueError: A time without a zone, a number that is none, or a text that is no Unicode.
            TypeError: A value of another type than its field's.
        """
        cls: type = type(value)
        if cls not in self._fields:
            self._fields[cls] = [(name, self._converter(hint)) for name, hint in seen_fields(cls).items()]
        given = {}
        for name, convert in self._fields[cls]:
            item = getattr(value, name)
            given[name] = item if convert is None else convert(item)
        return self._messages[cls](**given)

    def _converter(self, hint: Any) -> Convert | None:
        """How a value of a type becomes what protobuf takes; None if it is that already."""
        part = part_of(hint)
        inner = self._plain(part)
        if get_origin(hint) is abc.Mapping:
            if part is float:
                return _finite_items
            return dict if inner is None else lambda value: {key: inner(item) for key, item in value.items()}
        if get_origin(hint) is tuple:
            return None if inner is None else lambda value: [inner(item) for item in value]
        return _finite if part is float else inner

    def _plain(self, hint: Any) -> Convert | None:
        if hint is datetime:
            return self._time
        return self.message if dataclasses.is_dataclass(hint) else None

    def _time(self, value: datetime | None) -> Message | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"the time {value.isoformat()} says no time zone")
        since = value - _EPOCH
        return self._timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


@lru_cache
def schema() -> Schema:
    """The schema, made once."""
    return Schema()


def _finite(value: float) -> float:
    # NaN answers every comparison with False, so `!(x > limit)` would pass; left out, it would be seen as 0.
    if not math.isfinite(value):
        raise ValueError(f"a number is {value}")
    return value


def _finite_items(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _unwrap(hint: Any) -> Any:
    if get_origin(hint) is types.UnionType:
        (hint,) = (option for option in get_args(hint) if option is not types.NoneType)
    return hint


def _reachable(cls: type, seen: set[type]) -> Iterator[type]:
    if cls in seen:
        return
    seen.add(cls)
    yield cls
    for hint in seen_fields(cls).values():
        part = part_of(hint)
        if dataclasses.is_dataclass(part):
            assert isinstance(part, type)
            yield from _reachable(part, seen)


def _describe(classes: abc.Iterable[type]) -> bytes:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name="phasegate.proto", package=PACKAGE, syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    for cls in classes:
        message = file.message_type.add(name=cls.__name__)
        for number, (name, hint) in enumerate(seen_fields(cls).items(), 1):
            _describe_field(message, number, name, hint)
    return file.SerializeToString()


def _describe_field(message: DescriptorProto, number: int, name: str, hint: Any) -> None:
    field = message.field.add(name=name, number=number)
    repeated = field.LABEL_REPEATED if get_origin(hint) in (abc.Mapping, tuple) else field.LABEL_OPTIONAL
    if get_origin(hint) is abc.Mapping:
        # This is what `map<string, X>` stands for on the wire.
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
        _set_type(entry.field.add(name="value", number=2, label=field.LABEL_OPTIONAL), part_of(hint))
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{message.name}.{entry.name}"
    else:
        _set_type(field, part_of(hint))
    field.label = repeated


def _set_type(field: FieldDescriptorProto, hint: Any) -> None:
    scalars = {str: field.TYPE_STRING, int: field.TYPE_INT64, float: field.TYPE_DOUBLE, bool: field.TYPE_BOOL}
    if hint in scalars:
        field.type = scalars[hint]
    elif hint is datetime:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{TIMESTAMP}"
    elif dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        field.type, field.type_name = field.TYPE_MESSAGE, f".{type_name(hint)}"
    else:
        raise Defect(f"a policy cannot see a field of type {hint}")
