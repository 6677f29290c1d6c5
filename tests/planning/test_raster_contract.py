"""raster-v1 keeps the contract that ships; a smaller search, so that twenty questions stay affordable."""

import pytest

from sjplan.planning.raster import DEFAULTS, RasterPlanner
from sjplan.testing.contract import PlannerContract
from sjplan.testing.problems import IMPOSSIBLE_MM, impossible_problem

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

    def test_no_pair_fits_and_the_reason_is_the_pair(self, planner: RasterPlanner) -> None:
        """Where no two axes may stand together the answer still names the rule and the millimetres."""
        problem = impossible_problem()
        outcome = self.solve(planner, problem)
        assert outcome.nearest is not None
        spacing = [r for r in outcome.reasons if r.constraint == "crossing_spacing"]
        assert spacing
        assert all(r.unit == "mm" and 5.0 < r.missing < IMPOSSIBLE_MM for r in spacing)

    @pytest.fixture
    def planner(self) -> RasterPlanner:
        return RasterPlanner(**SMALL)
