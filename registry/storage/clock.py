"""What time it is: by the database's own clock, where it has one, for a writer's may be wrong."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, null

# What has expired is judged by it. SQLite has none but that of the machine.
CLOCKS: dict[str, Any] = {"postgresql": func.clock_timestamp(), "sqlite": null()}
