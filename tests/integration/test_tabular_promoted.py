"""A credit model of scikit-learn under the shipped policies: its training is judged as every other is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from integration.builder import GOOD_DATA, Builder

from registry.api import Registry


def loans(path: Path, rows: int, seed: int) -> Path:
    """Loans that are granted by income, as a CSV file."""
    dice = random.Random(seed)
    lines = ["income,purpose,sex,label"]
    for _ in range(rows):
        income = dice.gauss(30, 8)
        label = "yes" if income + dice.gauss(0, 3) > 30 else "no"
        lines.append(f"{income:.2f},{dice.choice(['car', 'house'])},{dice.choice('fm')},{label}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def designed(builder: Builder, tmp_path: Path) -> tuple[Builder, Registry, str]:
    """A designed version of limited risk, with real data whose checks went well."""
    alice = builder.acting("alice")
    alice.add_system(
        "credit",
        purpose="decides about loans",
        risk_tier="limited",
        affected_groups=["women", "men"],
        prohibited_uses=["to set interest rates"],
        oversight="a clerk decides",
    )
    data = {}
    for seed, role in enumerate(("train", "test")):
        made = alice.add_dataset(
            f"real-{role}", loans(tmp_path / f"{role}.csv", 200, seed), sensitive=["sex"], licence="CC0"
        )
        data[role] = made.ref
        builder.judge_data(made.ref, GOOD_DATA)
    builder.judge_for_tier(data, "limited")
    ref = alice.plan("real", system="credit", targets=["f1>=0.5"], data=data, budget_hours=1).ref
    builder.bring(ref, "designed")
    return builder, alice, ref


def test_a_trained_tabular_model_passes_the_gate_of_trained(designed: tuple[Builder, Registry, str]) -> None:
    _, alice, ref = designed
    assert alice.run("train-tabular", ref).state == "succeeded"
    decision = alice.promote(ref, "trained")
    assert decision.allowed, decision.verdict.blocking
    judged = {result.rule for result in decision.verdict.results}
    assert {
        "training-healthy/converged",
        "label-audit/no-mismatch",
        "provenance-complete/trained-on",
    } <= judged
    assert alice.verify(artifacts=True).ok


def test_one_that_learned_nothing_does_not(designed: tuple[Builder, Registry, str]) -> None:
    _, alice, ref = designed
    alice.run("train-tabular", ref, config={"ignore": "income"})
    decision = alice.promote(ref, "trained")
    assert not decision.allowed
    assert "training-healthy/converged" in {result.rule for result in decision.verdict.blocking}
