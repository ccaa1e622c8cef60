"""What all trainings with torch share: a plugin says only what is learned."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import ClassVar, TypeVar, cast

from registry.extension import Evidence, RunContext, Trained, TrainPlugin
from registry.extension.discovery import read_config
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.task import Task

C = TypeVar("C", bound=TorchConfig)


class TorchTrain(TrainPlugin[C]):
    """Builds a task, trains it, saves it, loads it again and gives account.

    Attributes:
        designed: Options that describe the model itself: the version's design gives their defaults.
    """

    evidence = "run.train"
    requires = ("safetensors", "tokenizers", "torch", "transformers")
    extra = "train"
    designed: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, ctx: RunContext, config: C) -> Task:
        """Read the data, refuse what nothing can be learned from, make or load the model."""

    def run(self, ctx: RunContext, config: C) -> Trained:
        """Train; the same seed, data, options, base and threads give the same bytes.

        Raises:
            BadInput: Data that nothing can be learned from.
            BadConfig: An option that does not fit the data, the design or the machine.
            RunFailed: The loss became NaN or infinite, or the artifact answers otherwise than the model.
            Cancelled: Somebody asked to stop.
        """
        began = time.monotonic()
        config = self.with_design(ctx, config)
        from transformers.utils import logging

        from registry.plugins.train.account import account
        from registry.plugins.train.engine.device import find_device, use_threads
        from registry.plugins.train.engine.join import check_sizes
        from registry.plugins.train.engine.loop import fit

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        find_device(ctx.device)
        check_sizes(ctx.processes, config)
        use_threads(config.threads)
        task = self.build(ctx, config)
        ctx.log(f"{len(task.train)} rows to learn from, {len(task.validation)} to judge by")
        ctx.check_cancelled()
        fitted = fit(ctx, task, config)
        folder = ctx.output("artifact")
        if ctx.rank:
            # The whole model is with process 0, and so is the word on it.
            return Trained(path=folder, evidence=Evidence())
        task.model.cpu()
        task.save(folder)
        evidence = account(
            ctx,
            config,
            task,
            fitted,
            folder,
            designed=self.designed,
            seconds=time.monotonic() - began,
        )
        return Trained(path=folder, evidence=evidence)

    def with_design(self, ctx: RunContext, config: C) -> C:
        """The options, with the design's values wherever the run does not say otherwise."""
        design = {name: ctx.model.design[name] for name in self.designed if name in ctx.model.design}
        return cast("C", read_config(self, {**design, **config.model_dump(exclude_unset=True)}))
