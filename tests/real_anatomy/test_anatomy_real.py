"""The anatomy of sixteen real pelves against what is known of them."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import trimesh
from anatomy_reference import (
    JHU,
    VSD,
    below_endplate_mm,
    corridors,
    cranial_of_foramen_mm,
    label_path,
    medial_axis,
    nearest_lumen_mm,
    observed,
)
from scipy.spatial import cKDTree

from sjplan.anatomy.build import anatomy_from_labels, require_plannable
from sjplan.anatomy.checks import check_labels
from sjplan.anatomy.pelvis import pelvic_frame
from sjplan.anatomy.sacral import SacrumForamina, foramina_of_sacrum
from sjplan.anatomy.types import Anatomy
from sjplan.core.errors import InputError
from sjplan.core.frames import SIDES
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.structures import LEVELS, PASSAGES
from sjplan.io.volumes import read_labels

pytestmark = pytest.mark.real


@lru_cache(maxsize=3)
def anatomy_of(data: Path, name: str) -> Anatomy:
    return anatomy_from_labels(read_labels(label_path(data, name)))


@pytest.mark.slow
@pytest.mark.parametrize("name", VSD)
def test_vsd(real_data, name):
    anatomy = anatomy_of(real_data, name)
    for side in SIDES:
        assert anatomy.levels(side)[:3] == ("S1", "S2", "S3")
        assert not any(anatomy.foramen(level, side).doubtful for level in ("S1", "S2"))
        require_plannable(anatomy, side)
        _joint_is_plausible(anatomy, side)
    assert not [f for f in anatomy.findings if f.code == "level-doubtful"]
    assert np.linalg.norm(anatomy.landmarks["promontory"] - observed(real_data, name, "Promontory")) < 4.5
    for side in SIDES:
        # Observers' own points spread by up to 5 mm.
        asis = observed(real_data, name, f"{side.capitalize()} ASIS")
        assert np.linalg.norm(anatomy.landmarks[f"asis_{side}"] - asis) < 6.0
    _levels_follow_the_endplate(anatomy)


@pytest.mark.slow
@pytest.mark.parametrize("name", JHU)
def test_jhu(real_data, name):
    anatomy = anatomy_of(real_data, name)
    for side in SIDES:
        assert anatomy.levels(side) == ("S1", "S2")
        require_plannable(anatomy, side)
        missing = [f.text for f in anatomy.findings if f.code == "foramen-missing" and f.side == side]
        assert len(missing) == 2
        assert all("ends above it" in text for text in missing)
    assert len(anatomy.sacrum.corners_lps_mm("scan_edge")) > 800
    _levels_follow_the_endplate(anatomy)


@pytest.mark.slow
@pytest.mark.parametrize("name", JHU)
def test_expert_corridors_pass_between_the_foramina(real_data, name):
    """An S1 corridor runs between endplate and S1 foramina, an S2 corridor between S1 and S2; all clear of lumens."""
    anatomy = anatomy_of(real_data, name)
    own = [c for c in corridors(real_data) if c.pelvis == name]
    assert own
    for corridor in own:
        points = medial_axis(anatomy, corridor)
        assert np.linalg.norm(points[-1] - points[0]) > 60.0
        assert nearest_lumen_mm(anatomy, points) >= 2.0
        assert below_endplate_mm(anatomy, points) > 0
        above = "S1" if corridor.level == "S1" else "S2"
        for side in SIDES:
            assert cranial_of_foramen_mm(anatomy, points, above, side) > 0
            if corridor.level == "S2":
                assert cranial_of_foramen_mm(anatomy, points, "S1", side) < 0


def _joint_is_plausible(anatomy, side):
    joint = anatomy.joints[side]
    assert 1000 < joint.articular_area_mm2 < 2300
    assert 1.0 < np.median(joint.gap_mm[joint.articular]) < 2.6
    assert joint.mean_normal @ anatomy.frame.left * (1 if side == "left" else -1) < -0.7


def _levels_follow_the_endplate(anatomy):
    for side in SIDES:
        height = [
            anatomy.frame.frame_from_lps(anatomy.foramen(level, side).ventral.centre_lps_mm)[2]
            for level in anatomy.levels(side)[:3]
        ]
        assert height[0] < -10
        assert (np.diff(height) < -8).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["z001", "z013", "z019"])
def test_surfaces_lie_within_the_stated_error_of_the_originals(real_data, name):
    """Round the joints and the S1 and S2 foramina no original point is farther from ours than `geometry_error_mm`."""
    anatomy = anatomy_of(real_data, name)
    region = np.concatenate(
        [*(j.sacral_lps_mm for j in anatomy.joints.values()), *(f.lumen_lps_mm for f in anatomy.foramina[:4])]
    )
    tree = cKDTree(region)
    surfaces = {"Sacrum": anatomy.sacrum, "Hip_L": anatomy.ilium["left"], "Hip_R": anatomy.ilium["right"]}
    for bone, ours in surfaces.items():
        original = trimesh.load(real_data / "vsd_pelvis" / "surfaces" / f"{name}_{bone}.ply", process=False)
        points = original.triangles_center[tree.query(original.triangles_center)[0] < 15][::3]
        mesh = trimesh.Trimesh(ours.vertices_lps_mm, ours.triangles, process=False)
        _, distance, _ = trimesh.proximity.closest_point(mesh, points)
        assert np.median(distance) < 0.15
        assert distance.max() < anatomy.geometry_error_mm


@pytest.mark.slow
def test_implants_have_a_way_in(real_data):
    """Well inside the articular part, what an implant of 6 mm radius meets along the normal is joint and lateral."""
    anatomy = anatomy_of(real_data, "z013")
    for side in SIDES:
        joint, ilium = anatomy.joints[side], anatomy.ilium[side]
        across = np.linalg.svd(joint.mean_normal[None])[2][1:]
        danger = [n for n in ilium.structures() if n not in PASSAGES]
        rim = ilium.corners_lps_mm(*danger).mean(axis=1)
        close = rim[np.abs((rim - joint.iliac_lps_mm.mean(axis=0)) @ joint.mean_normal) < 60.0]
        inner = joint.iliac_lps_mm[joint.articular]
        clear = cKDTree(close @ across.T).query(inner @ across.T)[0] > 6.0
        assert clear.mean() > 0.4


def test_three_millimetre_map_has_a_frame_and_is_too_coarse_to_plan(real_data):
    labels = read_labels(real_data / "totalsegmentator_example" / "labels_totalseg_v2.nii.gz")
    found = pelvic_frame(labels)
    frame = found.frame
    assert frame.left[0] > 0.98
    # the upper canal of a supine patient leans 55 to 70 degrees back
    assert 0.25 < frame.posterior[1] < 0.75
    assert 0.25 < frame.cranial[2] < 0.75
    assert frame.cranial[1] < 0
    for name in ("asis", "psis", "notch"):
        left, right = (frame.frame_from_lps(found.landmarks[f"{name}_{side}"]) for side in SIDES)
        assert np.abs(left * [-1, 1, 1] - right).max() < 12.0
    with pytest.raises(InputError, match="3 x 3 x 3 mm"):
        anatomy_from_labels(labels)


def test_without_its_s1_label_the_same_sacrum_is_refused(real_data):
    labels = read_labels(real_data / "totalsegmentator_example" / "labels_totalseg_v2.nii.gz")
    names = {i: name for i, name in labels.names.items() if name != "vertebrae_S1"}
    with pytest.raises(InputError, match="S1 is cut out of the sacrum"):
        check_labels(LabelMap(labels.grid, labels.label, names))


def sacrum_of(data: Path, name: str, to_lps: tuple[float, float, float]) -> SacrumForamina:
    """Visible Human sacrum turned into LPS and voxelised at 1 mm."""
    mesh = trimesh.load(data / "visible_human_sacra" / f"{name}_Sacrum.ply", process=False)
    mesh.apply_transform(np.diag([*to_lps, 1.0]))
    voxels = mesh.voxelized(1.0).fill()
    mask = np.pad(voxels.matrix, 2)
    origin = voxels.transform[:3, 3] - 2.0
    return foramina_of_sacrum(mask, Grid(mask.shape, (1, 1, 1), origin, np.eye(3)))


@pytest.mark.slow
def test_closed_sacrum_of_the_visible_human_female(real_data):
    found = sacrum_of(real_data, "VHF", (-1.0, -1.0, 1.0))
    assert found.foramina == ()
    missing = [f.text for f in found.findings if f.code == "foramen-missing"]
    assert len(missing) == 8
    assert all(any(f"{level} foramen on the {side}" in t for t in missing) for level in LEVELS for side in SIDES)
    assert any(f.code == "foramina-closed" for f in found.findings)


@pytest.mark.slow
def test_open_sacrum_of_the_visible_human_male(real_data):
    found = sacrum_of(real_data, "VHM", (1.0, -1.0, -1.0))
    names = {f.name for f in found.foramina}
    assert names >= {f"foramen_{level}_{side}" for level in ("S1", "S2", "S3") for side in SIDES}
