"""How a process comes to its part: sizes are checked first, then the others are met."""

from __future__ import annotations

from registry.errors import BadConfig
from registry.extension import RunContext
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.strategy import Strategy


def check_sizes(processes: int, config: TorchConfig) -> None:
    """Refuse parallel sizes that do not multiply to the processes, before anything is read or built.

    Raises:
        BadConfig: Says which numbers, and how many processes would do.
    """
    sizes = {name: getattr(config, name) for name in ("tensor", "pipeline", "shards")}
    product = config.tensor * config.pipeline * config.shards
    asked = " x ".join(f"{name} {size}" for name, size in sizes.items() if size > 1)
    if processes == 1 and product > 1:
        raise BadConfig(
            f"{asked}, and the run has one process", hint=f"add --engine torchrun --processes {product}"
        )
    if processes % product:
        whole = f"{asked} = {product}" if " x " in asked else asked
        raise BadConfig(
            f"{whole} does not divide the run's {processes} processes",
            hint=f"--processes {-(-processes // product) * product}, or other sizes",
        )
    if config.batch_size < (ranks := processes // config.tensor // config.pipeline):
        raise BadConfig(
            f"a batch_size of {config.batch_size} leaves some of {ranks} processes without rows",
            hint=f"--set batch_size={ranks} or more",
        )


def join(ctx: RunContext, config: TorchConfig) -> Strategy:
    """The strategy that the options ask for, on the processes that there are.

    Raises:
        BadConfig: Sizes that do not multiply to the processes, or a device that is not there.
        RunFailed: The processes do not find each other.
    """
    from registry.plugins.train.engine.device import find_device

    check_sizes(ctx.processes, config)
    device = find_device(ctx.device)
    if ctx.processes == 1:
        return Strategy(device)
    from registry.plugins.train.engine.parallel import join_parallel

    return join_parallel(ctx, config, device)
