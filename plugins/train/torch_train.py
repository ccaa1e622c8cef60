"""What all trainings with torch share: a plugin says only what is learned."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from registry.errors import BadConfig
from registry.extension import Estimate, Evidence, Replayed, RunContext, Trained
from registry.extension.inputs import RunSpec
from registry.plugins.train.designed import DesignedTrain
from registry.plugins.train.engine.join import check_sizes
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Task
from registry.plugins.train.replay import check_replay
from registry.plugins.train.start import StartConfig

if TYPE_CHECKING:
    from registry.plugins.train.sketch import Sketch

C = TypeVar("C", bound=TorchConfig)

OF_SCRATCH = (
    *("family", "hidden_size", "layers", "heads", "kv_heads", "vocab_size", "tokenizer", "tie"),
    *("lowercase", "patch", "widths", "depths"),
)


class TorchTrain(DesignedTrain[C]):
    """Builds a task, trains it, saves it, loads it again and gives account.

    The version's design gives the defaults of all options that it names.

    Attributes:
        of_scratch: Options that a base settles already: to set one beside it is an error.
        takes_base: Whether its options are those of `StartConfig`.
    """

    requires: ClassVar[tuple[str, ...]] = ("safetensors", "tokenizers", "torch", "transformers")
    extra = "train"
    distributed = True
    repeats = ("loss", "gradient_norm", "learning_rate", "validation_loss")
    of_scratch: ClassVar[tuple[str, ...]] = OF_SCRATCH

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.takes_base = issubclass(cls.config_type, StartConfig)

    @abstractmethod
    def build(self, ctx: RunContext, config: C) -> Task:
        """Read the data, refuse what nothing can be learned from, make or load the model."""

    def sketch(self, config: C) -> Sketch | None:
        """The model that such options build, without its memory; None if they do not say.

        All that a plugin does to have its trainings estimated before they are launched:

        ```python
        return sketch_text(lambda: build(config), input_ids=config.max_length)
        ```

        A base is not looked at: what is estimated is a training from scratch.
        """
        return None

    def estimate(self, config: C, *, device: str, rows: int, processes: int) -> Estimate | None:
        """What such a training takes, counted on a model without memory; see `Sketch`."""
        sketch = self.sketch(config)
        if sketch is None:
            return None
        from registry.plugins.train.estimate import estimate

        return estimate(self.name, sketch, config, device=device, rows=rows, processes=processes)

    def run(self, ctx: RunContext, config: C) -> Trained | Replayed:
        """Train; the same seed, data, options, base and threads give the same bytes.

        Raises:
            BadInput: Data that nothing can be learned from.
            BadConfig: An option that does not fit the data, the design or the machine.
            RunFailed: The loss became NaN or infinite, or the artifact answers otherwise than the model.
            Cancelled: Somebody asked to stop.
        """
        began = time.monotonic()
        from transformers.utils import logging

        from registry.plugins.train.account import account
        from registry.plugins.train.card import write_card
        from registry.plugins.train.engine.device import find_device, use_threads
        from registry.plugins.train.engine.loop import fit
        from registry.plugins.train.footprint import Meter
        from registry.plugins.train.parity import answers, parity
        from registry.plugins.train.provenance import ran_on
        from registry.plugins.train.replay import loss_on
        from registry.plugins.train.tuning import tune

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        meter = Meter(find_device(ctx.device), ctx.processes)
        use_threads(config.threads)
        task = self.build(ctx, config)
        tuned = tune(ctx, config, task)
        before = loss_on(ctx, task, task.remembered) if task.remembered else None
        ctx.log(f"{len(task.train)} rows to learn from, {len(task.validation)} to judge by")
        ctx.check_cancelled()
        fitted = fit(ctx, task, config)
        if ctx.stop_after:
            return Replayed(facts=ran_on(ctx.folder, fitted.facts))
        folder = ctx.output("artifact")
        if ctx.rank:
            # The whole model is with process 0, and so is the word on it.
            return Trained(path=folder, evidence=Evidence())
        task.model.cpu()
        forgotten = {}
        if before is not None:
            after = loss_on(ctx, task, task.remembered)
            forgotten = {"replay.loss_before": before, "replay.loss_after": after}
        ours = answers(task)
        adapter = tuned.merge(task.model, ctx.folder / "adapter")
        task.save(folder)
        evidence = account(
            ctx,
            config,
            task,
            fitted,
            folder,
            tuned=tuned,
            adapter=adapter,
            measured={**parity(task, folder, ours), **forgotten},
            settled=self.of_scratch,
            meter=meter,
            seconds=time.monotonic() - began,
        )
        write_card(folder, ctx, config, evidence)
        return Trained(path=folder, evidence=evidence)

    def settle(self, spec: RunSpec, config: C) -> C:
        """The options, with the design's values wherever neither the run nor its base says otherwise.

        Raises:
            BadConfig: An option that would do nothing, or sizes that do not fit the processes.
        """
        settled: tuple[str, ...] = ()
        if spec.base is not None:
            settled = self.of_scratch
            if idle := [name for name in settled if name in config.model_fields_set]:
                raise BadConfig(f"{idle[0]} does nothing with a base: it is as {spec.base.ref} has it")
        config = self.with_design(spec, config, without=settled)
        check_sizes(spec.processes, config)
        if config.patience and "validation" not in spec.data:
            raise BadConfig(
                "patience needs validation data, and the version names none",
                hint=f"phasegate model data {spec.subject} validation=..., or --data validation=...",
            )
        if isinstance(config, StartConfig):
            check_replay(spec, config)
            return config.beginning(spec)
        return config

    def replays(self, config: C) -> bool:
        return isinstance(config, StartConfig) and config.replay_share > 0
