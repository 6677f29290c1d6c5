"""A cohort on one sheet: what a tile shows, and that every member has one."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.render.contact_sheet import FILM, coarsened, contact_sheet, sampled, tile
from sjplan.xray.types import CArm

AP = CArm(0, 0, 0, (0, 0, 0))


@pytest.fixture(scope="module")
def ct() -> CtVolume:
    """A cylinder of water along the body; a rod of bone to the patient's left, and a plate of it at z = 60 mm."""
    grid = Grid((60, 50, 60), (6.0, 6.0, 6.0), (-177.0, -147.0, -177.0), np.eye(3))
    x, y, z = np.meshgrid(*(o + 6.0 * np.arange(n) for o, n in zip((-177, -147, -177), grid.shape, strict=True)),
                          indexing="ij")  # fmt: skip
    hu = np.where((x / 160.0) ** 2 + (y / 110.0) ** 2 < 1.0, 0, -1000)
    hu = np.where((x - 80.0) ** 2 + y**2 < 20.0**2, 900, hu)
    hu = np.where((np.abs(z - 60.0) < 4.0) & (np.abs(x) < 60.0) & (np.abs(y + 40.0) < 20.0), 900, hu)
    return CtVolume(grid, hu.astype(np.int16))


def halves(picture):
    return picture[:, : FILM.columns].astype(float), picture[:, FILM.columns + 2 :].astype(float)


def test_the_film_shows_bone_white_and_left_where_it_belongs(ct) -> None:
    film, _ = halves(tile(ct, AP, (0.0, 0.0, 0.0)))
    middle = film[60:110]
    rod = int(np.argmax(middle.mean(axis=0)))
    # The picture is seen from the tube, which lies in front: the patient's left is on its right.
    assert 125 < rod < 160
    assert middle[:, rod].mean() > middle[:, FILM.columns - rod].mean() + 40


def test_the_cut_goes_through_the_point_asked_for(ct) -> None:
    _, through_plate = halves(tile(ct, AP, (0.0, 0.0, 60.0)))
    _, elsewhere = halves(tile(ct, AP, (0.0, 0.0, -60.0)))
    changed = np.argwhere(through_plate - elsewhere > 100)
    assert len(changed) > 200
    row, column = changed.mean(axis=0)
    assert column == pytest.approx(FILM.columns / 2, abs=4)
    assert row < FILM.rows / 2 - 10, "the plate lies in front, which is at the top"
    bone = np.argwhere(elsewhere > 180)
    assert bone.mean(axis=0)[1] > FILM.columns / 2 + 30, "the patient's left is on the right"


def test_a_fine_ct_gives_the_tile_of_a_coarse_one(ct) -> None:
    grid = ct.grid
    fine = Grid((120, 100, 120), grid.spacing_mm / 2, grid.lps_from_ijk(np.full(3, -0.25)), grid.direction)
    twice = CtVolume(fine, np.repeat(np.repeat(np.repeat(ct.hu, 2, 0), 2, 1), 2, 2))
    coarse = coarsened(twice, 6.0)
    assert coarse.grid.same_space(grid)
    assert np.array_equal(coarse.hu, ct.hu)
    assert coarsened(ct, 2.0) is ct


def test_coarse_voxels_are_means_and_keep_their_place() -> None:
    rng = np.random.default_rng(0)
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    ct = CtVolume(Grid((7, 8, 9), (1.0, 0.5, 2.5), (5.0, 6.0, 7.0), turned), rng.integers(-900, 900, (7, 8, 9)))
    coarse = coarsened(ct, 2.0)
    assert coarse.grid.shape == (3, 2, 9)
    assert coarse.grid.spacing_mm.tolist() == [2.0, 2.0, 2.5]
    assert coarse.hu[1, 1, 4] == round(float(ct.hu[2:4, 4:8, 4].mean()))
    inside = ct.grid.lps_from_ijk([[2, 4, 4], [3, 7, 4]]).mean(axis=0)
    assert np.allclose(coarse.grid.lps_from_ijk((1, 1, 4)), inside)


def test_a_sheet_has_a_tile_for_every_member() -> None:
    tiles = [(f"member-{n:02d}", np.full((168, 402), 10 * n, np.uint8)) for n in range(1, 24)]
    sheet = np.asarray(Image.open(BytesIO(contact_sheet(tiles, "all"))).convert("L"))
    for n in range(1, 24):
        assert np.count_nonzero(sheet == 10 * n) > 0.98 * 168 * 402
    height, width = sheet.shape
    assert 0.6 < width / height < 3.0


def test_names_stand_under_the_tiles() -> None:
    blank = np.full((50, 100), 255, np.uint8)
    sheet = np.asarray(Image.open(BytesIO(contact_sheet([("one", blank)], ""))))
    assert (sheet[30 + 50 :] < 100).sum() > 20
    assert (sheet[30:80] == 255).all()


def test_of_many_the_shown_are_evenly_spread() -> None:
    assert sampled(100) == list(range(100))
    shown = sampled(1000)
    assert len(shown) == len(set(shown)) == 100
    assert (shown[0], shown[-1]) == (0, 999)
    assert set(np.diff(shown)) <= {10, 11}


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(GeometryError, match="contact sheet: found tiles of 0 sizes"):
        contact_sheet([], "none")
