"""Operations for tests: by the plan, and one that ends in a foramen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from sjplan.core.plan import Plan
from sjplan.core.trajectory import Trajectory
from sjplan.planning.protocol import Budget
from sjplan.planning.raster import RasterPlanner
from sjplan.testing.problems import phantom_problem
from sjplan.training import actions as act
from sjplan.training.pin import angles_deg
from sjplan.training.process import arm_for
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre
from sjplan.views.patient import views_of_anatomy


@cache
def planned() -> Plan:
    """A plan of the contract's phantom."""
    found = RasterPlanner().plan(phantom_problem(), rng=np.random.default_rng(0), budget=Budget(seconds=60.0))
    assert found.plan is not None
    return found.plan


def mirrored(plan: Plan) -> Plan:
    """The plan of the right side: the phantom's halves are alike."""
    mirror = np.array([-1.0, 1.0, 1.0])
    paths = tuple(
        Trajectory(mirror * t.entry_lps_mm, mirror * t.tip_lps_mm, -t.roll_deg, t.model) for t in plan.trajectories
    )
    return Plan("right", paths, plan.planner)


def into_s1(theatre: Theatre, plan: Plan) -> Trajectory:
    """The plan's first implant brought down into the S1 foramen."""
    foramen = theatre.anatomy.foramen("S1", plan.side)
    assert foramen is not None
    path = plan.trajectories[0]
    off = foramen.lumen_lps_mm.mean(axis=0) - path.entry_lps_mm
    off -= (off @ path.axis) * path.axis
    return replace(path, entry_lps_mm=path.entry_lps_mm + off, tip_lps_mm=path.tip_lps_mm + off)


def pin_along(theatre: Theatre, side: str, path: Trajectory) -> act.PlacePin:
    """The pin that lies on an axis."""
    skin = theatre.tissue.skin_on_line(path.entry_lps_mm, path.axis)
    assert skin is not None
    return act.PlacePin(side, float(skin[1]), float(skin[2]), *angles_deg(side, path.axis))  # type: ignore[arg-type]


def view(session: Session, name: str) -> None:
    """The arm to a standard view, and a shot."""
    theatre = session.theatre
    arm = arm_for(theatre, views_of_anatomy(theatre.anatomy, theatre.maker.device.source_to_isocentre_mm)[name])
    assert arm is not None
    assert session.step(arm).refused is None
    assert session.step(act.Shoot()).refused is None


def implant(session: Session, side: str, path: Trajectory, *looks: str) -> None:
    """One implant along an axis, looked at with the pin in and again at the end."""
    assert session.step(pin_along(session.theatre, side, path)).refused is None
    session.step(act.PushPin(200.0))
    deep = path.length_mm - 4.0
    for _ in range(60):
        said = session.step(act.MeasureDepth()).said
        if said and said["depth_mm"] >= deep:
            break
        session.step(act.TapPin(1, 1.0))
    for name in looks:
        view(session, name)
    assert session.step(act.Drill(deep)).refused is None
    assert session.step(act.Broach(deep)).refused is None
    assert session.step(act.Insert(path.model.id, path.length_mm, 3.0, path.roll_deg)).refused is None
    for name in looks:
        view(session, name)
