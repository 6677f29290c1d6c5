"""A later CT is laid onto the plan's bones wherever the patient lies, and refused where the bones are another's."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.audit.registration import register
from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.phantom.build import build_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.postoperative import Later, later_ct


@pytest.fixture(scope="module")
def labels() -> LabelMap:
    return build_labels(PhantomParameters(), spacing_mm=2.0)[0]


@pytest.fixture(scope="module")
def anatomy(labels: LabelMap) -> Anatomy:
    return anatomy_from_labels(labels)


def simple_ct(labels: LabelMap) -> CtVolume:
    """Bones of 700 HU in a body of 50 HU: the other bones that the labels hold are bones too."""
    bones = labels.mask("sacrum", "hip_left", "hip_right", "vertebrae_L5", "vertebrae_L4", "femur_left", "femur_right")
    soft = ndimage.gaussian_filter(np.where(bones, 700.0, 50.0).astype(np.float32), 0.4)
    return CtVolume(labels.grid, soft.astype(np.int16))


def test_another_position_is_found(labels: LabelMap, anatomy: Anatomy) -> None:
    rotation = Rotation.from_euler("xyz", (12.0, -9.0, 14.0), degrees=True).as_matrix()
    later = Later(rotation, np.array([60.0, -45.0, 400.0]), noise_hu=25.0)
    middle = rotation @ anatomy.frame.origin_lps_mm + later.shift_mm
    # The field of view cuts through the ischia and through one iliac wing.
    grid = Grid((120, 100, 90), (2.0, 2.0, 2.0), middle - (100.0, 95.0, 105.0), np.eye(3))
    found = register(anatomy, later_ct(simple_ct(labels), [], grid, later, seed=3))
    points = np.concatenate([j.sacral_lps_mm[::20] for j in anatomy.joints.values()])
    back = found.plan_from_ct.points(points @ rotation.T + later.shift_mm)
    assert np.linalg.norm(back - points, axis=1).max() < 0.4
    assert found.residual_mm < 0.5
    assert found.matched_share > 0.8
    assert 0.5 < found.inside_share < 1.0


def test_other_bones_are_refused(labels: LabelMap, anatomy: Anatomy) -> None:
    """Another animal: half as wide, and turned upside down."""
    other = CtVolume(
        Grid(labels.grid.shape, labels.grid.spacing_mm * (0.5, 1.0, 1.0), labels.grid.origin_lps_mm, np.eye(3)),
        np.asarray(simple_ct(labels).hu)[:, :, ::-1],
    )
    with pytest.raises(InputError, match=r"bones that do not lie on those of the plan|inside it"):
        register(anatomy, other)
    nothing = CtVolume(labels.grid, np.full(labels.grid.shape, 40, dtype=np.int16))
    with pytest.raises(InputError, match="hardly any bone"):
        register(anatomy, nothing)
