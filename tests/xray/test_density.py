import numpy as np
import pytest
from xray_shapes import grid_about, rotation

from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap
from sjplan.xray.density import assumed_ct

SACRUM, S1, LEFT, RIGHT = 25, 26, 77, 78


def _two_blocks(direction=None, gap=1):
    """A sacrum block and a hip block beside it on the patient's left, `gap` voxels of 1 mm apart."""
    grid = grid_about((10, 20, 30), (80, 60, 50), (1, 1, 1), direction)
    label = np.zeros(grid.shape, dtype=np.uint8)
    label[15:40, 15:45, 10:40] = SACRUM
    label[40 + gap : 65, 15:45, 10:40] = LEFT
    return LabelMap(grid, label, TOTALSEGMENTATOR_V2)


def _hu_at(ct, labels, ijk):
    found = np.rint(ct.grid.ijk_from_lps(labels.grid.lps_from_ijk(ijk))).astype(int)
    return ct.hu[tuple(np.moveaxis(found, -1, 0))].astype(float)


def test_bone_has_a_shell_and_a_softer_inside():
    labels = _two_blocks()
    ct = assumed_ct(labels)
    shell = _hu_at(ct, labels, [[x, y, 11] for x in range(48, 58) for y in range(25, 35)])
    assert shell.mean() > 700
    inside = _hu_at(ct, labels, [[x, y, 25] for x in range(48, 58) for y in range(25, 35)])
    assert 130 < inside.mean() < 330
    assert inside.std() > 20


def test_shell_is_about_two_millimetres_thick():
    labels = _two_blocks()
    ct = assumed_ct(labels)
    profile = np.array([_hu_at(ct, labels, [[x, y, 10 + d] for x in range(48, 58) for y in range(25, 35)]).mean()
                        for d in range(-4, 15)])  # fmt: skip
    thickness = (np.clip(profile - 230, 0, None) / (1000 - 230)).sum()
    assert thickness == pytest.approx(2.0, abs=0.8)


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_joint_gap_is_softer_than_both_faces(gap):
    labels = _two_blocks(gap=gap)
    ct = assumed_ct(labels)
    profile = np.array([_hu_at(ct, labels, [[x, y, z] for y in range(25, 35) for z in range(20, 30)]).mean()
                        for x in range(32, 50)])  # fmt: skip
    middle = profile[7 : 9 + gap].min()
    assert middle < 0.75 * profile[:7].max()
    assert middle < 0.75 * profile[9 + gap :].max()


def test_sacrum_and_s1_are_one_bone():
    labels = _two_blocks()
    split = np.array(labels.label)
    split[15:40, 15:45, 25:40] = S1
    joined = assumed_ct(LabelMap(labels.grid, split, TOTALSEGMENTATOR_V2))
    assert np.array_equal(joined.hu, assumed_ct(labels).hu)


def test_body_encloses_the_bones_and_ends_in_air():
    labels = _two_blocks()
    ct = assumed_ct(labels)
    assert ct.assumed
    low = labels.grid.lps_from_ijk([15, 15, 10])
    high = labels.grid.lps_from_ijk([64, 44, 39])
    middle = 0.5 * (low + high)
    for axis, outwards in ((0, 40.0), (1, 20.0), (2, 55.0)):
        for edge, sign in ((low, -1), (high, 1)):
            point = middle.copy()
            point[axis] = edge[axis] + sign * outwards
            index = np.rint(ct.grid.ijk_from_lps(point)).astype(int)
            assert -150 < ct.hu[tuple(index)] < 100, (axis, sign)
    assert ct.hu[0].max() == ct.hu[-1].max() == ct.hu[:, 0].max() == ct.hu[:, -1].max() == -1000
    assert ct.hu[:, :, 0].max() == ct.hu[:, :, -1].max() == -1000


def test_voxels_stay_where_the_label_map_has_them():
    labels = _two_blocks(rotation((0, 0, 1), 15))
    ct = assumed_ct(labels)
    offset = ct.grid.ijk_from_lps(labels.grid.lps_from_ijk([0, 0, 0]))
    assert offset == pytest.approx(np.rint(offset), abs=1e-9)
    assert ct.grid.spacing_mm.tolist() == labels.grid.spacing_mm.tolist()
    assert ct.grid.direction == pytest.approx(labels.grid.direction)


def test_mirrored_grid_gives_the_same_bone_in_space():
    """The same voxels stored left-handed: same shells and gap; the texture may differ."""
    labels = _two_blocks()
    flipped = Grid(labels.grid.shape, labels.grid.spacing_mm, labels.grid.lps_from_ijk([79, 0, 0]), np.diag([-1, 1, 1]))
    other = LabelMap(flipped, np.ascontiguousarray(labels.label[::-1]), TOTALSEGMENTATOR_V2)
    points = [[x, 30, z] for x in range(5, 75) for z in range(2, 48)]
    first = _hu_at(assumed_ct(labels), labels, points)
    second = _hu_at(assumed_ct(other), labels, points)
    assert np.abs(first - second).mean() < 60
    assert np.corrcoef(first, second)[0, 1] > 0.95


def test_same_labels_give_the_same_ct():
    labels = _two_blocks()
    assert np.array_equal(assumed_ct(labels).hu, assumed_ct(labels).hu)


def test_soft_organs_are_not_bone():
    labels = _two_blocks()
    label = np.array(labels.label)
    label[2:12, 15:45, 10:40] = 5
    names = {**TOTALSEGMENTATOR_V2, 5: "liver"}
    ct = assumed_ct(LabelMap(labels.grid, label, names))
    assert np.array_equal(ct.hu, assumed_ct(labels).hu)


def test_label_map_without_bone_is_refused():
    grid = grid_about((0, 0, 0), (10, 10, 10), (1, 1, 1))
    with pytest.raises(InputError, match="found no bone among no labels at all"):
        assumed_ct(LabelMap(grid, np.zeros(grid.shape, np.uint8), TOTALSEGMENTATOR_V2))
    with pytest.raises(InputError, match="found no bone among liver"):
        assumed_ct(LabelMap(grid, np.full(grid.shape, 5, np.uint8), {5: "liver"}))
