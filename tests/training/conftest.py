"""Fixtures of the engine's tests: the tables and trainings of the plugins' tests."""

from __future__ import annotations

from plugins.conftest import sentiment_test, sentiment_train, tiny_options, tiny_trained, train_tiny

__all__ = ["sentiment_test", "sentiment_train", "tiny_options", "tiny_trained", "train_tiny"]
