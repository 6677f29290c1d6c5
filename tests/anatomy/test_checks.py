"""A label map that is no pelvis is refused, and the message says why."""

import numpy as np
import pytest

from sjplan.anatomy.bones import bones_of, bounding_box, fill_enclosed, largest_pieces
from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.checks import check_labels, check_planning_resolution
from sjplan.core.errors import AnatomyError, InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap

GRID = Grid((24, 12, 12), (10.0, 5.0, 5.0), (0.0, 0.0, 0.0), np.eye(3))


def blocks(**where):
    """Label map with a block from i = first to last of each named structure."""
    label = np.zeros(GRID.shape, np.uint8)
    number = {name: i for i, name in TOTALSEGMENTATOR_V2.items()}
    for name, (first, last) in where.items():
        label[first:last, 2:10, 2:10] = number[name]
    return LabelMap(GRID, label, TOTALSEGMENTATOR_V2)


def test_an_empty_map():
    with pytest.raises(InputError, match=r"no voxel of any named structure.*wanted sacrum, hip_left, hip_right"):
        check_labels(blocks())


@pytest.mark.parametrize("missing", ["sacrum", "hip_left", "hip_right"])
def test_a_missing_bone_is_named_beside_what_is_there(missing):
    where = {"sacrum": (10, 14), "hip_left": (16, 22), "hip_right": (2, 8)}
    del where[missing]
    with pytest.raises(InputError) as error:
        check_labels(blocks(**where))
    assert f"no voxel of {missing}" in error.value.found
    assert all(name in error.value.found for name in where)


def test_swapped_sides():
    with pytest.raises(InputError, match=r"hip_left 140 mm to the patient's right of hip_right.*swap the two labels"):
        check_labels(blocks(sacrum=(10, 14), hip_left=(2, 8), hip_right=(16, 22)))


@pytest.mark.parametrize(("edge", "refused"), [(1.0, False), (2.0, False), (2.1, True), (3.0, True)])
def test_planning_resolution(edge, refused):
    grid = Grid((4, 4, 4), (1.0, 1.0, edge), (0, 0, 0), np.eye(3))
    if not refused:
        check_planning_resolution(grid)
        return
    with pytest.raises(InputError, match=rf"1 x 1 x {edge:g} mm; wanted at most 2 mm.*fluoroscopy works"):
        check_planning_resolution(grid)


def test_coarse_labels_are_refused_before_anything_else():
    with pytest.raises(InputError, match="label map resolution"):
        anatomy_from_labels(blocks())


def with_s1(phantom, name):
    """The phantom's labels with the middle of its upper sacrum under another id."""
    labels, frame = phantom.labels, phantom.truth.sacral_frame
    ijk = np.argwhere(labels.mask("sacrum"))
    x, _, z = frame.frame_from_lps(labels.grid.lps_from_ijk(ijk)).T
    cut = ijk[(np.abs(x) < 27) & (z > -30)]
    label = labels.label.copy()
    label[tuple(cut.T)] = 99
    return LabelMap(labels.grid, label, {**labels.names, 99: name})


def test_s1_cut_out_of_the_sacrum_is_refused(phantom):
    with pytest.raises(InputError, match="S1 is cut out of the sacrum"):
        check_labels(with_s1(phantom, "vertebrae_L6"))


def test_a_scrap_of_a_sacrum_is_refused(phantom):
    """A segmentation that went wrong may leave some voxels of it beside the mid-plane, and none on it."""
    label, sacrum = phantom.labels.label.copy(), phantom.labels.mask("sacrum")
    (number,) = np.unique(label[sacrum])
    label[sacrum] = 0
    corner = np.argwhere(sacrum)[0]
    label[tuple(slice(c, c + 3) for c in corner)] = number
    with pytest.raises(AnatomyError, match="hardly any bone about its mid-plane"):
        anatomy_from_labels(LabelMap(phantom.labels.grid, label, phantom.labels.names))


def test_s1_under_its_own_name_is_joined(phantom):
    labels = with_s1(phantom, "vertebrae_S1")
    check_labels(labels)
    assert bones_of(labels).sacrum.sum() == phantom.labels.mask("sacrum").sum()


def test_the_whole_phantom_passes(phantom):
    check_labels(phantom.labels)


def test_loose_pieces_are_dropped_and_counted():
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[2:12, 2:12, 2:12] = True
    mask[15:17, 15:17, 15:17] = True
    clean, dropped = largest_pieces(mask)
    assert dropped == 8
    assert clean.sum() == 1000


def test_a_loose_piece_is_a_finding():
    labels = blocks(sacrum=(10, 14), hip_left=(16, 22), hip_right=(2, 8))
    label = labels.label.copy()
    label[0, 0, 0] = 77
    findings = bones_of(LabelMap(GRID, label, TOTALSEGMENTATOR_V2)).findings
    assert [(f.code, f.side) for f in findings] == [("loose-pieces", "left")]


def test_hollows_are_filled_and_tunnels_are_not():
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask[1:11, 1:11, 1:11] = True
    mask[3:5, 3:5, 3:5] = False
    mask[7:9, 7:9, :] = False
    filled = fill_enclosed(mask)
    assert filled[3:5, 3:5, 3:5].all()
    assert not filled[7:9, 7:9, :].any()


def test_bounding_box_stays_in_the_array():
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[0, 5, 3] = True
    assert bounding_box(mask, 2.0, np.ones(3)) == (slice(0, 3), slice(3, 6), slice(1, 6))
