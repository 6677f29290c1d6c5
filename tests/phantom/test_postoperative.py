"""A later CT holds the patient where they lie now, and each implant's own volume of metal where it lies."""

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from sjplan.core.grid import Grid
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import implant_solid, solid_mesh
from sjplan.io.catalogue import read_implants
from sjplan.phantom.postoperative import Later, later_ct

CATALOGUE = read_implants()
LATER = Later(
    Rotation.from_euler("xyz", (8.0, -5.0, 12.0), degrees=True).as_matrix(), np.array([30.0, -20.0, 100.0]),
    blur_mm=0.01, noise_hu=0.0, streaks=0.0, metal_hu=9000.0, highest_hu=20000.0,
)  # fmt: skip


def ramp(shape: tuple[int, int, int] = (60, 50, 40)) -> CtVolume:
    """HU rise along each axis at its own pace: what a place shows says where it is."""
    i, j, k = np.indices(shape)
    grid = Grid(shape, (1.0, 1.2, 1.5), (-10.0, 5.0, 20.0), np.eye(3))
    return CtVolume(grid, (i + 7 * j + 13 * k).astype(np.int16))


def test_places_move_with_the_patient() -> None:
    ct = ramp()
    middle = LATER.rotation @ ct.grid.centre_lps_mm + LATER.shift_mm
    grid = Grid((20, 16, 12), (1.0, 1.0, 2.0), middle - (10.0, 8.0, 12.0), np.eye(3))
    after = later_ct(ct, [], grid, LATER)
    ijk = np.array([[3, 4, 5], [15, 10, 2], [10, 8, 11]])
    before = ct.grid.ijk_from_lps((grid.lps_from_ijk(ijk) - LATER.shift_mm) @ LATER.rotation)
    assert after.hu[tuple(ijk.T)] == pytest.approx(before @ (1.0, 7.0, 13.0), abs=0.6)
    outside = later_ct(ct, [], Grid((4, 4, 4), (1.0, 1.0, 1.0), middle + 500.0, np.eye(3)), LATER)
    assert (outside.hu == -1000).all()


@pytest.mark.parametrize("model", ["tri-7", "thread-10"])
def test_metal_has_the_implants_volume_and_place(model: str) -> None:
    ct = CtVolume(ramp((70, 60, 50)).grid, np.zeros((70, 60, 50), dtype=np.int16))
    middle = ct.grid.centre_lps_mm
    implant = Trajectory(middle + np.array((20.0, 2.0, 1.0)), middle - (18.0, 5.0, -3.0), 17.0, CATALOGUE[model])
    lying = LATER.rotation @ middle + LATER.shift_mm
    grid = Grid((70, 50, 60), (0.9, 1.0, 1.1), lying - (31.5, 25.0, 33.0), np.eye(3))
    share = np.maximum(later_ct(ct, [implant], grid, LATER).hu, 0) / LATER.metal_hu  # what is outside is air
    mesh = trimesh.Trimesh(*solid_mesh(implant_solid(implant), 60), process=False)
    assert share.sum() * grid.voxel_volume_mm3 == pytest.approx(float(mesh.volume), rel=5e-3)
    centre = (grid.lps_from_ijk(np.indices(grid.shape).reshape(3, -1).T) * share.reshape(-1, 1)).sum(
        axis=0
    ) / share.sum()
    ends = 0.5 * (implant.entry_lps_mm + implant.tip_lps_mm)
    assert centre == pytest.approx(LATER.rotation @ ends + LATER.shift_mm, abs=0.03)


def test_the_same_seed_gives_the_same_ct() -> None:
    ct, later = ramp(), Later(np.eye(3), np.zeros(3), noise_hu=20.0)
    first, again, other = (later_ct(ct, [], ct.grid, later, seed).hu for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
