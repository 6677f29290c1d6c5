"""Room for the arm: gaps that follow from the numbers, and poses that have none."""

import numpy as np
import pytest

from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.xray.carm import ray_direction
from sjplan.xray.collision import DETECTOR_THICK_MM, TUBE_BEFORE_MM, Surroundings, room, surroundings
from sjplan.xray.types import CArm, Detector


def gaps(around, carm):
    return {(r.part, r.obstacle): r.gap_mm for r in room(around, carm, Detector())}


def at_most(gap_mm, true_mm):
    """Never too large, and by blocks and samples of 8 mm too small at most."""
    assert true_mm - 25.0 <= gap_mm <= true_mm + 1e-9


@pytest.fixture(scope="module")
def patient():
    """An ellipse of water, 360 mm wide and 240 high, 400 long."""
    grid = Grid((80, 60, 80), (5.0, 5.0, 5.0), (-197.5, -147.5, -197.5), np.eye(3))
    x, y = np.meshgrid(np.arange(80) * 5.0 - 197.5, np.arange(60) * 5.0 - 147.5, indexing="ij")
    flat = np.where((x / 180.0) ** 2 + (y / 120.0) ** 2 <= 1.0, 0, -1000)
    return surroundings(CtVolume(grid, np.repeat(flat[:, :, None], 80, axis=2).astype(np.int16)))


def test_the_skin_and_the_table_are_where_the_body_is(patient):
    assert np.abs(patient.patient_lps_mm[:, 0]).max() == pytest.approx(180.0, abs=9.0)
    assert patient.table_top_mm == pytest.approx(-120.0, abs=9.0)
    assert patient.table_middle_mm == pytest.approx(0.0, abs=6.0)


def test_gaps_at_rest_follow_from_the_distances(patient):
    """Tube 650 mm below the isocentre, detector 370 above it; the body reaches 120 either way, the table 40 more."""
    found = gaps(patient, CArm(0, 0, 0, (0, 0, 0), 650.0, 1020.0))
    at_most(found["tube", "patient"], 650.0 - TUBE_BEFORE_MM - 120.0)
    at_most(found["tube", "table"], 650.0 - TUBE_BEFORE_MM - 160.0)
    at_most(found["detector", "patient"], 370.0 - 120.0)


@pytest.mark.parametrize("near", [0.0, 60.0, 130.0])
def test_a_detector_brought_nearer_comes_nearer_by_as_much(patient, near):
    found = gaps(patient, CArm(0, 0, 0, (0, 0, 0), 650.0, 1020.0 - near))
    at_most(found["detector", "patient"], 250.0 - near)


def test_what_would_touch_is_negative(patient):
    inside = gaps(patient, CArm(0, 0, 0, (0, 0, 0), 650.0, 740.0))
    assert inside["detector", "patient"] < -20.0
    swept = gaps(patient, CArm(150, 0, 0, (0, -60.0, 0), 300.0, 500.0))
    assert min(swept.values()) < 0.0


def at_rest(point, carm=None, detector=None):
    """Gaps from one exact point."""
    around = Surroundings(np.array([point], float), float("-inf"), 0.0)
    carm = carm or CArm(0, 0, 0, (0, 0, 0), 650.0, 1020.0)
    return {r.part: r.gap_mm for r in room(around, carm, detector or Detector())}


def test_housings_are_as_wide_as_they_are():
    """Beside the tube's axis, and off a corner of a plate that is not square: by hand, the arm at rest."""
    assert at_rest((100.0, -650.0, 0.0))["tube"] == pytest.approx(100.0 - 75.0)
    assert at_rest((80.0, -650.0, 60.0))["tube"] == pytest.approx(100.0 - 75.0), "a round housing"
    assert at_rest((95.0, -650.0 + 50.0 + 15.0, 0.0))["tube"] == pytest.approx(np.hypot(20.0, 15.0))
    wide = Detector(rows=100, columns=300, pixel_mm=1.0)  # half 150 + 20 across, 50 + 20 along the patient
    assert at_rest((170.0 + 3.0, 380.0, 70.0 + 4.0), detector=wide)["detector"] == pytest.approx(5.0)
    assert at_rest((0.0, 370.0 - 12.0, 70.0 + 9.0), detector=wide)["detector"] == pytest.approx(15.0)
    assert at_rest((165.0, 370.0 - 12.0, 0.0), detector=wide)["detector"] == pytest.approx(12.0)


def test_a_part_beside_the_table_is_as_far_as_its_edge():
    """The tube swung beside the table: sideways from its edge, less what lies between samples."""
    around = Surroundings(np.empty((0, 3)), -100.0, 0.0)
    carm = CArm(0, 0, 0, (600.0, 0.0, 0.0), 110.0, 480.0)
    found = {r.part: r.gap_mm for r in room(around, carm, Detector())}
    assert 600.0 - 75.0 - 260.0 - 12.0 <= found["tube"] <= 600.0 - 75.0 - 260.0


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, -1.0, 1.0]), np.diag([1.0, -1.0, -1.0])])
@pytest.mark.parametrize("tilt", [-60.0, 0.0, 45.0, 60.0, 75.0])
def test_a_short_scan_has_no_more_room_than_the_whole_body(tilt, direction):
    def body(half_mm):
        n = (37, 25, int(2 * half_mm / 10) + 1)
        shift = -direction @ (0.5 * 10.0 * (np.array(n) - 1))
        x, y = np.meshgrid(np.arange(n[0]) * 10.0 - 180.0, np.arange(n[1]) * 10.0 - 120.0, indexing="ij")
        flat = np.where((x / 180.0) ** 2 + (y / 120.0) ** 2 <= 1.0, 0, -1000)
        return CtVolume(
            Grid(n, (10.0,) * 3, shift, direction), np.repeat(flat[:, :, None], n[2], axis=2).astype(np.int16)
        )

    carm = CArm(0, tilt, 0, (0, 0, 0), 530.0, 1020.0)
    short, long = (gaps(surroundings(body(half)), carm) for half in (120.0, 700.0))
    for key, gap in long.items():
        assert short[key] <= gap + 15.0, key


def test_one_voxel_of_tissue_is_never_lost():
    """Whichever voxel of a fine scan holds it, the gap is at most the true one and the blocks' size less at least."""
    carm = CArm(0, 0, 0, (0, 0, 0), 650.0, 1020.0)
    rng = np.random.default_rng(4)
    grid = Grid((90, 80, 70), (0.8, 0.9, 2.0), (-30.0, -40.0, -60.0), np.eye(3))
    for _ in range(20):
        voxel = rng.integers(0, grid.shape)
        hu = np.full(grid.shape, -1000, np.int16)
        hu[tuple(voxel)] = 40
        true = gaps(Surroundings(grid.lps_from_ijk(voxel)[None], float("-inf"), 0.0), carm)
        found = gaps(surroundings(CtVolume(grid, hu)), carm)
        for part in ("tube", "detector"):
            assert true[part, "patient"] - 15.0 <= found[part, "patient"] <= true[part, "patient"] + 1e-9


def test_gaps_turn_with_the_arm():
    """One point of skin: the same gap from every side, for what matters is how far it lies along and across the ray."""
    rng = np.random.default_rng(2)
    for angles in rng.uniform(-80, 80, (20, 3)):
        carm = CArm(*angles, (0, 0, 0), 650.0, 1020.0)
        point = 40.0 * ray_direction(carm)
        found = gaps(Surroundings(point[None], float("-inf"), 0.0), carm)
        assert found == {("tube", "patient"): pytest.approx(640.0), ("detector", "patient"): pytest.approx(330.0)}
        behind = (370.0 + DETECTOR_THICK_MM + 25.0) * ray_direction(carm)
        found = gaps(Surroundings(behind[None], float("-inf"), 0.0), carm)
        assert found["detector", "patient"] == pytest.approx(25.0)


def test_nothing_but_air_has_nothing_to_touch():
    grid = Grid((8, 8, 8), (10, 10, 10), (0, 0, 0), np.eye(3))
    around = surroundings(CtVolume(grid, np.full(grid.shape, -1000, np.int16)))
    assert room(around, CArm(0, 0, 0, (0, 0, 0)), Detector()) == ()
