"""Phasegate: a model registry that can say no.

```python
import registry

with registry.open("./.phasegate") as reg:
    decision = reg.promote("loans/1", "deployed")
    print(decision.allowed)
```
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.api import Registry

__all__ = ["open"]


def open(
    home: str | Path | None = None,
    *,
    database: str | None = None,
    actor: str | None = None,
    create: bool = False,
) -> Registry:
    """Open a registry; all that the command line does can be done with what this returns.

    Args:
        home: Its folder; `$PHASEGATE_HOME` or `./.phasegate` unless given.
        database: SQLAlchemy URL; `registry.db` in the home unless given.
        actor: Who acts; `$PHASEGATE_ACTOR` or the operating system's user unless given.
        create: Make the registry if there is none.

    Raises:
        DatabaseUnusable: There is none, or it cannot be used by this release.
    """
    from registry.api import Registry

    return Registry.open(home, database=database, actor=actor, create=create)
