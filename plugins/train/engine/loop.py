"""The loop: one for every task and every way to share the work.

It is a loop of our own and not the Trainer of transformers: that one has no pipeline, runs sharding as
plain data parallelism on a CPU without a word, and takes 0.35 ms a step for itself. A step's randomness is
a function of seed and step, so a resumed run needs no generator states, and gives the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from registry.errors import BadConfig, Cancelled, Preempted
from registry.extension import RunContext
from registry.plugins.train.engine import average
from registry.plugins.train.engine.batches import Plan, share
from registry.plugins.train.engine.device import check_compiler, moved, pinned, precision, use_threads
from registry.plugins.train.engine.feed import Feed, Portion
from registry.plugins.train.engine.history import History
from registry.plugins.train.engine.join import join
from registry.plugins.train.engine.optimizers import (
    add_l1,
    build_optimizer,
    decay_coupled,
    decay_decoupled,
    parameter_groups,
    set_rate,
)
from registry.plugins.train.engine.options import TorchConfig
from registry.plugins.train.engine.saving import Saving, make_room
from registry.plugins.train.engine.schedules import Plateau, rate_factor
from registry.plugins.train.engine.strategy import Strategy
from registry.plugins.train.engine.sums import Sums
from registry.plugins.train.engine.task import Batch, Dice, Task
from registry.plugins.train.engine.watch import Watch

# Points of a loss curve: enough to plot, few enough to keep with the run. The first steps are all kept.
_CURVE, _FIRST = 200, 10
# Steps whose batches are made while a GPU computes.
_AHEAD = 2


@dataclass
class Fitted:
    """A training that came to its end.

    Attributes:
        history: Losses, alarms.
        steps: Steps that were planned; fewer were done if it stopped early.
        per_epoch: Steps of an epoch.
        validation_loss: Of the weights that are kept; None without validation data.
        resumed_from: Name of the checkpoint that it went on from, `start` if none.
        seconds: In the loop, since it was last started.
        waited: Share of them in which this process waited for its input.
        facts: Where and how it really ran, read from the objects that did it.
    """

    history: History
    steps: int
    per_epoch: int
    validation_loss: float | None
    resumed_from: str
    seconds: float
    waited: float
    facts: dict[str, str] = field(default_factory=dict)


def fit(ctx: RunContext, task: Task, config: TorchConfig) -> Fitted:
    """Train `task.model` in place, on all processes of the run.

    Raises:
        BadConfig: An option that does not fit the task or the machine, or that would silently not happen.
        RunFailed: A loss is NaN or infinite, or the disk is too small.
        Preempted: The machine asked to end, a checkpoint was saved before; or another process is gone.
        Cancelled: Somebody asked to stop.
    """
    use_threads(config.threads)
    strategy = join(ctx, config)
    try:
        with ctx.saving_first():
            return _Loop(ctx, task, config, strategy).run()
    except RuntimeError as error:
        if not strategy.lost_another(error):
            raise
        # Whoever is gone has said why, or could not: it is not for this process to say how the run ended.
        ctx.check_cancelled()
        raise Preempted("another process of the run is gone") from error
    finally:
        strategy.close()


class _Loop:
    def __init__(self, ctx: RunContext, task: Task, config: TorchConfig, strategy: Strategy) -> None:
        self.ctx, self.task, self.config, self.strategy = ctx, task, config, strategy
        self.plan = Plan(
            len(task.train),
            config.batch_size,
            ctx.seed,
            task.lengths,
            pool=task.replayed,
            drawn=task.drawn,
        )
        self.steps = config.steps or config.epochs * self.plan.per_epoch
        self.every = max(1, self.steps // _CURVE)
        self.evaluate_every = config.evaluate_every or self.plan.per_epoch
        self.checkpoint_every = config.checkpoint_every or self.plan.per_epoch
        self.autocast, self.scaler = precision(config, strategy.device)
        if config.compile:
            check_compiler(strategy.device)
        if config.activation_checkpointing:
            _save_activations(task)
        if strategy.rank == 0:
            make_room(ctx, config, task.model)
        self.model = strategy.prepare(task, config)
        weights = strategy.weights(self.model)
        self.optimizer = build_optimizer(parameter_groups(weights, config, task.rates), config)
        if config.compile:
            strategy.compile(self.model, dynamic=bool(task.lengths) and not task.pad_to)
        self.history = History()
        self.plateau = Plateau(config)
        self.watch = Watch(
            ctx,
            self.history,
            config,
            steps=self.steps,
            every=self.every,
            uninformed=task.uninformed,
            validated=bool(task.validation),
        )
        self.saving = Saving(
            ctx,
            config,
            strategy,
            self.model,
            self.optimizer,
            history=self.history,
            plateau=self.plateau,
            scale=self.scaler,
        )

    def run(self) -> Fitted:
        resumed = self.saving.resume()
        self._began = self._marked = time.perf_counter()
        self._tokens = 0
        self._message = ""
        ahead = _AHEAD if self.strategy.device.type == "cuda" else 0
        self.feed = Feed(self._portion, self.history.step, self.steps, ahead)
        with contextlib.closing(self.feed):
            self._train()
        seconds = time.perf_counter() - self._began
        kept = None
        if not self.ctx.stop_after:
            kept = self._settle()
            self.watch.after_training(kept)
        return Fitted(
            history=self.history,
            steps=self.steps,
            per_epoch=self.plan.per_epoch,
            validation_loss=kept,
            resumed_from=resumed,
            seconds=seconds,
            waited=self.feed.waited / seconds if seconds else 0.0,
            facts=self._facts(),
        )

    def _train(self) -> None:
        history, ctx = self.history, self.ctx
        sums = Sums(self.strategy, history, self.watch)
        self.model.train()
        while history.step < self.steps:
            step = history.step
            first = self.strategy.rank == 0
            # Whether to go on is said by all together: who stopped alone would leave the others waiting.
            enough, cancelled, stop = self.strategy.add(
                float(first and self._enough()), float(ctx.cancelled), float(ctx.told_to_stop)
            )
            if cancelled:
                raise Cancelled("cancelled on request")
            if enough:
                break
            if stop:
                sums.settle()
                self.saving.save()
                raise Preempted(f"told to end after step {step}; its work is saved")
            portion = self.feed.take()
            (count,) = self.strategy.add(portion.count)
            rate, norm, loss = self._step(step, portion, count)
            history.step = step + 1
            sums.add(loss, self.plan.epoch(step))
            self._tokens += portion.tokens
            self._report(sums, rate, norm)
            if history.step % self.evaluate_every == 0 or history.step == self.steps:
                sums.settle()
                self._evaluate()
            if history.step % self.checkpoint_every == 0 or history.step == self.steps:
                sums.settle()
                self.saving.save()
        sums.settle()
        if history.validation and history.validation[-1][0] != history.step and not ctx.stop_after:
            # It stopped between evaluations: what is kept is judged, and not what was there before.
            self._evaluate()

    def _enough(self) -> bool:
        """Whether to end before the last step."""
        if self.ctx.stop_after and self.history.step >= self.ctx.stop_after:
            return True
        if self.config.patience and self.history.bad >= self.config.patience:
            return True
        return bool(self.watch.ends)

    # -- a step -----------------------------------------------------------------

    def _portion(self, step: int) -> Portion:
        """This process's micro-batches of a step; on a GPU it is a thread that makes them."""
        rows, dice = self.plan.rows(step), Dice(self.ctx.seed, self.plan.epoch(step))
        batches: list[Batch] = []
        count, tokens = 0.0, 0
        for mine in share(rows, self.strategy.data_rank, self.strategy.data_ranks, self.config.micro_batch):
            batch = self.task.batch(self.task.train, mine or rows[:1], dice)
            if mine:
                count += self.task.count(batch)
                tokens += self.task.tokens(batch)
            batches.append(pinned({**batch, "empty": not mine}, self.strategy.device))
        return Portion(batches, count, tokens)

    def _step(self, step: int, portion: Portion, count: float) -> tuple[float, Any, Any]:
        """One optimizer step; returns rate, gradient norm and loss, the last two still on the device.

        The norm is None if fp16 gradients overflowed: such a step changes nothing but the scale.
        """
        config, optimizer, scaler = self.config, self.optimizer, self.scaler
        _seed(self.ctx.seed, step, self.strategy.data_rank, self.strategy.stage)
        rate = set_rate(optimizer, config, rate_factor(config, step, self.steps) * self.plateau.factor)
        batches = [moved(batch, self.strategy.device) for batch in portion.batches]
        scale = scaler.factor if scaler else 1.0
        loss = self.strategy.forward_backward(
            self.task, self.model, batches, 1.0 / max(count, 1.0), scale, self.autocast
        )
        if scaler:
            scaler.unscale(optimizer)
        if config.l1:
            add_l1(optimizer.param_groups, config.l1)
        norm = self.strategy.clip(self.model, config.clip)
        if scaler and not scaler.judge(float(norm)):
            optimizer.zero_grad(set_to_none=True)
            return rate, None, loss
        decay_coupled(optimizer)
        decay_decoupled(optimizer)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if config.ema:
            average.update(optimizer, config.ema)
        return rate, norm, loss

    # -- being watched ----------------------------------------------------------

    def _report(self, sums: Sums, rate: float, norm: Any) -> None:
        step = self.history.step
        if step <= _FIRST or step % self.every == 0 or step == self.steps:
            sums.settle()
            loss = self.history.window[0] / self.history.window[1]
            self.history.window[:] = [0.0, 0]
            now = time.perf_counter()
            spent = now - self._began
            ranks = self.strategy.data_ranks
            speed, tokens, moved, waited = self.strategy.add(
                self._tokens / max(now - self._marked, 1e-9),
                self._tokens,
                self.watch.moved(self.optimizer) / ranks,
                self.feed.waited / max(spent, 1e-9) / ranks,
            )
            self.history.tokens += int(tokens)
            self._marked, self._tokens = now, 0
            self.ctx.log_metric("loss", loss, step)
            if norm is not None:
                self.watch.check_number("norm of the gradient", float(norm), step)
                self.ctx.log_metric("gradient_norm", float(norm), step)
                self.history.norms.append((step, float(norm)))
            self.ctx.log_metric("learning_rate", rate, step)
            self.ctx.log_metric("tokens_per_second", speed, step)
            self.history.losses.append((step, loss))
            self.watch.after_point(
                rate=rate / self.config.learning_rate, moved=moved, waited=waited, seconds=spent
            )
            self._message = f"loss {loss:.4f}, {speed:,.0f} tokens/s"
        self.ctx.progress(step, self.steps, self._message)

    def _evaluate(self) -> None:
        if not self.task.validation:
            return
        loss = self._validation_loss()
        history = self.history
        better = loss < history.lowest
        history.validation.append((history.step, loss))
        self.ctx.log_metric("validation_loss", loss, history.step)
        self.watch.after_evaluation()
        self.plateau.see(loss)
        history.bad = 0 if better else history.bad + 1
        if better:
            history.best_step = history.step
            if self.config.patience:
                self.saving.save()

    def _validation_loss(self) -> float:
        """Mean loss over the validation examples, of the averaged weights if there are any."""
        import torch

        size = 2 * (self.config.micro_batch or self.config.batch_size)
        total = count = 0.0
        self.model.eval()
        with torch.no_grad(), average.averaged(self.optimizer):
            for start in range(0, len(self.task.validation), size):
                if self.strategy.add(float(self.ctx.cancelled))[0]:
                    raise Cancelled("cancelled on request")
                rows = range(start, min(start + size, len(self.task.validation)))
                (mine,) = share(rows, self.strategy.data_rank, self.strategy.data_ranks, 0)
                batch = self.task.batch(self.task.validation, mine or rows[:1], None)
                if mine:
                    count += self.task.count(batch)
                batch = moved(batch, self.strategy.device)
                with self.autocast():
                    loss = float(self.strategy.validation_loss(self.task, self.model, batch))
                if mine:
                    total += loss
        self.model.train()
        total, count = self.strategy.add(total, count)
        return total / max(count, 1.0)

    # -- the end ----------------------------------------------------------------

    def _settle(self) -> float | None:
        """Leave the weights that are kept in `task.model`; returns their validation loss."""
        history = self.history
        kept = history.validation[-1][1] if history.validation else None
        if self.config.patience and history.best_step and history.best_step != history.step:
            self.saving.take_best()
            kept = history.lowest
        average.settle(self.optimizer)
        self.model.eval()
        self.strategy.gather(self.task, self.model, self.optimizer)
        return kept

    def _facts(self) -> dict[str, str]:
        import torch

        dtypes = sorted({str(p.dtype).removeprefix("torch.") for p in self.task.model.parameters()})
        with self.autocast():
            kind = self.strategy.device.type
            cast = (
                f", autocast to {str(torch.get_autocast_dtype(kind)).removeprefix('torch.')}"
                if torch.is_autocast_enabled(kind)
                else ""
            )
        return {
            "device": str(self.strategy.device),
            "precision": ", ".join(dtypes) + (", tf32" if self.config.precision == "tf32" else cast),
            "threads": str(torch.get_num_threads()),
            "torch": torch.__version__,
            "optimizer": type(self.optimizer).__name__,
            "compiled": _compiled(self.model),
            **self.strategy.facts(self.model),
        }


def _seed(seed: int, step: int, rank: int, stage: int) -> None:
    """Make what comes a function of these: processes of other rows, or layers, drop out other units."""
    import torch

    key = f"{seed}/{step}/{rank}" + (f"/{stage}" if stage else "")
    digest = hashlib.sha256(key.encode()).digest()
    torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _save_activations(task: Task) -> None:
    name = type(task.model).__name__
    if getattr(task.model, "supports_gradient_checkpointing", False):
        task.model.activation_checkpointing_enable({"use_reentrant": False})
        if any(getattr(module, "gradient_checkpointing", False) for module in task.model.modules()):
            return
    raise BadConfig(
        f"{name} cannot compute its activations twice (activation_checkpointing)",
        hint="--set activation_checkpointing=false, and a smaller micro_batch",
    )


def _compiled(model: Any) -> str:
    """Whether compiled code ran, by torch's own count of it."""
    if getattr(model, "_compiled_call_impl", None) is None:
        return "no"
    from torch._dynamo.utils import counters

    return f"yes, {counters['stats']['unique_graphs']} graphs"
