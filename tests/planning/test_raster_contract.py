"""raster-v1 keeps the contract that ships; a smaller search, so that twenty questions stay affordable."""

import pytest

from sjplan.planning.raster import DEFAULTS, RasterPlanner
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
    """Slack beyond the cap is not sought, and 0.1 mm of it is given for length and spread."""

    invariance_tol_mm = 0.11
    enough_slack_mm = DEFAULTS["slack_cap_mm"]

    @pytest.fixture
    def planner(self) -> RasterPlanner:
        return RasterPlanner(**SMALL)
