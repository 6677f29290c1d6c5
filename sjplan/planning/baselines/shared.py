"""What the planners to compare with share: the frame of a run."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from sjplan.core.plan import Outcome
from sjplan.planning.protocol import Budget, PlannerSpec, Problem
from sjplan.planning.workshop import Workshop, checked_parameters

FINISHING: Final[Mapping[str, float | int]] = {"slack_cap_mm": 3.0, "midline_reserve_mm": 8.0}
"""Parameters that the exact finish of every planner takes; as those of raster-v1."""

CAPABILITIES: Final = frozenset({"deterministic", "two-implants", "nearest"})


class Baseline(ABC):
    """A planner whose one idea stands in `search`; parameters as its spec's defaults.

    Raises
    ------
    GeometryError
        For a parameter that is unknown, not positive or not finite.
    """

    spec: PlannerSpec

    def __init__(self, **parameters: float) -> None:
        defaults = {name: value for name, value in self.spec.parameters.items() if isinstance(value, (int, float))}
        self.parameters = checked_parameters(self.spec.id, defaults, parameters)

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Plan one side; see `sjplan.planning.protocol.Planner`."""
        started = time.monotonic()
        shop = Workshop.prepare(problem, self.parameters, rng, budget, self.spec.id)
        outcome = self.search(shop)
        return replace(outcome, seconds=time.monotonic() - started, evaluations=shop.evaluations)

    @abstractmethod
    def search(self, shop: Workshop) -> Outcome:
        """Look for a plan with what the workshop holds."""
