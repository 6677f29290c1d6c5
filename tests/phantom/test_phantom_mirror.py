"""A mirrored spec gives the mirrored phantom: shapes, truth, labels."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.frames import SIDES
from sjplan.core.structures import LEVELS
from sjplan.io.cohorts import draw, read_cohort
from sjplan.phantom.build import build_labels
from sjplan.phantom.mirror import OTHER, mirrored
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import BONES, Pelvis
from sjplan.phantom.truth.survey import survey
from sjplan.phantom.variants import Variants

FLIP = np.array((-1.0, 1.0, 1.0))
ONE_SIDED = PhantomParameters(
    asymmetry_mm=3.0,
    wing_asymmetry_mm=-9.0,
    offset_lps_mm=(20.0, -30.0, 15.0),
    rotation_deg=(4.0, -7.0, 5.0),
    variants=Variants(scoliosis_deg=9.0, osteophyte_left_mm=4.0, gap_difference_mm=0.8, transitional="sacralised-l5"),
)


def other_side(name: str) -> str:
    stem, _, side = name.rpartition("_")
    return f"{stem}_{OTHER[side]}" if side in OTHER else name


@pytest.fixture(scope="module", params=["one-sided", "adults 2", "adults 5"])
def parameters(request: pytest.FixtureRequest) -> PhantomParameters:
    if request.param == "one-sided":
        return ONE_SIDED
    return draw(read_cohort("adults"), int(request.param.split()[1]))


def test_twice_mirrored_is_the_same(parameters: PhantomParameters) -> None:
    assert mirrored(mirrored(parameters)).as_dict() == parameters.as_dict()
    assert mirrored(parameters).as_dict() != parameters.as_dict()


def test_bones_and_tunnels_are_mirrored(parameters: PhantomParameters) -> None:
    one, other = Pelvis(parameters), Pelvis(mirrored(parameters))
    p = one.lps_from_pelvic(np.random.default_rng(0).uniform((-150, -95, -185), (150, 90, 90), (6000, 3)))
    for bone in BONES:
        assert np.allclose(one.bone_mm(bone, p), other.bone_mm(other_side(bone), p * FLIP), atol=1e-8), bone
    assert np.allclose(one.canal_mm(p), other.canal_mm(p * FLIP), atol=1e-8)
    for level in LEVELS:
        for side in SIDES:
            assert np.allclose(one.foramen_mm(level, side, p), other.foramen_mm(level, OTHER[side], p * FLIP))


def test_truth_is_mirrored(parameters: PhantomParameters) -> None:
    one, other = survey(Pelvis(parameters)), survey(Pelvis(mirrored(parameters)))
    assert {other_side(name) for name in one.landmarks} == set(other.landmarks)
    for name, at in one.landmarks.items():
        assert np.allclose(at * FLIP, other.landmarks[other_side(name)], atol=0.02), name
    for foramen in one.foramina:
        twin = other.foramen(foramen.level, OTHER[foramen.side])
        assert twin is not None
        assert np.allclose(foramen.ventral_mouth_lps_mm * FLIP, twin.ventral_mouth_lps_mm, atol=1e-4)
        assert foramen.dorsal_mouth_radius_mm == pytest.approx(twin.dorsal_mouth_radius_mm, abs=1e-4)
    for side, joint in one.joints.items():
        assert joint.area_mm2 == pytest.approx(other.joints[OTHER[side]].area_mm2, rel=1e-6)


def test_labels_are_mirrored_to_the_voxel() -> None:
    still = replace(ONE_SIDED, offset_lps_mm=(0.0, 0.0, 0.0))
    (one, _), (other, _) = (build_labels(p, 3.0) for p in (still, mirrored(still)))
    grid, twin = one.grid, other.grid
    assert grid.shape == twin.shape
    ijk = np.argwhere(np.asarray(one.label) > 0)
    at = np.rint(twin.ijk_from_lps(grid.lps_from_ijk(ijk) * FLIP)).astype(int)
    assert np.allclose(twin.lps_from_ijk(at), grid.lps_from_ijk(ijk) * FLIP, atol=1e-6)
    found = other.label[tuple(at.T)]
    for label, name in one.names.items():
        here = one.label[tuple(ijk.T)] == label
        assert (np.array([other.names.get(int(i), "") for i in found[here]]) == other_side(name)).all(), name
    assert (one.label > 0).sum() == (other.label > 0).sum()
