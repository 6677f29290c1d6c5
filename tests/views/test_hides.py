"""What views hide: the phantom's own malpositions, and the words that follow from numbers."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.frames import SIDE_SIGN
from sjplan.io.limits import read_limits
from sjplan.planning.corridors import find_corridors
from sjplan.safety.measures import clearances
from sjplan.safety.surfaces import measuring_surfaces
from sjplan.testing.malpositions import RECIPES, malpositions
from sjplan.testing.problems import phantom_anatomy
from sjplan.views.hides import REVEALED_MM, STANDARD, Sight, Viewer, explain, extra_view
from sjplan.views.patient import views_of_anatomy


@pytest.fixture(scope="module")
def anatomy():
    return phantom_anatomy()


@pytest.fixture(scope="module")
def views(anatomy):
    return views_of_anatomy(anatomy)


@pytest.fixture(scope="module")
def corridor(anatomy):
    return next(c for c in find_corridors(anatomy) if (c.level, c.kind, c.side) == ("S1", "midline", "left"))


@pytest.fixture(scope="module")
def screws(anatomy, corridor):
    return malpositions(anatomy, "left", corridor, read_limits())


@pytest.mark.slow
def test_screws_are_as_far_out_as_their_recipes_say(anatomy, screws):
    assert len(screws) >= 6
    for name, screw in screws.items():
        assert screw.distance_mm == pytest.approx(RECIPES[name].distance_mm, abs=0.1), name
        tip = anatomy.frame.frame_from_lps(screw.trajectory.tip_lps_mm)[0] * SIDE_SIGN["left"]
        assert tip == pytest.approx(RECIPES[name].tip_lateral_mm, abs=1e-6)


def sight(**seen):
    return Sight(1, "superior", -2.0, seen)


def test_words_follow_from_the_numbers():
    found = sight(ap=3.0, lateral=float("nan"), inlet=5.0, outlet=-1.0)
    assert found.breach
    assert found.shown_on == ("outlet",)
    assert found.hidden_on == ("ap", "inlet")
    assert found.most_deceptive == "inlet"
    safe = replace(found, distance_mm=1.0)
    assert safe.hidden_on == ()
    assert safe.most_deceptive is None
    assert safe.shown_on == ("outlet",), "a false alarm is still shown"


@pytest.mark.slow
def test_a_screw_far_above_the_ala_is_out_in_every_view_from_the_front(anatomy, views, screws):
    """Moved up until nothing of it is in bone, its shadow leaves the sacrum's in the outlet by what it was moved."""
    screw = screws["superior, S1 body"]
    viewer = Viewer(anatomy)
    before = viewer.clearance_mm(screw.trajectory, screw.crossing_lps_mm, "superior", views["outlet"])
    up = 25.0 * anatomy.frame.cranial
    moved = replace(
        screw.trajectory, entry_lps_mm=screw.trajectory.entry_lps_mm + up, tip_lps_mm=screw.trajectory.tip_lps_mm + up
    )
    after = viewer.clearance_mm(moved, screw.crossing_lps_mm + up, "superior", views["outlet"])
    assert after < before - 10.0
    assert after < -10.0


@pytest.mark.slow
def test_an_extra_view_reveals_what_it_says(anatomy, views, screws):
    viewer = Viewer(anatomy)
    found = 0
    for screw in screws.values():
        starts = {name: views[name] for name in STANDARD}
        extra = extra_view(viewer, screw.trajectory, screw.crossing_lps_mm, screw.structure, starts)
        if extra is None:
            continue
        found += 1
        again = Viewer(anatomy).clearance_mm(screw.trajectory, screw.crossing_lps_mm, screw.structure, extra.carm)
        assert again == pytest.approx(extra.clearance_mm)
        assert again <= -REVEALED_MM
        assert extra.carm.isocentre_lps_mm == pytest.approx(starts[extra.start].isocentre_lps_mm)
    assert found >= 3


@pytest.mark.slow
def test_explain_speaks_of_breaches_and_else_of_the_nearest(anatomy, views, corridor, screws):
    limits = read_limits()
    out = screws["superior, S1 body"]
    good = replace(out.trajectory, entry_lps_mm=corridor.start_lps_mm, tip_lps_mm=corridor.end_lps_mm)
    measured = clearances(measuring_surfaces(anatomy, "left"), good, limits, passes=False)
    asked = {name: views[name] for name in ("ap", "lateral", "inlet", "outlet", "outlet-s1")}
    found = explain(
        anatomy,
        [(out.trajectory, out.crossing_lps_mm, out.clearances), (good, out.crossing_lps_mm, measured)],
        asked,
    )
    first = [s for s in found if s.slot == 1]
    assert "superior" in {s.structure for s in first}
    assert all(s.breach for s in first)
    second = [s for s in found if s.slot == 2]
    assert len(second) == 1
    assert second[0].distance_mm == pytest.approx(min(c.envelope_mm for c in measured if c.structure != "scan_edge"))
    assert set(second[0].seen_mm) == set(asked)


@pytest.mark.slow
def test_both_sides_of_a_symmetric_pelvis_show_the_same(anatomy, views, screws):
    """The same screw put in from the other side: every clearance within what 2 mm voxels leave between the sides."""
    viewer = Viewer(anatomy)
    mirror = np.diag([-1.0, 1.0, 1.0])

    def other(point):
        return anatomy.frame.lps_from_frame(anatomy.frame.frame_from_lps(point) @ mirror)

    screw = screws["superior, S1 body"]
    mirrored = replace(
        screw.trajectory,
        entry_lps_mm=other(screw.trajectory.entry_lps_mm),
        tip_lps_mm=other(screw.trajectory.tip_lps_mm),
    )
    for name in ("ap", "inlet", "outlet"):
        a = viewer.clearance_mm(screw.trajectory, screw.crossing_lps_mm, "superior", views[name])
        b = viewer.clearance_mm(mirrored, other(screw.crossing_lps_mm), "superior", views[name])
        assert a == pytest.approx(b, abs=2.5), name
