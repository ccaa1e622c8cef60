"""A process that replays a part of a ledger, told which by its input."""

from __future__ import annotations

import json
import marshal
import sys

from registry.storage.database import Database
from registry.usecases.ledger_replay import replay_part


def main() -> None:
    """Read `[url, first, end]`, write the part."""
    url, first, end = json.load(sys.stdin)
    database = Database(url)
    with database.read() as session:
        part = replay_part(session.connection(), first, end)
    marshal.dump(part.plain(), sys.stdout.buffer)


if __name__ == "__main__":
    main()
