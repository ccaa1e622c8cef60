"""Adapters: injected in place, merged to plain weights that answer the same, and kept as peft reads them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from training.test_layers import bert, gpt2, llama

from registry.errors import BadConfig
from registry.plugins.train.layers import Layers
from registry.plugins.train.lora import SETTINGS, WEIGHTS, inject, keep_adapter, merge
from registry.plugins.train.start import StartConfig
from registry.plugins.train.tuning import rates

IDS = {"input_ids": torch.tensor([[1, 2, 3, 4]])}


def adapted(family: Any, **options: Any) -> tuple[Any, Any, Layers]:
    """A model of random weights as the base, the same with adapters that were moved away from zero."""
    torch.manual_seed(0)
    model = family().eval()
    base, layers = copy.deepcopy(model), Layers.of(model)
    inject(model, StartConfig(lora_rank=2, **options), layers, seed=0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    return base, model.eval(), layers


@pytest.mark.parametrize("family", [bert, gpt2, llama], ids=lambda family: family.__name__)
def test_merged_weights_answer_as_the_adapters_did(family: Any) -> None:
    base, model, _ = adapted(family)
    with torch.no_grad():
        before = model(**IDS).logits
        assert (before - base(**IDS).logits).abs().max() > 1e-4
        merge(model)
        assert torch.allclose(model(**IDS).logits, before, atol=1e-5)
    assert set(model.state_dict()) == set(base.state_dict())
    assert type(model) is type(base)
    assert not hasattr(model, "peft_config")


def test_only_adapters_and_head_are_trained() -> None:
    _, model, layers = adapted(bert)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert layers.head < trained
    assert all("lora_" in name for name in trained - layers.head)
    # All linear layers of the three blocks, none outside: four of the attention, two of the MLP.
    assert len(trained - layers.head) == 2 * 6 * 3


def test_adapters_have_the_rate_of_the_layer_that_they_are_in() -> None:
    _, model, layers = adapted(bert)
    found = rates(model, StartConfig(lora_rank=2, layer_decay=0.5), layers)
    assert found["bert.encoder.layer.0.attention.self.query.lora_A.default.weight"] == 0.5**3


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # within peft
def test_peft_reads_what_was_kept(tmp_path: Path) -> None:
    from peft import PeftModel

    base, model, _ = adapted(bert, lora_targets="query,value")
    with torch.no_grad():
        model.classifier.weight.normal_()
    files = keep_adapter(model, tmp_path / "adapter")
    assert [file.name for file in files] == [WEIGHTS, SETTINGS]
    laid_over = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        assert torch.allclose(laid_over(**IDS).logits, model(**IDS).logits, atol=1e-6)


def test_a_target_that_is_not_there_is_told_the_nearest() -> None:
    with pytest.raises(BadConfig, match="lora_targets names 'qeury'") as caught:
        adapted(bert, lora_targets="qeury")
    assert "did you mean 'query'?" in caught.value.hint


def test_a_rank_beyond_the_layers_is_refused() -> None:
    with pytest.raises(BadConfig, match="lora_rank is 16, and the narrowest of these layers is 8"):
        inject(bert(), StartConfig(lora_rank=16), Layers.of(bert()), seed=0)
