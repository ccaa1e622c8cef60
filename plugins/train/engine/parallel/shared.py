"""One model on several processes: split, sharded, copied, or several of these at once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry.errors import BadConfig
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.parallel import data, sharded, tensor
from registry.plugins.train.engine.parallel.group import check_same, is_loss_of_another
from registry.plugins.train.engine.parallel.probe import Probe
from registry.plugins.train.engine.strategy import Strategy
from registry.plugins.train.engine.task import Batch, Task
from registry.plugins.train.engine.weights import layout

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.distributed.device_mesh import DeviceMesh


class Shared(Strategy):
    """Rows, weights and matrices shared by the sizes of a mesh."""

    def __init__(self, mesh: DeviceMesh, device: torch.device) -> None:
        import torch.distributed as dist

        super().__init__(device)
        self.mesh = mesh
        self.sizes: dict[str, int] = dict(zip(mesh.mesh_dim_names or (), mesh.shape, strict=True))
        self.rank = dist.get_rank()
        self.data_ranks = self.sizes["data"] * self.sizes["shard"]
        self.data_rank = self._place("data") * self.sizes["shard"] + self._place("shard")
        self.keeps = self.rank == 0
        self._copies: int = dist.get_world_size() // self.data_ranks

    # -- the model --------------------------------------------------------------

    def prepare(self, task: Task, config: TorchConfig) -> nn.Module:
        self.check(task, config)
        check_same(task)
        probe = Probe(task)
        bare = self._own(task).to(self.device)
        unused = self._is_plain and data.has_unused(task, bare, self.device)
        model = self.wrap(task, bare, config, unused=unused)
        self._verify(model)
        probe.compare(self, model)
        return model

    def check(self, task: Task, config: TorchConfig) -> None:
        """Refuse what would silently not happen.

        Raises:
            BadConfig: Which option, and why.
        """
        data.check_norms(task.model, self.data_ranks)
        if self.sizes["tensor"] > 1:
            tensor.check_plan(task.model, self.sizes["tensor"])
        if config.optimizer == "adafactor" and not self._is_plain:
            raise BadConfig(
                "adafactor looks at whole matrices, and here each process has a piece of them",
                hint="--set optimizer=adamw, or share by rows alone (tensor=1, shards=1)",
            )

    def wrap(self, task: Task, bare: nn.Module, config: TorchConfig, *, unused: bool) -> nn.Module:
        """Split, shard, copy; `bare` is on the device."""
        return self._share(bare, bare, unused=unused)

    def compile(self, model: nn.Module, *, dynamic: bool) -> None:
        if not self._is_plain:
            raise BadConfig(
                "compile works with data parallelism alone; split or sharded weights would break the graph",
                hint="--set compile=false, or tensor=1, pipeline=1, shards=1",
            )
        super().compile(model, dynamic=dynamic)

    def bare(self, model: nn.Module) -> nn.Module:
        from torch.nn.parallel import DistributedDataParallel

        return model.module if isinstance(model, DistributedDataParallel) else model

    # -- a step -----------------------------------------------------------------

    @property
    def averaged(self) -> int:
        return self.data_ranks

    @contextlib.contextmanager
    def accumulating(self, model: nn.Module, *, last: bool) -> Any:
        if hasattr(model, "set_requires_gradient_sync"):
            model.set_requires_gradient_sync(last)
            model.set_is_last_backward(last)
        elif hasattr(model, "no_sync") and not last:
            with model.no_sync():
                yield
            return
        yield

    def forward_backward(
        self,
        task: Task,
        model: nn.Module,
        batches: Sequence[Batch],
        factor: float,
        scale: float,
        autocast: Any,
    ) -> torch.Tensor:
        loss = super().forward_backward(task, model, batches, factor, scale, autocast)
        lay_out_gradients(model)
        return loss

    def norm(self, model: nn.Module, weights: Sequence[torch.Tensor]) -> torch.Tensor:
        import torch
        import torch.distributed as dist

        if self._is_plain:
            return super().norm(model, weights)
        # A piece that several processes have a copy of counts once.
        groups: dict[int, list[torch.Tensor]] = {}
        for weight in weights:
            groups.setdefault(pieces(weight) * self.sizes["pipeline"], []).append(weight)
        square = torch.zeros((), dtype=torch.float64, device=self.device)
        for parts, members in groups.items():
            square += super().norm(model, members).double() ** 2 * parts
        dist.all_reduce(square)
        return (square / dist.get_world_size()).sqrt().float()

    def answer(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor | None:
        logits = super().answer(self.bare(model), inputs)
        reshard(model)
        return logits

    def validation_loss(self, task: Task, model: nn.Module, batch: Batch) -> torch.Tensor:
        loss = task.loss(self.bare(model), batch, training=False)
        reshard(model)
        return loss

    # -- agreeing ---------------------------------------------------------------

    def add(self, *values: float) -> list[float]:
        import torch
        import torch.distributed as dist

        # Over all processes, whatever they share: then all of them have the same bits, and decide alike.
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [value / self._copies for value in sums.tolist()]

    def agree(self, value: Any) -> Any:
        import torch.distributed as dist

        said = [value]
        dist.broadcast_object_list(said)
        return said[0]

    def lost_another(self, error: BaseException) -> bool:
        return is_loss_of_another(error)

    # -- keeping ----------------------------------------------------------------

    def gather(self, task: Task, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        weights, _ = self.full_state(model, optimizer)
        if self.rank == 0 and not self._is_plain:
            task.model.load_state_dict({**task.model.state_dict(), **weights})
        self.add(0.0)

    # -- being known ------------------------------------------------------------

    def facts(self, model: nn.Module) -> dict[str, str]:
        import torch.distributed as dist

        return {
            "strategy": " x ".join(self.parts(model)),
            "processes": str(dist.get_world_size()),
            "mesh": ", ".join(f"{name} {size}" for name, size in self.sizes.items() if size > 1),
            "backend": str(dist.get_backend()),
        }

    def parts(self, model: nn.Module) -> list[str]:
        """Kinds of parallelism in words, read from wrappers and the placements of weights."""
        from torch.nn.parallel import DistributedDataParallel

        found = found_sizes(model)
        parts = [f"TP x {found['tensor']}"] if found["tensor"] > 1 else []
        if isinstance(model, DistributedDataParallel):
            parts.append(f"DDP x {found['data']}")
        elif found["shard"] * found["data"] > 1:
            placed = [f"Replicate x {found['data']}"] if found["data"] > 1 else []
            placed += ["Shard(0)"] if found["shard"] > 1 else []
            parts.append(f"FSDP2 x {found['shard'] * found['data']} ({', '.join(placed)})")
        return parts

    def close(self) -> None:
        import torch.distributed as dist

        dist.destroy_process_group()

    # -- inside -----------------------------------------------------------------

    @property
    def _is_plain(self) -> bool:
        """Whether every process has all of every weight."""
        return self.data_ranks * self._copies == self.sizes["data"]

    def _place(self, name: str) -> int:
        return int(self.mesh.get_local_rank(name))

    def _own(self, task: Task) -> nn.Module:
        """The model that is taken apart: process 0 keeps `task.model` as it is, to gather the weights in."""
        import copy

        return copy.deepcopy(task.model) if self.rank == 0 and not self._is_plain else task.model

    def _share(self, root: nn.Module, bare: nn.Module, *, unused: bool) -> nn.Module:
        """Split, shard or copy `bare`, of which `root` is what is called."""
        if self.sizes["tensor"] > 1:
            tensor.split(bare, self.mesh["tensor"])
        copies, shards = self.sizes["data"], self.sizes["shard"]
        if copies * shards == 1:
            return root
        if shards == 1 and self.sizes["tensor"] == 1:
            return data.replicate(root, self.mesh["data"].get_group(), unused=unused)
        return sharded.shard(root, bare, self.mesh[("data", "shard") if copies > 1 else ("shard",)])

    def _verify(self, model: nn.Module) -> None:
        """Compare what there is with what was asked for.

        Raises:
            BadConfig: It did not happen.
        """
        for name, size in found_sizes(model).items():
            if size != self.sizes[name]:
                raise BadConfig(
                    f"{name} x {self.sizes[name]} was asked for, and {type(self.bare(model)).__name__} "
                    f"got {name} x {size}",
                    hint=f"set {'shards' if name == 'shard' else name} to 1 for this model",
                )


def found_sizes(model: nn.Module) -> dict[str, int]:
    """Over how many processes rows, weights and matrices are shared, read from wrappers and placements."""
    import torch.distributed as dist
    from torch.distributed.fsdp import FSDPModule
    from torch.nn.parallel import DistributedDataParallel

    sizes = {"data": 1, "shard": 1, "tensor": 1}
    if isinstance(model, DistributedDataParallel):
        sizes["data"] = dist.get_world_size(model.process_group)
    for weight in model.parameters():
        mesh = layout(weight)
        if mesh is None:
            continue
        for name, size, placement in zip(mesh.mesh_dim_names, mesh.shape, weight.placements, strict=True):
            copied = placement.is_replicate() and isinstance(model, FSDPModule)
            if not placement.is_replicate() or (name == "data" and copied):
                sizes[name] = max(sizes[name], size)
    return sizes


def pieces(weight: torch.Tensor) -> int:
    """How many pieces a weight is in; other processes of its stage have copies."""
    mesh = layout(weight)
    if mesh is None:
        return 1
    placed = zip(mesh.shape, weight.placements, strict=True)
    return math.prod(size for size, placement in placed if not placement.is_replicate())


def lay_out_gradients(model: nn.Module) -> None:
    """Lay every gradient out as its weight is: that of a split embedding comes whole."""
    for weight in model.parameters():
        gradient: Any = weight.grad
        if gradient is not None and layout(weight) is not None and gradient.placements != weight.placements:
            weight.grad = gradient.redistribute(placements=weight.placements)


def reshard(model: nn.Module) -> None:
    """Let go of whole weights that a forward pass without a backward one leaves behind."""
    if hasattr(model, "reshard"):
        model.reshard()
