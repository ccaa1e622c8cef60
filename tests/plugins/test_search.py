"""The search: its contract, its space, its journal, and a search of a real training."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from registry.domain.digests import digest_of
from registry.errors import BadConfig, NotFound, RunFailed
from registry.extension import RunContext
from registry.extension.discovery import load_plugin, read_config
from registry.extension.inputs import ModelInput, RunSpec
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.search.findings import rank_options
from registry.plugins.search.options import SearchConfig
from registry.plugins.search.pictures import draw_history
from registry.plugins.search.search import Search
from registry.plugins.search.space import grid
from registry.plugins.search.study import Study
from registry.plugins.search.trial import Outcome
from registry.runner.folder import RunFolder, Ticket
from registry.runner.parts import start_part

SPACE = {"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}, "layers": [1, 2, 3]}


def read(**options: Any) -> SearchConfig:
    found = read_config(Search(), {"plugin": "train-classifier", "space": SPACE, **options})
    assert isinstance(found, SearchConfig)
    return found


class TestSearch(PluginContract):
    plugin = Search
    heavy = (*PluginContract.heavy, "optuna", "matplotlib")


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("options", "message", "hint"),
        [
            ({"space": {"layer": [1]}}, "has no option 'layer'", "did you mean 'layers'?"),
            ({"fixed": {"epoch": 1}}, "has no option 'epoch'", "did you mean 'epochs'?"),
            ({"fixed": {"layers": 1}}, "option 'layers' is searched and fixed", ""),
            (
                {"space": {"layers": [1, 0]}},
                "option 'layers': Input should be greater than or equal to 1",
                "",
            ),
            (
                {"space": {"dropout": {"low": 0, "high": 1}}},
                "option 'dropout': Input should be less than 1",
                "",
            ),
            ({"space": {"optimizer": ["adam", "adma"]}}, "option 'optimizer': Input should be 'adamw'", ""),
            ({"space": {"optimizer": {"low": 0, "high": 1}}}, "option 'optimizer' is no number", "list"),
            ({"space": {"layers": {"low": 1.5, "high": 3}}}, "option 'layers' takes whole numbers", ""),
            ({"space": {"layers": {"low": 3, "high": 1}}}, "low 3 is not below high 1", ""),
            ({"space": {"layers": {"low": 0, "high": 3, "log": True}}}, "begins above 0, not at 0", ""),
            ({"space": {"layers": {"lo": 1, "high": 3}}}, "lo", ""),
            ({"space": {"layers": []}}, "give a list of values, or {low: ..., high: ...}", ""),
            ({"space": {"layers": 3}}, "give a list of values, or {low: ..., high: ...}", ""),
            ({"space": {}}, "at least 1 item", ""),
            ({"space": "layers: [1"}, "it cannot be read as YAML", ""),
            ({"space": "layers"}, "valid dictionary", ""),
            ({"space": {"layers": [1, 2, 1]}}, "option 'layers' has a value twice: 1, 2, 1", ""),
            ({"method": "grid"}, "a grid of option 'learning_rate' needs a step", ""),
            ({"method": "bayes"}, "option 'method'", ""),
            ({"folds": 1}, "one fold leaves nothing to judge by", "2 or more"),
            ({"group_by": "author"}, "group_by says how folds are cut, and there are none", "folds=5"),
            ({"metric": "accuracy"}, "is accuracy to be high or low?", "direction=maximize"),
            ({"plugin": "pii"}, "plugin 'pii' trains nothing", ""),
            ({"trials": -1}, "option 'trials'", ""),
            ({"parallel": 0}, "option 'parallel'", ""),
        ],
    )
    def test_before_anything_runs(self, options: dict[str, Any], message: str, hint: str) -> None:
        with pytest.raises(BadConfig) as caught:
            read(**options)
        assert message in caught.value.message
        assert hint in caught.value.hint

    def test_a_plugin_that_is_not_there(self) -> None:
        with pytest.raises(NotFound) as caught:
            read(plugin="train-clasifier")
        assert caught.value.hint == "did you mean 'train-classifier'?"

    def test_a_training_without_data_to_judge_by(self, tmp_path: Path, sentiment_train: pa.Table) -> None:
        data = {"train": dataset_input(tmp_path / "train", sentiment_train, text="text", label="label")}
        with pytest.raises(BadConfig, match="names no validation data to judge trials by"):
            run_plugin(
                Search(), tmp_path / "run", config={"plugin": "train-classifier", "space": SPACE}, data=data
            )


class TestTheSpace:
    def test_words_are_yaml(self) -> None:
        assert read(space="{layers: [1, 2], optimizer: [sgd]}").space == {
            "layers": (1, 2),
            "optimizer": ("sgd",),
        }

    def test_a_list_is_one_value(self) -> None:
        assert read(space={"stop_on": [["diverged", "overfitted"], []]}).space["stop_on"] == (
            "diverged,overfitted",
            "",
        )

    def test_a_grid_goes_from_end_to_end(self) -> None:
        found = read(space={"dropout": {"low": 0, "high": 0.3, "step": 0.1}, "layers": {"low": 2, "high": 4}})
        values = grid(load_plugin("train-classifier"), found.space)
        assert values["layers"] == [2, 3, 4]
        assert values["dropout"] == pytest.approx([0, 0.1, 0.2, 0.3])
        assert read(space=found.space, method="grid").count() == 12
        assert read(space=found.space, method="grid", trials=5).count() == 5
        assert read().count() == 20


def drive(study: Study, until: int, chance: random.Random) -> None:
    """Ask, report and tell, as trials of a known score would; two may be at work at a time."""
    while len(study.told) < until:
        if len(study.open) < 2 and chance.random() < 0.6:
            study.ask()
        elif study.open:
            number = study.open[0]
            score = abs(study.asked[number]["learning_rate"] - 0.01) + int(study.asked[number]["layers"])
            last = study.reported.get(number, 0)
            if last < 3:
                if study.report(number, last + 1, 10 * last, score + 3 - last):
                    study.tell(number, "pruned", None)
            else:
                study.tell(number, "complete" if number % 5 else "failed", score if number % 5 else None)


@pytest.mark.parametrize("method", ["tpe", "random"])
@pytest.mark.parametrize("pruning", ["none", "hyperband"])
def test_a_journal_leads_to_where_it_was(method: str, pruning: str, tmp_path: Path) -> None:
    """Whatever word was the last one, and though half a line came after it."""
    config = read(method=method, pruning=pruning, trials=18)
    drive(Study(config, 3, tmp_path / "whole"), 18, random.Random(1))
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    assert any(b"pruned" in line for line in lines) == (pruning == "hyperband")
    for cut in random.Random(2).sample(range(len(lines)), 6):
        torn = tmp_path / f"{cut}"
        torn.write_bytes(b"".join(lines[:cut]) + lines[cut][:7])
        again = Study(config, 3, torn)
        for line in map(json.loads, lines[cut:]):
            match line:
                case {"ask": number, "values": values}:
                    assert (again.ask(), again.asked[-1]) == (number, values)
                case {"report": number}:
                    again.report(number, line["evaluation"], line["step"], line["loss"])
                case {"tell": number}:
                    again.tell(number, line["state"], line["score"])
        assert torn.read_bytes() == b"".join(lines)


def test_a_grid_asks_for_each_point_once(tmp_path: Path) -> None:
    config = read(space={"layers": [1, 2, 3], "dropout": [0.0, 0.1]}, method="grid")
    study = Study(config, 0, tmp_path / "journal")
    for number in range(config.count()):
        assert study.ask() == number
        study.tell(number, "complete", float(number))
    assert len({tuple(sorted(values.items())) for values in study.asked}) == 6
    assert [trial.value for trial in study.study.trials] == [0, 1, 2, 3, 4, 5]


def test_another_sampler_does_not_go_on(tmp_path: Path) -> None:
    study = Study(read(), 0, tmp_path / "journal")
    study.ask()
    with pytest.raises(RunFailed, match="trial 0 would be another one now"):
        Study(read(), 1, tmp_path / "journal")


def test_what_mattered_is_what_the_score_is_made_of(tmp_path: Path) -> None:
    config = read(
        space={"layers": [1, 2, 3, 4], "dropout": {"low": 0, "high": 0.5}}, method="random", trials=40
    )
    study = Study(config, 0, tmp_path / "journal")
    for number in range(40):
        study.ask()
        study.tell(number, "complete", float(study.asked[number]["layers"]) * 2 + 0.1)
    found, _ = rank_options(study, 40, 0)
    assert list(found) == ["layers", "dropout"]
    assert found["layers"] > 0.95
    assert rank_options(study, 4, 0) == ({}, "not told: 4 trials were judged, and it takes 5")


def test_a_history_is_the_same_each_time_it_is_drawn(tmp_path: Path) -> None:
    outcomes = [
        Outcome(0, "complete", {"layers": 1}, [0.4, 0.6], 10, 1.0),
        Outcome(1, "pruned", {"layers": 2}, [], 5, 1.0),
        Outcome(2, "failed", {"layers": 3}, [], 0, 1.0, "the loss is nan"),
    ]
    assert (outcomes[0].score, outcomes[0].std) == (0.5, pytest.approx(0.1414, rel=1e-3))
    one = draw_history(tmp_path, outcomes, read()).read_bytes()
    assert draw_history(tmp_path, outcomes, read()).read_bytes() == one
    for word in (b"validation_loss, lower is better", b"pruned", b"failed", b"std of folds"):
        assert word in one


def test_a_real_training_is_searched(
    tmp_path: Path, sentiment_train: pa.Table, sentiment_test: pa.Table, tiny_options: dict[str, Any]
) -> None:
    """In processes of its own, as the runner starts them: the design beats the worse of two rates."""
    columns = {"text": "text", "label": "label"}
    config = {
        "plugin": "train-classifier",
        "method": "grid",
        "space": {"learning_rate": [5e-3, 1e-6]},
        "fixed": {name: value for name, value in tiny_options.items() if name != "learning_rate"},
        "parallel": 2,
    }
    spec = RunSpec(
        run="7",
        plugin="search",
        subject="moods/1",
        config=config,
        seed=0,
        device="cpu",
        data={
            "train": dataset_input(tmp_path / "train", sentiment_train, role="train", **columns),
            "validation": dataset_input(tmp_path / "test", sentiment_test, role="validation", **columns),
        },
        model=ModelInput(
            ref="moods/1",
            stage="planned",
            digest=digest_of("moods/1"),
            artifact=None,
            artifact_digest="",
            plan={},
            design={"architecture": "bert", "epochs": 50, "dropout": "0.0"},
            targets=(),
        ),
    )
    folder = RunFolder(tmp_path / "run")
    ticket = Ticket(
        run=7,
        token=1,
        engine="local",
        evidence="run.search",
        valid_days=None,
        home=str(tmp_path),
        artifacts="",
        max_seconds=0,
        max_bytes=1,
    )
    folder.prepare(spec, ticket)
    ctx = RunContext(spec, folder.path, partial(start_part, folder))
    designed = Search().run(ctx, read(**config))
    ctx.close()
    assert designed.design.pop("plugin") == config["plugin"]
    assert designed.design.pop("architecture")
    assert designed.design == {**config["fixed"], "learning_rate": 5e-3}
    assert designed.evidence.metrics["best_score"] < 0.5
    rows = designed.evidence.tables["trials"]
    assert [row["state"] for row in rows] == ["complete", "complete"]
    result = json.loads((folder.path / "trials" / "0000" / "result.json").read_text())
    # What the search left open is as the version's design has it, and what it said goes before it.
    facts = result["evidence"]["facts"]
    assert "epochs 50 -> 3" in facts["differs_from_design"]
    assert "dropout" not in facts["differs_from_design"]
