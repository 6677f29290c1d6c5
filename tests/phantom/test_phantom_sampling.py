import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.grid import Grid
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis, rotation_matrix
from sjplan.phantom.sampling import sample_band


def _dense(distance, grid: Grid) -> Array:  # type: ignore[no-untyped-def]
    ijk = np.argwhere(np.ones(grid.shape, dtype=bool))
    return np.asarray(distance(grid.lps_from_ijk(ijk))).reshape(grid.shape)


def test_the_band_holds_every_near_voxel_and_the_right_sign_everywhere() -> None:
    pelvis = Pelvis(PhantomParameters(rotation_deg=(5.0, -8.0, 10.0)))
    turned = rotation_matrix((8.0, -5.0, 12.0)) * (1.0, 1.0, -1.0)
    grid = Grid((52, 41, 47), (3.0, 2.5, 3.5), pelvis.lps_from_pelvic([[-60.0, -10.0, 40.0]])[0], turned)
    for bone in ("sacrum", "hip_left"):
        wanted = _dense(lambda p, b=bone: pelvis.bone_mm(b, p), grid)
        band = sample_band(lambda p, b=bone: pelvis.bone_mm(b, p), grid, 3.0)
        found = np.full(grid.shape, 99.0)
        found[band.slices] = band.distance_mm
        assert np.array_equal(found < 0, wanted < 0)
        near = np.abs(wanted) < 3.0
        assert near.sum() > 1000
        assert np.abs(found[near] - wanted[near]).max() < 1e-4


def test_a_shape_outside_the_grid_gives_nothing() -> None:
    grid = Grid((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    band = sample_band(lambda p: np.linalg.norm(p - 500.0, axis=1) - 5.0, grid, 2.0)
    assert (band.distance_mm > 0).all()
