"""Reading YAML with a line and a column for everything, and going on after a mistake."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from registry.domain.names import did_you_mean, nearest
from registry.errors import BadDocument

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node

_TAG = "tag:yaml.org,2002:"
_EXPONENT = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+\Z")
_CALLED = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "a truth value",
    "null": "nothing",
    "timestamp": "a date",
    "map": "a mapping",
    "seq": "a list",
}


class Source:
    """A YAML text and the problems found in it so far. Its readers return None where there was one."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.problems: list[BadDocument] = []

    def documents(self) -> list[Node]:
        """The documents of the text, up to the first that is no YAML."""
        import yaml

        found: list[Node] = []
        try:
            for document in yaml.compose_all(self.text, Loader=yaml.SafeLoader):
                found.append(document)  # noqa: PERF402 - what came before a mistake is kept
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = " ".join(part for part in (error.context, error.problem) if part)
            self._add(said, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0)
        except yaml.reader.ReaderError as error:
            before = self.text[: error.position]
            column = error.position - (before.rfind("\n") + 1) + 1
            self._add("there is a character that YAML does not allow", before.count("\n") + 1, column)
        except RecursionError:
            self._add("it is nested too deeply")
        found = [node for node in found if kind_of(node) != "null"]
        if not found and not self.problems:
            self._add("the file is empty", hint="a policy file begins with kind: GatePolicy")
        return found

    def report(self, node: Node, message: str, hint: str = "") -> None:
        """Note a problem where a node begins."""
        self._add(message, node.start_mark.line + 1, node.start_mark.column + 1, hint)

    def place_of(self, node: Node) -> tuple[int, int]:
        """Line and column where a node begins, from 1."""
        return node.start_mark.line + 1, node.start_mark.column + 1

    def place_within(self, node: Node, line: int, column: int) -> tuple[int, int]:
        """Line and column in the file of a line and column of the text that a scalar holds."""
        return self._within(node, line, column)

    def report_within(self, node: Node, line: int, column: int, message: str, hint: str = "") -> None:
        """Note a problem at a line and column of the text that a scalar holds."""
        place = self._within(node, line, column)
        self._add(message, *place, hint=hint)

    def peek(self, node: Node, key: str) -> Node | None:
        """The value of a mapping's key, if there is one; nothing is a problem yet."""
        if kind_of(node) != "map":
            return None
        return next((value for name, value in node.value if name.value == key), None)

    def mapping(
        self, node: Node | None, what: str, known: Collection[str], required: Collection[str] = ()
    ) -> dict[str, Node]:
        """A mapping's values by key; unknown, repeated and missing keys are problems."""
        found = self.entries(node, what)
        for key in [key for key in found if key not in known]:
            self.report(found.pop(key)[0], f"{what} has no field {key!r}", did_you_mean(key, known))
        for key in required:
            if key not in found and node is not None and kind_of(node) == "map":
                self.report(node, f"{what} needs a field {key!r}")
        return {key: value for key, (_, value) in found.items()}

    def entries(self, node: Node | None, what: str) -> dict[str, tuple[Node, Node]]:
        """A mapping's key and value nodes, whatever the keys are called."""
        found: dict[str, tuple[Node, Node]] = {}
        if node is None:
            return found
        if kind_of(node) != "map":
            self.wrong_kind(node, what, "a mapping")
            return found
        mapping: MappingNode = node  # type: ignore[assignment]
        for key, value in mapping.value:
            name = self.text_of(key, f"a key of {what}")
            if name is None:
                continue
            if name in found:
                first = found[name][0].start_mark.line + 1
                self.report(key, f"{what} has two fields {name!r}; the first is in line {first}")
            found.setdefault(name, (key, value))
        return found

    def items(self, node: Node | None, what: str) -> list[Node]:
        """A list's nodes; an empty list is a problem."""
        if node is None:
            return []
        if kind_of(node) != "seq":
            self.wrong_kind(node, what, "a list")
            return []
        if not node.value:
            self.report(node, f"{what} is an empty list")
        return list(node.value)

    def entries_of(self, node: Node | None, what: str) -> list[Node]:
        """A list's nodes; an empty list is none, too: whoever asks says what that means."""
        if node is None or (kind_of(node) == "seq" and not node.value):
            return []
        return self.items(node, what)

    def text_of(self, node: Node | None, what: str) -> str | None:
        """A scalar that is text and not empty."""
        if node is None:
            return None
        if kind_of(node) != "str":
            self.wrong_kind(node, what, "text")
            return None
        if not node.value.strip():
            self.report(node, f"{what} is empty")
            return None
        return str(node.value)

    def texts_of(self, node: Node | None, what: str) -> dict[str, Node]:
        """A list of different texts, or a single one, each with its node."""
        nodes = [node] if node is not None and kind_of(node) == "str" else self.items(node, what)
        found: dict[str, Node] = {}
        for item in nodes:
            text = self.text_of(item, f"an entry of {what}")
            if text is None:
                continue
            if text in found:
                self.report(item, f"{what} names {text!r} twice")
            found.setdefault(text, item)
        return found

    def choice_of(self, node: Node | None, what: str, known: Collection[str]) -> str | None:
        """One of some words."""
        text = self.text_of(node, what)
        if text is None or node is None:
            return None
        if text not in known:
            close = nearest(text, known)
            hint = f"did you mean {close!r}?" if close else f"one of: {', '.join(known)}"
            self.report(node, f"{text!r} is no {what}", hint)
            return None
        return text

    def flag_of(self, node: Node | None, what: str) -> bool:
        """A truth value; false if it is not there."""
        if node is None:
            return False
        if kind_of(node) != "bool":
            self.wrong_kind(node, what, "true or false")
            return False
        return str(node.value).lower() in ("true", "yes", "on")

    def count_of(self, node: Node, what: str) -> int | None:
        """A whole number from 0."""
        value = self.param_of(node, what) if kind_of(node) == "int" else None
        if value is None or value < 0:
            self.wrong_kind(node, what, "a whole number from 0")
            return None
        return int(value)

    def param_of(self, node: Node, what: str) -> Any:
        """A number, text or truth value, or a list of one kind of them."""
        if kind_of(node) == "seq":
            values = [self.param_of(item, f"an entry of {what}") for item in node.value]
            if any(value is None or isinstance(value, tuple) for value in values):
                self.report(node, f"{what} may be a list of numbers, of texts or of truth values")
                return None
            if len({type(value) for value in values}) > 1:
                self.report(node, f"{what} mixes types")
                return None
            return tuple(values)
        if kind_of(node) not in ("int", "float", "bool", "str"):
            self.wrong_kind(node, what, "a number, text, true or false, or a list of them")
            return None
        try:
            value = self._construct(node)
            if isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
        except (ValueError, KeyError, OverflowError):
            self.report(node, f"{what} cannot be read as {_CALLED[kind_of(node)]}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.report(node, f"{what} must be a finite number")
            return None
        if isinstance(value, str) and getattr(node, "style", None) is None and _EXPONENT.match(value):
            self.report(node, f"{what}: YAML takes {value} for text", f"write {float(value)!r}")
            return None
        return value

    def _construct(self, node: Node) -> Any:
        import yaml

        return yaml.constructor.SafeConstructor().construct_object(node)

    def wrong_kind(self, node: Node, what: str, wanted: str) -> None:
        """Note that a node is not what it must be."""
        kind = kind_of(node)
        hint = (
            "put it in quotes" if wanted == "text" and kind in ("int", "float", "bool", "timestamp") else ""
        )
        shown = (
            f" ({node.value})" if isinstance(node.value, str) and node.value and len(node.value) <= 40 else ""
        )
        self.report(node, f"{what} must be {wanted}, and is {_CALLED.get(kind, kind)}{shown}", hint)

    def _add(self, message: str, line: int = 0, column: int = 0, hint: str = "") -> None:
        self.problems.append(BadDocument(message, file=self.file, line=line, column=column, hint=hint))

    def _within(self, node: Node, line: int, column: int) -> tuple[int, int]:
        """Where a scalar's line and column stand in the file."""
        start, style = node.start_mark, getattr(node, "style", None)
        if style == "|":
            first = next((text for text in self.text.splitlines()[start.line + 1 :] if text.strip()), "")
            written = next((text for text in node.value.splitlines() if text.strip()), "")
            return start.line + 1 + line, _lead(first) - _lead(written) + column
        raw = self.text[start.index : node.end_mark.index]
        before = "".join(node.value.splitlines(keepends=True)[: line - 1])
        offset = len(before) + column - 1
        head = raw.find("\n") + 1 if style == ">" else 0
        if style in (None, ">"):
            # Folding changes nothing but blanks: the same character has as many others before it.
            found = _nth(raw, head, sum(not c.isspace() for c in node.value[:offset]))
        else:
            at = raw.find(node.value)
            found = -1 if at < 0 or "\n" in raw else at + offset
        if found < 0:
            return start.line + 1, start.column + 1
        place = start.index + found
        return self.text.count("\n", 0, place) + 1, place - self.text.rfind("\n", 0, place)


def _nth(text: str, start: int, number: int) -> int:
    """Offset of the character that has `number` others before it, blanks not counted; -1 if there is none."""
    for offset in range(start, len(text)):
        if not text[offset].isspace():
            if number == 0:
                return offset
            number -= 1
    return -1


def _lead(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def kind_of(node: Node) -> str:
    """`str`, `int`, `map`, ...: what a node is, whatever tag it was given."""
    if not isinstance(node.value, str):
        return "map" if getattr(node, "id", "") == "mapping" else "seq"
    kind = str(node.tag).removeprefix(_TAG)
    return kind if kind not in ("map", "seq") else str(node.tag)
