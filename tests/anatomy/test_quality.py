"""Label maps made to have a defect get its finding, and whole ones none."""

from pathlib import Path

import numpy as np
import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.quality import quality_findings
from sjplan.anatomy.types import Anatomy
from sjplan.core.labels import LabelMap
from sjplan.io.presets import read_preset
from sjplan.io.volumes import read_labels
from sjplan.phantom.build import Phantom, build_labels

CUT_JOINTS = ("scan-cuts-joint", "scan-cuts-joint")
COARSE = ("labels-coarse", "note", "")


def found(labels: LabelMap) -> set[tuple[str, str, str]]:
    return {(f.code, f.severity, f.side) for f in quality_findings(labels, anatomy_from_labels(labels))}


@pytest.fixture(scope="module")
def straight() -> LabelMap:
    return build_labels(read_preset("default"), 2.0)[0]


def cropped(labels: LabelMap, start: int, stop: int) -> LabelMap:
    """Slices of a label map, as a shorter scan has them."""
    ni, nj, _ = labels.grid.shape
    grid = labels.grid.cropped((0, 0, start), (ni, nj, stop))
    return LabelMap(grid, np.asarray(labels.label)[:, :, start:stop], labels.names)


def joint_slices(labels: LabelMap) -> tuple[int, int]:
    joint = anatomy_from_labels(labels).joints["left"].sacral_lps_mm
    height = labels.grid.ijk_from_lps(joint)[:, 2]
    return int(height.min()), int(height.max())


def test_a_whole_pelvis_has_no_doubts_but_its_voxels(phantom: Phantom, anatomy: Anatomy) -> None:
    """Turned, uneven sides by 2 mm: no side is called smaller, and nothing is cut."""
    assert [f.code for f in quality_findings(phantom.labels, anatomy)] == ["labels-coarse"]


@pytest.mark.parametrize("cut", ["above the joint", "through the joint's top", "through the joint's end"])
def test_a_scan_that_ends_too_soon_is_named(straight: LabelMap, cut: str) -> None:
    low, high = joint_slices(straight)
    slices = {
        "above the joint": (0, high + 8), "through the joint's top": (0, high - 2),
        "through the joint's end": (low + 1, straight.grid.shape[2]),
    }[cut]  # fmt: skip
    bones = {COARSE, ("scan-cuts-sacrum", "note", ""), *(("scan-cuts-hip", "note", side) for side in ("left", "right"))}
    joints = {("scan-cuts-joint", "warning", side) for side in ("left", "right")}
    assert found(cropped(straight, *slices)) == bones | (joints if cut.startswith("through") else set())


def test_a_hip_bone_without_its_top_is_named(straight: LabelMap) -> None:
    label = np.array(straight.label)
    own = straight.mask("hip_left")
    height = np.argwhere(own)[:, 2]
    label[:, :, int(np.quantile(height, 0.82)) :][own[:, :, int(np.quantile(height, 0.82)) :]] = 0
    assert found(LabelMap(straight.grid, label, straight.names)) == {COARSE, ("hips-asymmetric", "warning", "left")}


@pytest.mark.slow
def test_a_transitional_vertebra_is_named() -> None:
    labels = build_labels(read_preset("transitional-l5"), 2.0)[0]
    assert found(labels) == {COARSE, *(("transitional-vertebra", "warning", side) for side in ("left", "right"))}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["dysmorphic", "scoliosis", "large", "asymmetric-joints"])
def test_other_shapes_are_not_called_defects(preset: str) -> None:
    assert found(build_labels(read_preset(preset), 2.0)[0]) == {COARSE}


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("vsd_pelvis/labelmaps_1mm/z001_labels.nii.gz", []),
        ("jhu_pelvis_atlas/labelmaps_1mm/03_labels.nii.gz", ["scan-cuts-sacrum", *CUT_JOINTS]),
        ("jhu_pelvis_atlas/labelmaps_1mm/41_labels.nii.gz", ["scan-cuts-sacrum", *CUT_JOINTS, "joints-asymmetric"]),
    ],
)
def test_real_pelves_get_what_they_have(real_data: Path, name: str, codes: list[str]) -> None:
    """The atlas cuts the sacrum at S3, where the joints still go on; one of its joints is labelled short."""
    labels = read_labels(real_data / name)
    assert [f.code for f in quality_findings(labels, anatomy_from_labels(labels))] == codes
