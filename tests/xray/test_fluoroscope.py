import os
import subprocess
import sys

import numpy as np
import pytest
from xray_shapes import Ellipsoid, grid_about, share_inside

from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.io.carms import read_carms
from sjplan.io.physics import read_physics
from sjplan.xray.attenuation import BONE_VALUE, MU_STEEL_PER_MM, MU_TITANIUM_PER_MM, MU_WATER_PER_MM
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.fluoroscope import Fluoroscope, compile_kernels, take
from sjplan.xray.frame import FrameMaker
from sjplan.xray.projector import project_volume
from sjplan.xray.types import CArm, Detector

DETECTOR = Detector(40, 50, 3.0)
IMPLANT = Trajectory((25, 0, 0), (-20, 5, 3), 15.0, ImplantModel("tri", "t", "triangle", 3.5, 1.0, (45.0,)))


def _ct(assumed=False):
    grid = grid_about((0, 0, 0), (40, 40, 40), (2, 2, 2))
    hu = np.random.default_rng(3).integers(-100, 900, grid.shape).astype(np.int16)
    return CtVolume(grid, hu, assumed=assumed)


def test_radiograph_is_the_projection_with_metal_on_top():
    ct, carm = _ct(), CArm(10, 20, 5, (0, 0, 0))
    plain = take(ct, carm, DETECTOR)
    rays = project_volume(ct.hu, ct.grid, carm, DETECTOR)
    assert np.sqrt(((plain.line_integral - rays) ** 2).mean()) < 0.01 * rays.max()
    with_metal = take(ct, carm, DETECTOR, [IMPLANT], [((70, 0, 20), (0, 0, 20), 1.6)])
    added = with_metal.line_integral - plain.line_integral
    assert added.max() > 1.5
    assert (added == 0).mean() > 0.5


def test_a_draft_is_the_same_picture_in_larger_pixels():
    scope, carm = Fluoroscope(_ct()), CArm(10, 20, 5, (0, 0, 0))
    fine, draft = (scope.take(carm, DETECTOR, [IMPLANT], draft=draft) for draft in (False, True))
    assert (draft.detector.rows, draft.detector.columns, draft.detector.pixel_mm) == (20, 25, 6.0)
    mean = fine.line_integral.reshape(20, 2, 25, 2).mean(axis=(1, 3))
    inner = (slice(2, -2), slice(2, -2))
    assert np.abs(draft.line_integral - mean)[inner].mean() < 0.05 * mean.max()
    assert np.array_equal(scope.take(carm, DETECTOR, [IMPLANT]).line_integral, fine.line_integral)


@pytest.mark.parametrize("assumed", [False, True])
def test_radiograph_says_whether_its_density_is_assumed(assumed):
    assert take(_ct(assumed), CArm(0, 0, 0, (0, 0, 0)), DETECTOR).assumed_density is assumed


def test_metal_of_one_picture_does_not_stay_in_the_next():
    scope, carm = Fluoroscope(_ct()), CArm(10, 20, 5, (0, 0, 0))
    before = scope.take(carm, DETECTOR).line_integral
    for depth in (10.0, 20.0, 30.0):
        scope.take(carm, DETECTOR, [IMPLANT], [((70, 0, 20), (70 - depth, 0, 20), 1.6)])
    assert np.array_equal(scope.take(carm, DETECTOR).line_integral, before)


def test_kept_poses_never_answer_for_another():
    scope, ct = Fluoroscope(_ct()), _ct()
    poses = [CArm(a, t, 0, (0, 0, z)) for a in (0, 10) for t in (0, 20, -30) for z in (0, 5)]
    detectors = [DETECTOR, Detector(40, 50, 3.1), Detector(50, 40, 3.0)]
    for _ in range(2):
        for carm in poses:
            for detector in detectors:
                assert np.array_equal(scope.take(carm, detector).line_integral, take(ct, carm, detector).line_integral)


def test_default_detector_is_512_square():
    assert Fluoroscope(_ct()).take(CArm(0, 0, 0, (0, 0, 0))).line_integral.shape == (512, 512)


def test_empty_room_gives_an_empty_picture():
    grid = grid_about((0, 0, 0), (9, 9, 9), (5, 5, 5))
    air = CtVolume(grid, np.full(grid.shape, -1000, np.int16))
    assert not take(air, CArm(0, 0, 0, (0, 0, 0)), DETECTOR).line_integral.any()
    assert not Fluoroscope(air).take(CArm(0, 0, 0, (0, 0, 0)), DETECTOR, draft=True).line_integral.any()
    pinned = take(air, CArm(0, 0, 0, (0, 0, 0)), DETECTOR, pins=[((-50, 0, 0), (50, 0, 0))])
    assert pinned.line_integral.max() > 2


def test_kernels_can_be_compiled_ahead():
    compile_kernels()


ORDER = """
import numpy as np
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.chords import chord_lengths_mm
from sjplan.xray.fluoroscope import compile_kernels
from sjplan.xray.solids import MetalSolid
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.xray.types import CArm, Detector
compile_kernels()
geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(33, 33, 1.0))
model = ImplantModel("tri", "t", "triangle", 3.5, 1.0, (45.0,))
implant = Trajectory((22.5, 0, 0), (-22.5, 0, 0), 90.0, model)
print(repr(float(chord_lengths_mm(geometry, [MetalSolid.of_trajectory(implant)])[16, 16])))
"""


@pytest.mark.slow
def test_kernels_are_right_when_compiled_projector_first_and_when_loaded(tmp_path):
    """A flag that leaks from the projector's kernels into the chords' once halved implants, by order of compiling."""
    for _ in ("compiled", "loaded from the cache"):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", ORDER], env=environment, capture_output=True, encoding="utf-8", check=True
        )
        assert float(done.stdout) == pytest.approx(3.5 + 6.0, abs=1e-9)


def test_paths_add_up_to_the_radiograph_at_its_energy():
    """Water, bone and metal at 60 keV; the two implants' steel pin takes its place in them."""
    scope, carm = Fluoroscope(_ct()), CArm(10, 20, 5, (0, 0, 0))
    pins = [((70, 0, 20), (0, 0, 20), 1.6), ((70, -7, -6), (-20, 5, 3), 1.6)]
    paths = scope.paths(carm, DETECTOR, [IMPLANT], pins)
    bone_per_mm = BONE_VALUE / 1000.0 * MU_WATER_PER_MM
    total = paths.water_mm * MU_WATER_PER_MM + paths.bone_mm * bone_per_mm
    total += paths.titanium_mm * MU_TITANIUM_PER_MM + paths.steel_mm * MU_STEEL_PER_MM
    assert total == pytest.approx(scope.take(carm, DETECTOR, [IMPLANT], pins).line_integral, abs=2e-4)
    assert min(paths.bone_mm.max(), paths.titanium_mm.max(), paths.steel_mm.max()) > 2.0
    plain = scope.paths(carm, DETECTOR)
    assert not plain.titanium_mm.any()
    assert not plain.steel_mm.any()
    assert (paths.bone_mm <= plain.bone_mm + 1e-4).all()


@pytest.mark.parametrize("angles", [(0, 0, 0), (90, 0, 0), (0, 85, 0), (30, -30, 10)])
def test_a_ball_of_bone_in_water_is_seen_as_bone(angles):
    """Lengths within 4 % of the longest on average: the ball's edge lies between voxels."""
    grid = grid_about((0, 0, 0), (60, 60, 60), (1.5, 1.5, 1.5))
    ball = Ellipsoid((3, -4, 5), (20, 20, 20))
    share = share_inside(ball, grid)
    hu = (share * (BONE_VALUE - 1000.0)).round().astype(np.int16)
    carm, detector = CArm(*angles, (0, 0, 0)), Detector(50, 60, 1.8)
    paths = Fluoroscope(CtVolume(grid, hu)).paths(carm, detector)
    exact = ball.chords_mm(CArmGeometry.of(carm, detector))
    assert np.abs(paths.bone_mm - exact).mean() < 0.04 * exact.max()
    assert np.abs(paths.bone_mm - exact)[exact > 30].max() < 0.03 * exact.max()


def test_a_tube_inside_the_patient_is_refused():
    scope = Fluoroscope(_ct())
    with pytest.raises(GeometryError, match=r"tube.*inside the patient"):
        scope.take(CArm(0, 0, 0, (0, 500, 0)), DETECTOR)
    assert scope.take(CArm(0, 0, 0, (0, 450, 0)), DETECTOR).line_integral.max() > 0


def test_a_device_takes_its_own_field_from_its_own_distances():
    scope, maker = Fluoroscope(_ct()), FrameMaker(read_physics(), read_carms()["intensifier-12"])
    carm = CArm(10, 20, 5, (0, 0, 0))
    with pytest.raises(GeometryError, match=r"530 and 1020.*600 and 1000"):
        scope.shoot(carm, maker)
    fine, draft = (scope.shoot(maker.device.pose(carm), maker, [IMPLANT], pixels=64, draft=d) for d in (False, True))
    assert (fine.detector.rows, draft.detector.rows) == (64, 32)
    assert fine.detector.rows * fine.detector.pixel_mm == draft.detector.rows * draft.detector.pixel_mm == 305.0
    assert fine.line_integral == pytest.approx(
        scope.take(maker.device.pose(carm), fine.detector, [IMPLANT]).line_integral, abs=2e-4
    )
    assert draft.exposure.kvp == pytest.approx(fine.exposure.kvp, abs=3)


def test_averaged_frames_are_the_mean_of_frames_taken_one_by_one():
    """To the bit: what they have in common is made once, and noise comes in the same order."""
    scope, maker = Fluoroscope(_ct()), FrameMaker(read_physics(), read_carms()["flat-panel"])
    carm = maker.device.pose(CArm(10, 20, 5, (0, 0, 0)))
    rng = np.random.default_rng(7)
    single = [scope.shoot(carm, maker, [IMPLANT], pixels=64, rng=rng) for _ in range(3)]
    mean = scope.shoot(carm, maker, [IMPLANT], pixels=64, rng=np.random.default_rng(7), frames=3)
    assert np.array_equal(mean.signal, np.mean(np.stack([shot.signal for shot in single]), axis=0))
    assert np.array_equal(mean.line_integral, single[0].line_integral)
    assert mean.exposure == single[0].exposure
    assert not np.array_equal(mean.signal, single[0].signal)
