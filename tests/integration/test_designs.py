"""Designs with an estimate: recorded together, refused together, and gone together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from integration.conftest import At

from registry.api import Registry
from registry.errors import Conflict, DoesNotFit, WrongStage
from registry.extension import Estimate
from registry.usecases.estimate import EstimatedDesign

REF = "loans/1"
GIB = 2**30


def estimate(**changes: Any) -> Estimate:
    found = Estimate(
        plugin="train-classifier",
        architecture="Bert",
        parameters=1000,
        trained=1000,
        memory={"weights": 3 * GIB, "activations": GIB},
        device="h100",
        capacity=8 * GIB,
        processes=1,
        steps=100,
        flops_per_step=1e17,
        seconds=7200.0,
    )
    return replace(found, **changes)


def estimated(registry: Registry, values: dict[str, str], **changes: Any) -> EstimatedDesign:
    return EstimatedDesign(
        estimate(**changes),
        {"plugin": "train-classifier", "architecture": "Bert"},
        dict(registry.version(REF).design),
        values,
    )


@pytest.fixture
def planned(at: At) -> Registry:
    """With loans/1, which alice has planned."""
    return at("planned").acting("alice")


def test_an_estimate_is_recorded_with_its_design(planned: Registry) -> None:
    values = {"layers": "4"}
    found = planned.design(REF, values, estimated=estimated(planned, values)).design
    assert found["layers"] == "4"
    assert (found["plugin"], found["architecture"]) == ("train-classifier", "Bert")
    assert (found["estimated_parameters"], found["estimated_memory_gib"]) == (1000, 4.0)
    assert (found["estimated_hours"], found["estimated_flops"]) == (2.0, 1e19)
    assert found["estimated_device"] == "h100"
    last = planned.history(REF)[-1]
    assert last.action == "design-recorded"
    assert "estimated_hours=2," in last.text
    _, dossier = planned.explain(REF, "prepared")
    assert dossier.subject.design["estimated_hours"] == "2.0"
    planned.verify()


def test_it_goes_when_a_choice_changes(planned: Registry) -> None:
    planned.design(REF, {}, estimated=estimated(planned, {}))
    found = planned.design(REF, {"layers": "8"}).design
    assert found == {"plugin": "train-classifier", "architecture": "Bert", "layers": "8"}


def test_what_somebody_estimated_by_hand_stays(planned: Registry) -> None:
    planned.design(REF, {"estimated_hours": "3"})
    assert planned.design(REF, {"layers": "8"}).design == {"estimated_hours": "3", "layers": "8"}


def test_what_does_not_fit_is_not_recorded(planned: Registry) -> None:
    values = {"layers": "96"}
    too_large = estimated(
        planned, values, capacity=2 * GIB, remedies=("micro_batch=4 precision=bf16", "shards=2")
    )
    with pytest.raises(DoesNotFit) as caught:
        planned.design(REF, values, estimated=too_large)
    assert caught.value.message == (
        "a training takes 4.0 GiB (weights 3.0, activations 1.0), and h100 gives it 2.0 GiB"
    )
    assert caught.value.hint == "--set micro_batch=4 --set precision=bf16 or --set shards=2"
    assert caught.value.exit_code == 1
    assert planned.version(REF).design == {}


def test_an_estimate_of_another_design_is_not_recorded(planned: Registry) -> None:
    made = estimated(planned, {"layers": "4"})
    with pytest.raises(Conflict, match="the design has changed since it was estimated"):
        planned.design(REF, {"layers": "5"}, estimated=made)
    planned.design(REF, {"heads": "2"})
    with pytest.raises(Conflict, match="the design has changed since it was estimated"):
        planned.design(REF, {"layers": "4"}, estimated=made)
    assert planned.version(REF).design == {"heads": "2"}


def test_a_design_that_takes_too_many_hours_is_stopped_by_the_budget(at: At) -> None:
    """The default gate reads `estimated_hours`; the plan allows ten."""
    registry = at("prepared").acting("alice")
    for hours, outcome in ((9.5, "pass"), (10.5, "fail")):
        registry.design(REF, {}, estimated=estimated(registry, {}, seconds=3600 * hours))
        decision, _ = registry.explain(REF, "designed")
        (rule,) = [rule for rule in decision.verdict.results if rule.rule.startswith("design-within-budget/")]
        assert rule.outcome == outcome


@pytest.mark.parametrize("stage", ["trained", "evaluated"])
def test_nobody_searches_what_is_settled(stage: str, at: At) -> None:
    registry = at(stage).acting("alice")
    options = {"plugin": "train-classifier", "space": {"layers": [1, 2]}}
    with pytest.raises(WrongStage, match=r"design is done while a version is .*designed; loans/1 is"):
        registry.runs.start("search", REF, config=options)
    with pytest.raises(WrongStage, match=r"design is done while a version is .*designed; loans/1 is"):
        registry.estimate(REF, {}, plugin="train-classifier")
