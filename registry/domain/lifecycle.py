"""The lifecycle: stages, the steps between them, and the work that each stage allows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from registry.domain.names import did_you_mean
from registry.errors import NoSuchStage, NoSuchTransition, WrongStage


@dataclass(frozen=True, slots=True)
class Step:
    """One allowed transition. An open step needs no policy; every other one is refused without."""

    origin: str
    to: str
    open: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What may follow what.

    Attributes:
        stages: Names in order; the first is where a version begins, the last is final.
        steps: Every allowed transition.
        work: Which stages allow a change of the version's content: kind of work -> stages.
        aliases: Guarded like stages: to point one of them to a version takes a gate, `@NAME`.
    """

    name: str
    stages: tuple[str, ...]
    steps: tuple[Step, ...]
    work: Mapping[str, tuple[str, ...]]
    aliases: tuple[str, ...] = ()

    @property
    def goals(self) -> tuple[str, ...]:
        """What a gate can stand before: every stage, and every guarded alias as `@NAME`."""
        return (*self.stages, *(f"@{alias}" for alias in self.aliases))

    @property
    def first(self) -> str:
        return self.stages[0]

    def check_stage(self, stage: str) -> str:
        """Return `stage` if it exists.

        Raises:
            NoSuchStage: It does not; the nearest name is in the hint.
        """
        if stage not in self.stages:
            raise NoSuchStage(f"there is no stage {stage!r}", hint=did_you_mean(stage, self.stages))
        return stage

    def step(self, origin: str, to: str) -> Step:
        """The step from one stage to another, or to an alias.

        `@NAME` is a step from every stage: it needs a gate if the alias is guarded, and is open if not.

        Raises:
            NoSuchStage: `to` is no stage.
            NoSuchTransition: It cannot follow `origin`.
        """
        if to.startswith("@"):
            return Step(origin, to, open=to[1:] not in self.aliases)
        self.check_stage(to)
        for step in self.steps:
            if (step.origin, step.to) == (origin, to):
                return step
        if origin == to:
            raise NoSuchTransition(f"it is {to} already", hint="phasegate model history shows who moved it")
        follows = self.following(origin)
        hint = f"from {origin} it can go to: {', '.join(follows)}" if follows else f"{origin} is final"
        raise NoSuchTransition(f"{to} cannot follow {origin}", hint=hint)

    def following(self, origin: str) -> tuple[str, ...]:
        """Stages that can follow `origin`, in order."""
        ends = {step.to for step in self.steps if step.origin == origin}
        return tuple(stage for stage in self.stages if stage in ends)

    def check_work(self, work: str, stage: str, ref: str) -> None:
        """Refuse work that would change a version outside the stages that allow it.

        Raises:
            WrongStage: `stage` is not one of them.
        """
        allowed = self.work.get(work, self.stages)
        if stage in allowed:
            return
        way = self._way(stage, allowed)
        hint = f"phasegate promote {ref} {way}" if way else "plan a new version: phasegate model plan"
        raise WrongStage(
            f"{work} is done while a version is {' or '.join(allowed)}; {ref} is {stage}", hint=hint
        )

    def _way(self, origin: str, goals: Collection[str]) -> str:
        """The first stage on a shortest way from `origin` to one of `goals`; empty if none leads there."""
        first = {origin: ""}
        for stage in (found := [origin]):
            if stage in goals:
                return first[stage]
            for follower in self.following(stage):
                if follower not in first:
                    first[follower] = first[stage] or follower
                    found.append(follower)
        return ""
