"""What every plugin's evidence holds, by a run of each: policies can name this, and nothing else.

One life of a small model through the public surface, on SQLite alone: what plugins return does not depend
on the database, and how it is recorded is tested on both elsewhere.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from registry.api import Registry
from registry.plugins.check.document_kinds import DATASHEET, KINDS, Heading
from registry.plugins.check.pii import IDENTIFYING
from registry.plugins.monitor.features import MEANING
from registry.policy.shipped import shipped_texts
from registry.storage.home import Home
from registry.usecases.views import EvidenceView

# All work may be done at once: here plugins are on trial, not gates.
LIFECYCLE = """
kind: Lifecycle
metadata: {name: workshop}
stages: [draft, gone]
steps: [{from: draft, to: gone, open: true}]
work: {data: [draft], design: [draft], train: [draft], deploy: [draft], retire: [draft]}
"""
TRAINING = {
    "epochs": 3,
    "learning_rate": 5e-3,
    "hidden_size": 32,
    "layers": 1,
    "heads": 2,
    "vocab_size": 400,
    "max_length": 32,
}
RETIREMENT = {
    "reason": "the shop closed",
    "dependants": "web shop,call centre",
    "data_migration": "reviews stay",
    "resource_release": "the server",
    "risk": "reviews are sorted by hand until summer",
}

TESTED = {"test", "test.digest", "intervals"}
DOCUMENT = (
    {"words", "headings_required", "headings_missing"},
    {"title", "owner", "file", "sha256", "missing"},
)


def ends(*names: str) -> set[str]:
    """Each figure with the ends of its interval."""
    return {f"{name}{end}" for name in names for end in ("", ".lower", ".upper")}


CHANGES = ("typos", "case", "whitespace", "punctuation")
DIFFERENCES = ("demographic_parity", "equal_opportunity", "equalized_odds")

# Kind of evidence -> its metrics, its facts.
MADE: Mapping[str, tuple[set[str], set[str]]] = {
    "data.quality": (
        {"rows", "columns", "completeness", "duplicate_share", "group.smallest_share"}
        | {f"text.{name}" for name in ("length.median", "length.p95", "empty_share")}
        | {f"label.{name}" for name in ("classes", "minority_share", "missing_share")},
        set(),
    ),
    "check.pii": (
        {"findings", "rows_scanned", "rows_with_findings", "rows_share"}
        | {f"findings.{name}" for name in IDENTIFYING},
        {"sees", "blind_to", "threshold", "language", "phone_regions", "columns", "columns_not_read"},
    ),
    "data.representativeness": (
        ends("tv.max", "psi.max", "sex.tv", "sex.psi", "label.tv", "label.psi")
        | {"rows", "reference_rows", "columns", "confidence", "group.smallest", "groups"}
        | {f"groups.{name}" for name in ("missing", "unexpected", "small")},
        {"columns", "reference", "reference.digest", "missing", "unexpected", "small", "intervals"},
    ),
    "check.license": (
        {"datasets", "allowed", "disallowed", "unlicensed", "unknown", "sourceless"},
        {"licence", "licences", "allowed", "problems"},
    ),
    "check.contamination": (
        {"rows", "contaminated_rows", "contaminated_share", "exact_rows", "near_rows"},
        {"train", "train.digest", "against", "method"},
    ),
    "doc.datasheet": DOCUMENT,
    "doc.rollback-plan": (DOCUMENT[0], DOCUMENT[1] | {"version.digest"}),
    "data.cleaning": (
        {"rows_in", "rows_out", "duplicates_removed", "cells_changed", "mojibake_repaired"}
        | {"control_removed", "empty_removed", "conflicting_duplicates"},
        {"conflicts", "same"},
    ),
    "data.masking": ({"spans_masked", "rows_masked"}, set()),
    "data.split": (
        {"rows", "leaked_rows"}
        | {f"{name}.{part}" for name in ("rows", "share") for part in ("train", "validation", "test")},
        {"seed", "stratified_by"},
    ),
    "run.train": (
        {"first_loss", "train_loss", "uninformed_loss", "validation_loss", "converged", "truncated_share"}
        | {"alarms", "alarms.not_a_number", "alarms.not_converged", "alarms.plateau", "alarms.diverged"}
        | {"alarms.overfitted", "alarms.exploding_gradients", "alarms.dead_rate", "alarms.starved_input"}
        | {"label_audit.rows", "label_audit.mismatches", "label_audit.share_trained"}
        | {"labels", "labels.minority_share", "parity.max_difference", "parity.rows"}
        | {"steps", "epochs", "tokens", "parameters", "parameters.trained", "seconds", "hours"}
        | {"waited_share", "flops", "energy_kwh"},
        {"seed", "packages", "python", "torch", "transformers", "tokenizers", "determinism", "resumed_from"}
        | {"device", "precision", "strategy", "processes", "threads", "compiled", "optimizer"}
        | {"platform", "cpu", "cpu.kernels", "gpu", "mkl", "mkldnn", "tf32", "deterministic_algorithms"}
        | {"cudnn.benchmark", "cudnn.deterministic", "git.commit", "tokenizer.digest", "stopped_by"}
        | {f"env.{name}_NUM_THREADS" for name in ("OMP", "MKL")}
        | {"env.MKL_CBWR", "env.CUBLAS_WORKSPACE_CONFIG", "env.NVIDIA_TF32_OVERRIDE"}
        | {"env.ATEN_CPU_CAPABILITY", "flops.method", "energy.method"}
        | {"replay", "replay.digest", "frozen", "lora"}
        | {f"base.{name}" for name in ("ref", "digest", "licence", "data", "head")}
        | {"train", "train.digest", "validation", "validation.digest", "alarms", "differs_from_design"}
        | {"architecture", "vocabulary", "max_length", "reweigh", "class_weight", "positive"},
    ),
    "eval.performance": (
        ends("accuracy", "precision", "recall", "f1")
        | {"rows", "auroc", "mcc", "brier", "ece", "ece.bins", "confidence", "leaked_rows"},
        TESTED | {"average", "auroc", "ece", "leakage"},
    ),
    "eval.subgroup": (
        ends("accuracy.worst", "f1.worst")
        | {"rows", "confidence", "slices", "slices.smallest", "slices.small", "slices.without_f1"}
        | {"accuracy.gap", "f1.gap", "label.accuracy.worst"}
        | {f"{part}.{score}.worst" for part in ("sex", "length") for score in ("accuracy", "f1")},
        TESTED | {"average", "dimensions", "accuracy.worst", "f1.worst", "small", "without_f1"},
    ),
    "eval.robustness": (
        ends(*(f"{score}.drop.{name}" for score in ("accuracy", "f1") for name in (*CHANGES, "max")))
        | {f"{score}.{name}" for score in ("accuracy", "f1") for name in ("clean", *CHANGES)}
        | {f"flips.{name}" for name in (*CHANGES, "max")}
        | {"rows", "strength", "confidence"},
        TESTED | {"average", "perturbations", "strength", "worst"},
    ),
    "eval.memorisation": (
        ends("membership.auc", "loss.gap")
        | {"membership.advantage", "membership.tpr_at_1pct_fpr", "loss.train", "loss.heldout"}
        | {"rows.train", "rows.heldout", "heldout_excluded", "confidence", "confidence.gap"},
        TESTED | {"train", "train.digest", "attack", "extraction"},
    ),
    "check.bias": (
        ends(*(f"{column}{name}_difference" for column in ("", "sex.") for name in DIFFERENCES))
        | {"groups", "smallest_group", "confidence"},
        TESTED | {"groups.sex", "positive"},
    ),
    "eval.security": (
        {"files", "unsafe_files", "unknown_files", "bytes"},
        {"formats", "verifies", "blind_to"},
    ),
    "deploy.health": (
        {"healthy", "parity.max_abs_diff", "parity.agreement", "parity.rows", "latency_ms.p50"}
        | {"bytes", "export_seconds", "start_seconds"},
        {"runtime", "endpoint", "protocol", "inputs_logged"},
    ),
    "monitor.window": (
        {"rows", "reference_rows", "drifted", "drifted_features", "psi.max"}
        | {f"{name}.{feature}" for name in ("psi", "ks") for feature in MEANING},
        {"deployments", "deployments_of_other_artifacts", "unreadable_lines", "window", "reference"}
        | {"reference_of_scores", "not_measured", "alarm"},
    ),
    "retirement": (
        {"deployments_running", "deployments_stopped", "dependants", "keep_days"}
        | {"archived_files", "archived_bytes"},
        {"reason", "successor", "dependants", "data_migration", "resource_release", "risk"}
        | {"deployments_stopped"},
    ),
}


class Life:
    """Runs plugins on one small model and keeps the evidence of each."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self.registry = registry
        self.folder = folder
        self.evidence: dict[str, EvidenceView] = {}

    def run(self, plugin: str, ref: str, *, data: Mapping[str, str] | None = None, **config: Any) -> None:
        run = self.registry.run(plugin, ref, data=data, config=config)
        for evidence in self.registry.runs.evidence(run.id):
            self.evidence[evidence.kind] = evidence

    def reviews(self, name: str, rows: int) -> str:
        """A dataset of short reviews."""
        texts = _reviews(rows, name)
        path = self.folder / f"{name}.csv"
        path.write_text("text,label,sex\n" + "".join(f"{','.join(row)}\n" for row in texts))
        return self.registry.add_dataset(
            name, path, text="text", label="label", sensitive=["sex"], licence="CC0-1.0"
        ).ref

    def document(self, headings: Sequence[Heading]) -> str:
        """A document with something below every heading."""
        path = self.folder / f"{headings[0].name.lower()}.md"
        path.write_text("Owner: Ann\n" + "".join(f"\n## {each.name}\nSomething.\n" for each in headings))
        return str(path)


def _reviews(rows: int, seed: str) -> Iterator[tuple[str, str, str]]:
    dice = random.Random(seed)
    plain = ("the", "film", "was", "and", "plot", "scene", "we", "saw", "it", "with", "a", "friend")
    for number in range(rows):
        label = "good" if number % 3 == 0 else "bad"
        telling = ("fine", "lovely", "superb") if label == "good" else ("awful", "poor", "horrid")
        words = [*dice.choices(plain, k=dice.randint(4, 12)), *dice.choices(telling, k=2)]
        dice.shuffle(words)
        yield " ".join(words), label, dice.choice("fm")


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, EvidenceView]]:
    """Evidence of every kind, by kind."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "workshop.yaml").write_text(LIFECYCLE)
    with Registry(Home.at(folder / "home"), "ann") as registry:
        registry.initialise(lifecycle=folder / "workshop.yaml")
        made = Life(registry, folder)
        raw, test = made.reviews("raw", 450), made.reviews("test", 240)
        made.run("clean", raw)
        made.run("split", "raw/2", train=0.8, validation=0.1, test=0.1)
        train = "raw-train/1"
        made.run("profile", train)
        made.run("pii", train)
        made.run("mask", train)
        made.run("represent", train, data={"reference": test})
        made.run("licences", train)
        made.run("contamination", test, data={"train": train})
        made.run("datasheet", train, file=made.document(DATASHEET))
        registry.add_system("films", purpose="sorts reviews", risk_tier="minimal")
        data = {"train": train, "validation": "raw-validation/1", "test": test}
        ref = registry.plan("reviews", system="films", data=data).ref
        made.run("train-classifier", ref, **TRAINING)
        for plugin in (
            "evaluate-classifier",
            "slices",
            "robustness",
            "memorisation",
            "bias",
            "scan-artifact",
        ):
            made.run(plugin, ref)
        made.run("document", ref, kind="rollback-plan", file=made.document(KINDS["rollback-plan"]))
        made.run("deploy-local", ref, parity_rows=20, requests=5, log_inputs=True)
        (deployment,) = registry.deployments.all(ref)
        try:
            registry.deployments.predict(deployment.id, [text for text, _, _ in _reviews(60, "live")])
            made.run("monitor-drift", ref)
            made.run("retire", ref, **RETIREMENT)
        finally:
            if registry.deployments.one(deployment.id).state == "active":
                registry.deployments.stop(deployment.id)
        yield made.evidence


@pytest.mark.parametrize("kind", sorted(MADE))
def test_evidence_holds_what_its_table_says(life: Mapping[str, EvidenceView], kind: str) -> None:
    evidence = life[kind]
    metrics, facts = MADE[kind]
    assert (evidence.status, evidence.reason) == ("complete", "")
    assert set(evidence.metrics) == metrics
    assert set(evidence.facts) == facts


def test_every_kind_of_evidence_was_made(life: Mapping[str, EvidenceView]) -> None:
    assert set(life) == set(MADE)


def test_the_shipped_policies_name_only_what_is_made() -> None:
    made = {**{f"doc.{kind}": MADE["doc.rollback-plan"] for kind in KINDS}, **MADE}
    text = re.sub(r"\s+", "", "".join(shipped_texts().values()))
    named = set(re.findall(r"evidence\['([^']+)'\]\.(metrics|facts)\['([^']+)'\]", text))
    assert {kind for kind, _, _ in named} >= {"run.train", "eval.performance", "check.bias"}
    strangers = [
        f"{kind}: {name}"
        for kind, part, name in sorted(named)
        if kind not in made or name not in made[kind][part == "facts"]
    ]
    assert strangers == []
