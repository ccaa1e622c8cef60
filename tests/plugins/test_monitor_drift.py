"""monitor-drift: seen on shifted traffic, not on traffic of the same kind, not judged on too little."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.extension import DatasetInput, DeploymentInput, Evidence
from registry.extension.predictor import load_predictor
from registry.extension.testing import PluginContract, dataset_input, run_plugin
from registry.plugins.deploy.traffic import TrafficLog
from registry.plugins.monitor.drift import MonitorDrift
from registry.plugins.monitor.features import Vocabulary, words_of
from registry.plugins.monitor.stability import compare, significant

WORDS = (
    "the",
    "film",
    "was",
    "plot",
    "actor",
    "scene",
    "we",
    "saw",
    "it",
    "with",
    "friend",
    "fine",
    "great",
    "awful",
)


class TestContract(PluginContract):
    plugin = MonitorDrift


def texts_of(rows: int, seed: int) -> list[str]:
    """Texts of one and the same kind, others for every seed."""
    dice = random.Random(seed)
    return [" ".join(dice.choices(WORDS, k=dice.randint(3, 14))) for _ in range(rows)]


def shifted(texts: Sequence[str]) -> list[str]:
    """Longer, with numbers, and in words that no training text holds."""
    return [f"{text} {text} REFUND 20{number:03} quux zork" for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DatasetInput]:
    folder = tmp_path_factory.mktemp("data")
    return {
        role: dataset_input(
            folder / role,
            pa.table({"text": texts_of(rows, seed)}),
            ref=f"films-{role}/1",
            role=role,
            text="text",
        )
        for role, rows, seed in (("train", 600, 1), ("test", 300, 2))
    }


@pytest.fixture
def deploy(tmp_path: Path, tiny_artifact: Path) -> Callable[..., DeploymentInput]:
    """A deployment's folder with traffic in it, scored by the model and written by the server's own log."""
    predictor = load_predictor(tiny_artifact)

    def make(
        texts: Sequence[str], *, log_inputs: bool = True, add: float = 0.0, **details: Any
    ) -> DeploymentInput:
        number = len(list(tmp_path.glob("deployment-*"))) + 1
        folder = tmp_path / f"deployment-{number}"
        folder.mkdir()
        probabilities = predictor.probabilities(pa.table({"text": pa.array(texts, pa.string())}))
        log = TrafficLog(folder / "traffic.jsonl", max_bytes=1 << 24, log_inputs=log_inputs)
        log.open()
        for text, row in zip(texts, probabilities, strict=True):
            score = float(row[predictor.labels.index(predictor.positive)]) + add
            log.append("request", [(text, predictor.labels[int(row.argmax())], score)])
        return DeploymentInput(
            id=number,
            target="local",
            endpoint=f"http://127.0.0.1:{number}",
            plugin="deploy-local",
            folder=folder,
            details=details,
        )

    return make


@pytest.fixture
def monitor(tmp_path: Path, tiny_artifact: Path, data: dict[str, DatasetInput]) -> Callable[..., Evidence]:
    def run(*deployments: DeploymentInput, **config: Any) -> Evidence:
        evidence = run_plugin(
            MonitorDrift(),
            tmp_path / "run",
            artifact=tiny_artifact,
            data=config.pop("data", data),
            deployments=deployments,
            config=config,
        )
        assert isinstance(evidence, Evidence)
        return evidence

    return run


FEATURES = ["characters", "words", "digits", "upper_case", "word_length", "unknown_words", "score"]


def test_other_traffic_of_the_same_kind_is_no_drift(deploy: Any, monitor: Any) -> None:
    evidence = monitor(deploy(texts_of(400, seed=3)))
    assert (evidence.status, evidence.coverage) == ("complete", 1.0)
    assert evidence.metrics["drifted"] == 0.0
    assert evidence.metrics["drifted_features"] == 0
    assert evidence.metrics["rows"] == 400
    assert evidence.metrics["reference_rows"] == 300
    assert evidence.metrics["psi.max"] < 0.25
    assert evidence.metrics["psi.max"] == max(evidence.metrics[f"psi.{name}"] for name in FEATURES)
    assert evidence.facts["alarm"] == "none"
    assert evidence.facts["reference"] == "films-train/1"
    assert evidence.facts["reference_of_scores"] == "films-test/1"


def test_shifted_traffic_is_drift_and_said_in_words(deploy: Any, monitor: Any) -> None:
    evidence = monitor(deploy(shifted(texts_of(200, seed=3))))
    assert evidence.metrics["drifted"] == 1.0
    drifted = {row["feature"] for row in evidence.tables["features"] if row["drifted"]}
    assert drifted >= {"characters", "words", "digits", "upper_case", "unknown_words"}
    assert evidence.metrics["drifted_features"] == len(drifted)
    assert evidence.metrics["psi.max"] > 1
    assert "share of words that the training data do not hold: median 0 ->" in evidence.facts["alarm"]
    assert evidence.facts["alarm"] in evidence.summary


def test_scores_that_moved_are_drift_although_the_texts_did_not(deploy: Any, monitor: Any) -> None:
    evidence = monitor(deploy(texts_of(200, seed=3), add=-0.2))
    assert evidence.metrics["drifted_features"] == 1
    (score,) = (row for row in evidence.tables["features"] if row["drifted"])
    assert score["live_median"] == pytest.approx(score["reference_median"] - 0.2, abs=0.05)
    assert evidence.facts["alarm"].startswith("the model's score for its positive label: median ")


def test_the_tables_hold_what_a_report_draws(deploy: Any, monitor: Any) -> None:
    evidence = monitor(deploy(shifted(texts_of(100, seed=3))))
    assert [row["feature"] for row in evidence.tables["features"]] == FEATURES
    for row in evidence.tables["features"]:
        assert row["psi"] == evidence.metrics[f"psi.{row['feature']}"]
        assert row["live_rows"] == 100
    (characters,) = (row for row in evidence.tables["features"] if row["feature"] == "characters")
    assert characters["live_median"] > 2 * characters["reference_median"]
    for name in FEATURES:
        bins = [row for row in evidence.tables["histograms"] if row["feature"] == name]
        assert sum(row["reference_share"] for row in bins) == pytest.approx(1)
        assert sum(row["live_share"] for row in bins) == pytest.approx(1)
        assert all(row["low"] <= row["high"] for row in bins)
        assert all(one["high"] == other["low"] for one, other in itertools.pairwise(bins))
    json.dumps(evidence.tables, allow_nan=False)


def test_too_few_rows_are_not_judged(deploy: Any, monitor: Any) -> None:
    evidence = monitor(deploy(shifted(texts_of(49, seed=3))))
    assert evidence.status == "insufficient"
    assert evidence.reason == "49 live rows, 50 are needed"
    assert "drifted" not in evidence.metrics


def test_without_a_deployment_nothing_is_judged(monitor: Any) -> None:
    evidence = monitor()
    assert evidence.status == "insufficient"
    assert evidence.reason == "0 live rows, 50 are needed"
    assert evidence.facts["deployments"] == "none"


def test_a_small_reference_is_not_judged(deploy: Any, monitor: Any, tmp_path: Path) -> None:
    train = dataset_input(
        tmp_path / "small", pa.table({"text": texts_of(20, seed=1)}), ref="few/1", role="train", text="text"
    )
    evidence = monitor(deploy(texts_of(60, seed=3)), data={"train": train})
    assert evidence.status == "insufficient"
    assert evidence.reason == "20 reference rows, 50 are needed"


def test_held_out_data_too_small_to_compare_with_gives_way_to_the_training_data(
    deploy: Any, monitor: Any, data: dict[str, DatasetInput], tmp_path: Path
) -> None:
    test = dataset_input(
        tmp_path / "few", pa.table({"text": texts_of(20, seed=1)}), ref="few/1", role="test", text="text"
    )
    evidence = monitor(deploy(texts_of(60, seed=3)), data={"train": data["train"], "test": test})
    assert evidence.status == "complete"
    assert evidence.facts["reference_of_scores"] == "films-train/1"


def test_without_the_texts_lengths_and_scores_are_judged_and_the_rest_is_named(
    deploy: Any, monitor: Any
) -> None:
    evidence = monitor(deploy(shifted(texts_of(100, seed=3)), log_inputs=False))
    assert evidence.facts["not_measured"] == "digits, upper_case, word_length, unknown_words"
    assert evidence.coverage == pytest.approx(3 / 7)
    assert evidence.metrics["drifted"] == 1.0
    assert "psi.digits" not in evidence.metrics


def test_only_the_last_rows_are_judged(deploy: Any, monitor: Any) -> None:
    old_and_new = deploy([*shifted(texts_of(200, seed=3)), *texts_of(200, seed=4)])
    assert monitor(old_and_new, window=200).metrics["drifted"] == 0.0
    assert monitor(old_and_new, window=400).metrics["drifted"] == 1.0


def test_rows_before_a_moment_are_left_out(deploy: Any, monitor: Any) -> None:
    deployment = deploy(texts_of(100, seed=3))
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    assert monitor(deployment, since="2020-01-01T00:00:00Z").metrics["rows"] == 100
    assert monitor(deployment, since=soon).metrics["rows"] == 0


def test_all_deployments_of_this_artifact_count_and_no_others(deploy: Any, monitor: Any) -> None:
    same = [deploy(texts_of(40, seed=seed)) for seed in (3, 4)]
    other = deploy(shifted(texts_of(100, seed=5)), artifact="sha256:of another model")
    evidence = monitor(*same, other)
    assert evidence.metrics["rows"] == 80
    assert evidence.metrics["drifted"] == 0.0
    assert evidence.facts["deployments_of_other_artifacts"] == "1"


def test_lines_that_are_no_rows_are_counted_and_passed_by(deploy: Any, monitor: Any) -> None:
    deployment = deploy(texts_of(60, seed=3))
    with (deployment.folder / "traffic.jsonl").open("ab") as log:
        log.write(b'\xff\n[]\n{"at": 1}\n{"at": 1, "score": NaN, "characters": 1, "words": 1}\n{"at": 17')
    evidence = monitor(deployment)
    assert evidence.metrics["rows"] == 60
    assert evidence.facts["unreadable_lines"] == "5"


def test_the_part_of_the_log_before_the_last_is_read_too(deploy: Any, monitor: Any) -> None:
    deployment = deploy(texts_of(60, seed=3))
    (deployment.folder / "traffic.jsonl").rename(deployment.folder / "traffic.1.jsonl")
    assert monitor(deployment).metrics["rows"] == 60


def test_a_score_that_the_log_rounds_is_compared_at_the_same_precision(
    deploy: Any, monitor: Any, data: dict[str, DatasetInput]
) -> None:
    """The tiny model's scores lie within a millionth of each other: what differs there is no drift."""
    evidence = monitor(deploy(texts_of(400, seed=3)))
    assert evidence.metrics["psi.score"] < 0.25
    assert evidence.metrics["ks.score"] < 0.2


# -- the measures -----------------------------------------------------------------------------------


def test_the_index_is_what_its_formula_says() -> None:
    reference = np.repeat(np.arange(10.0), 10)
    live = np.repeat([0.0, 9.0], [75, 25])
    one = compare("x", reference, live)
    empty = 1e-4
    expected = (0.75 - 0.1) * np.log(0.75 / 0.1) + (0.25 - 0.1) * np.log(0.25 / 0.1)
    expected += 8 * (empty - 0.1) * np.log(empty / 0.1)
    assert one.psi == pytest.approx(expected)
    assert one.ks == pytest.approx(0.65)


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_a_constant_that_moves_is_seen_on_either_side(shift: float) -> None:
    one = compare("x", np.full(100, 5.0), np.full(100, 5.0 + shift))
    assert one.psi > 1
    assert one.ks == 1.0


def test_what_is_expected_by_chance_is_exceeded_in_one_of_twenty_samples() -> None:
    dice = np.random.default_rng(0)
    pairs = [compare("x", dice.normal(size=500), dice.normal(size=200)) for _ in range(400)]
    above = np.mean([one.psi > one.psi_by_chance for one in pairs])
    assert 0.02 < above < 0.10


finite = st.floats(-1e6, 1e6) | st.integers(0, 3).map(float)


@given(st.lists(finite, min_size=2, max_size=60), st.lists(finite, min_size=2, max_size=60))
def test_any_two_samples_can_be_compared(reference: list[float], live: list[float]) -> None:
    one = compare("x", np.array(reference), np.array(live))
    assert one.psi >= 0
    assert 0 <= one.ks <= 1
    assert 0 <= one.p <= 1
    assert sum(one.shares[0]) == pytest.approx(1)
    assert sum(one.shares[1]) == pytest.approx(1)
    assert list(one.edges) == sorted(set(one.edges))
    same = compare("x", np.array(reference), np.array(reference))
    assert (same.psi, same.ks) == (0.0, 0.0)


def test_many_features_that_stayed_raise_no_alarm_together() -> None:
    dice = np.random.default_rng(0)
    stayed = [compare(str(n), dice.normal(size=300), dice.normal(size=300)) for n in range(100)]
    moved = compare("moved", dice.normal(size=300), dice.normal(loc=1, size=300))
    assert min(one.p for one in stayed) < 0.05
    found = significant([*stayed, moved], alpha=0.05)
    assert [name for name, real in found.items() if real] == ["moved"]


def test_a_training_text_is_judged_by_the_others() -> None:
    vocabulary = Vocabulary(["a good film", "a bad film"])
    assert vocabulary.unknown_share("a good film", trained_on=True) == pytest.approx(1 / 3)
    assert vocabulary.unknown_share("a good film", trained_on=False) == 0
    assert vocabulary.unknown_share("", trained_on=False) == 0


def test_chinese_characters_are_words() -> None:
    assert words_of("这部电影 is Good, 9分!") == ["这", "部", "电", "影", "is", "good", "9", "分"]
