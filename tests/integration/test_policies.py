"""Policies published, put in force, taken out of it, and replayed: on both databases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.builder import Builder
from integration.conftest import At
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError

from registry.api import Registry
from registry.domain.decision import Action
from registry.errors import BadDocument, BadInput, NoSuchStage, NotFound, NotPermitted, RegistryError
from registry.policy import GateBinding
from registry.policy.scopes import BindingScope
from registry.storage.tables import DecisionRow

REF = "loans/1"
SMALL = """\
kind: GatePolicy
metadata: {name: small, title: Little data}
match: {from: [planned], to: [prepared]}
params: {most: 10, roles: [test]}
validations:
  - id: rows
    expression: double(data['test'].rows) <= params.most
    message: too many rows
    value: data['test'].rows
    limit: params.most
"""
BOUND = """\
---
kind: GateBinding
metadata: {name: small}
policy: small
action: deny
"""


@pytest.fixture
def root(at: At) -> Registry:
    """With loans/1, which alice has planned; root is the admin."""
    return at("planned").acting("root")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + BOUND)
    return path


# -- publishing ----------------------------------------------------------------------------------


def test_a_file_is_published_and_its_bindings_are_in_force(root: Registry, file: Path) -> None:
    (made,) = root.gate.publish([file])
    assert (made.name, made.new, made.bound, made.behind) == ("small", True, ("small",), ())
    assert [result.rule for result in root.promote(REF, "prepared").verdict.blocking] == ["small/rows"]
    # Again: nothing happens.
    size = root.verify().size
    assert not root.gate.publish([file])[0].new
    assert root.verify().size == size


def test_a_changed_file_is_a_new_version_and_the_old_one_stays_in_force(root: Registry, file: Path) -> None:
    (first,) = root.gate.publish([file])
    file.write_text(SMALL.replace("most: 10,", "most: 1000,"))
    (second,) = root.gate.publish([file])
    assert second.new
    assert second.bound == ()
    assert [(old.name, old.digest, old.outdated) for old in second.behind] == [("small", first.digest, True)]
    assert not root.promote(REF, "prepared").allowed
    bound = root.gate.bind(GateBinding("small", "small", Action.DENY))
    assert (bound.digest, bound.outdated) == (second.digest, False)
    assert root.promote(REF, "prepared").allowed
    assert root.gate.versions("small") == [first.digest, second.digest]
    assert root.gate.version(f"small@{first.digest}").document["params"]["most"] == 10
    assert root.gate.version("small").digest == second.digest
    assert root.verify().ok


def test_publishing_without_binding_puts_nothing_in_force(root: Registry, file: Path) -> None:
    (made,) = root.gate.publish([file], binding=False)
    assert (made.new, made.bound) == (True, ())
    assert root.promote(REF, "prepared").allowed


def test_bindings_may_be_in_another_file_and_cases_are_passed_over(
    root: Registry, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "bindings.yaml"
    file.write_text(SMALL + "---\nkind: PolicyCases\npolicy: small\ncases: []\n")
    other.write_text(BOUND.removeprefix("---\n").replace("action", "params: {most: 3}\naction"))
    (made,) = root.gate.publish([other, file])
    assert made.bound == ("small",)
    assert [one.params for one in root.gate.bindings() if one.name == "small"] == [{"most": 3.0}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("data['test'].rows)", "data['test'].row)"), "did you mean 'rows'?"),
        (lambda text: text.replace("policy: small", "policy: smal"), "there is no policy 'smal'"),
        (lambda text: text.replace("action: deny", "action: denny"), "did you mean 'deny'?"),
        (lambda text: text.replace("action: deny", "action: deny\nscope: {to: [prepard]}"), "'prepared'"),
        (lambda text: "kind: PolicyCases\npolicy: small\ncases: []\n", "neither policy nor binding"),
        (lambda text: text + "---\n" + _lifecycle(), "a lifecycle is not published with policies"),
    ],
)
def test_a_file_with_mistakes_publishes_nothing(change, said: str, root: Registry, file: Path) -> None:  # type: ignore[no-untyped-def]
    good = file.with_name("good.yaml")
    good.write_text(SMALL.replace("name: small", "name: other"))
    file.write_text(change(SMALL + BOUND))
    size = root.verify().size
    with pytest.raises(BadDocument) as caught:
        root.gate.publish([good, file])
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert root.verify().size == size
    with pytest.raises(NotFound):
        root.gate.version("other")


def _lifecycle() -> str:
    from registry.policy.shipped import shipped_texts

    return shipped_texts()["lifecycle.yaml"]


def test_all_mistakes_of_all_files_are_told_at_once(root: Registry, file: Path) -> None:
    file.write_text(SMALL.replace("].rows)", "].row)") + BOUND.replace("deny", "denny"))
    twin = file.with_name("twin.yaml")
    twin.write_text(SMALL + "---\nkind: Nothing\n")
    with pytest.raises(BadDocument) as caught:
        root.gate.publish([file, twin])
    lines = caught.value.message.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        f"{file}:7:36",
        f"{file}:15:9",
        f"{twin}:12:7",
    ]
    assert caught.value.hint == "3 problems; nothing was done"


def test_a_policy_in_two_files_is_refused(root: Registry, file: Path) -> None:
    twin = file.with_name("twin.yaml")
    twin.write_text(SMALL)
    with pytest.raises(BadDocument, match=r"policy 'small' is also in .*small\.yaml"):
        root.gate.publish([file, twin])


def test_only_an_admin_rules(root: Registry, at: At, file: Path) -> None:
    alice = at("planned").acting("alice")
    size = alice.verify().size
    for verb in (
        lambda: alice.gate.publish([file]),
        lambda: alice.gate.bind(GateBinding("approvals", "approvals", Action.AUDIT)),
        lambda: alice.gate.unbind("approvals", "they are slow"),
        lambda: alice.publish([], [GateBinding("approvals", "approvals", Action.AUDIT)]),
    ):
        with pytest.raises(NotPermitted, match=r"takes the role admin"):
            verb()
    assert alice.verify().size == size


def test_a_published_policy_cannot_be_edited(at: At, file: Path) -> None:
    builder = at("planned")
    builder.acting("root").gate.publish([file])
    with (
        pytest.raises((RegistryError, DBAPIError), match="policies is refused"),
        builder.database.ungoverned() as raw,
    ):
        raw.execute(text("UPDATE policies SET document = '{}' WHERE name = 'small'"))
    assert builder.acting("root").verify().ok


# -- binding -------------------------------------------------------------------------------------


def test_a_binding_pins_a_version_by_how_its_digest_begins(root: Registry, file: Path) -> None:
    (first,) = root.gate.publish([file], binding=False)
    file.write_text(SMALL.replace("most: 10,", "most: 1000,"))
    root.gate.publish([file], binding=False)
    start = first.digest.removeprefix("sha256:")[:8]
    bound = root.gate.bind(GateBinding("old", "small", Action.WARN), start)
    assert (bound.policy, bound.digest, bound.outdated) == ("small", first.digest, True)
    with pytest.raises(NotFound, match=r"no version '0000000'"):
        root.gate.bind(GateBinding("old", "small", Action.WARN), "0000000")
    with pytest.raises(BadInput, match="too short"):
        root.gate.bind(GateBinding("old", "small", Action.WARN), start[:3])
    with pytest.raises(BadInput, match="names no version"):
        root.gate.version("small@")


def test_parameters_are_read_as_the_policy_declares_them(root: Registry, file: Path) -> None:
    root.gate.publish([file], binding=False)
    plain = GateBinding("small", "small", Action.DENY)
    bound = root.gate.bind(plain, settings={"most": "5e2", "roles": "test, train"})
    assert bound.params == {"most": 500.0, "roles": ["test", "train"]}
    assert root.promote(REF, "prepared").allowed
    for settings, said in (
        ({"mots": "1"}, "no parameter 'mots'"),
        ({"most": "many"}, "is a number, and 'many' is none"),
        ({"most": "nan"}, "is a number, and 'nan' is none"),
    ):
        with pytest.raises(BadInput, match=said):
            root.gate.bind(plain, settings=settings)


def test_a_scope_decides_whom_a_binding_governs(root: Registry, file: Path) -> None:
    root.gate.publish([file], binding=False)

    def blocked(**scope: tuple[str, ...]) -> bool:
        root.gate.bind(GateBinding("small", "small", Action.DENY, scope=BindingScope(**scope)))
        decision, _ = root.explain(REF, "prepared")
        return any(result.rule == "small/rows" for result in decision.verdict.blocking)

    assert blocked()
    assert blocked(systems=("credit",), to=("prepared",), risk_tiers=("limited", "high"))
    assert not blocked(systems=("cards",))
    assert not blocked(risk_tiers=("minimal",))
    assert not blocked(origin=("designed",))
    (view,) = (one for one in root.gate.bindings() if one.name == "small")
    assert view.scope == {"from": ["designed"]}
    assert root.verify().ok


@pytest.mark.parametrize(
    ("scope", "error", "hint"),
    [
        (BindingScope(to=("prepard",)), NoSuchStage, "prepared"),
        (BindingScope(origin=("@champion",)), NoSuchStage, ""),
        (BindingScope(to=("@champoin",)), BadInput, "@champion"),
        (BindingScope(risk_tiers=("hgh",)), BadInput, "high"),
    ],
)
def test_a_scope_of_what_there_is_not_is_refused(
    scope: BindingScope, error: type[RegistryError], hint: str, root: Registry, file: Path
) -> None:
    root.gate.publish([file], binding=False)
    with pytest.raises(error) as caught:
        root.gate.bind(GateBinding("small", "small", Action.DENY, scope=scope))
    assert hint in caught.value.hint


def test_unbinding_leaves_history_and_the_reason(root: Registry, file: Path) -> None:
    root.gate.publish([file])
    root.gate.unbind("small", "data grew")
    assert root.promote(REF, "prepared").allowed
    assert "small" not in [one.name for one in root.gate.bindings()]
    told = [(one.action, one.payload.get("reason")) for one in root.gate.history() if "small" in one.subject]
    assert told == [("policy-published", None), ("policy-bound", None), ("policy-unbound", "data grew")]
    with pytest.raises(NotFound, match="no binding 'small' is in force"):
        root.gate.unbind("small", "again")
    with pytest.raises(BadInput, match="needs a reason"):
        root.gate.unbind("approvals", " ")
    assert root.verify().ok


def test_a_step_whose_last_policy_is_unbound_is_refused(root: Registry) -> None:
    for one in root.gate.bindings():
        root.gate.unbind(one.name, "to see what happens")
    decision = root.promote(REF, "prepared")
    assert not decision.allowed
    assert decision.verdict.reason.startswith("no policy governs planned -> prepared")


# -- replay --------------------------------------------------------------------------------------


@pytest.fixture
def walked(at: At) -> Builder:
    """loans/1 went from planned to evaluated, and was refused there."""
    builder = at("planned")
    builder.bring(REF, "evaluated")
    assert not builder.acting("alice").promote(REF, "deployed").allowed
    return builder


def test_a_stricter_candidate_shows_whom_it_would_have_stopped(walked: Builder, file: Path) -> None:
    root = walked.acting("root")
    size = root.verify().size
    found = root.gate.replay(file)
    assert [(one.to, one.allowed, one.would_be_allowed, one.verdict) for one in found] == [
        ("prepared", True, False, "stopped"),
        ("designed", True, True, "same"),
        ("trained", True, True, "same"),
        ("evaluated", True, True, "same"),
        ("deployed", False, False, "same"),
    ]
    (change,) = found[0].changes
    assert (change.rule, change.before, change.after, change.action) == ("small/rows", "", "fail", "deny")
    assert root.verify().size == size


def test_a_candidate_that_warns_stops_nobody(walked: Builder, file: Path) -> None:
    file.write_text(SMALL + BOUND.replace("deny", "warn"))
    first = walked.acting("root").gate.replay(file)[0]
    assert (first.verdict, first.changes[0].after, first.changes[0].action) == ("same", "fail", "warn")


def test_a_candidate_takes_the_place_of_what_is_bound_under_its_name(at: At, file: Path) -> None:
    builder = at("planned")
    root = builder.acting("root")
    root.gate.publish([file])
    assert not builder.acting("alice").promote(REF, "prepared").allowed
    file.write_text((SMALL + BOUND).replace("most: 10,", "most: 1000,"))
    (found,) = root.gate.replay(file)
    assert found.verdict == "let through"
    assert [(one.before, one.after) for one in found.changes] == [("fail", "pass")]
    # A policy alone is judged as the bindings in force would have it.
    file.write_text(SMALL.replace("most: 10,", "most: 1000,"))
    assert root.gate.replay(file)[0].verdict == "let through"
    # One that asks for less: its rule is gone.
    file.write_text((SMALL + BOUND).replace("match: {", "match: {when: subject.risk_tier == 'high', "))
    (found,) = root.gate.replay(file)
    assert (found.verdict, found.changes[0].before, found.changes[0].after) == ("let through", "fail", "")


def test_replay_of_one_policy_since_a_time_or_alone(walked: Builder, file: Path) -> None:
    root = walked.acting("root")
    every = root.gate.replay(file)
    later = root.gate.replay(file, since=every[2].at)
    assert [one.decision for one in later] == [one.decision for one in every[2:]]
    alone = root.gate.replay(file, only=True)
    assert [one.verdict for one in alone] == ["stopped", "stopped", "stopped", "stopped", "same"]
    two = file.with_name("two.yaml")
    two.write_text(SMALL + "---\n" + SMALL.replace("name: small", "name: other"))
    assert {change.rule for one in root.gate.replay(two, policy="other") for change in one.changes} == {
        "other/rows"
    }
    with pytest.raises(NotFound, match="has no policy 'othr'"):
        root.gate.replay(two, policy="othr")


def test_the_shipped_policies_replayed_change_nothing(walked: Builder, tmp_path: Path) -> None:
    from registry.policy.shipped import shipped_texts

    file = tmp_path / "shipped.yaml"
    texts = [text for name, text in shipped_texts().items() if name != "lifecycle.yaml"]
    file.write_text("\n---\n".join(texts))
    found = walked.acting("root").gate.replay(file)
    assert len(found) == 5
    assert [one.changes for one in found] == [()] * 5
    assert {one.verdict for one in found} == {"same"}


def test_a_rule_about_what_an_old_decision_did_not_record_is_an_error(walked: Builder, file: Path) -> None:
    """As if an older release had decided: the dossier lacks what came later."""
    root = walked.acting("root")
    file.write_text(SMALL.replace("double(data['test'].rows) <= params.most", "size(findings) == 0"))
    assert root.gate.replay(file)[0].changes == ()
    with walked.database.engine.begin() as connection:
        for name in _guards(walked):
            connection.execute(text(name))
        for number, stored in list(connection.execute(text("SELECT id, dossier FROM decisions"))):
            dossier = json.loads(stored) if isinstance(stored, str) else stored
            del dossier["findings"]
            connection.execute(update(DecisionRow).where(DecisionRow.id == number).values(dossier=dossier))
    first = root.gate.replay(file)[0]
    assert first.verdict == "stopped"
    assert (first.changes[0].after, first.changes[0].message) == (
        "error",
        "cannot be judged: it reads findings, which the decision did not record",
    )


def _guards(builder: Builder) -> list[str]:
    """Statements that take the triggers away: this test forges the past."""
    if builder.database.url.get_backend_name() == "postgresql":
        return ["ALTER TABLE decisions DISABLE TRIGGER USER"]
    with builder.database.read() as session:
        names = session.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'decisions'")
        ).scalars()
        return [f"DROP TRIGGER {name}" for name in names]


def test_a_candidate_with_mistakes_is_refused(root: Registry, file: Path) -> None:
    file.write_text(SMALL.replace("].rows)", "].row)"))
    with pytest.raises(BadDocument, match="no field 'row'"):
        root.gate.replay(file)
