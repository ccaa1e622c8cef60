"""`train-classifier`: a small transformer encoder from scratch, with a tokenizer of its own."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, cast

from registry.domain.names import did_you_mean
from registry.errors import BadConfig, BadInput
from registry.extension import Evidence, RunContext, Trained, TrainPlugin
from registry.extension.discovery import read_config
from registry.plugins.train.account import differences, group_weights, label_counts, losses, machine
from registry.plugins.train.alarms import ALARMS, alarms
from registry.plugins.train.encoder import build_encoder, save_artifact
from registry.plugins.train.label_audit import audit_labels, keep, without_texts
from registry.plugins.train.labelled import LabelledTexts, read_labelled
from registry.plugins.train.loss import row_weights, uninformed_loss
from registry.plugins.train.options import ARCHITECTURE, TrainConfig
from registry.plugins.train.provenance import determinism, environment, learned_from, packages
from registry.plugins.train.tokenizer import train_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

    from registry.plugins.train.trainer import Example


class TrainClassifier(TrainPlugin[TrainConfig]):
    """Train a text classifier from scratch on a version's training data."""

    name = "train-classifier"
    evidence = "run.train"
    requires = ("accelerate", "safetensors", "tokenizers", "torch", "transformers")
    extra = "train"

    def run(self, ctx: RunContext, config: TrainConfig) -> Trained:
        """Learn tokenizer and weights; the same seed, data, options and threads give the same bytes.

        Raises:
            BadInput: Data that nothing can be learned from: no rows, one label, rows without label.
            BadConfig: An option that does not fit the data, the design or the machine.
            RunFailed: The loss became NaN or infinite.
            Cancelled: Somebody asked to stop.
        """
        began = time.monotonic()
        config = self._with_design(ctx, config)
        source = ctx.role("train")
        train = read_labelled(source, config.reweigh)
        validation = read_labelled(ctx.data["validation"]) if "validation" in ctx.data else None
        positive = _check(train, validation, config)
        _check_device(ctx.device)
        _use_threads(config.threads)
        ctx.log(f"{len(train.texts)} rows, labels {', '.join(train.classes)}, positive {positive!r}")

        tokenizer = train_tokenizer(train.texts, vocab_size=config.vocab_size, lowercase=config.lowercase)
        tokenizer.enable_truncation(config.max_length)
        encodings = tokenizer.encode_batch(train.texts)
        weights = row_weights(
            train.labels,
            groups=train.groups if config.reweigh else None,
            balanced=config.class_weight == "balanced",
        )
        held_out = (
            _examples(tokenizer.encode_batch(validation.texts), validation, train.classes)
            if validation
            else []
        )
        model = build_encoder(train.classes, tokenizer.get_vocab_size(), config, ctx.seed)
        ctx.check_cancelled()

        import torch

        from registry.plugins.train.trainer import build_trainer

        trainer = build_trainer(
            ctx, model, _examples(encodings, train, train.classes, weights), held_out, config
        )
        checkpoint = ctx.resume_from()
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

        folder = ctx.output("artifact")
        tokenizer.no_truncation()
        columns = source.columns.model_dump(mode="json")
        save_artifact(folder, model, tokenizer, train.classes, positive, columns, config.max_length)
        loss = losses(trainer, uninformed_loss(train.labels, weights, smoothing=config.label_smoothing))
        alarm = alarms(trainer, loss)
        audit = audit_labels(trainer, tokenizer, train, ctx.seed)
        list_file, list_digest = packages(ctx.folder / "packages.txt")
        seconds = time.monotonic() - began
        metrics = {
            **loss,
            "alarms": len(alarm),
            **{f"alarms.{name}": any(name == row["alarm"] for row in alarm) for name in ALARMS},
            "labels": len(train.classes),
            "labels.minority_share": min(Counter(train.labels).values()) / len(train.labels),
            "label_audit.rows": len(audit),
            "label_audit.mismatches": sum(not row["same"] for row in audit),
            "steps": trainer.state.global_step,
            "epochs": trainer.state.epoch or 0.0,
            "parameters": model.num_parameters(),
            "truncated_share": sum(bool(encoding.overflowing) for encoding in encodings) / len(encodings),
            "seconds": seconds,
            "hours": seconds / 3600,
        }
        facts = {
            **machine(trainer),
            "architecture": f"BERT encoder, {config.layers} x {config.hidden_size}, {config.heads} heads",
            "vocabulary": f"{tokenizer.get_vocab_size()} tokens, byte-level BPE",
            "max_length": str(config.max_length),
            "reweigh": ", ".join(config.reweigh) or "none",
            "class_weight": config.class_weight,
            "positive": positive,
            "seed": str(ctx.seed),
            "resumed_from": checkpoint.name if checkpoint else "start",
            "differs_from_design": differences(ctx.model.design, config) or "no",
            "alarms": ", ".join(row["alarm"] for row in alarm) or "none",
            **learned_from(ctx.data),
            **environment(),
            "packages": list_digest,
            "determinism": determinism(ctx.device, torch.get_num_threads()),
        }
        tables = {"labels": label_counts(train.labels), "label_audit": without_texts(audit), "alarms": alarm}
        if config.reweigh:
            tables["reweighing"] = group_weights(train, config.reweigh)
        summary = f"{len(train.texts)} rows, {metrics['steps']} steps, last loss {metrics['train_loss']:.3f}"
        for row in alarm:
            ctx.log(f"alarm: {row['alarm']}, {row['value']:.4f} over {row['limit']:.4f}")
        files = (list_file, keep(audit, ctx.folder / "label_audit.json"))
        return Trained(
            path=folder,
            evidence=Evidence(metrics=metrics, facts=facts, tables=tables, summary=summary, files=files),
        )

    def _with_design(self, ctx: RunContext, config: TrainConfig) -> TrainConfig:
        """The options, with the design's architecture wherever the run does not say otherwise."""
        design = {name: ctx.model.design[name] for name in ARCHITECTURE if name in ctx.model.design}
        merged = cast("TrainConfig", read_config(self, {**design, **config.model_dump(exclude_unset=True)}))
        if merged.hidden_size % merged.heads:
            raise BadConfig(f"{merged.heads} heads do not divide a hidden_size of {merged.hidden_size}")
        return merged


def _check(train: LabelledTexts, validation: LabelledTexts | None, config: TrainConfig) -> str:
    """Refuse what cannot be learned; returns the positive label."""
    if len(train.classes) < 2:
        raise BadInput(
            f"all {len(train.labels)} training rows have the label {train.classes[0]!r}: nothing to learn"
        )
    if validation and (strangers := sorted(set(validation.classes) - set(train.classes))):
        raise BadInput(f"the validation data has labels that the training data lacks: {', '.join(strangers)}")
    if config.patience and not validation:
        raise BadConfig(
            "patience needs validation data, and the version names none",
            hint="phasegate model data REF validation=...",
        )
    if config.positive and config.positive not in train.classes:
        raise BadConfig(
            f"positive is {config.positive!r}, which is none of the labels",
            hint=did_you_mean(config.positive, train.classes),
        )
    counts = Counter(train.labels)
    return config.positive or min(train.classes, key=lambda label: (counts[label], label))


def _check_device(device: str) -> None:
    import torch

    if device not in ("cpu", "cuda"):
        raise BadConfig(
            f"cannot train on device {device!r}", hint="use cpu or cuda; CUDA_VISIBLE_DEVICES picks a GPU"
        )
    if device == "cuda" and not torch.cuda.is_available():
        raise BadConfig("device is cuda, and torch finds no GPU here", hint="use --device cpu")


def _use_threads(count: int) -> None:
    import os

    import torch

    torch.set_num_threads(count or os.cpu_count() or 1)


def _examples(
    encodings: list[Encoding],
    rows: LabelledTexts,
    classes: tuple[str, ...],
    weights: list[float] | None = None,
) -> list[Example]:
    numbers = {label: number for number, label in enumerate(classes)}
    return [
        {"input_ids": encoding.ids, "labels": numbers[label], "weights": weight}
        for encoding, label, weight in zip(
            encodings, rows.labels, weights or [1.0] * len(encodings), strict=True
        )
    ]
