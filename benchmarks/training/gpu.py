"""On a GPU: pretraining a 124M GPT-2 beside a loop in nanoGPT's style, and LoRA on the shape of Llama-3-8B.

    python benchmarks/training/gpu.py [gpt2 lora] [--rounds 5] [--steps 30] [--tiny] [--out FILE]

Both GPT-2 loops run in this process, in turns: bf16 autocast, compiled, fused AdamW, 64 x 1,024 tokens a step
in micro-batches of 32, random tokens, random weights. Tokens a second are of the wall clock, from the end of
the third step to that of the last but one. MFU is by PaLM's appendix B, 6 N + 12 layers x width x context
FLOPs a token, over the dense bf16 peak of the datasheet. LoRA: rank 16 on all linear layers, weights in bf16,
4,096 tokens a row, activations computed twice. `--tiny` tries the script itself, on any device.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from contexts import StampedContext

from registry.extension.inputs import BaseInput
from registry.plugins.train.causal_lm import TrainCausalLM
from registry.plugins.train.engine.batches import Plan, share
from registry.plugins.train.engine.loop import fit
from registry.plugins.train.start import Begun
from registry.plugins.train.tasks.blocks import Tokens, cut, one_each
from registry.plugins.train.tasks.causal_lm import CausalLM, Corpus
from registry.plugins.train.tasks.tokenizers import learn_bytes
from registry.plugins.train.tasks.vocabulary import Vocabulary
from registry.plugins.train.tuning import tune

_SKIP = 3
_END = "<|endoftext|>"
# Dense bf16, FLOPs a second: NVIDIA's datasheets of H100 SXM, H200 SXM, A100.
_PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


def main() -> None:
    """Print the figures, and write them with device, date and versions."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("what", nargs="*", default=["gpt2", "lora"])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=30)
    arguments.add_argument("--tiny", action="store_true")
    arguments.add_argument("--out", type=Path)
    given = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    for what in given.what:
        bench = {"gpt2": gpt2, "lora": lora}[what]
        found[what] = bench(device, given.rounds, given.steps, given.tiny)
        print(json.dumps({what: found[what]}), flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def gpt2(device: str, rounds: int, steps: int, tiny: bool) -> dict[str, Any]:
    """Tokens a second of both, their ratio, and MFU."""
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 64} if tiny else {}
    context, rows, micro = (64, 8, 4) if tiny else (1024, 64, 32)
    size = 512 if tiny else 50304
    config = TrainCausalLM.config_type(
        steps=steps,
        batch_size=rows,
        micro_batch=micro,
        precision="bf16",
        compile=True,
        learning_rate=6e-4,
        weight_decay=0.1,
        beta2=0.95,
        checkpoint_every=10**6,
    )
    ours, hand = [], []
    n = 0
    for number in range(rounds):
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=size,
                n_positions=context,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                use_cache=False,
                **shape,
            )
        )
        n = sum(p.numel() for p in model.parameters())
        task = random_tokens(model, size, context, rows * steps)
        start = {name: value.clone() for name, value in model.state_dict().items()}
        hand.append(speed(by_hand(task, config, device), rows * context))
        model.load_state_dict(start)
        with tempfile.TemporaryDirectory() as folder:
            ctx = StampedContext(Path(folder) / str(number), {}, device=device)
            fit(ctx, task, config)
        ours.append(speed(ctx.wall, rows * context))
        torch._dynamo.reset()
    config_ = task.model.config
    flops = 6 * n + 12 * config_.n_layer * config_.n_embd * context
    return {
        "tokens_per_second": statistics.median(ours),
        "by_hand": statistics.median(hand),
        "ratio": statistics.median(a / b for a, b in zip(ours, hand, strict=True)),
        "mfu": mfu(statistics.median(ours) * flops),
        "rounds": rounds,
    }


def by_hand(task: CausalLM, config: Any, device: str) -> list[float]:
    """A loop in the style of nanoGPT."""
    model = task.model.to(device).train()
    run = torch.compile(model)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )
    plan = Plan(len(task.train), config.batch_size, 0)
    stamps = []
    for step in range(config.steps):
        parts = share(plan.rows(step), 0, 1, config.micro_batch)
        for rows in parts:
            batch = task.batch(task.train, rows, None)
            ids = batch["input_ids"].to(device, non_blocking=True)
            labels = batch["labels"].to(device, non_blocking=True)
            with torch.autocast(device, dtype=torch.bfloat16):
                logits = run(input_ids=ids).logits
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
            (loss / len(parts)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if device == "cuda":
            torch.cuda.synchronize()
        stamps.append(time.perf_counter())
    return stamps


def lora(device: str, rounds: int, steps: int, tiny: bool) -> dict[str, Any]:
    """Tokens a second of adapters on random weights of the shape of Llama-3-8B."""
    context, rows = (64, 4) if tiny else (4096, 4)
    shape = (
        {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        if tiny
        else {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
        }
    )
    size = 512 if tiny else 128256
    config = TrainCausalLM.config_type(
        steps=steps,
        batch_size=rows,
        micro_batch=1,
        precision="bf16",
        activation_checkpointing=True,
        lora_rank=16,
        learning_rate=1e-4,
        checkpoint_every=10**6,
    )
    found = []
    for number in range(min(rounds, 2)):
        with torch.device(device):
            torch.set_default_dtype(torch.bfloat16)
            model = transformers.LlamaForCausalLM(
                transformers.LlamaConfig(
                    vocab_size=size,
                    max_position_embeddings=context,
                    num_key_value_heads=2 if tiny else 8,
                    rope_theta=500000.0,
                    tie_word_embeddings=False,
                    **shape,
                )
            )
            torch.set_default_dtype(torch.float32)
        model.begun = Begun(BaseInput(ref="random", digest="", path=Path()), new=())
        task = random_tokens(model, size, context, rows * steps)
        with tempfile.TemporaryDirectory() as folder:
            ctx = StampedContext(Path(folder) / str(number), {}, device=device)
            tune(ctx, config, task)
            fit(ctx, task, config)
        found.append(speed(ctx.wall, rows * context))
    return {"tokens_per_second": statistics.median(found), "rounds": len(found)}


def random_tokens(model: Any, size: int, context: int, blocks: int) -> CausalLM:
    """A task over random tokens, as the plugin makes one of documents."""
    tokenizer = learn_bytes(["a b c"], vocab_size=300, special=[_END], frame=f"{_END} $A")
    vocabulary = Vocabulary(tokenizer, {"bos_token": _END, "eos_token": _END, "pad_token": _END})
    ids = np.random.default_rng(0).integers(0, size, blocks * context + 1)
    tokens = Tokens.of([ids])
    corpus = Corpus(one_each(tokens, cut(tokens, context)), [""])
    return CausalLM(model, vocabulary, corpus, None, longest=context, smoothing=0.0, card={})


def speed(stamps: list[float], tokens: int) -> float:
    """Tokens a second."""
    return tokens * (len(stamps) - 2 - _SKIP) / (stamps[-2] - stamps[_SKIP])


def mfu(flops: float) -> float | None:
    """Share of the device's peak; None if that is not known."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    peak = next((peak for kind, peak in _PEAKS.items() if kind in name), None)
    return flops / peak if peak else None


if __name__ == "__main__":
    main()
