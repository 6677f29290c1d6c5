"""raster-v1 keeps the contract that ships; a smaller search, so that twenty questions stay affordable."""

import pytest

from sjplan.planning.raster import RasterPlanner
from sjplan.testing.contract import PlannerContract

SMALL = {
    "crossing_step_mm": 3.0,
    "direction_step_deg": 6.0,
    "pool": 1500,
    "starts": 6,
    "climb_steps": 600,
    "refinements": 30,
}


@pytest.mark.slow
class TestRasterPlanner(PlannerContract):
    @pytest.fixture
    def planner(self) -> RasterPlanner:
        return RasterPlanner(**SMALL)
