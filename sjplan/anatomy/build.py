"""The one way from a label map to the anatomy of a pelvis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from sjplan.anatomy.bones import Bones, Mask, bones_of
from sjplan.anatomy.checks import check_planning_resolution, check_s1_present
from sjplan.anatomy.danger import Lumen, SacralPlace, label_sacrum
from sjplan.anatomy.faces import Faces, Labels, find_faces
from sjplan.anatomy.hip_names import label_hip
from sjplan.anatomy.joint import JointFaces, find_joint, joint_normals, mean_normal
from sjplan.anatomy.landmarks import HipLandmarks, find_hip_landmarks
from sjplan.anatomy.pelvis import anatomical_frame, landmarks_lps
from sjplan.anatomy.sacral import SacralAnatomy, find_sacral_anatomy, foramina_of
from sjplan.anatomy.symmetry import find_axes
from sjplan.anatomy.types import Anatomy, Canal, Foramen, Joint
from sjplan.core.arrays import Array
from sjplan.core.errors import AnatomyError
from sjplan.core.findings import Finding
from sjplan.core.frames import SIDES
from sjplan.core.labels import LabelMap
from sjplan.core.plan import Side, check_side
from sjplan.core.structures import FORAMINA, SURFACE_ID, foramen_name
from sjplan.geometry.surface import LabelledSurface

GEOMETRY_ERROR_VOXEL_DIAGONALS = 0.5
"""How much nearer than our triangles the true surface may lie, in voxel diagonals (0.87 mm at 1 mm). Measured round the
joints and the S1 and S2 foramina of three pelves with original surfaces: median 0.08, 99 % within 0.44, at most 0.79 mm
(docs/results/anatomy.json)."""

NEEDED_LEVELS = ("S1", "S2")


def anatomy_from_labels(labels: LabelMap, *, progress: Callable[[str, float], None] | None = None) -> Anatomy:
    """Find joint, foramina, canal, danger surfaces, landmarks and frame of a pelvis.

    Parameters
    ----------
    labels : LabelMap
        Sacrum (joined with vertebrae_S1 where present) and both hips, by name; voxels of at most 2 mm.
    progress : callable, optional
        Called with what is being done and the share that is done.

    Returns
    -------
    Anatomy
        What is missing or in doubt stands in `findings`; see `require_plannable`.

    Raises
    ------
    InputError
        If the labels cannot be a pelvis, or are too coarse to plan on.
    AnatomyError
        If canal or endplate are not found.
    """
    tell = progress or (lambda _what, _share: None)
    check_planning_resolution(labels.grid)
    tell("orienting the pelvis", 0.0)
    bones = bones_of(labels)
    axes = find_axes(bones)
    check_s1_present(bones, axes)
    sacral = find_sacral_anatomy(bones, axes, progress)
    hips = find_hip_landmarks(bones, axes.pelvis_plane, axes.frame.origin_mm)
    frame = anatomical_frame(bones, axes, sacral.endplate, sacral.canal_axis)
    tell("surfaces of the bones", 0.5)
    surfaces = _surfaces(sacral, hips, wary=labels.surface_error_mm > 0.0)
    foramina = foramina_of(sacral, frame.origin_lps_mm, frame.left)
    tell("done", 1.0)
    return Anatomy(
        frame=frame,
        sacrum=surfaces.sacrum,
        ilium=surfaces.ilium,
        joints=surfaces.joints,
        foramina=foramina,
        canal=_canal(sacral),
        landmarks=landmarks_lps(bones, axes, sacral.endplate, sacral.canal_axis, hips, _s2_arc(sacral)),
        s1_endplate_normal=bones.lps_vector(axes.frame.axes.T @ sacral.endplate.normal),
        findings=(
            *bones.findings,
            *sacral.findings,
            *_joint_findings(surfaces.joints),
            *_doubts(foramina),
            *_own_error(labels),
        ),
        spacing_mm=bones.spacing_mm,
        geometry_error_mm=_geometry_error_mm(labels, bones.spacing_mm),
        surface_error_mm=labels.surface_error_mm,
    )


def _geometry_error_mm(labels: LabelMap, spacing_mm: Array) -> float:
    """How much nearer the real surface may lie than our triangles: what voxels blur, and the labels' own error."""
    return GEOMETRY_ERROR_VOXEL_DIAGONALS * float(np.linalg.norm(spacing_mm)) + labels.surface_error_mm


def _own_error(labels: LabelMap) -> tuple[Finding, ...]:
    if labels.surface_error_mm == 0.0:
        return ()
    text = f"these labels may be off by {labels.surface_error_mm:g} mm more than their voxels tell"
    return (Finding("labels-own-error", "warning", text),)


@dataclass(frozen=True, slots=True, eq=False)
class _Surfaces:
    """Labelled surfaces of the three bones, and the joints between them."""

    sacrum: LabelledSurface
    ilium: Mapping[Side, LabelledSurface]
    joints: Mapping[Side, Joint]


def _surfaces(sacral: SacralAnatomy, hips: HipLandmarks, *, wary: bool) -> _Surfaces:
    """Surface nets of all bones with a name for every face, and the joint of each side where there is one."""
    bones, body = sacral.bones, sacral.axes.frame
    sacrum = find_faces(bones.sacrum, bones.grid)
    ilium: dict[Side, LabelledSurface] = {}
    joints: dict[Side, Joint] = {}
    facing: dict[int, JointFaces] = {}
    for sign in (1, -1):
        side = bones.side_of(sign)
        hip = find_faces(_hip(bones, sign), bones.grid)
        joint = find_joint(sacrum, hip, body, sign)
        notch_mm = hips.points["notch", sign]
        name = partial(label_hip, hip, body, sign, joint, notch_mm, hips.cranial, bones.grid.shape)
        ilium[side] = _surface(hip, name, wary)
        if joint is not None:
            facing[sign] = joint
            joints[side] = _joint(bones, sign, sacrum, hip, joint)
    place = SacralPlace(body, sacral.canal_axis, sacral.endplate)
    name = partial(label_sacrum, sacrum, place, facing, _lumens(sacral), bones.grid)
    return _Surfaces(_surface(sacrum, name, wary), ilium, joints)


def require_plannable(anatomy: Anatomy, side: str) -> None:
    """Refuse a side on which S1 or S2 is not open, or whose joint was not found.

    Raises
    ------
    AnatomyError
        Naming the levels and the side.
    """
    check_side(side)
    missing = [level for level in NEEDED_LEVELS if anatomy.foramen(level, side) is None]
    if missing:
        reasons = [f.text for f in anatomy.findings if f.code == "foramen-missing" and f.side == side]
        raise AnatomyError(
            " and ".join(foramen_name(level, side) for level in missing),
            found="; ".join(r for r in reasons if any(level in r for level in missing)) or "not found open",
            wanted=f"open S1 and S2 foramina on the {side}",
            fix="segment the sacrum with its foramina open; closed ones would be planned through as if solid bone",
        )
    if side not in anatomy.joints:
        raise AnatomyError(
            f"SI joint {side}",
            found="no facing surfaces of sacrum and ilium",
            wanted=f"sacrum and hip_{side} within 14 mm of each other",
            fix="check that both bones are labelled up to the joint",
        )


def _hip(bones: Bones, sign: int) -> Mask:
    hip = bones.hip(sign)
    if hip is None:
        raise AnatomyError(f"hip_{bones.side_of(sign)}", found="no mask", wanted="both hips")
    return hip


def _lumens(sacral: SacralAnatomy) -> list[Lumen]:
    """Canal first, then every named foramen; unnamed tunnels count with the canal they leave."""
    bones = sacral.bones
    named = {n.index: foramen_name(n.level, bones.side_of(n.sign)) for n in sacral.naming.named}
    lumens = [Lumen("canal", sacral.canal_voxels)]
    for index, voxels in enumerate(sacral.lumens):
        lumens.append(Lumen(named.get(index, "canal"), voxels))
    return lumens


def _surface(faces: Faces, name: Callable[..., Labels], wary: bool) -> LabelledSurface:
    """A bone's surface with a name for every face; named warily, a face may also be what it is called otherwise."""
    label, also = name(wary=wary), name(wary=False) if wary else None
    if also is not None:
        # Of two lumens' names a wall's own comes first: who reads one name reads that.
        lumens = [SURFACE_ID[lumen] for lumen in ("canal", *FORAMINA)]
        two = np.isin(label, lumens) & np.isin(also, lumens)
        label[two], also[two] = also[two], label[two]
    doubt = None if also is None else np.repeat(also, 2)
    return LabelledSurface(faces.net.vertices_lps_mm, faces.net.triangles, np.repeat(label, 2), doubt)


def _joint(bones: Bones, sign: int, sacrum: Faces, hip: Faces, joint: JointFaces) -> Joint:
    area = sacrum.area_mm2[joint.sacral]
    return Joint(
        side=bones.side_of(sign),
        sacral_lps_mm=sacrum.centres_lps_mm(joint.sacral),
        iliac_lps_mm=hip.centres_lps_mm(joint.iliac),
        normal=bones.lps_vector(joint_normals(sacrum, hip, joint)),
        gap_mm=joint.gap_mm,
        articular=joint.articular,
        mean_normal=bones.lps_vector(mean_normal(sacrum, hip, joint)),
        articular_area_mm2=float(area[joint.articular].sum()),
        ligamentous_area_mm2=float(area[~joint.articular].sum()),
    )


def _canal(sacral: SacralAnatomy) -> Canal:
    axis = sacral.canal_axis
    line = axis.points[axis.first : axis.last + 1 : 2]
    line_mm = sacral.axes.frame.back(np.column_stack([np.zeros(len(line)), line]))
    bones = sacral.bones
    return Canal(bones.lps(line_mm), bones.lps(sacral.canal_voxels * bones.spacing_mm))


def _s2_arc(sacral: SacralAnatomy) -> float | None:
    """Arc of the S2 body's middle: between the S1 and the S2 foramina, where both are known."""
    arcs = {
        level: np.mean([sacral.tunnels.tunnels[n.index].arc_mm for n in sacral.naming.named if n.level == level])
        for level in ("S1", "S2")
        if any(n.level == level for n in sacral.naming.named)
    }
    return float(arcs["S1"] + arcs["S2"]) / 2 if len(arcs) == 2 else None


def _joint_findings(joints: Mapping[Side, Joint]) -> list[Finding]:
    out = []
    for side in SIDES:
        joint = joints.get(check_side(side))
        if joint is None:
            text = f"no facing surfaces of sacrum and ilium on the {side}: this side cannot be planned"
            out.append(Finding("joint-missing", "refusal", text, side))
        elif not joint.articular.any():
            text = f"no articular part of the joint found on the {side}"
            out.append(Finding("joint-not-articular", "warning", text, side))
    return out


def _doubts(foramina: tuple[Foramen, ...]) -> list[Finding]:
    """A finding for each foramen whose mouths are uncertain."""
    return [
        Finding("foramen-doubtful", "warning" if f.level in NEEDED_LEVELS else "note",
                f"the {f.level} foramen on the {f.side} is open, but its mouths or its level are uncertain", f.side)
        for f in foramina if f.doubtful
    ]  # fmt: skip
