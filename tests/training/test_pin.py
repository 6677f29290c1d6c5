"""A pin's mechanics on plates of bone whose forces are known by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.training.pin import (
    BENT_DEG,
    BROKEN_DEG,
    FIXED_AT_MM,
    GAP_MM,
    LONGEST_SKID_MM,
    PLUNGE_MM,
    SHAFT_N_PER_MM,
    STEP_MM,
    Pin,
    angles_deg,
    direction,
    held,
    pushed,
    tapped,
    tilted,
    withdrawn,
)
from sjplan.training.tissue import BONE_N, Tissue

SKIN = np.array((60.0, 0.0, 0.0))
PLATE_MM, HU = 20.0, 260
MEDIAL = np.array((-1.0, 0.0, 0.0))


def plates(*spans: tuple[float, float]) -> Tissue:
    """Water with plates of bone across the x axis, between depths from x = 60."""
    grid = Grid((320, 60, 60), (0.5, 2, 2), (-99.75, -59, -59), np.eye(3))
    x = 60.0 - grid.lps_from_ijk(np.stack([np.arange(320), np.zeros(320), np.zeros(320)], axis=1))[:, 0]
    bone = np.any([(x > a) & (x < b) for a, b in spans], axis=0)
    label = np.broadcast_to(np.where(bone, 25, 0)[:, None, None], grid.shape).astype(np.uint8)
    return Tissue(CtVolume(grid, np.where(label, HU, 0).astype(np.int16)), LabelMap(grid, label, {25: "sacrum"}))


@pytest.fixture(scope="module")
def plate() -> Tissue:
    """Bone from 20 mm below the skin on."""
    return plates((PLATE_MM, 120.0))


def at(depth_mm: float, axis: np.ndarray = MEDIAL) -> Pin:
    return Pin("left", SKIN, axis, depth_mm)


@given(st.sampled_from(["left", "right"]), st.floats(-75, 75), st.floats(-75, 75))
def test_angles_are_the_inverse_of_direction(side: str, cranial: float, ventral: float) -> None:
    axis = direction(side, cranial, ventral)  # type: ignore[arg-type]
    assert angles_deg(side, axis) == pytest.approx((cranial, ventral), abs=1e-9)  # type: ignore[arg-type]
    assert (axis[0] < 0) == (side == "left")


def test_a_hand_pushes_to_bone_and_no_farther(plate: Tissue) -> None:
    pin, feel = pushed(plate, at(0.0), 100.0)
    assert PLATE_MM - 1.0 < pin.depth_mm < PLATE_MM + STEP_MM
    assert feel.advanced_mm == pytest.approx(pin.depth_mm)
    assert feel.peak_n > 60.0 >= plate.resistance_n(pin.tip_lps_mm[None])[0]
    again, nothing = pushed(plate, pin, 50.0)
    assert (again.depth_mm, nothing.advanced_mm) == (pin.depth_mm, 0.0)
    short, _ = pushed(plate, at(0.0), 7.0)
    assert short.depth_mm == 7.0


def test_a_blow_goes_as_far_as_its_energy(plate: Tissue) -> None:
    rng = np.random.default_rng(0)
    start = at(40.0)
    bone = held(plate, start).bone_mm
    for joules in (0.5, 1.0, 2.0):
        pin, feel = tapped(plate, start, joules, None, rng)
        gone = pin.depth_mm - start.depth_mm
        steps = np.arange(1, 60)
        work = np.cumsum(BONE_N + HU + SHAFT_N_PER_MM * (bone + steps * STEP_MM)) * STEP_MM / 1000.0
        assert gone == pytest.approx(STEP_MM * int((work <= joules).sum()))
        assert feel.advanced_mm == pytest.approx(gone)
    bent, _ = tapped(plate, replace(start, bend_deg=6.0), 1.0, None, rng)
    straight, _ = tapped(plate, start, 1.0, None, rng)
    assert bent.depth_mm < straight.depth_mm


def test_a_blow_that_breaks_through_plunges_but_is_held() -> None:
    thin = plates((20.0, 24.0))
    pin, feel = tapped(thin, at(23.0), 3.0, None, np.random.default_rng(0))
    assert pin.depth_mm == pytest.approx(23.0 + PLUNGE_MM)
    assert feel.last_n < 0.2 * feel.peak_n


def test_a_tip_skids_along_an_oblique_cortex_only(plate: Tissue) -> None:
    normal = np.array((1.0, 0.0, 0.0))
    for angle in (0.0, 20.0, 44.0):
        touching, _ = pushed(plate, at(0.0, direction("left", angle, 0.0)), 100.0)
        pin, feel = tapped(plate, touching, 1.0, normal, np.random.default_rng(3))
        assert feel.skidded_mm == 0.0
        assert pin.depth_mm > touching.depth_mm
    slides = []
    for angle in (50.0, 56.0, 62.0):
        touching, _ = pushed(plate, at(0.0, direction("left", angle, 0.0)), 100.0)
        pin, feel = tapped(plate, touching, 1.0, normal, np.random.default_rng(3))
        slide = pin.tip_lps_mm - touching.tip_lps_mm
        assert abs(slide[0]) < 1e-9
        assert slide[2] > 0
        assert np.linalg.norm(slide) == pytest.approx(feel.skidded_mm)
        assert pin.skin_lps_mm.tolist() == touching.skin_lps_mm.tolist()
        slides.append(feel.skidded_mm)
    assert slides == sorted(slides)
    assert slides[-1] <= LONGEST_SKID_MM


def test_a_seated_tip_does_not_skid(plate: Tissue) -> None:
    steep = at(30.0, direction("left", 60.0, 0.0))
    deep = replace(steep, depth_mm=50.0)
    assert held(plate, deep).bone_mm > 2.0
    _, feel = tapped(plate, deep, 1.0, np.array((1.0, 0.0, 0.0)), np.random.default_rng(0))
    assert feel.skidded_mm == 0.0


def test_a_pin_turns_freely_in_soft_tissue_and_bends_in_bone(plate: Tissue) -> None:
    axis = direction("left", 8.0, -5.0)
    free = tilted(plate, at(10.0), axis)
    assert free.axis.tolist() == axis.tolist()
    assert free.skin_lps_mm.tolist() == SKIN.tolist()
    assert free.bend_deg == 0.0
    for depth in (24.0, 28.0, 45.0):
        pin = at(depth)
        where = held(plate, pin)
        turned = tilted(plate, pin, axis)
        asked = np.rad2deg(np.arccos(pin.axis @ axis))
        got = np.rad2deg(np.arccos(np.clip(pin.axis @ turned.axis, -1, 1)))
        share = max(0.0, 1.0 - where.bone_mm / FIXED_AT_MM)
        assert got == pytest.approx(share * asked, rel=0.02, abs=1e-6)
        assert turned.bend_deg == pytest.approx((1.0 - share) * asked)
        assert where.first_mm is not None
        entry = pin.skin_lps_mm + where.first_mm * pin.axis
        assert turned.skin_lps_mm + where.first_mm * turned.axis == pytest.approx(entry)


def test_what_was_bent_a_little_springs_back_and_what_was_bent_far_stays_or_breaks(plate: Tissue) -> None:
    little = tilted(plate, at(45.0), direction("left", BENT_DEG - 2.0, 0.0))
    far = tilted(plate, at(45.0), direction("left", BENT_DEG + 2.0, 0.0))
    assert withdrawn(plate, little, 5.0).bend_deg > 0
    assert withdrawn(plate, little, 40.0).bend_deg == 0.0
    assert withdrawn(plate, far, 40.0).bend_deg == far.bend_deg
    assert not far.broken
    assert tilted(plate, at(45.0), direction("left", BROKEN_DEG + 1.0, 0.0)).broken


def test_a_joint_is_no_way_out_and_a_wider_gap_is() -> None:
    joint, gap = plates((20.0, 35.0), (38.0, 60.0)), plates((20.0, 35.0), (35.0 + GAP_MM + 1.5, 70.0))
    assert held(joint, at(50.0)).exits_mm == ()
    assert held(joint, at(50.0)).bone_mm == pytest.approx(27.0, abs=1.0)
    (exit_mm,) = held(gap, at(55.0)).exits_mm
    assert exit_mm == pytest.approx(35.0, abs=0.5)
    assert held(gap, at(38.0)).exits_mm == ()
    both = held(gap, at(80.0)).exits_mm
    assert len(both) == 2
    assert both[1] == pytest.approx(70.0, abs=0.5)
    assert held(gap, at(80.0)).tip_in == "none"
    assert held(gap, at(10.0)) == held(joint, at(5.0))


def test_a_pin_is_valid_once_built() -> None:
    for depth in (-1.0, 231.0, float("nan")):
        with pytest.raises(GeometryError, match="depth_mm"):
            at(depth)
    with pytest.raises(GeometryError, match="axis"):
        Pin("left", SKIN, np.array((1.0, 1.0, 0.0)))
