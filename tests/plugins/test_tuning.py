"""Every plugin that trains with torch begins with a base, freezes it, tunes it by depth, and by adapters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kinds import CASES

from registry.errors import BadConfig
from registry.extension import Evidence

KINDS = ("classifier", "causal", "masked", "seq2seq", "tagger", "pictures", "boxes")
TIED = "the base's output is tied to its embeddings, it has no head"

Tune = Callable[..., Evidence]


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> Tune:
    """`tune("tagger", freeze="1")`: the evidence of tuning what the same plugin made from scratch."""
    bases: dict[str, Path] = {}

    def go(kind: str, **options: Any) -> Evidence:
        if kind not in bases:
            bases[kind] = CASES[kind].run(tmp_path_factory.mktemp(kind)).path
        return CASES[kind].run(tmp_path_factory.mktemp("tuned"), base=bases[kind], **options).evidence

    return go


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_where_the_base_ended(kind: str, tune: Tune) -> None:
    evidence = tune(kind)
    assert evidence.facts["base.head"] == "kept"
    assert evidence.metrics["parameters.trained"] == evidence.metrics["parameters"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_lowest_layers_can_be_frozen(kind: str, tune: Tune) -> None:
    embeddings, lowest = tune(kind, freeze="embeddings"), tune(kind, freeze="1")
    assert lowest.facts["frozen"] == "embeddings and 1 of 1 layers"
    whole = lowest.metrics["parameters"]
    assert 0 < lowest.metrics["parameters.trained"] < embeddings.metrics["parameters.trained"] < whole


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_lower_learns_at_another_rate(kind: str, tune: Tune) -> None:
    assert tune(kind, layer_decay=0.5).metrics["parameters.trained"] > 0
    if kind in ("causal", "seq2seq"):
        with pytest.raises(BadConfig, match=TIED):
            tune(kind, head_rate=3)
        with pytest.raises(BadConfig, match="nothing would be left to train"):
            tune(kind, freeze="all-but-head")
    else:
        assert tune(kind, head_rate=3, freeze="all-but-head").facts["frozen"] == "all but the head"


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_are_put_in_its_blocks_and_merged(kind: str, tune: Tune) -> None:
    if kind == "pictures":
        with pytest.raises(BadConfig, match="has no linear layers in its blocks"):
            tune(kind, lora_rank=2)
        return
    evidence = tune(kind, lora_rank=2)
    assert evidence.metrics["parity.max_difference"] < 1e-5
    assert evidence.metrics["parameters.trained"] < 0.25 * evidence.metrics["parameters"]
    if kind == "boxes":
        # Layers of its head are called 0, 1, 2: they are trained as they are.
        assert evidence.facts["lora"] == "rank 2, alpha 4, in query, key, value, dense"


@pytest.mark.parametrize("kind", ["classifier", "tagger", "pictures", "boxes"])
def test_labels_keep_the_order_that_the_base_has(kind: str, tmp_path: Path) -> None:
    """A model made elsewhere need not have them in alphabetical order; its head knows no other."""
    made = CASES[kind].run(tmp_path / "base").path
    config = json.loads((made / "config.json").read_text())
    turned = list(reversed(config["id2label"].values()))
    config["id2label"] = {str(number): label for number, label in enumerate(turned)}
    config["label2id"] = {label: number for number, label in enumerate(turned)}
    (made / "config.json").write_text(json.dumps(config))
    trained = CASES[kind].run(tmp_path / "tuned", base=made)
    assert trained.evidence.facts["base.head"] == "kept"
    assert trained.evidence.metrics["label_audit.mismatches"] == 0
    assert json.loads((trained.path / "phasegate.json").read_text())["labels"] == turned
