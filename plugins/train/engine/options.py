"""Options that every training with torch shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from registry.extension import PluginConfig
from registry.extension.options import Words

OPTIMIZERS = ("adamw", "adam", "sgd", "adagrad", "adadelta", "adafactor")
SCHEDULES = ("linear", "cosine", "polynomial", "constant", "one-cycle", "plateau", "step")


class TorchConfig(PluginConfig):
    """How to train. What is trained is up to the plugin that extends it."""

    epochs: int = Field(4, ge=1, description="passes over the training data")
    steps: int = Field(0, ge=0, description="optimizer steps, whatever that makes in epochs; 0: by epochs")
    batch_size: int = Field(
        32, ge=1, description="rows per optimizer step, over all processes and micro-batches together"
    )
    micro_batch: int = Field(
        0, ge=0, description="rows that one process computes at a time, its gradients added up; 0: all"
    )
    optimizer: Literal["adamw", "adam", "sgd", "adagrad", "adadelta", "adafactor"] = Field(
        "adamw", description="rule by which gradients become steps"
    )
    learning_rate: float = Field(5e-4, gt=0, description="peak rate of the optimizer")
    beta1: float = Field(0.9, ge=0, lt=1, description="memory of Adam's mean, or SGD's momentum")
    beta2: float = Field(0.999, ge=0, lt=1, description="memory of Adam's mean square, or Adadelta's rho")
    weight_decay: float = Field(
        0.01, ge=0, description="L2 regularisation of matrices, not of biases or norms"
    )
    decay: Literal["decoupled", "coupled"] = Field(
        "decoupled",
        description="decoupled: weights shrink beside the step (AdamW); coupled: it is in the gradient (L2)",
    )
    l1: float = Field(0.0, ge=0, description="L1 regularisation of matrices, by its subgradient")
    clip: float = Field(1.0, ge=0, description="longest gradient, as a norm over all weights; 0: any")
    schedule: Literal["linear", "cosine", "polynomial", "constant", "one-cycle", "plateau", "step"] = Field(
        "linear", description="how the rate goes on after the warm-up"
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises from 0")
    final_rate: float = Field(0.0, ge=0, lt=1, description="share of the peak rate that a schedule ends at")
    power: float = Field(2.0, gt=0, description="of the polynomial schedule")
    rate_steps: int = Field(3, ge=1, description="of the step schedule: how often the rate drops")
    rate_factor: float = Field(
        0.3, gt=0, lt=1, description="of step and plateau: what a drop leaves of the rate"
    )
    rate_patience: int = Field(
        1,
        ge=1,
        description="of the plateau schedule: evaluations without a lower validation loss before a drop",
    )
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of a moving average of the weights, which then is what is kept; 0: none",
    )
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = Field(
        "fp32", description="of the arithmetic; weights stay fp32"
    )
    activation_checkpointing: bool = Field(
        False, description="compute activations twice instead of keeping them: less memory, more time"
    )
    compile: bool = Field(False, description="compile the model by torch.compile")
    patience: int = Field(
        0,
        ge=0,
        description="stop after so many evaluations without a lower validation loss, keep the best; 0: never",
    )
    evaluate_every: int = Field(0, ge=0, description="steps between evaluations; 0: once an epoch")
    checkpoint_every: int = Field(0, ge=0, description="steps between checkpoints; 0: once an epoch")
    checkpoints: int = Field(2, ge=1, description="how many checkpoints are kept, the best one apart")
    stop_on: Words = Field(
        (), description="alarms that end the training early, comma-separated, for example diverged,overfitted"
    )
    tensor: int = Field(1, ge=1, description="processes that share each layer")
    pipeline: int = Field(1, ge=1, description="processes that share the layers among them")
    shards: int = Field(1, ge=1, description="processes that share weights, gradients and optimizer (FSDP2)")
    threads: int = Field(
        1,
        ge=0,
        description="CPU threads; with one, the same run gives the same bytes everywhere; 0: one per core",
    )
    carbon_intensity: float = Field(
        0.0, ge=0, description="grams of CO2 that a kilowatt-hour costs where it runs; 0: CO2 is not told"
    )
