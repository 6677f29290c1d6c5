"""Planners by id: what ships, what other packages register, and what is said when neither will do."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sjplan.core.errors import GeometryError, InputError, UnknownNameError
from sjplan.core.plan import Outcome, Reason
from sjplan.planning import registry
from sjplan.planning.certified import CertifiedPlanner
from sjplan.planning.protocol import Budget, Planner, PlannerSpec, Problem
from sjplan.planning.raster import RasterPlanner


class Refuser:
    """A planner of another package."""

    spec = PlannerSpec(id="refuser-v1", summary="says no")

    def __init__(self, politely: bool = False) -> None:
        self.politely = politely

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        return Outcome("infeasible", reasons=(Reason("mood", 1.0, "mm", "no"),))


class NoPlanner:
    spec = PlannerSpec(id="none-v1", summary="has no plan()")


@dataclass
class Point:
    name: str
    value: str
    loaded: object

    def load(self) -> object:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        Point("refuser-v1", "other.package:Refuser", Refuser),
        Point("none-v1", "other.package:NoPlanner", NoPlanner),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "sjplan.planners" else [])


def test_every_planner_that_ships_is_registered_under_its_id() -> None:
    """The entry points of the package name the classes that are built in: no reinstall is needed, none is forgotten."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    points = project["project"]["entry-points"][registry.GROUP]
    assert points == {name: f"{made.__module__}:{made.__name__}" for name, made in registry.BUILT_IN.items()}
    for name in points:
        planner = registry.load(name)
        assert planner.spec.id == name
        assert registry.planners()[name] is planner.spec


def test_what_ships_is_listed_and_loads() -> None:
    assert registry.planners()["raster-v1"] is RasterPlanner.spec
    planner = registry.load(registry.DEFAULT_PLANNER, starts=3)
    assert isinstance(planner, CertifiedPlanner)
    assert planner.parameters["starts"] == 3


def test_unknown_planner_gets_a_suggestion() -> None:
    with pytest.raises(
        UnknownNameError, match=r"planner: found 'raster'; wanted one of .*; fix: did you mean 'raster-v1'\?"
    ):
        registry.load("raster")


def test_wrong_parameter_reaches_the_planner() -> None:
    with pytest.raises(GeometryError, match="raster-v1 parameter: found 'speed'"):
        registry.load("raster-v1", speed=3)


@pytest.mark.usefixtures("installed")
def test_planner_of_another_package() -> None:
    assert set(registry.planners()) == {*registry.BUILT_IN, "refuser-v1", "none-v1"}
    planner = registry.load("refuser-v1", politely=True)
    assert isinstance(planner, Planner)
    assert isinstance(planner, Refuser)
    assert planner.politely


@pytest.mark.usefixtures("installed")
def test_what_is_registered_but_no_planner() -> None:
    with pytest.raises(InputError, match=r"planner none-v1: found NoPlanner; wanted an object with spec and plan\(\)"):
        registry.load("none-v1")


def test_package_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Point("broken-v1", "gone.package:Planner", ModuleNotFoundError("gone"))
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    wanted = "planner broken-v1: found ModuleNotFoundError on importing gone.package:Planner; .*fix: reinstall"
    with pytest.raises(InputError, match=wanted):
        registry.load("broken-v1")


def test_one_broken_package_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing names what works and what does not."""
    points = [
        Point("broken-v1", "gone.package:Planner", ModuleNotFoundError("gone")),
        Point("refuser-v1", "x:R", Refuser),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    listed = registry.planners()
    assert listed["refuser-v1"].summary == "says no"
    assert "ModuleNotFoundError" in listed["broken-v1"].summary
