"""A version's whole life through the shipped gates."""

from __future__ import annotations

import pytest

from integration.builder import Builder

ROAD = ("prepared", "designed", "trained", "evaluated", "deployed", "monitored", "retired")


def test_from_planned_to_retired_through_every_gate(builder: Builder) -> None:
    ref = builder.plan()
    alice = builder.acting("alice")
    for stage in ROAD:
        builder.supply(ref, stage)
        decision = alice.promote(ref, stage)
        assert decision.allowed, decision.verdict.blocking
    print(len(alice.log()))
    assert alice.verify(artifacts=True).ok
