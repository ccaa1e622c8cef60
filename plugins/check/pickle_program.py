"""What a pickle would do if it were loaded, read without loading it.

A pickle is a program for a small stack machine; its opcodes are listed by the
standard library's `pickletools`, which runs nothing.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import BinaryIO

# Reading these builds numbers, texts and arrays, and runs nothing of the file's choosing.
HARMLESS = frozenset(
    {
        "collections OrderedDict",
        "numpy dtype",
        "numpy ndarray",
        "numpy._core.multiarray _reconstruct",
        "numpy._core.multiarray scalar",
        "numpy._core.numeric _frombuffer",
        "numpy.core.multiarray _reconstruct",
        "numpy.core.multiarray scalar",
        "numpy.core.numeric _frombuffer",
    }
)
_TEXT = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "SHORT_BINSTRING", "BINSTRING"}
)
_PUT = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GET = frozenset({"GET", "BINGET", "LONG_BINGET"})
_CALL = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_HOOK = {
    **dict.fromkeys(("PERSID", "BINPERSID"), "(a persistent id)"),
    **dict.fromkeys(("EXT1", "EXT2", "EXT4"), "(a registered extension)"),
}


@dataclass(frozen=True, slots=True)
class PickleProgram:
    """A pickle's opcodes in short.

    Attributes:
        globals: What it imports, as `module name`; `(computed)` where only running it would tell.
        calls: Whether it calls anything.
        complete: Whether it could be read to its end and nothing follows.
    """

    globals: tuple[str, ...]
    calls: bool
    complete: bool

    @property
    def harmless(self) -> bool:
        """Whether all of it could be read, and all that it imports is known to do no harm."""
        return self.complete and HARMLESS.issuperset(self.globals)


def read_pickle(stream: BinaryIO) -> PickleProgram | None:
    """The program in a file, or None if it begins with none.

    A broken one counts: what stands before the break has run when the reader finds it.
    """
    tracer = _Tracer()
    stopped = False
    start = stream.read(2)
    stream.seek(0)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            tracer.step(opcode.name, argument)
            stopped = opcode.name == "STOP"
    except ValueError:
        stopped = False
    announced = len(start) == 2 and start[0] == 0x80 and start[1] <= 5
    # Protocols 0 and 1 announce nothing, so almost any text begins with some opcode.
    if not announced and not (tracer.calls and tracer.globals) and not (stopped and tracer.steps > 1):
        return None
    return PickleProgram(tuple(sorted(tracer.globals)), tracer.calls, stopped and not stream.read(1))


class _Tracer:
    """Follows just enough of the stack to name imports.

    STACK_GLOBAL takes its two names from the stack. They are known for certain only if the
    two operations before it pushed texts; whatever else a file does there is `(computed)`.
    """

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.calls = False
        self.steps = 0
        self._pushed: list[str | None] = [None, None]
        self._memo: dict[int, str | None] = {}

    def step(self, name: str, argument: object) -> None:
        self.steps += 1
        if name in _PUT:
            self._memo[len(self._memo) if argument is None else int(str(argument))] = self._pushed[-1]
            return
        if name == "FRAME":
            return
        if name in ("GLOBAL", "INST"):
            self.globals.add(str(argument))
        elif name == "STACK_GLOBAL":
            module, attribute = self._pushed
            self.globals.add("(computed)" if None in (module, attribute) else f"{module} {attribute}")
        elif name in _HOOK:
            self.globals.add(_HOOK[name])
        self.calls = self.calls or name in _CALL
        text = None
        if name in _TEXT:
            text = str(argument)
        elif name in _GET:
            text = self._memo.get(int(str(argument)))
        self._pushed = [self._pushed[1], text]
