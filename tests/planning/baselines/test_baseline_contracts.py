"""Every planner to compare with keeps the contract that ships; with smaller searches, to stay affordable."""

import pytest

from sjplan.planning.baselines.evolution import EvolutionPlanner
from sjplan.planning.baselines.greedy import GreedyPlanner
from sjplan.planning.baselines.random_search import RandomPlanner
from sjplan.planning.baselines.rule import RulePlanner
from sjplan.planning.baselines.shared import FINISHING
from sjplan.planning.baselines.weighted import WeightedPlanner
from sjplan.planning.protocol import Planner
from sjplan.testing.contract import PlannerContract

COARSE = {"crossing_step_mm": 3.0, "direction_step_deg": 6.0, "pool": 1500}


class _Searches(PlannerContract):
    """Slack beyond the cap is not sought; what a mirrored or turned grid rounds otherwise sends a search elsewhere."""

    invariance_tol_mm = 0.5
    enough_slack_mm = FINISHING["slack_cap_mm"]


@pytest.mark.slow
class TestGreedy(_Searches):
    @pytest.fixture
    def planner(self) -> Planner:
        # Finer than its own: implant by implant a coarse raster runs into corners where it finds no third.
        return GreedyPlanner(crossing_step_mm=1.5, direction_step_deg=3.0, pool=8000)


@pytest.mark.slow
class TestWeighted(_Searches):
    @pytest.fixture
    def planner(self) -> Planner:
        # As many starts as its own: with few a coarse raster's best sum hangs on rounding.
        return WeightedPlanner(**COARSE)


@pytest.mark.slow
class TestRule(_Searches):
    @pytest.fixture
    def planner(self) -> Planner:
        return RulePlanner()


@pytest.mark.slow
class TestRandom(_Searches):
    @pytest.fixture
    def planner(self) -> Planner:
        return RandomPlanner(draws=60_000, refinements=60)


@pytest.mark.slow
class TestEvolution(_Searches):
    @pytest.fixture
    def planner(self) -> Planner:
        return EvolutionPlanner(generations=150, refinements=60)
