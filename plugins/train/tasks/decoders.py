"""The shape of a decoder that begins from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def build_decoder(family: str, vocab_size: int, end: int, shape: Mapping[str, Any]) -> PreTrainedModel:
    """A decoder with random weights: GPT-2 (Radford et al. 2019) or Llama (Touvron et al. 2023).

    No token is named as padding: Llama would never train its embedding, and ours also begins documents.

    Args:
        family: `gpt2` or `llama`.
        vocab_size: Rows of the embedding.
        end: Id of the token that begins and ends documents.
        shape: `hidden_size`, `layers`, `heads`, `kv_heads`, `context`, `dropout`, `tie`.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    hidden, dropout = shape["hidden_size"], shape["dropout"]
    ends = {"bos_token_id": end, "eos_token_id": end, "tie_word_embeddings": shape["tie"]}
    if family == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab_size,
                n_positions=shape["context"],
                n_embd=hidden,
                n_layer=shape["layers"],
                n_head=shape["heads"],
                resid_pdrop=dropout,
                embd_pdrop=dropout,
                attn_pdrop=dropout,
                **ends,
            )
        )
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            max_position_embeddings=shape["context"],
            hidden_size=hidden,
            # Two thirds of 4: three matrices then hold what two of a GELU layer do; rounded for GPUs.
            intermediate_size=-(-8 * hidden // 3 // 32) * 32,
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["kv_heads"] or shape["heads"],
            attention_dropout=dropout,
            **ends,
        )
    )
