"""What others build on: names that cannot change unnoticed, and imports that cost nothing."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys

import pytest

import registry
from registry import errors, extension
from registry.api import Registry, default_actor
from registry.extension.contract import GROUP

EXTENSION = {
    "CheckPlugin",
    "DatasetDraft",
    "DatasetInput",
    "DeployPlugin",
    "Deployed",
    "DeploymentInput",
    "DesignPlugin",
    "Designed",
    "Estimate",
    "EvaluatePlugin",
    "Evidence",
    "EvidenceInput",
    "ModelInput",
    "OriginInput",
    "MonitorPlugin",
    "Part",
    "PartEnd",
    "Plugin",
    "PluginConfig",
    "Predictor",
    "PreparePlugin",
    "Prepared",
    "Replayed",
    "RetirePlugin",
    "Retired",
    "RunContext",
    "TrainPlugin",
    "Trained",
}
REGISTRY = {
    "add_dataset": "name source **more",
    "add_system": "name purpose risk_tier **more",
    "aliases": "model",
    "approvals": "ref",
    "approve": "ref to reason on_behalf_of",
    "change_system": "name **changes",
    "check": "",
    "check_policies": "source",
    "close": "",
    "counts": "",
    "dataset": "ref",
    "datasets": "",
    "decisions": "ref",
    "design": "ref values estimated",
    "estimate": "ref values plugin device processes",
    "evidence": "ref",
    "examine": "",
    "explain": "ref to",
    "fetch": "ref folder",
    "history": "ref",
    "initialise": "lifecycle",
    "link_data": "ref data",
    "log": "subjects actor action since until limit before",
    "move_alias": "ref alias",
    "open": "home database actor create",
    "plan": "model system **more",
    "policies": "",
    "policy": "name",
    "promote": "ref to",
    "publish": "policies bindings",
    "reject": "ref to reason on_behalf_of",
    "remove_alias": "model alias reason",
    "report": "ref",
    "revision": "",
    "run": "plugin ref **more",
    "stages": "",
    "system": "name",
    "systems": "",
    "upgrade": "",
    "verify": "artifacts checkpoints keys",
    "version": "ref",
    "versions": "model stage",
}
RUNS = {
    "all": "about state limit",
    "cancel": "number",
    "curves": "number",
    "evidence": "number",
    "export": "number tensorboard csv",
    "follow": "number",
    "log": "number",
    "manifest": "plugin config options",
    "one": "number",
    "recover": "",
    "replay": "number steps hear",
    "resume": "number",
    "start": "plugin ref data config base options",
}
DEPLOYMENTS = {
    "all": "ref",
    "healthy": "number",
    "one": "number",
    "predict": "number texts",
    "stop": "number reason",
    "texts_of": "source column",
}
PEOPLE = {
    "add_group": "group",
    "delegate": "role to until reason",
    "everybody": "",
    "grant": "name role",
    "groups": "",
    "join": "group name",
    "leave": "group name",
    "person": "name",
    "revoke": "name role",
    "undelegate": "role to lender",
}
HEAVY = {
    "accelerate",
    "alembic",
    "cel_expr_python",
    "fairlearn",
    "matplotlib",
    "model_signing",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "presidio_analyzer",
    "psycopg",
    "pyarrow",
    "scipy",
    "securesystemslib",
    "sklearn",
    "spacy",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "transformers",
    "uvicorn",
}


def test_the_package_offers_one_way_in() -> None:
    assert registry.__all__ == ["open"]
    assert list(inspect.signature(registry.open).parameters) == ["home", "database", "actor", "create"]


def test_what_a_plugin_author_imports() -> None:
    assert set(extension.__all__) == EXTENSION
    assert all(inspect.isclass(getattr(extension, name)) for name in EXTENSION)
    assert GROUP == "phasegate.plugins"


def offered(cls: type) -> dict[str, str]:
    """Public methods of a class, with their parameters."""
    methods = dict(inspect.getmembers(cls, callable))
    public = {name: method for name, method in methods.items() if not name.startswith("_")}
    found = {}
    for name, method in public.items():
        parameters = [p for p in inspect.signature(method).parameters.values() if p.name != "self"]
        found[name] = " ".join(f"**{p.name}" if p.kind is p.VAR_KEYWORD else p.name for p in parameters)
    return found


def test_what_an_open_registry_can_do() -> None:
    assert offered(Registry) == REGISTRY
    assert isinstance(Registry.database, property)


def test_what_can_be_done_with_what_hangs_on_it() -> None:
    from registry.api.deployments import DeploymentsApi
    from registry.api.people import PeopleApi
    from registry.api.runs import RunsApi

    assert offered(PeopleApi) == PEOPLE
    assert offered(RunsApi) == RUNS
    assert offered(DeploymentsApi) == DEPLOYMENTS


def test_every_error_is_drawn_with_its_exit_code() -> None:
    drawn = dict(re.findall(r"(\w+) +exit (\d+)", errors.__doc__ or ""))
    classes = {
        name: cls
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, errors.RegistryError)
    }
    names = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or "")) | {"RegistryError"}
    assert names == set(classes)
    for name, code in drawn.items():
        assert classes[name].exit_code == int(code)
    codes = [cls.code for cls in classes.values()]
    assert len(codes) == len(set(codes))


def loaded_after(code: str) -> set[str]:
    """Heavy packages that a fresh interpreter has loaded after running some code."""
    script = f"{code}\nimport sys\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import registry",
        "import registry, registry.errors, registry.domain.decision, registry.domain.lifecycle",
        "from registry.cli.main import execute; execute(['--help'])",
        "from registry.cli.main import execute; execute(['promote', '--help'])",
    ],
)
def test_saying_what_there_is_loads_nothing_heavy(code: str) -> None:
    assert loaded_after(code) == set()


def test_the_plugin_contract_loads_nothing_heavy() -> None:
    assert loaded_after("import registry.extension") == set()


def test_an_open_registry_loads_the_database_and_no_more() -> None:
    code = (
        "import registry, tempfile; registry.open(tempfile.mkdtemp(), create=True, actor='alice').versions()"
    )
    assert loaded_after(code) <= {"sqlalchemy", "alembic", "cel_expr_python"}


@pytest.mark.parametrize(
    ("named", "actor"),
    [
        ("alice", "alice"),
        ("Alice Ångström", "Alice--ngstr-m"),
        ("DOMAIN\\alice", "DOMAIN-alice"),
        ("...", "unknown"),
    ],
)
def test_the_default_actor_is_a_usable_name(monkeypatch: pytest.MonkeyPatch, named: str, actor: str) -> None:
    monkeypatch.setenv("PHASEGATE_ACTOR", named)
    assert default_actor() == actor
    monkeypatch.delenv("PHASEGATE_ACTOR")
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, named)
    assert default_actor() == actor


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without a name")
def test_a_user_without_a_name_is_known_by_number() -> None:
    """As in containers that run under a number of their own."""
    code = "import os, pwd; from registry.api import default_actor; os.setuid(54321); print(default_actor())"
    unset = {"PHASEGATE_ACTOR", "LOGNAME", "USER", "LNAME", "USERNAME"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "uid-54321"
