"""The default pelvis against published numbers; keys as in the sources of the presets."""

from itertools import pairwise

import numpy as np
import pytest

from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.facts import PhantomTruth
from sjplan.phantom.truth.survey import survey

ENVELOPE_RADIUS_MM = 6.0


@pytest.fixture(scope="module")
def truth() -> PhantomTruth:
    return survey(Pelvis(PhantomParameters()))


def _sacral(truth: PhantomTruth, point: np.ndarray) -> np.ndarray:
    return truth.pelvis.sacral_mm(point[None])[0]


def test_sacrum_is_as_wide_and_long_as_published(truth: PhantomTruth) -> None:
    p = np.random.default_rng(0).uniform((-70, -30, -112.5), (70, 60, 5), (150_000, 3))
    inside = p[truth.bone_mm("sacrum", truth.pelvis.lps_from_sacral(p)) < 0]
    assert 2 * np.abs(inside[:, 0]).max() == pytest.approx(108.7, abs=11.0)  # MAHATO
    assert -inside[np.abs(inside[:, 0]) > 6.0][:, 2].min() == pytest.approx(107, abs=10)  # DRY30, without coccyx


def test_foramina_lie_where_published(truth: PhantomTruth) -> None:
    mouths = {level: _sacral(truth, truth.foramen(level, "left").ventral_mouth_lps_mm) for level in ("S1", "S2", "S3")}
    assert mouths["S1"][0] == pytest.approx(24, abs=1)  # derived from PMCT
    assert mouths["S2"][0] == pytest.approx(21, abs=1)
    assert np.linalg.norm(mouths["S1"] - mouths["S2"]) == pytest.approx(26.5, abs=1.6)  # 25 to 28
    s1, s2 = (truth.foramen(level, "left") for level in ("S1", "S2"))
    assert 2 * s1.ventral_mouth_radius_mm == pytest.approx(12.6, abs=1.0)  # SALUJA 13.0 x 12.2
    assert 2 * s2.ventral_mouth_radius_mm == pytest.approx(13.0, abs=1.0)  # SALUJA 12.9 x 13.1
    assert 2 * s1.dorsal_mouth_radius_mm == pytest.approx(8.8, abs=0.6)  # TIEGS 8.6 x 8.9
    assert _sacral(truth, s1.dorsal_mouth_lps_mm)[0] == pytest.approx(23.5, abs=2.8)  # KJP


def test_canal_narrows_as_recalled(truth: PhantomTruth) -> None:
    assert 2 * truth.canal.half_width_mm[0] == pytest.approx(30, abs=4)
    assert truth.canal.height_mm[0] == pytest.approx(15, abs=1)
    assert 2 * truth.canal.half_width_mm[60] == pytest.approx(20, abs=2)
    assert truth.canal.height_mm[60] == pytest.approx(9, abs=1)
    assert (np.diff(truth.canal.half_width_mm) <= 0).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_joint_has_a_published_area_and_angle(truth: PhantomTruth, side: str) -> None:
    joint = truth.joints[side]
    assert 11e2 < joint.area_mm2 < 17e2  # CONTACT 9.9 to 11.4, KNOEF 15.0 +- 2.4 cm2
    points, normals = truth.pelvis.sacral_mm(joint.points_lps_mm), joint.normals @ truth.sacral_frame.axes.T
    angle = np.degrees(np.arctan2(-normals[:, 1], np.abs(normals[:, 0])))
    cranial, caudal = points[:, 2] > -20, points[:, 2] < -50
    assert np.median(angle[cranial]) == pytest.approx(31, abs=6)  # KULAK 31.4 +- 4.8
    assert np.median(angle[caudal]) == pytest.approx(21, abs=6)  # KULAK 21.3 +- 3.3


def test_pelvis_is_as_wide_as_published(truth: PhantomTruth) -> None:
    width = np.linalg.norm(truth.landmarks["asis_left"] - truth.landmarks["asis_right"])
    assert width == pytest.approx(238, abs=20)  # APP
    normal = truth.sacral_frame.cranial
    assert np.degrees(np.arccos(normal[2])) == pytest.approx(40, abs=1e-6)  # MACTH


def test_landmarks_lie_on_the_bones(truth: PhantomTruth) -> None:
    for name, bone in (("promontory", "sacrum"), ("s1_endplate_centre", "sacrum"), ("s2_anterior", "sacrum"),
                       ("psis_left", "hip_left"), ("asis_right", "hip_right"), ("notch_left", "hip_left")):  # fmt: skip
        assert abs(truth.bone_mm(bone, truth.landmarks[name][None])[0]) < 1.0, name
    between = [abs(truth.bone_mm(f"hip_{side}", truth.landmarks["symphysis"][None])[0]) for side in ("left", "right")]
    assert max(between) < 4.0


CORRIDORS = (((17.3, -12.3), 19.0), ((5.5, -23.0), 11.5), ((10.7, -43.8), 11.5))
"""Crossing (y, z) in the sacral frame and length beyond the joint of three implants placed by hand."""

DIRECTION = (-0.75, -0.62, 0.2)
"""About along the joint's normal: medial, forward and a little up."""


@pytest.mark.parametrize("side", ["left", "right"])
def test_three_implants_fit_with_room_to_spare(truth: PhantomTruth, side: str) -> None:
    """Placed by hand in the analytic pelvis: a planner that finds nothing here is at fault."""
    pelvis, sign = truth.pelvis, 1.0 if side == "left" else -1.0
    crossings = []
    for (y, z), depth in CORRIDORS:
        x = float(pelvis.sacrum[side].joint.mid_x(np.array(y), np.array(z)))
        direction = np.array(DIRECTION) / np.linalg.norm(DIRECTION)
        along = np.arange(-30.0, depth, 0.5)
        axis = np.array([x, y, z]) + along[:, None] * direction
        envelope = _cylinder(axis, direction)
        lps = pelvis.lps_from_sacral(envelope * (sign, 1.0, 1.0))
        for foramen in truth.foramina:
            assert foramen.distance_mm(lps).min() >= 4.0
        assert truth.canal.distance_mm(lps).min() >= 4.0
        # 8 mm medial of the crossing the whole section lies in the sacrum, 1 mm clear of every outer surface
        deep = (envelope - axis[0]) @ direction > 30.0 + 8.0
        assert pelvis.solid_sacrum_mm(lps[deep]).max() < -1.0
        ilium = truth.bone_mm(f"hip_{side}", pelvis.lps_from_sacral(axis * (sign, 1.0, 1.0))) < 0
        assert 11.0 <= 0.5 * ilium.sum() <= 24.0  # suggested: 20 +- 4 at S1, 15 +- 4 at S2
        assert depth - 1.0 >= 10.0
        crossings.append(np.array([x, y, z]))
        assert truth.joints[side].is_articular(pelvis.lps_from_sacral(crossings[-1][None] * (sign, 1.0, 1.0))).all()
    apart = [np.linalg.norm(a - b) for a, b in pairwise(crossings)]
    assert min(apart) >= 13.0


def _cylinder(axis: np.ndarray, direction: np.ndarray) -> np.ndarray:
    up = np.array([0.0, 0.0, 1.0])
    around = np.linspace(0, 2 * np.pi, 36, endpoint=False)[:, None]
    ring = ENVELOPE_RADIUS_MM * (np.cos(around) * up + np.sin(around) * np.cross(direction, up))
    disc = np.concatenate([f * ring for f in np.linspace(0.0, 1.0, 5)])
    return np.vstack([(axis[:, None] + ring).reshape(-1, 3), axis[-1] + disc])
