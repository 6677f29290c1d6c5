"""The contract's phantom as an operating room, and a plan of either side."""

from collections.abc import Mapping

import numpy as np
import pytest

from sjplan.core.plan import Plan, Side
from sjplan.core.trajectory import Trajectory
from sjplan.io.cases import Case
from sjplan.planning.protocol import Budget
from sjplan.planning.raster import RasterPlanner
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_anatomy, phantom_labels, phantom_problem
from sjplan.training.process import Looks
from sjplan.training.theatre import Theatre, open_theatre


@pytest.fixture(scope="session")
def theatre() -> Theatre:
    return open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())


@pytest.fixture(scope="session")
def planned() -> Plan:
    found = RasterPlanner().plan(phantom_problem(), rng=np.random.default_rng(0), budget=Budget(seconds=60.0))
    assert found.plan is not None
    return found.plan


@pytest.fixture(scope="session")
def plans(theatre: Theatre, planned: Plan) -> Mapping[Side, Plan]:
    """Of both sides: the phantom's halves are alike."""
    mirror = np.array([-1.0, 1.0, 1.0])
    paths = tuple(
        Trajectory(mirror * t.entry_lps_mm, mirror * t.tip_lps_mm, -t.roll_deg, t.model) for t in planned.trajectories
    )
    right = Plan("right", paths, planned.planner)
    assert judge(right, theatre.anatomy, theatre.limits, theatre.surfaces("right")).accepted
    return {"left": planned, "right": right}


@pytest.fixture(scope="session")
def looks(theatre: Theatre) -> Looks:
    return Looks(theatre)
