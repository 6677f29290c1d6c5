"""An implant in a CT is found where it lies, below a voxel, through blur, noise and the end of the scale."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sjplan.audit.deviations import deviation
from sjplan.audit.metal import fitted_to_metal, metal_in, placed_from_metal
from sjplan.audit.types import PlannedImplant, Rigid
from sjplan.core.grid import Grid
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.io.catalogue import read_implants
from sjplan.phantom.postoperative import Later, later_ct

CATALOGUE = read_implants()
HERE = Rigid(np.eye(3), np.zeros(3))


def block(spacing: tuple[float, ...] = (1.0, 1.0, 1.0), size_mm: tuple[float, ...] = (80.0, 70.0, 60.0)) -> CtVolume:
    """Cancellous bone with a denser half and some texture, on an oblique grid."""
    shape = tuple(round(s / d) for s, d in zip(size_mm, spacing, strict=True))
    turn = Rotation.from_euler("xyz", (4.0, -6.0, 9.0), degrees=True).as_matrix()
    grid = Grid(shape, spacing, (0.0, 0.0, 0.0), turn)
    rng = np.random.default_rng(4)
    hu = 150.0 + 80.0 * ndimage.gaussian_filter(rng.standard_normal(shape), 2.0) * 10.0
    hu[shape[0] // 2 :] += 250.0
    return CtVolume(grid, hu.astype(np.int16))


def placed_in(ct: CtVolume, model: str, roll: float = 33.0, shift: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Trajectory:
    middle = ct.grid.centre_lps_mm + shift
    axis = np.array([-0.9, 0.3, 0.25])
    axis /= np.linalg.norm(axis)
    return Trajectory(middle - 20.3 * axis, middle + 19.7 * axis, roll, CATALOGUE[model])


@pytest.mark.parametrize(
    ("model", "later", "spacing"),
    [
        ("tri-7", Later(np.eye(3), np.zeros(3)), (1.0, 1.0, 1.0)),
        ("tri-7", Later(np.eye(3), np.zeros(3), blur_mm=0.9, noise_hu=40.0, highest_hu=30000.0), (1.0, 1.0, 1.0)),
        ("tri-7", Later(np.eye(3), np.zeros(3), blur_mm=0.5, metal_hu=5000.0), (0.7, 0.7, 1.5)),
        ("thread-10", Later(np.eye(3), np.zeros(3)), (1.0, 1.0, 1.0)),
    ],
)
def test_an_implant_is_found_below_a_voxel(model: str, later: Later, spacing: tuple[float, ...]) -> None:
    ct = block(spacing)
    real = placed_in(ct, model)
    after = later_ct(ct, [real], ct.grid, later, seed=2)
    found, left = fitted_to_metal(
        after,
        CATALOGUE[model],
        real.entry_lps_mm + np.array((2.0, -1.5, 1.0)),
        real.tip_lps_mm + np.array((-1.0, 2.0, 1.5)),
    )
    off = deviation(real, found)
    assert off.entry_mm < 0.3
    assert off.tip_mm < 0.3
    assert off.angle_deg < 0.4
    assert off.roll_deg is None or abs(off.roll_deg) < 4.0
    assert left < 0.1


def test_touching_implants_are_parted_and_other_metal_is_left_out() -> None:
    ct = block(size_mm=(80.0, 70.0, 110.0))
    real = [placed_in(ct, "tri-7", 20.0, (0.0, 0.0, z)) for z in (-6.0, 6.0)]
    after = later_ct(ct, real, ct.grid, Later(np.eye(3), np.zeros(3), blur_mm=0.8, streaks=0.2))
    hu = np.array(after.hu)
    hu[30:54, 20:44, 2:26] = 3071  # a block of metal, no implant
    after = CtVolume(ct.grid, hu)
    plan = [PlannedImplant("left", n, t) for n, t in enumerate(real[::-1], 1)]
    found = metal_in(after, plan, HERE)
    assert (len(found.pieces), found.others) == (2, 1)
    placed, extra = placed_from_metal(after, plan, found, HERE)
    assert extra == []
    for n, p in enumerate(plan):
        off = deviation(p.trajectory, placed[n].trajectory)
        assert off.tip_mm < 0.5
        assert off.angle_deg < 0.7
        assert abs(off.roll_deg) < 10.0
