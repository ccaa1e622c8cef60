"""The Hugging Face Trainer, taught row weights and the ways of a run.

Its classes extend those of transformers, so this module imports it at once:
import it inside `run` only.
"""
# ruff: noqa: TID253

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, PreTrainedModel, PrinterCallback, Trainer, TrainerCallback
from transformers.trainer_callback import TrainerControl, TrainerState
from transformers.training_args import TrainingArguments
from transformers.utils import logging

from registry.extension import RunContext
from registry.plugins.train.batching import LengthGroupedBatches
from registry.plugins.train.loss import weighted_cross_entropy
from registry.plugins.train.options import TrainConfig

# Points of a loss curve: enough to plot, few enough to keep with the run.
_CURVE = 200


class Example(TypedDict):
    """One encoded row: token ids, class number, weight in the training loss."""

    input_ids: list[int]
    labels: int
    weights: float


class WeightedTrainer(Trainer):
    """A Trainer whose training loss counts each row by its weight; validation loss counts all alike.

    Attributes:
        network: The model itself; `model_wrapped` is what really trains it.
        examples: The training rows.
        smoothing: Label smoothing of the training loss.
    """

    network: PreTrainedModel
    examples: Sequence[Example]
    smoothing: float

    def get_train_dataloader(self) -> DataLoader[Example]:
        lengths = [len(example["input_ids"]) for example in self.examples]
        batches = LengthGroupedBatches(lengths, self.args.train_batch_size, self.args.seed)
        loader: DataLoader[Example] = DataLoader(self.examples, batch_sampler=batches, collate_fn=collate)
        prepared: DataLoader[Example] = self.accelerator.prepare(loader)
        return prepared

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        smoothing = self.smoothing if model.training else 0.0
        loss = weighted_cross_entropy(outputs.logits, inputs["labels"], inputs["weights"], smoothing)
        return (loss, outputs) if return_outputs else loss


class Reporter(TrainerCallback):
    """Tells the run what happens: metrics, progress, checkpoints; and stops it when asked."""

    def __init__(self, ctx: RunContext) -> None:
        self.ctx = ctx
        self.loss = ""

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.ctx.check_cancelled()
        self.ctx.progress(state.global_step, state.max_steps, self.loss)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        # Otherwise the steps since the last report would go unseen, a NaN among them too.
        control.should_log = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        names = {"loss": "loss", "learning_rate": "learning_rate", "eval_loss": "validation_loss"}
        for theirs, ours in names.items():
            if logs and theirs in logs:
                self.ctx.log_metric(ours, logs[theirs], state.global_step)
        if logs and "loss" in logs:
            self.loss = f"loss {logs['loss']:.4f}"

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        assert args.output_dir is not None
        self.ctx.checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)


def build_trainer(
    ctx: RunContext,
    model: PreTrainedModel,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: TrainConfig,
) -> WeightedTrainer:
    """A trainer that writes only below the run's folder and speaks only through the run.

    With `patience` it stops after that many epochs without a
    lower validation loss, and ends with the best epoch's weights.
    """
    logging.disable_progress_bar()
    steps = math.ceil(len(train) / config.batch_size) * config.epochs
    on_gpu = torch.device(ctx.device).type == "cuda"
    arguments = TrainingArguments(
        output_dir=str(ctx.folder / "training"),
        use_cpu=not on_gpu,
        seed=ctx.seed,
        # On a GPU some kernels add in a different order each time unless told not to.
        full_determinism=on_gpu,
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=2 * config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup,
        eval_strategy="epoch" if validation else "no",
        save_strategy="epoch",
        # Two: the older one is deleted before the newer one is declared complete.
        save_total_limit=2,
        load_best_model_at_end=bool(config.patience),
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=bool(config.patience),
        logging_steps=max(1, steps // _CURVE),
        logging_first_step=True,
        logging_nan_inf_filter=False,  # the filter would hide that a loss is NaN
        dataloader_pin_memory=on_gpu,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
        log_level="error",
    )
    trainer = WeightedTrainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=sorted(validation, key=lambda example: len(example["input_ids"])) or None,
        data_collator=collate,
        callbacks=[Reporter(ctx), *([EarlyStoppingCallback(config.patience)] if config.patience else [])],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.network, trainer.examples = model, train
    trainer.smoothing = config.label_smoothing
    return trainer


def collate(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """One batch, padded with id 0 to its own longest example."""
    longest = max(len(example["input_ids"]) for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, example in enumerate(examples):
        length = len(example["input_ids"])
        ids[row, :length] = torch.tensor(example["input_ids"])
        mask[row, :length] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": torch.tensor([example["labels"] for example in examples]),
        "weights": torch.tensor([example["weights"] for example in examples]),
    }
