"""The registry as an object: what can be put in, looked up, and is refused, and in which words."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from integration.builder import FAIR, Builder
from integration.conftest import At
from integration.tables import contents_of
from sqlalchemy import text

import registry
from registry.api import Registry
from registry.domain.decision import Action
from registry.errors import (
    AlreadyExists,
    BadConfig,
    BadInput,
    BadName,
    BadReference,
    BadTarget,
    IntegrityViolated,
    NotFound,
    RegistryError,
    WrongStage,
)
from registry.policy import GateBinding, GatePolicy, Match, Validation
from registry.usecases.runs import RunOptions

LONG = "x" * 100
REF = "loans/1"


@pytest.fixture
def alice(builder: Builder) -> Registry:
    return builder.acting("alice")


@pytest.fixture
def planned(at: At) -> Registry:
    """With loans/1, which alice has planned."""
    return at("planned").acting("alice")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label,sex\nfine,pos,f\nawful,neg,m\n")
    return path


# -- systems -------------------------------------------------------------------------------------


def test_a_system_is_what_was_said_of_it(alice: Registry) -> None:
    made = alice.add_system(
        "credit",
        purpose=" decides about loans\n",
        risk_tier="high",
        owner="The bank",
        affected_groups=["applicants"],
        prohibited_uses=["hiring"],
        oversight="a clerk",
    )
    assert made == alice.system("credit") == alice.systems()[0]
    assert (made.purpose, made.owner, made.created_by, made.models) == (
        "decides about loans",
        "The bank",
        "alice",
        [],
    )
    alice.plan("loans", system="credit")
    assert alice.system("credit").models == ["loans"]


@pytest.mark.parametrize(
    ("name", "purpose", "tier", "error", "says"),
    [
        ("a/b", "x", "high", BadName, "it holds '/'"),
        ("support", "  ", "high", BadInput, "a system needs a purpose"),
        ("support", "x", "hihg", BadInput, "there is no risk tier 'hihg'"),
        ("credit", "x", "high", AlreadyExists, "there is a system 'credit' already"),
    ],
)
def test_a_system_that_cannot_be(
    planned: Registry, name: str, purpose: str, tier: str, error: type[RegistryError], says: str
) -> None:
    size = planned.verify().size
    with pytest.raises(error, match=says):
        planned.add_system(name, purpose=purpose, risk_tier=tier)
    assert planned.verify().size == size


def test_the_nearest_system_is_named(planned: Registry) -> None:
    with pytest.raises(NotFound, match="there is no system 'credits'") as caught:
        planned.system("credits")
    assert caught.value.hint == "did you mean 'credit'?"


# -- datasets ------------------------------------------------------------------------------------


def test_a_file_becomes_a_dataset(alice: Registry, table: Path) -> None:
    made = alice.add_dataset("reviews", table, sensitive=["sex"], licence="CC0", note="by hand")
    assert made == alice.dataset("reviews/1") == alice.datasets()[0]
    assert (made.rows, made.source, made.licence, made.created_by) == (2, "reviews.csv", "CC0", "alice")
    assert made.columns == {"text": "text", "image": "", "label": "label", "sensitive": ["sex"]}
    assert list(made.schema) == ["text", "label", "sex"]
    again = alice.add_dataset("reviews", table)
    assert (again.ref, again.digest) == ("reviews/2", made.digest)
    assert alice.verify(artifacts=True).ok
    assert list(alice.home.root.glob(".adding-*")) == []


def test_a_file_that_becomes_none_leaves_nothing(alice: Registry, table: Path, builder: Builder) -> None:
    before = contents_of(builder.database)
    for spoil in ({"text": "txet"}, {"label": "x"}, {"sensitive": ["age"]}, {"encoding": "utf-16"}):
        with pytest.raises(BadInput):
            alice.add_dataset("reviews", table, **spoil)
    with pytest.raises(BadName):
        alice.add_dataset("re/views", table)
    with pytest.raises(BadInput):
        alice.add_dataset("reviews", table.with_name("nowhere.csv"))
    assert contents_of(builder.database) == before
    assert not alice.home.root.exists() or list(alice.home.root.glob(".adding-*")) == []


def test_a_dataset_shows_parents_and_evidence(builder: Builder, alice: Registry) -> None:
    parent = builder.dataset("raw")
    child = builder.dataset("clean", parent=parent)
    assert alice.dataset(child).parents == [parent]
    assert [found.parents for found in alice.datasets()] == [[parent], []]
    assert alice.dataset(child).evidence == []


@pytest.mark.parametrize(
    ("ref", "error", "says"),
    [
        ("clean/2", NotFound, "dataset 'clean' has no version 2"),
        ("claen/1", NotFound, "there is no dataset 'claen'"),
        ("clean", BadReference, "'clean' names no version"),
        ("clean/x", BadReference, "'x' is no version number"),
    ],
)
def test_a_dataset_that_is_not_there(
    builder: Builder, alice: Registry, ref: str, error: type[RegistryError], says: str
) -> None:
    builder.dataset("clean")
    with pytest.raises(error, match=says):
        alice.dataset(ref)


# -- versions ------------------------------------------------------------------------------------


def test_versions_count_up_and_keep_their_plan(planned: Registry) -> None:
    made = planned.plan(
        "loans",
        system="credit",
        purpose="a better one",
        task="text-classification",
        targets=["f1>=0.95", "ece<=0.05"],
        data={"train": "loans-train/1"},
        budget_hours=1.5,
    )
    assert made == planned.version("loans/2")
    assert (made.ref, made.stage, made.system, made.risk_tier) == ("loans/2", "planned", "credit", "limited")
    assert (made.purpose, made.task, made.targets) == (
        "a better one",
        "text-classification",
        ["f1>=0.95", "ece<=0.05"],
    )
    assert (made.data, made.design, made.artifact) == ({"train": "loans-train/1"}, {}, "")
    assert made.following == ["prepared", "retired"]
    assert planned.version("models:/loans/2") == made
    assert planned.version(REF).purpose == planned.system("credit").purpose


def test_a_list_tells_what_a_single_look_tells(at: At) -> None:
    builder = at("evaluated")
    alice = builder.acting("alice")
    alice.plan("loans", system="credit")
    builder.plan("mail", system="support", tier="minimal")
    found = alice.versions()
    assert [version.ref for version in found] == ["loans/1", "loans/2", "mail/1"]
    assert found == [alice.version(version.ref) for version in found]
    assert [version.ref for version in alice.versions(model="loans", stage="planned")] == ["loans/2"]
    assert alice.versions(model="nobody") == []
    with pytest.raises(BadInput, match="there is no stage 'plannd'"):
        alice.versions(stage="plannd")


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"system": "nobody"}, NotFound, "there is no system 'nobody'"),
        ({"system": "support"}, BadInput, "model 'loans' belongs to another system than 'support'"),
        ({"targets": ["f1=0.9"]}, BadTarget, "'f1=0.9' is no target"),
        ({"data": {"test": "loans-test/7"}}, NotFound, "dataset 'loans-test' has no version 7"),
        ({"data": {"te/st": "loans-test/1"}}, BadName, "the role 'te/st' cannot be used"),
        ({"budget_hours": float("nan")}, BadInput, "a budget of nan hours"),
    ],
)
def test_a_plan_that_cannot_be(
    planned: Registry, more: dict[str, object], error: type[RegistryError], says: str
) -> None:
    planned.add_system("support", purpose="answers mail", risk_tier="minimal")
    size = planned.verify().size
    with pytest.raises(error, match=says):
        planned.plan("loans", **{"system": "credit", **more})  # type: ignore[arg-type]
    assert planned.verify().size == size
    assert [version.ref for version in planned.versions()] == [REF]


def test_every_name_may_have_a_hundred_characters(builder: Builder) -> None:
    """And is kept whole: columns of PostgreSQL have a width, SQLite's have none."""
    registry = builder.acting(LONG)
    registry.add_system(LONG, purpose="long", risk_tier="minimal")
    dataset = builder.dataset(LONG, actor=LONG)
    made = registry.plan(LONG, system=LONG, data={LONG: dataset}, targets=[f"{LONG}>=0.5"])
    assert made.ref == f"{LONG}/1"
    assert made.data == {LONG: f"{LONG}/1"}
    assert made.targets == [f"{LONG}>=0.5"]
    builder.queue(made.ref, actor=LONG)
    assert {entry.actor for entry in registry.history(made.ref)} == {LONG}
    assert registry.verify().ok


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ({"test": "nowhere/1"}, NotFound, "there is no dataset 'nowhere'"),
        ({"test": ""}, BadReference, "'' names no version"),
        ({"live": None}, BadInput, "loans/1 names no live data"),
        ({"": "loans-test/1"}, BadName, "the role is empty"),
    ],
)
def test_data_that_cannot_be_linked(
    planned: Registry, data: dict[str, str | None], error: type[RegistryError], says: str
) -> None:
    before = planned.version(REF)
    size = planned.verify().size
    with pytest.raises(error, match=says):
        planned.link_data(REF, data)
    assert planned.version(REF) == before
    assert planned.verify().size == size


def test_a_design_grows(planned: Registry) -> None:
    planned.design(REF, {"architecture": "encoder", "layers": "2"})
    assert planned.design(REF, {"layers": "4"}).design == {"architecture": "encoder", "layers": "4"}
    with pytest.raises(BadInput, match="a design needs at least one value"):
        planned.design(REF, {})


def test_evidence_about_a_version_and_its_data(at: At) -> None:
    builder = at("trained")
    (run,) = builder.judge(REF, FAIR, actor="vera")
    alice = builder.acting("alice")
    assert {found.kind for found in alice.evidence(REF)} == {
        "data.quality",
        "check.pii",
        "data.split",
        "check.license",
        "check.contamination",
        "run.train",
        "check.bias",
    }
    (made,) = alice.runs.evidence(run)
    assert (made.kind, made.created_by, made.metrics) == ("check.bias", "vera", FAIR.metrics)
    assert made.subject == alice.version(REF).artifact


# -- runs and deployments ------------------------------------------------------------------------


def test_runs_are_told_newest_first(at: At) -> None:
    builder = at("trained")
    alice = builder.acting("alice")
    found = alice.runs.all()
    assert [run.id for run in found] == sorted((run.id for run in found), reverse=True)
    assert alice.runs.all(limit=2) == found[:2]
    training = alice.runs.all(about=REF)[0]
    assert (training.plugin, training.kind, training.state, training.created_by) == (
        "train-classifier",
        "train",
        "succeeded",
        "bob",
    )
    assert alice.runs.all(state="failed") == []
    one = alice.runs.one(training.id)
    assert one.outputs == {"artifact": REF}
    assert one.metrics == {"loss": 1 / training.id}
    assert one.seconds == 0.0


@pytest.mark.parametrize("look", ["one", "cancel", "resume", "log"])
def test_a_run_that_is_not_there(planned: Registry, look: str) -> None:
    with pytest.raises(NotFound, match="run 4711"):
        getattr(planned.runs, look)(4711)


def test_a_run_that_has_ended_cannot_be_cancelled_or_resumed(at: At) -> None:
    alice = at("trained").acting("alice")
    number = alice.runs.all(about=REF)[0].id
    with pytest.raises(BadInput, match=f"run {number} is not running: it has succeeded"):
        alice.runs.cancel(number)
    with pytest.raises(BadInput, match=f"run {number} is succeeded: only a lost run can be resumed"):
        alice.runs.resume(number)


@pytest.mark.parametrize(
    ("plugin", "ref", "more", "error", "says"),
    [
        ("biass", REF, {}, NotFound, "there is no plugin 'biass'"),
        ("bias", "loans/9", {}, NotFound, "model 'loans' has no version 9"),
        ("profile", "loans-test/9", {}, NotFound, "dataset 'loans-test' has no version 9"),
        ("profile", "loans-test/1", {"data": {"test": "loans-test/1"}}, BadInput, "--data does not apply"),
        ("evaluate-classifier", REF, {}, WrongStage, "loans/1 has no artifact yet"),
        ("train-classifier", REF, {}, WrongStage, "done while a version is designed or trained or tuned"),
        ("pii", "loans-test/1", {"config": {"treshold": 1}}, BadConfig, "treshold"),
        ("profile", "loans-test/1", {"options": RunOptions(engine="cloud")}, NotFound, "cloud"),
    ],
)
def test_a_run_that_cannot_be_started_leaves_nothing(
    at: At, plugin: str, ref: str, more: dict[str, object], error: type[RegistryError], says: str
) -> None:
    builder = at("planned")
    before = contents_of(builder.database)
    with pytest.raises(error, match=says):
        builder.acting("alice").runs.start(plugin, ref, **more)  # type: ignore[arg-type]
    assert contents_of(builder.database) == before
    assert not builder.home.runs.exists()


def test_a_run_is_not_given_data_that_was_changed(at: At) -> None:
    builder = at("planned")
    for file in (builder.home.root / "artifacts").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"forged")
    with pytest.raises(IntegrityViolated, match="the store holds other bytes"):
        builder.acting("alice").runs.start("profile", "loans-test/1")
    assert builder.acting("alice").runs.all(about="loans-test/1", state="queued") == []


def test_a_seed_may_be_as_large_as_libraries_take_them(at: At) -> None:
    builder = at("planned")
    for seed in (2**32 - 1, 2**53 - 1):
        run = builder.queue(REF, seed=seed)
        assert builder.acting("alice").runs.one(run).seed == seed
    assert builder.acting("alice").verify().ok


def test_deployments_are_looked_up(at: At) -> None:
    builder = at("deployed")
    number = builder.deploy(REF)
    alice = builder.acting("alice")
    assert alice.deployments.one(number) == alice.deployments.all(REF)[0] == alice.deployments.all()[0]
    assert (alice.deployments.one(number).version, alice.deployments.one(number).state) == (REF, "active")
    assert alice.deployments.all("loans/2") == []
    builder.undeploy(number, REF)
    assert alice.deployments.one(number).stopped_at is not None
    for look in (
        alice.deployments.stop,
        alice.deployments.healthy,
        lambda n: alice.deployments.predict(n, ["x"]),
    ):
        for gone in (number, 4711):
            with pytest.raises(NotFound, match=f"there is no active deployment {gone}"):
                look(gone)
    with pytest.raises(NotFound, match="there is no deployment 4711"):
        alice.deployments.one(4711)


def test_a_deployment_that_does_not_answer_says_so(at: At) -> None:
    builder = at("deployed")
    number = builder.deploy(REF)
    with builder.database.ungoverned() as connection:
        connection.execute(text('UPDATE deployments SET details = \'{"model": "m"}\''))
    with pytest.raises(BadInput, match=r"http://127\.0\.0\.1:9 does not answer"):
        builder.acting("alice").deployments.predict(number, ["a text"])
    with pytest.raises(BadInput, match="no text was given"):
        builder.acting("alice").deployments.predict(number, [])


# -- policies ------------------------------------------------------------------------------------


@pytest.fixture
def ruling(at: At) -> Registry:
    """With loans/1, for an admin: nobody else decides what is in force."""
    return at("planned").acting("root")


def policy(limit: float, name: str = "small") -> GatePolicy:
    return GatePolicy(
        name=name,
        match=Match(to=("prepared",)),
        validations=(
            Validation(
                id="rows",
                expression="double(data['test'].rows) <= params.most",
                message="too many rows",
                remedy="phasegate model data {version} test=DATASET/N",
            ),
        ),
        params={"most": limit},
    )


def binding(action: Action, **params: float) -> GateBinding:
    return GateBinding(name="small", policy="small", action=action, params=params)


def test_a_policy_in_force_judges_the_next_step(ruling: Registry) -> None:
    ruling.publish([policy(10)], [binding(Action.DENY)])
    (blocking,) = ruling.promote(REF, "prepared").verdict.blocking
    assert (blocking.rule, blocking.message) == ("small/rows", "too many rows")
    view = ruling.policy("small")
    assert (view.stages, view.rules, view.bindings) == (["prepared"], ["rows"], {"small": "deny"})
    # The same name again ends what was bound before.
    ruling.publish([], [binding(Action.DENY, most=1000)])
    assert ruling.promote(REF, "prepared").allowed
    assert [entry.action for entry in ruling.log(subjects=["binding:small"])] == [
        "policy-bound",
        "policy-unbound",
        "policy-bound",
    ]
    assert ruling.verify().ok


def test_a_warning_does_not_stop_anybody(ruling: Registry) -> None:
    ruling.publish([policy(10)], [binding(Action.WARN)])
    decision = ruling.promote(REF, "prepared")
    assert decision.allowed
    assert [r.outcome for r in decision.verdict.results if r.rule == "small/rows"] == ["fail"]


def test_the_newest_policy_of_a_name_is_bound_and_the_old_one_kept(ruling: Registry) -> None:
    ruling.publish([policy(10)], [binding(Action.DENY)])
    ruling.publish([policy(10)], [])  # again: nothing happens
    assert len(ruling.log(subjects=["policy:small"])) == 1
    ruling.publish([policy(1000)], [binding(Action.DENY)])
    assert ruling.policy("small").digest == policy(1000).digest
    assert ruling.promote(REF, "prepared").allowed


def test_a_binding_needs_its_policy(ruling: Registry) -> None:
    size = ruling.verify().size
    with pytest.raises(NotFound, match="there is no published policy 'nothing'"):
        ruling.publish([policy(10)], [GateBinding(name="x", policy="nothing", action=Action.DENY)])
    assert ruling.verify().size == size
    with pytest.raises(NotFound, match="there is no policy 'small'"):
        ruling.policy("small")


def test_a_policy_file_is_checked_against_what_a_gate_sees(planned: Registry, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "kind: GatePolicy\nmetadata: {name: mine}\nmatch: {to: [deployed]}\n"
        "validations:\n  - id: typo\n    expression: subject.stge == 'planned'\n    message: never\n"
    )
    (problem,) = planned.check_policies(file)
    assert (problem.line, problem.reason.partition(":")[0]) == (6, problem.reason.partition(":")[0])
    assert "stge" in problem.reason
    file.write_text(file.read_text().replace("stge", "stage"))
    assert planned.check_policies(file) == []
    with pytest.raises(BadInput, match="cannot be read"):
        planned.check_policies(tmp_path / "nowhere.yaml")


# -- the log and the rest ------------------------------------------------------------------------


def test_the_log_is_filtered(at: At) -> None:
    builder = at("trained")
    alice = builder.acting("alice")
    everything = alice.log()
    assert [entry.index for entry in everything] == list(range(len(everything)))
    assert alice.log(limit=3) == everything[-3:]
    assert alice.log(limit=10_000) == everything
    assert {entry.actor for entry in alice.log(actor="bob")} == {"bob"}
    assert alice.log(actor="nobody") == []
    assert {entry.action for entry in alice.log(action="stage-decided")} == {"stage-decided"}
    assert {entry.subject for entry in alice.log(subjects=["model:loans/1"])} == {"model:loans/1"}
    middle = everything[len(everything) // 2].at
    before, after = alice.log(until=middle), alice.log(since=middle)
    assert before + after == everything
    assert alice.log(since=everything[-1].at + timedelta(seconds=1)) == []
    assert all(entry.text for entry in everything)


def test_everything_that_is_told_is_json(lived_builder: Builder) -> None:
    registry = lived_builder.acting("auditor")
    for entry in registry.log():
        assert json.loads(json.dumps(entry.payload)) == entry.payload


def test_how_much_there_is(lived_builder: Builder) -> None:
    registry = lived_builder.acting("auditor")
    told = registry.counts()
    assert told.pop("runs") == len(registry.runs.all(limit=10_000))
    assert told == {"systems": 2, "models": 3, "versions": 3, "datasets": 8}
    assert registry.stages()[0] == "planned"
    assert registry.stages()[-1] == "retired"


def test_an_installation_is_examined(planned: Registry, tmp_path: Path) -> None:
    checks = {check.name: check for check in planned.examine()}
    assert checks["database"].ok
    assert checks["home"].ok
    assert {f"plugin {name}" for name in ("clean", "train-classifier", "retire")} <= set(checks)
    nowhere = Registry(type(planned.home).at(tmp_path / "nowhere"), "alice")
    found = {check.name: check for check in nowhere.examine()}
    nowhere.close()
    assert [found[name].ok for name in ("home", "database")] == [False, False]
    assert found["home"].fatal
    assert not (tmp_path / "nowhere").exists()


def test_the_registry_says_where_it_is_without_its_password(planned: Registry) -> None:
    assert planned.database.startswith(("sqlite:///", "postgresql+psycopg://"))
    assert planned.revision() is not None
    planned.check()


def test_open_is_a_context_and_names_the_actor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PHASEGATE_ACTOR", "carol")
    with registry.open(create=True) as opened:
        assert opened.actor == "carol"
        assert opened.home.root == tmp_path / "home"
        opened.add_system("support", purpose="answers mail", risk_tier="minimal")
    with registry.open(actor="dave") as again:
        assert [(entry.action, entry.actor) for entry in again.log()][-1] == ("system-added", "carol")
