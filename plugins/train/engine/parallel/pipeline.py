"""Pipeline parallelism: every process has some of the layers, and micro-batches pass through all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig, RunFailed
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.parallel.shared import Shared, lay_out_gradients, reshard
from registry.plugins.train.engine.parallel.tensor import tied
from registry.plugins.train.engine.parallel.transfer import collect
from registry.plugins.train.engine.task import Batch, Task
from registry.plugins.train.engine.weights import local

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh

    from registry.plugins.train.engine.parallel.stages import Stage


class Pipeline(Shared):
    """Stages that work by torch's 1F1B schedule: one micro-batch forward, one backward, in turn.

    Stages of one shape: micro-batches are padded to one length and filled up to one number of rows. Rows that
    fill are cut off before the loss.
    """

    def __init__(self, mesh: DeviceMesh, device: torch.device) -> None:
        super().__init__(mesh, device)
        self.stages = self.sizes["pipeline"]
        self.stage = self._place("pipeline")
        self._group = mesh["pipeline"].get_group()
        self.keeps = not (self._place("data") or self._place("shard") or self._place("tensor"))
        # Names of weights that are tied to another one: what the optimizer remembers goes by the other's.
        self._aliases: dict[str, str] = {}

    # -- the model --------------------------------------------------------------

    def check(self, task: Task, config: TorchConfig) -> None:
        from registry.plugins.train.engine.parallel.stages import layers_of

        super().check(task, config)
        layers = len(layers_of(task.model)[1])
        if layers < self.stages:
            raise BadConfig(
                f"pipeline is {self.stages}, and the model has {layers} layers",
                hint=f"--set pipeline={layers} at most",
            )
        most = -(-min(config.batch_size, len(task.train)) // self.data_ranks)
        self._rows = config.micro_batch or most
        self._number = -(-most // self._rows)
        if self._number < self.stages:
            raise BadConfig(
                f"{self.stages} stages need as many micro-batches, and {most} rows in micro-batches "
                f"of {self._rows} are {self._number}",
                hint=f"--set micro_batch={max(most // self.stages, 1)}"
                if most >= self.stages
                else f"--set batch_size={self.stages * self.data_ranks} --set micro_batch=1",
            )

    def wrap(self, task: Task, bare: nn.Module, config: TorchConfig, *, unused: bool) -> nn.Module:
        import torch
        from torch.distributed.pipelining import PipelineStage, Schedule1F1B

        from registry.plugins.train.engine.device import precision
        from registry.plugins.train.engine.parallel.stages import Stage, cut

        self._pad(task)
        self._aliases = {other: first for first, others in tied(bare).items() for other in others}
        width, vocabulary = bare.config.hidden_size, bare.config.vocab_size
        cut(bare, self.stage, self.stages)
        first, last = self.stage == 0, self.stage == self.stages - 1
        self._autocast = precision(config, self.device)[0]
        stage = Stage(bare, first=first, last=last, autocast=self._autocast)
        model = self._share(stage, bare, unused=unused)
        # Shapes are told, or torch would run the stages once to learn them.
        shape = (self._rows, self._length)
        states = torch.empty(*shape, width, requires_grad=True, device="meta")
        self._schedule = Schedule1F1B(
            PipelineStage(
                model,
                self.stage,
                self.stages,
                self.device,
                input_args=torch.empty(shape, dtype=torch.long, device="meta") if first else states,
                output_args=torch.empty(*shape, vocabulary, requires_grad=True, device="meta")
                if last
                else states,
                group=self._group,
            ),
            n_microbatches=self._number,
            loss_fn=self._loss,
            scale_grads=False,
        )
        return model

    def bare(self, model: nn.Module) -> nn.Module:
        return self._of(model).model

    def weights(self, model: nn.Module) -> dict[str, nn.Parameter]:
        return {self._aliases.get(name, name): weight for name, weight in super().weights(model).items()}

    # -- a step -----------------------------------------------------------------

    def forward_backward(
        self,
        task: Task,
        model: nn.Module,
        batches: Sequence[Batch],
        factor: float,
        scale: float,
        autocast: Any,
    ) -> torch.Tensor:
        import torch
        import torch.distributed as dist

        empty = {**batches[0], "empty": True}
        self._work = (task, [*batches, *[empty] * (self._number - len(batches))], factor, scale)
        filled = [self._filled(task.inputs(batch)) for batch in self._work[1]]
        inputs = {name: torch.cat([each[name] for each in filled]) for name in filled[0]}
        ids = inputs.pop("input_ids")
        self._total = torch.zeros((), device=self.device)
        last = self.stage == self.stages - 1
        self._schedule.step(
            *([ids] if self.stage == 0 else []),
            target=torch.arange(self._number) if last else None,
            return_outputs=False,
            **inputs,
        )
        lay_out_gradients(model)
        self._add_ties(model)
        dist.all_reduce(self._total, group=self._group)
        return self._total

    def norm(self, model: nn.Module, weights: Sequence[torch.Tensor]) -> torch.Tensor:
        # A tied weight is on two stages and counts once.
        again = {id(weight) for weight in self._tied(model)} if self.stage else set[int]()
        return super().norm(model, [weight for weight in weights if id(weight) not in again])

    def answer(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor | None:
        import torch
        import torch.distributed as dist

        stage = self._of(model)
        states = inputs.pop("input_ids")
        if not stage.first:
            states = torch.empty(*states.shape, stage.model.config.hidden_size, device=self.device)
            dist.recv(states, group=self._group, group_src=self.stage - 1)
        out: torch.Tensor = stage(states, **inputs)
        reshard(model)
        if stage.last:
            return out
        dist.send(out.contiguous(), group=self._group, group_dst=self.stage + 1)
        return None

    def validation_loss(self, task: Task, model: nn.Module, batch: Batch) -> torch.Tensor:
        import torch
        import torch.distributed as dist

        logits = self.answer(model, dict(task.inputs(batch)))
        loss = torch.zeros((), device=self.device)
        if logits is not None:
            loss = task.loss(_Answer(logits), batch, training=False).float()
        dist.all_reduce(loss, group=self._group)
        return loss

    # -- keeping ----------------------------------------------------------------

    def full_state(
        self, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, Any]]]:
        weights, state = super().full_state(model, optimizer)
        if not self.keeps:
            return {}, {}
        return collect(weights, self._group), collect(state, self._group)

    # -- being known ------------------------------------------------------------

    def parts(self, model: nn.Module) -> list[str]:
        import torch.distributed as dist

        from registry.plugins.train.engine.parallel.stages import has

        layers: list[Any] = [None] * self.stages
        dist.all_gather_object(layers, has(self.bare(model)), group=self._group)
        name = type(self._schedule).__name__.removeprefix("Schedule")
        each = " and ".join(map(str, sorted(set(layers), reverse=True)))
        return [
            f"pipeline {name} x {self.stages}, {self.stages} stages of {each} layers",
            *super().parts(model),
        ]

    # -- inside -----------------------------------------------------------------

    def _of(self, model: nn.Module) -> Stage:
        stage: Any = super().bare(model)
        return stage  # type: ignore[no-any-return]

    def _pad(self, task: Task) -> None:
        """Have every batch padded to one length: that of the longest example."""
        longest = max(range(len(task.train)), key=lambda row: task.lengths[row]) if task.lengths else 0
        length = task.batch(task.train, [longest], None)["input_ids"].shape[1]
        size = 2 * self._rows
        for start in range(0, len(task.validation), size):
            rows = range(start, min(start + size, len(task.validation)))
            length = max(length, task.batch(task.validation, rows, None)["input_ids"].shape[1])
        self._length = task.pad_to = task.pad_to or length

    def _filled(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs filled up to the number of rows that a stage takes, by copies of the last one.

        Raises:
            RunFailed: A batch is not as long as all others.
        """
        ids = inputs["input_ids"]
        if ids.shape[1] != self._length:
            raise RunFailed(
                f"a batch is {ids.shape[1]} tokens long, and the stages of the pipeline take {self._length}",
                hint="the task has to pad every batch to its `pad_to`; this is a defect of the plugin",
            )
        missing = self._rows - len(ids)
        if not missing:
            return inputs
        rows = [*range(len(ids)), *[len(ids) - 1] * missing]
        return {name: value[rows] for name, value in inputs.items()}

    def _loss(self, logits: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """What the last stage differentiates of a micro-batch."""
        task, batches, factor, scale = self._work
        batch = batches[int(number)]
        if batch.get("empty"):
            return logits.sum() * 0.0
        with self._autocast():
            loss = task.loss(_Answer(logits[: len(batch["input_ids"])]), batch, training=True)
        loss = loss * factor
        self._total += loss.detach()
        return loss * (scale * self.averaged)

    def _tied(self, model: nn.Module) -> list[torch.Tensor]:
        """Weights of this stage that another stage has too."""
        weights = self.weights(model)
        return [weights[name] for name in self._aliases.values() if name in weights]

    def _add_ties(self, model: nn.Module) -> None:
        """Add up the gradients of a weight that the first and the last stage share."""
        import torch
        import torch.distributed as dist

        last = self.stages - 1
        if self.stage not in (0, last):
            return
        for weight in self._tied(model):
            assert weight.grad is not None
            mine = local(weight.grad)
            theirs = torch.empty_like(mine)
            other = last - self.stage
            work = dist.batch_isend_irecv(
                [
                    dist.P2POp(dist.isend, mine.contiguous(), group=self._group, group_peer=other),
                    dist.P2POp(dist.irecv, theirs, group=self._group, group_peer=other),
                ]
            )
            for each in work:
                each.wait()
            mine.add_(theirs)


class _Answer:
    """A model that has answered already: a task's loss may ask it, and gets the logits of the last stage."""

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits

    def __call__(self, **inputs: Any) -> _Answer:
        return self
