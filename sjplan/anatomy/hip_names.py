"""Names for every boundary face of a hip: joint, gluteal side, and the edges and faces an implant must not touch."""

from __future__ import annotations

import numpy as np
from scipy import ndimage as ndi

from sjplan.anatomy.bones import BodyFrame, Mask, perpendicular_to
from sjplan.anatomy.danger import coherent, put_joint, put_scan_edge
from sjplan.anatomy.faces import Faces, Labels
from sjplan.anatomy.joint import JointFaces
from sjplan.core.arrays import Array, unit
from sjplan.core.structures import SURFACE_ID

BORDER_WIDTH_MM = 3.0
"""The iliac border is the outermost strip of the plate, as seen along the joint's normal. Default."""

ROUNDED_BORDER_MM = 10.0
EDGE_ON = 0.25
"""A face inside the wider strip that is seen edge-on (|cosine| below this) still belongs to the border."""

NOTCH_REACH_MM = 38.0
NOTCH_ABOVE_MM = 15.0
NOTCH_ROOF_MM = 6.0
WING_BELOW_NOTCH_MM = 8.0

OUTLINE_MM = 1.0
"""How far the plate's outline may lie off where surfaces do: strips along it are so much wider then. Default."""

APEX_MM = 6.0
"""How far the apex of a flat notch may lie off, along its arc, where surfaces do by some tenths of a mm. Default."""


def label_hip(
    faces: Faces,
    frame: BodyFrame,
    sign: int,
    joint: JointFaces | None,
    notch_mm: Array,
    cranial: Array,
    shape: tuple[int, int, int],
    *,
    wary: bool = False,
) -> Labels:
    """Name every face of one hip bone.

    Parameters
    ----------
    faces : Faces
        Of the hip.
    frame : BodyFrame
        The sacrum's frame.
    sign : int
        Plus or minus side.
    joint : JointFaces or None
        The joint on that side.
    notch_mm : (3,) float
        Apex of the greater sciatic notch, grid mm.
    cranial : (3,) float
        Cranial direction of the pelvis, grid mm.
    shape : tuple of int
        Of the label map.
    wary : bool
        Whether surfaces may be off: notch and border then reach as far as they may with another apex and outline, and
        what lies in a notch of the joint's edge is no joint.
    """
    more_mm, wider_mm = (APEX_MM, OUTLINE_MM) if wary else (0.0, 0.0)
    inward = -frame.axes[0] * sign if joint is None else unit(faces.normals[joint.iliac_faces].mean(axis=0))
    up = perpendicular_to(cranial, inward)
    back = perpendicular_to(perpendicular_to(frame.axes[1], inward), up)
    facing = faces.normals @ inward
    plane = np.column_stack([faces.points_mm @ back, faces.points_mm @ up])
    notch = np.array([notch_mm @ back, notch_mm @ up])
    inset = outline_inset_mm(plane) - wider_mm
    label = np.full(len(faces), SURFACE_ID["lateral"], np.uint8)
    inner = facing > 0
    label[inner] = SURFACE_ID["iliac_inner"]
    if joint is not None:
        joint_plane = plane[joint.iliac_faces]
        behind = inner & (plane[:, 0] > np.median(joint_plane[:, 0]))
        label[behind] = SURFACE_ID["posterior"]
        label[behind & (plane[:, 1] < np.quantile(joint_plane[:, 1], 0.02))] = SURFACE_ID["inferior"]
    edge = (inset < BORDER_WIDTH_MM) | ((inset < ROUNDED_BORDER_MM) & (np.abs(facing) < EDGE_ON))
    label[edge & (plane[:, 1] - notch[1] > -WING_BELOW_NOTCH_MM - more_mm)] = SURFACE_ID["iliac_border"]
    label[_notch(plane - notch, facing, faces.normals @ up, inset, more_mm)] = SURFACE_ID["notch"]
    fixed = np.zeros(len(faces), dtype=bool)
    put_scan_edge(label, fixed, faces, shape)
    if joint is not None:
        put_joint(label, fixed, joint.iliac_faces, joint.iliac_articular, joint.iliac_sure | (not wary))
    return coherent(faces, label, fixed)


def _notch(relative: Array, facing: Array, upward: Array, inset: Array, more_mm: float) -> Mask:
    """Rim and roof of the greater sciatic notch; `relative` is (posterior, cranial) of its apex, in the plate."""
    distance = np.linalg.norm(relative, axis=1)
    turned = (upward < -0.5) & (facing > -0.5)
    rim = (inset < BORDER_WIDTH_MM) | ((inset < ROUNDED_BORDER_MM) & turned)
    rim &= (distance < NOTCH_REACH_MM + more_mm) & (relative[:, 1] < NOTCH_ABOVE_MM + more_mm)
    roof = (distance < NOTCH_ROOF_MM + more_mm) & (facing > -0.5)
    return np.asarray(rim | roof)


def outline_inset_mm(points: Array, cell_mm: float = 1.0) -> Array:
    """How far each of the points lies inside the outline of them all, (n,).

    Parameters
    ----------
    points : (n, 2) float
        Projected surface points, dense enough that a closing by two cells leaves no gap.
    cell_mm : float
        Raster.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(21.0), np.arange(11.0), indexing="ij")
    >>> inset = outline_inset_mm(np.column_stack([x.ravel(), y.ravel()])).reshape(21, 11)
    >>> float(inset[10, 5]), float(inset[0, 5])
    (5.5, 0.5)
    """
    low = points.min(axis=0) - 4 * cell_mm
    cell = np.floor((points - low) / cell_mm + 0.5).astype(int)
    filled = np.zeros(tuple(cell.max(axis=0) + 5), dtype=bool)
    filled[tuple(cell.T)] = True
    filled = ndi.binary_fill_holes(ndi.binary_closing(filled, iterations=2))
    depth = ndi.distance_transform_edt(filled) * cell_mm - 0.5 * cell_mm
    return np.asarray(depth[tuple(cell.T)])
