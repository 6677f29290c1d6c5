"""Planners by id: those that ship, and those that other packages register under the group `sjplan.planners`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from sjplan.core.errors import InputError, unknown_name
from sjplan.planning.baselines.evolution import EvolutionPlanner
from sjplan.planning.baselines.greedy import GreedyPlanner
from sjplan.planning.baselines.random_search import RandomPlanner
from sjplan.planning.baselines.rule import RulePlanner
from sjplan.planning.baselines.weighted import WeightedPlanner
from sjplan.planning.certified import CertifiedPlanner
from sjplan.planning.protocol import Planner, PlannerSpec
from sjplan.planning.raster import RasterPlanner

GROUP = "sjplan.planners"
DEFAULT_PLANNER = "certified-v1"

_SHIPPED: tuple[type[Planner], ...] = (
    CertifiedPlanner,
    RasterPlanner,
    GreedyPlanner,
    WeightedPlanner,
    RulePlanner,
    RandomPlanner,
    EvolutionPlanner,
)
BUILT_IN: dict[str, type[Planner]] = {planner.spec.id: planner for planner in _SHIPPED}
"""Planners that ship, by id: found whether or not the package is installed with its entry points."""


def planners() -> dict[str, PlannerSpec]:
    """Specs of all planners that are registered, by id; the summary of one that cannot be imported says why.

    Examples
    --------
    >>> "raster-v1" in planners()
    True
    """
    specs = {name: planner.spec for name, planner in BUILT_IN.items()}
    for point in entry_points(group=GROUP):
        if point.name not in specs:
            try:
                specs[point.name] = _class(point.name).spec
            except (InputError, AttributeError) as error:
                specs[point.name] = PlannerSpec(point.name, f"cannot be used: {error}")
    return specs


def load(planner_id: str = DEFAULT_PLANNER, **parameters: float | int | str | bool) -> Planner:
    """Make a planner.

    Raises
    ------
    UnknownNameError
        If no planner has that id.
    InputError
        If a registered planner cannot be imported or is none.
    """
    names = {*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}
    if planner_id not in names:
        raise unknown_name("planner", planner_id, names)
    made = _class(planner_id)(**parameters)
    if not isinstance(made, Planner):
        raise InputError(f"planner {planner_id}", found=type(made).__name__, wanted="an object with spec and plan()")
    return made


def _class(planner_id: str) -> type[Planner]:
    if planner_id in BUILT_IN:
        return BUILT_IN[planner_id]
    point = next(p for p in entry_points(group=GROUP) if p.name == planner_id)
    try:
        return cast("type[Planner]", point.load())
    except Exception as error:
        raise InputError(
            f"planner {planner_id}",
            found=f"{type(error).__name__} on importing {point.value}",
            wanted="an importable class",
            fix="reinstall the package that registers it",
        ) from error
