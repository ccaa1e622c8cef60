"""Depth of weights, freezing and rates, on tiny models of each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers as hf

from registry.errors import BadConfig
from registry.extension.inputs import BaseInput
from registry.plugins.train.layers import Layers
from registry.plugins.train.start import Begun, StartConfig
from registry.plugins.train.tuning import freeze, rates

SMALL = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8}


def bert() -> Any:
    return hf.BertForSequenceClassification(
        hf.BertConfig(vocab_size=20, max_position_embeddings=8, num_labels=2, **SMALL)
    )


def gpt2() -> Any:
    return hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=2, n_head=2))


def llama() -> Any:
    return hf.LlamaForCausalLM(
        hf.LlamaConfig(vocab_size=20, num_key_value_heads=1, tie_word_embeddings=False, **SMALL)
    )


def t5() -> Any:
    return hf.T5ForConditionalGeneration(
        hf.T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=2, num_decoder_layers=1, num_heads=2)
    )


def vit() -> Any:
    return hf.ViTForImageClassification(hf.ViTConfig(image_size=8, patch_size=4, num_labels=2, **SMALL))


def resnet() -> Any:
    return hf.ResNetForImageClassification(
        hf.ResNetConfig(
            embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", num_labels=2
        )
    )


def yolos() -> Any:
    """Its head is made of lists of layers, which are longer than its stack of blocks."""
    return hf.YolosForObjectDetection(
        hf.YolosConfig(
            image_size=[8, 8],
            patch_size=4,
            num_detection_tokens=2,
            num_labels=2,
            **SMALL | {"num_hidden_layers": 2},
        )
    )


DEPTHS = [
    (bert, "classifier.weight", 0),
    (bert, "bert.pooler.dense.weight", 0),
    (bert, "bert.encoder.layer.2.output.dense.weight", 1),
    (bert, "bert.encoder.layer.0.output.dense.weight", 3),
    (bert, "bert.embeddings.word_embeddings.weight", 4),
    (gpt2, "transformer.ln_f.weight", 0),
    (gpt2, "transformer.h.1.mlp.c_fc.weight", 1),
    (gpt2, "transformer.wte.weight", 3),
    (llama, "lm_head.weight", 0),
    (llama, "model.norm.weight", 0),
    (llama, "model.layers.2.mlp.up_proj.weight", 1),
    (llama, "model.embed_tokens.weight", 4),
    (t5, "decoder.block.0.layer.0.SelfAttention.q.weight", 1),
    (t5, "encoder.block.1.layer.0.SelfAttention.q.weight", 1),
    (t5, "encoder.block.0.layer.0.SelfAttention.q.weight", 2),
    (t5, "encoder.final_layer_norm.weight", 0),
    (t5, "shared.weight", 3),
    (vit, "classifier.weight", 0),
    (vit, "vit.embeddings.cls_token", 4),
    (resnet, "classifier.1.weight", 0),
    (yolos, "bbox_predictor.layers.0.weight", 0),
    (yolos, "class_labels_classifier.layers.2.weight", 0),
    (yolos, "vit.encoder.layer.1.output.dense.weight", 1),
    (yolos, "vit.encoder.layer.0.output.dense.weight", 2),
    (yolos, "vit.embeddings.detection_tokens", 3),
    (resnet, "resnet.embedder.embedder.convolution.weight", 3),
]


@pytest.mark.parametrize(("family", "name", "depth"), DEPTHS, ids=[f"{f.__name__}-{n}" for f, n, _ in DEPTHS])
def test_every_family_is_counted_from_its_head_down(family: Any, name: str, depth: int) -> None:
    layers = Layers.of(family())
    assert layers.depth[name] == depth


@pytest.mark.parametrize("family", [bert, gpt2, llama, t5, vit, resnet], ids=lambda family: family.__name__)
def test_every_weight_has_a_depth(family: Any) -> None:
    model = family()
    layers = Layers.of(model)
    assert set(layers.depth) == {name for name, _ in model.named_parameters()}
    assert min(layers.depth.values()) == 0
    assert max(layers.depth.values()) == layers.blocks + 1


def test_a_head_that_is_tied_to_the_embeddings_is_none() -> None:
    assert Layers.of(gpt2()).head == frozenset()
    assert Layers.of(llama()).head == {"lm_head.weight"}
    assert Layers.of(t5()).head in (frozenset(), frozenset({"lm_head.weight"}))


def trained(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_freezing_leaves_exactly_what_lies_above() -> None:
    model = bert()
    assert freeze(model, "embeddings", Layers.of(model)) == "embeddings"
    assert not any(name.startswith("bert.embeddings") for name in trained(model))
    assert any(name.startswith("bert.encoder.layer.0") for name in trained(model))

    model = bert()
    assert freeze(model, "2", Layers.of(model)) == "embeddings and 2 of 3 layers"
    assert {name.split(".")[3] for name in trained(model) if ".layer." in name} == {"2"}

    model = bert()
    assert freeze(model, "all-but-head", Layers.of(model)) == "all but the head"
    assert trained(model) == {"classifier.weight", "classifier.bias"}


def test_what_would_freeze_everything_or_more_is_refused() -> None:
    with pytest.raises(BadConfig, match="freeze is 4, and the base has 3 layers"):
        freeze(bert(), "4", Layers.of(bert()))
    with pytest.raises(BadConfig, match="nothing would be left to train"):
        freeze(gpt2(), "all-but-head", Layers.of(gpt2()))


def test_frozen_batch_norms_keep_their_statistics() -> None:
    import torch

    model = resnet()
    freeze(model, "all-but-head", Layers.of(model))
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    model(pixel_values=torch.randn(4, 3, 16, 16))
    assert all(torch.equal(before[name], buffer) for name, buffer in model.named_buffers())


def test_rates_fall_from_the_head_down() -> None:
    model = bert()
    config = StartConfig(layer_decay=0.5, head_rate=10)
    found = rates(model, config, Layers.of(model))
    assert found["classifier.weight"] == 10
    assert "bert.pooler.dense.weight" not in found  # as fast as the rate says
    assert found["bert.encoder.layer.2.output.dense.weight"] == 0.5
    assert found["bert.embeddings.word_embeddings.weight"] == 0.5**4


def test_a_frozen_layer_has_no_rate() -> None:
    model = bert()
    layers = Layers.of(model)
    freeze(model, "1", layers)
    found = rates(model, StartConfig(layer_decay=0.5), layers)
    assert set(found) <= trained(model)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"lora_alpha": 8}, "lora_alpha does nothing without lora_rank"),
        ({"lora_targets": "query"}, "lora_targets does nothing without lora_rank"),
        ({"lora_dropout": 0.1}, "lora_dropout does nothing without lora_rank"),
        ({"lora_rank": 4, "freeze": "embeddings"}, "freeze does nothing beside lora_rank"),
        ({"freeze": "all-but-head", "layer_decay": 0.9}, "layer_decay does nothing"),
        ({"freeze": "head"}, "write embeddings, all-but-head, or a number"),
        ({"freeze": "0"}, "write embeddings, all-but-head, or a number"),
        ({"layer_decay": 0}, "greater than 0"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        StartConfig(**options)


def test_a_number_of_layers_may_come_as_a_number() -> None:
    assert StartConfig(freeze=2).freeze == "2"


def test_a_new_head_is_named_by_its_modules(tmp_path: Path) -> None:
    base = BaseInput(ref="minilm/1", digest="sha256:ab", path=tmp_path)
    assert Begun(base, ()).head == "kept"
    assert Begun(base, ("classifier.bias", "classifier.weight")).head == "new (classifier)"
