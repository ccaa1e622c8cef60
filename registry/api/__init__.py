"""The registry as an object: every verb of the command line, for Python."""

from registry.api.registry import Registry, default_actor

__all__ = ["Registry", "default_actor"]
