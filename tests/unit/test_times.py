"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from registry.cli.times import read_time
from registry.errors import BadInput


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T12:00Z", "2027-01-31T12:00:00+00:00"),
        ("2027-01-31 12:00:30.5", "2027-01-31T12:00:30.500000+00:00"),
        ("2027-01-31T12:00+02:00", "2027-01-31T10:00:00+00:00"),
        (" 2027-01-31T23:00-02:00 ", "2027-02-01T01:00:00+00:00"),
    ],
)
def test_a_date(text: str, moment: str) -> None:
    found = read_time(text, "--until")
    assert found.isoformat() == moment
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "away"), [("30d", timedelta(days=30)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2))]
)
def test_how_far_away(text: str, away: timedelta) -> None:
    near = timedelta(seconds=5)
    assert abs(read_time(text, "--until") - datetime.now(UTC) - away) < near
    assert abs(read_time(text, "--since", past=True) - datetime.now(UTC) + away) < near


@pytest.mark.parametrize(
    "text",
    ["", "soon", "30", "30x", "-3d", "12:00", "2027-02-30", "999999w", "1e9", "0001-01-01T00:00+02:00"],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadInput, match=r"^--until: "):
        read_time(text, "--until")
