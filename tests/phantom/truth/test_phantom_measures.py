"""Measures of phantoms: they scale, they follow what they are made from, and the page of figures is the rows'."""

import numpy as np
import pytest

from sjplan.io.presets import read_targets
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.measures import first_met_mm, pelvic_measures
from sjplan.phantom.truth.survey import survey


def measured(**changed):
    return pelvic_measures(survey(Pelvis(PhantomParameters(**changed))))


@pytest.fixture(scope="module")
def default():
    return measured()


def test_every_target_is_measured(default):
    assert set(read_targets()) <= set(default)
    assert all(np.isfinite(value) for value in default.values())


def test_lengths_scale_and_angles_stay(default):
    larger = measured(size=1.1, joint_gap_mm=1.7 * 1.1)
    for name, value in larger.items():
        power = {"mm": 1, "cm2": 2, "deg": 0}[name.rsplit("_", 1)[1]]
        assert value == pytest.approx(default[name] * 1.1**power, rel=0.01), name


def test_measures_do_not_hang_on_the_pose(default):
    posed = measured(offset_lps_mm=(30.0, -20.0, 11.0), rotation_deg=(8.0, -5.0, 12.0))
    for name, value in posed.items():
        assert value == pytest.approx(default[name], abs=0.05), name


def test_measures_follow_the_parameters(default):
    assert measured(foramen_scale=1.2)["ventral_s1_mm"] == pytest.approx(1.2 * default["ventral_s1_mm"], rel=0.03)
    assert measured(ala_height_mm=30.0)["ala_isthmus_height_mm"] > default["ala_isthmus_height_mm"] + 2.0
    assert measured(joint_gap_mm=2.5)["joint_gap_mm"] == 2.5
    steep = measured(sacral_slope_deg=50.0)
    assert steep["pelvic_incidence_deg"] == pytest.approx(default["pelvic_incidence_deg"] + 10.0, abs=0.01)


def test_a_closed_foramen_takes_its_measures_along(default):
    closed = measured(closed_foramina=("S2_left",))
    gone = set(default) - set(closed)
    assert gone >= {"ventral_s2_mm", "s1_to_s2_mm"}
    assert "ventral_s1_mm" in closed


def test_rays_meet_what_is_there():
    """A slab two millimetres thick, met from either side, and missed."""

    def slab(points):
        return np.abs(points[:, 0] - 3.0) - 1.0

    starts = np.array([[-10.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
    assert first_met_mm(slab, starts[:1], np.array([1.0, 0.0, 0.0]), 30.0) == pytest.approx([12.0], abs=0.02)
    assert first_met_mm(slab, starts[1:], np.array([-1.0, 0.0, 0.0]), 30.0) == pytest.approx([16.0], abs=0.02)
    assert np.isnan(first_met_mm(slab, starts, np.array([0.0, 1.0, 0.0]), 30.0)).all()
