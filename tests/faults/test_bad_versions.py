"""Artifacts and deployments that cannot be recorded: the version stays what it was, and nothing runs on."""

from __future__ import annotations

import pytest
from cli.command import Phasegate
from faults.watching import processes

VERSION = "moods/1"


def test_an_artifact_from_elsewhere_is_not_the_versions(planned: Phasegate) -> None:
    before = planned("model", "show", VERSION, "--json").json
    answer = planned("run", "trains", VERSION, "--set", "inside=false", expect=3)
    assert "is outside the run's folder" in answer.err
    assert planned("model", "show", VERSION, "--json").json == before
    planned.verify()


@pytest.mark.parametrize("stops", [True, False])
def test_what_cannot_be_recorded_is_stopped_again(stops: bool, planned: Phasegate) -> None:
    planned("run", "trains", VERSION)
    before = planned("model", "show", VERSION, "--json").json
    answer = planned("run", "deploys", VERSION, "--set", f"stops={stops}", expect=3)
    assert "its result was not recorded: a value cannot be stored" in answer.err
    assert ("it could not be stopped: it does not listen" in answer.err) is not stops
    service = (planned.home / "deployments" / "2" / "service").read_text()
    assert service == ("stopped" if stops else "running")
    assert planned("deployment", "list", "--json").json == []
    assert planned("model", "show", VERSION, "--json").json == before
    assert planned("runs", "show", "2", "--json").json["state"] == "failed"
    assert not processes(planned.home, within=5.0)
    planned.verify()
