"""What a gate sees is generated from our own classes, field by field."""

from __future__ import annotations

import dataclasses
import math
from datetime import datetime

import pytest
from unit.policy import samples

from registry.domain.dossier import Dossier
from registry.policy.schema import schema, seen_classes, seen_fields


def test_every_class_within_reach_of_a_dossier_is_seen() -> None:
    names = set(seen_classes())
    assert names == {
        "SubjectFacts",
        "SystemFacts",
        "EvidenceFacts",
        "DataFacts",
        "TargetFacts",
        "ApprovalFacts",
        "DeploymentFacts",
        "ActorFacts",
        "WaiverFacts",
        "FindingFacts",
        "RiskFacts",
        "SignatureFacts",
        "ChampionFacts",
    }


@pytest.mark.parametrize("cls", seen_classes().values(), ids=lambda cls: cls.__name__)
def test_a_message_has_every_field_of_its_class(cls: type) -> None:
    described = schema().pool.FindMessageTypeByName(f"phasegate.{cls.__name__}")
    assert [field.name for field in described.fields] == [field.name for field in dataclasses.fields(cls)]


def test_conversion_keeps_every_value() -> None:
    facts = samples.data("train")
    message = schema().message(facts)
    made = message.evidence["check.pii"]  # type: ignore[attr-defined]
    original = facts.evidence["check.pii"]
    assert dict(made.metrics) == original.metrics
    assert dict(made.facts) == original.facts
    assert made.coverage == original.coverage
    assert made.created_at.ToDatetime(samples.NOW.tzinfo) == original.created_at
    assert not made.HasField("valid_until")


def test_a_time_without_a_zone_is_refused() -> None:
    naive = samples.evidence("check.bias", {}, created_at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        schema().message(naive)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_not_shown(value: float) -> None:
    message = schema().message(samples.evidence("check.bias", {"gap": value, "groups": 2.0}))
    assert dict(message.metrics) == {"groups": 2.0}  # type: ignore[attr-defined]


def test_fields_are_typed_as_in_the_class() -> None:
    assert set(seen_fields(Dossier)) >= {"subject", "to", "now", "evidence", "data", "targets", "approvals"}
