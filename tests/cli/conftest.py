"""Fixtures of the command line's tests."""

from cli.command import empty_home, phasegate, planned_home, version, words

__all__ = ["empty_home", "phasegate", "planned_home", "version", "words"]
