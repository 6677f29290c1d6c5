"""The contract as pytest collects it for `sjplan.testing.checking`, whose plug-in gives the fixture `planner`."""

from __future__ import annotations

from sjplan.testing.contract import PlannerContract


class TestPlanner(PlannerContract):
    """The planner that is checked now."""
