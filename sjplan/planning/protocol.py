"""What a planner is: a small class with a spec and one method, given a problem, randomness and a budget."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.core.error_model import ErrorModel
from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.core.plan import Outcome, Plan, Side, check_side
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume


@dataclass(frozen=True, slots=True)
class PlannerSpec:
    """Identity of a planner: id with version, one line for people, capability flags, parameters with defaults."""

    id: str
    summary: str
    capabilities: frozenset[str] = frozenset()
    parameters: Mapping[str, float | int | str | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is to be planned: anatomy, side, how many implants, the model of each slot, limits. No truth inside.

    `models` holds one model per slot, cranial to caudal; `ct` may be given for bone quality. `obstacles` are implants
    of the other side, from which solids keep the distance that two implants keep. With `robust_to` a planner that can
    makes plans as insensitive as it can to errors of that model, in place of giving them slack.
    """

    anatomy: Anatomy
    side: Side
    models: tuple[ImplantModel, ...]
    limits: Limits
    ct: CtVolume | None = None
    obstacles: tuple[Trajectory, ...] = ()
    robust_to: ErrorModel | None = None

    def __post_init__(self) -> None:
        check_side(self.side)
        if len(self.models) not in (2, 3):
            raise GeometryError("count", found=f"{len(self.models)}", wanted="2 or 3 implants")
        for model in self.models:
            self.limits.check_lengths(model.id, model.lengths_mm)

    @property
    def count(self) -> int:
        """Number of implants."""
        return len(self.models)


@dataclass(slots=True)
class Budget:
    """How long a planner may go on: seconds of wall time, and a cap on evaluations; None means no bound.

    What one evaluation is, a planner says itself; it never makes more of them than the cap. Seconds are a wish: a
    planner looks at the clock between its steps, and results that end by the clock are not reproducible. `progress`
    and `listener` are told how far the work has come, and of plans on the way; neither changes what is answered.

    Examples
    --------
    >>> Budget(seconds=None, evaluations=None).spent(10**9)
    False
    """

    seconds: float | None = None
    evaluations: int | None = None
    progress: Callable[[str, float], None] | None = None
    listener: Callable[[Plan, int], None] | None = None
    _start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("evaluations", self.evaluations)):
            if value is not None and not value > 0:
                raise GeometryError(f"budget {name}", found=f"{value}", wanted="> 0")

    @property
    def elapsed_s(self) -> float:
        """Seconds since the budget was made."""
        return time.monotonic() - self._start

    def spent(self, evaluations: int) -> bool:
        """Whether either bound has been reached."""
        if self.evaluations is not None and evaluations >= self.evaluations:
            return True
        return self.out_of_time

    def left(self, evaluations: int) -> int:
        """How many evaluations remain after so many; more than can be made where there is no cap.

        Examples
        --------
        >>> Budget(evaluations=100).left(30), Budget().left(30) > 10**15
        (70, True)
        """
        return sys.maxsize if self.evaluations is None else max(0, self.evaluations - evaluations)

    @property
    def out_of_time(self) -> bool:
        """Whether the seconds are over."""
        return self.seconds is not None and self.elapsed_s >= self.seconds

    def report(self, what: str, fraction: float) -> None:
        """Tell whoever listens how far the work has come."""
        if self.progress is not None:
            self.progress(what, fraction)

    def offer(self, plan: Plan, evaluations: int = 0) -> None:
        """Show a plan that is better than those shown before, and the evaluations made so far, to whoever listens.

        A planner need not do this. Whoever listens judges the plan himself, after the planner has answered: what was
        shown early tells how soon a planner is safe, and how it gets better.
        """
        if self.listener is not None:
            self.listener(plan, evaluations)


@runtime_checkable
class Planner(Protocol):
    """A planner. `plan` is deterministic for a given problem, generator state and evaluation budget."""

    spec: PlannerSpec

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Answer a problem; never raises for an infeasible one."""
        ...
