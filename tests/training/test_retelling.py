"""Steps that are looked back at: what is listed, what the bones show at each, and how clear its path was."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.plan import Plan
from sjplan.core.shown import clear_or_out
from sjplan.safety.judge import judge
from sjplan.training import actions as act
from sjplan.training.debrief import Debrief
from sjplan.training.given import earlier
from sjplan.training.moves import NEAR_MM
from sjplan.training.retelling import Retelling, implant_path
from sjplan.training.session import Session
from sjplan.training.sightings import implant_seen
from sjplan.training.theatre import Theatre
from sjplan.views.hides import Viewer
from sjplan.views.patient import views_of_anatomy


@pytest.fixture(scope="module")
def retelling(told: Session, found: Debrief) -> Retelling:
    return Retelling(told, found)


def test_every_event_is_a_step_and_every_happening_stands_at_its_own(told: Session, retelling: Retelling) -> None:
    steps = retelling.steps()
    assert [s.number for s in steps] == list(range(len(told.events)))
    for happening in retelling.told.happenings:
        step = steps[happening.number]
        assert any(happening.text in text for text in step.inside)
        assert step.turning_point
        if happening.gravity != "note":
            assert step.tone in ("bad", happening.gravity)
    assert sum(len(s.inside) for s in steps) == len(retelling.told.happenings)
    assert all(s.tone == "none" for s in steps if not s.inside)
    assert steps[-1].turning_point
    assert 2 < sum(s.turning_point for s in steps) < len(steps) / 2


def test_a_step_shows_the_last_shot_that_had_been_taken(told: Session, retelling: Retelling) -> None:
    taken = [n for n, e in enumerate(told.events) if e["action"]["do"] == "shoot"]
    assert retelling.shots == tuple(taken)
    for step in retelling.steps():
        assert step.shot == max((n for n in taken if n <= step.number), default=None)


def test_metal_in_the_bones_is_that_of_the_state_under_its_final_number(retelling: Retelling, plan: Plan) -> None:
    end = len(retelling.told.moments) - 1
    assert [(n, t) for n, t in retelling.implants_at(end)] == [
        (i.margins.slot, i.implanted.trajectory) for i in retelling.told.implants
    ]
    assert retelling.implants_at(0) == ()
    assert retelling.sides == (plan.side,)
    for moment in retelling.told.moments:
        pin = retelling.pin_at(moment.number)
        assert (pin is None) == (moment.state.pin is None)
        if pin is not None and moment.state.pin is not None:
            assert np.array_equal(pin[1], moment.state.pin.tip_lps_mm)


def test_the_path_of_a_pin_ends_where_its_tip_has_come_to(told: Session, retelling: Retelling) -> None:
    seen = 0
    for moment in retelling.told.moments:
        pin = moment.state.pin
        for path in retelling.paths_at(moment.number) if pin is not None else ():
            assert path.name.startswith("Pin ")
            assert len(path.ends_lps_mm) == len(path.clearance_mm) + 1
            assert path.least_mm == path.clearance_mm.min()
            off = path.ends_lps_mm - pin.skin_lps_mm  # type: ignore[union-attr]
            assert np.abs(np.cross(off, pin.axis)).max() < 0.6  # type: ignore[union-attr]
            assert np.linalg.norm(path.ends_lps_mm[-1] - pin.tip_lps_mm) < 1.0  # type: ignore[union-attr]
            seen += 1
    assert seen > 20


def test_at_the_end_the_implant_that_is_out_comes_first(retelling: Retelling) -> None:
    end = len(retelling.told.moments) - 1
    first, last = retelling.told.implants
    paths = retelling.paths_at(end)
    assert [p.name for p in paths] == [first.name.capitalize(), last.name.capitalize()]
    assert "out of bone" in paths[0].text
    assert clear_or_out(last.margins.margin_mm) in paths[1].text
    driven = [m.number for m in retelling.told.moments if isinstance(m.action, act.Insert) and not m.refused]
    assert retelling.paths_at(driven[-1])[0].name == last.name.capitalize(), "a step is about its own implant first"
    assert retelling.paths_at(0) == ()


def test_an_implant_s_path_runs_from_its_entry_to_its_tip(retelling: Retelling) -> None:
    for implant in retelling.told.implants:
        path = implant_path(implant)
        assert np.allclose(path.ends_lps_mm[0], implant.margins.trajectory.entry_lps_mm)
        assert np.allclose(path.ends_lps_mm[-1], implant.margins.trajectory.tip_lps_mm)
        assert path.least_mm == implant.margins.margin_mm


def test_a_near_miss_is_told_with_the_view_in_which_it_comes_nearest_to_the_edge(theatre: Theatre, plan: Plan) -> None:
    path = plan.trajectories[0]
    for up_mm in np.arange(0.0, 8.0, 0.5):
        by = up_mm * theatre.anatomy.frame.cranial
        near = replace(path, entry_lps_mm=path.entry_lps_mm + by, tip_lps_mm=path.tip_lps_mm + by)
        (margins,) = judge(Plan(plan.side, (near,), "by hand"), theatre.anatomy, theatre.limits).implants
        if margins.margin_mm < NEAR_MM:
            break
    assert 0.0 < margins.margin_mm < NEAR_MM
    views = views_of_anatomy(theatre.anatomy)
    implanted = earlier(plan.side, near, 3.0)
    (seen,) = implant_seen(theatre, Viewer(theatre.anatomy), views, (), implanted, margins)
    assert not seen.breach
    assert seen.telling is not None
    assert seen.telling.clearance_mm == min(mm for mm in seen.standard_mm.values() if not math.isnan(mm))
    assert seen.telling.text in seen.text
    assert ("inside the edge" in seen.text) == (seen.telling.clearance_mm >= 0.0)
