"""Following a run while it runs, from whichever process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from registry.runner.folder import RunFolder
from registry.runner.lease import OPEN, held
from registry.storage import find
from registry.storage.database import Database
from registry.storage.home import Home
from registry.usecases.recovery import recover_runs

_TICK = 0.1
_LOOK = 2.0


def follow_run(database: Database, home: Home, number: int) -> Iterator[dict[str, Any]]:
    """Yield a run's events as they come, and stop when its end is recorded.

    If its supervisor dies meanwhile, it gets another one.

    Yields:
        `{"type": "metric", "name", "value", "step"}`, `{"type": "progress", "done", "total", "message"}`,
        `{"type": "log", "text"}`, `{"type": "checkpoint", "step"}`, each with `seq` and `at`.

    Raises:
        NotFound: No such run.
    """
    folder = RunFolder(home.runs / str(number))
    looked = time.monotonic()
    while True:
        with database.read() as session:
            open_ = find.run(session, number).state in OPEN
            looked_after = held(session, number)
        yield from folder.events()
        if not open_:
            return
        if time.monotonic() - looked > _LOOK:
            looked = time.monotonic()
            if not looked_after:
                recover_runs(database, home)
        time.sleep(_TICK)
