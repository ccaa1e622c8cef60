"""The default policies as documents: complete, with commands that exist, with cases that notice changes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from registry.cli.main import cli
from registry.domain.decision import Action
from registry.domain.tiers import TIERS
from registry.extension.discovery import load_plugin
from registry.policy import GatePolicy, Validation, check, shipped_lifecycle, shipped_policies
from registry.policy.shipped import shipped_texts
from registry.policy.templates import fill, places_in
from registry.usecases.policy_testing import try_policies

FOLDER = Path(__file__).resolve().parents[3] / "policies"
LIFECYCLE = shipped_lifecycle()
SHIPPED = shipped_policies()
POLICIES = {policy.name: policy for policy in SHIPPED.policies}
RULES = [
    pytest.param(policy, rule, id=f"{policy.name}/{rule.id}")
    for policy in SHIPPED.policies
    for rule in policy.validations
]
# Frameworks whose controls a policy may name, and how each numbers them.
CONTROL = re.compile(
    r"eu-ai-act/(art-\d+|annex-iv-\d[a-h]?)|gdpr/art-\d+|iso-42001/A\.\d+|us-mrm/sr-26-2"
    r"|nist-ai-rmf/(GOVERN|MAP|MEASURE|MANAGE)-\d\.\d+|nist-ai-600-1/[a-z-]+"
)
FILLED = {"version": "loans/1", "item": "data/1"}
STRICTNESS = (Action.AUDIT, Action.WARN, Action.DENY)


def test_every_shipped_file_is_without_a_problem() -> None:
    for name, text in shipped_texts().items():
        assert check(text, name, LIFECYCLE) == [], name


def test_every_outcome_has_a_case_and_every_change_of_an_operator_or_a_number_is_noticed() -> None:
    report = try_policies([FOLDER], wanted=1.0, mutate=True)
    assert [result.name for result in report.failed] == []
    assert report.complaints == ()
    assert set(report.policies) == set(POLICIES)
    assert report.rate == 1.0
    assert report.mutants is not None
    assert report.mutants > 500


def test_every_file_has_its_cases_beside_it() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"lifecycle.yaml"}
    assert files == {path.name for path in (FOLDER / "cases").glob("*.yaml")}
    assert files == {f"{stage}.yaml" for stage in LIFECYCLE.stages[1:]} | {"champion.yaml"}


@pytest.mark.parametrize("policy", SHIPPED.policies, ids=lambda policy: policy.name)
def test_every_policy_says_what_it_does_why_and_what_to_do_instead(policy: GatePolicy) -> None:
    assert policy.title
    what, why, instead = policy.description.split("\n")
    assert len(what) > 40
    assert len(why) > 20
    assert len(instead) > 15
    assert policy.controls
    assert [control for control in policy.controls if not CONTROL.fullmatch(control)] == []


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_every_rule_shows_what_it_saw_and_what_it_asks_for(policy: GatePolicy, rule: Validation) -> None:
    assert rule.message
    assert rule.remedy
    assert rule.limit
    assert rule.value, f"{policy.name}/{rule.id}"


@pytest.mark.parametrize(("policy", "rule"), RULES)
def test_every_remedy_is_a_command_that_exists(policy: GatePolicy, rule: Validation) -> None:
    for template in filter(None, (rule.remedy, rule.supply)):
        places = {place: FILLED.get(place, place) for place, _ in places_in(template)}
        for command in fill(template, places).split(" && "):
            accept(shlex.split(command))


def accept(words: list[str]) -> None:
    """Fail unless the command line takes these words, and the plugin these options."""
    program, *rest = words
    assert program == "phasegate"
    command: click.Command = cli
    context = click.Context(cli)
    name = program
    while isinstance(command, click.Group):
        name = rest.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    numbers = [re.sub(r"^N$", "1", word) for word in rest]
    given = command.make_context(name, numbers).params  # raises for words that it does not take
    if name == "run":
        known = set(load_plugin(given["plugin"]).config_type.model_fields)
        assert {pair.partition("=")[0] for pair in given["values"]} <= known


def test_every_policy_is_in_force() -> None:
    assert {binding.policy for binding in SHIPPED.bindings} == set(POLICIES)


def test_what_is_asked_of_a_tier_is_asked_of_every_higher_one() -> None:
    for policy in SHIPPED.policies:
        actions = [
            max(
                (
                    STRICTNESS.index(binding.action)
                    for binding in SHIPPED.bindings
                    if binding.policy == policy.name
                    and (not binding.scope.risk_tiers or tier in binding.scope.risk_tiers)
                ),
                default=-1,
            )
            for tier in TIERS
        ]
        if policy.name != "no-rejection":  # which `approvals` asks of the others
            assert actions == sorted(actions), policy.name


def test_no_two_bindings_of_a_policy_speak_of_the_same_tier() -> None:
    for policy in SHIPPED.policies:
        tiers = [
            tier
            for binding in SHIPPED.bindings
            if binding.policy == policy.name
            for tier in binding.scope.risk_tiers or TIERS
        ]
        assert len(tiers) == len(set(tiers)), policy.name


@pytest.mark.parametrize("tier", TIERS)
def test_every_step_that_is_not_open_has_a_policy_that_denies(tier: str) -> None:
    denying = {
        binding.policy
        for binding in SHIPPED.bindings
        if binding.action is Action.DENY and tier in (binding.scope.risk_tiers or TIERS)
    }
    for step in (step for step in LIFECYCLE.steps if not step.open):
        governing = {
            policy.name
            for policy in SHIPPED.policies
            if step.to in policy.match.to
            and (not policy.match.origin or step.origin in policy.match.origin)
            and not policy.match.when
        }
        assert governing & denying, (tier, step)


def test_no_policy_closes_an_open_step() -> None:
    for step in (step for step in LIFECYCLE.steps if step.open):
        for policy in SHIPPED.policies:
            assert step.origin not in policy.match.origin or step.to not in policy.match.to, policy.name


def test_policies_survive_storage_unchanged() -> None:
    for policy in SHIPPED.policies:
        assert GatePolicy.from_document(policy.document).digest == policy.digest
