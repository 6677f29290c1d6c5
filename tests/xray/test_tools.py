"""Threads, drills and broaches: their shadows against the shapes' definitions."""

import numpy as np
import pytest

from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel, Thread
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.chords import chord_lengths_mm
from sjplan.xray.solids import METALS, Tool, implant_solids, tool_solid
from sjplan.xray.types import CArm, Detector

SCREW = ImplantModel("s", "screw", "cylinder", 3.65, 3.65, (40.0,), thread=Thread(4.0, 2.4, 16.0))
TRIANGLE = ImplantModel("t", "triangle", "triangle", 3.5, 1.0, (45.0,))
PATH = ((-20.0, 3.0, 1.0), (20.0, -2.0, 4.0))


def lengths(solids, carm=None, detector=None):
    geometry = CArmGeometry.of(carm or CArm(0, 0, 0, (0, 0, 0), 5000.0, 5001.0), detector or Detector(80, 300, 0.2))
    return chord_lengths_mm(geometry, solids)


def along(entry, tip, model):
    """A trajectory as long as its model, from `entry` towards `tip`."""
    entry, tip = np.array(entry, float), np.array(tip, float)
    way = (tip - entry) / np.linalg.norm(tip - entry)
    return Trajectory(entry, entry + model.lengths_mm[0] * way, 0.0, model)


def profile_mm(model, from_tip_mm):
    """Radius of the threaded screw at places from its tip, from the definition: crest, flank, core."""
    thread, outer = model.thread, model.inscribed_radius_mm
    off_crest = np.abs(from_tip_mm - thread.pitch_mm * (np.floor(from_tip_mm / thread.pitch_mm) + 0.5))
    radius = np.where(off_crest <= 0.12 * thread.pitch_mm, outer, 0.5 * (thread.core_radius_mm + outer))
    bare = (off_crest > 0.3 * thread.pitch_mm) | (from_tip_mm > thread.length_mm)
    return np.where(bare, thread.core_radius_mm, radius)


def test_a_threaded_screws_chords_are_those_of_its_profile():
    trajectory = along(*PATH, SCREW)
    carm, detector = CArm(25, 10, 5, (0, 0, 0), 900.0, 1000.0), Detector(16, 48, 1.1)
    geometry = CArmGeometry.of(carm, detector)
    found = chord_lengths_mm(geometry, implant_solids(trajectory))
    steps = np.linspace(0.85, 0.95, 20001)
    hit = 0
    for row in range(0, 16, 3):
        for column in range(0, 48, 5):
            pixel = geometry.pixel_lps_mm([(float(column), float(row))])[0]
            points = geometry.source_lps_mm + steps[:, None] * (pixel - geometry.source_lps_mm)
            local = points - trajectory.entry_lps_mm
            w = local @ trajectory.axis
            off = np.linalg.norm(local - w[:, None] * trajectory.axis, axis=1)
            inside = (w >= 0) & (w <= 40) & (off <= profile_mm(SCREW, 40.0 - w))
            step_mm = np.linalg.norm(points[1] - points[0])
            assert found[row, column] == pytest.approx(inside.sum() * step_mm, abs=0.12)
            hit += bool(inside.any())
    assert hit >= 8


def test_the_crests_reach_the_outer_radius_and_the_shaft_is_bare():
    shadow = lengths(implant_solids(along((-20, 0, 0), (20, 0, 0), SCREW)))
    widest = (shadow > 0).sum(axis=0) * 0.2
    tip_at = 150 + 100  # the tip lies 20 mm to the patient's left, 0.2 mm a column
    threaded, shaft = widest[tip_at - 78 : tip_at - 2], widest[60 : tip_at - 84]
    assert threaded.max() == pytest.approx(7.3, abs=0.3)
    assert threaded.min() == pytest.approx(4.8, abs=0.3)
    assert np.ptp(shaft) <= 0.2
    assert shaft.max() == pytest.approx(4.8, abs=0.3)
    crests = np.flatnonzero((threaded[1:] > 6.0) & (threaded[:-1] <= 6.0))
    assert len(crests) == 4
    assert np.diff(crests) == pytest.approx(4.0 / 0.2, abs=1.1)


def test_the_catalogues_threads_stay_inside_their_envelope():
    for model in read_implants().values():
        length = model.lengths_mm[0]
        solids = implant_solids(along((0, 0, 0), (1, 0, 0), ImplantModel(
            model.id, model.summary, model.section, model.inscribed_radius_mm, model.corner_radius_mm, (length,),
            thread=model.thread,
        )))  # fmt: skip
        for solid in solids:
            reach = np.linalg.norm(solid.centres_mm, axis=1).max() + solid.corner_radius_mm
            assert reach <= model.circumscribed_radius_mm + 1e-9
            assert 0.0 <= solid.base_lps_mm[0] <= solid.base_lps_mm[0] + solid.length_mm <= length + 1e-9
        assert (len(solids) > 5) == (model.thread is not None)


@pytest.mark.parametrize(
    ("thread", "word"),
    [(Thread(0.0, 2.0), "pitch"), (Thread(3.0, 3.65), "core"), (Thread(3.0, 2.0, -1.0), "length")],
)
def test_a_thread_that_does_not_fit_is_refused(thread, word):
    with pytest.raises(GeometryError, match=word):
        ImplantModel("s", "screw", "cylinder", 3.65, 3.65, (40.0,), thread=thread)


def test_a_triangle_has_no_thread():
    with pytest.raises(GeometryError, match="cylinder"):
        ImplantModel("t", "t", "triangle", 3.5, 1.0, (40.0,), thread=Thread(3.0, 2.0))


@pytest.mark.parametrize("kind", ["drill", "broach"])
@pytest.mark.parametrize("depth", [0.0, 20.0, 45.0])
def test_a_tool_cuts_what_its_implant_needs(kind, depth):
    """As deep as it went its shadow is that of the implant's section, or of the circle inside; steel all of it."""
    trajectory = along((-22.5, 0, 0), (22.5, 0, 0), TRIANGLE)
    solid = tool_solid(Tool(kind, trajectory, depth))
    assert METALS[solid.metal] == "steel"
    shadow = lengths([solid])
    ends = np.flatnonzero(shadow.any(axis=0))
    assert ends[0] == 0
    assert (ends[-1] - 149.5) * 0.2 == pytest.approx(-22.5 + depth, abs=0.25)
    wide = (shadow[:, 10] > 0).sum() * 0.2
    if kind == "drill":
        assert wide == pytest.approx(7.0, abs=0.3)
    else:
        implant = lengths(implant_solids(trajectory))
        assert shadow[:, 5:10] == pytest.approx(implant[:, 100:105], abs=0.02)


def test_impossible_tools_are_refused():
    trajectory = along((-22.5, 0, 0), (22.5, 0, 0), TRIANGLE)
    with pytest.raises(GeometryError, match="depth"):
        Tool("drill", trajectory, 46.0)
    with pytest.raises(GeometryError, match="kind"):
        Tool("saw", trajectory, 10.0)
