"""A later CT laid onto the bones of the plan: rigid, from many starts, by where the edge of bone lies along normals.

The plan's bones are the surfaces that its margins were measured on. First their shape is laid onto the dense voxels of
the CT from many starts (nearest points, the worst left out). Then the CT is read along the normal of each sampled
place; where it falls most steeply is the bone's edge, and the motion that brings the places onto their edges is solved
for, with doubtful edges counting little. What surface and edge lie apart everywhere alike (a label map may be a little
fat) is solved for as well and moves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from sjplan.anatomy.types import Anatomy
from sjplan.audit.types import Registration, Rigid
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.structures import SURFACE_NAMES
from sjplan.core.volume import CtVolume

BONE_HU: Final = 150.0
"""Blocks of 3 mm with a higher mean hold bone (default; muscle 60, cortex 700 to 1500: CLINICAL.md 4.5)."""

DENSEST_HU: Final = 1200.0
"""Denser voxels count as so dense when an edge is sought, so that metal draws no edge to itself (default)."""

METAL_HU: Final = 2000.0
"""Denser than any bone (cortex to 1500, CLINICAL.md 4.5): metal."""

EDGED: Final = ("anterior", "posterior", "lateral", "iliac_inner", "iliac_border", "notch", "inferior")
"""Surfaces that border on soft tissue; joint faces, foramina and endplate have another bone or a disc before them."""

PLACES: Final = 5000
COARSE_PLACES: Final = 500
BLOCK_MM: Final = 3.0
STEP_MM: Final = 0.5

REACHES_MM: Final = (8.0, 8.0, 6.0, 6.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0)
"""How far along its normal each place looks for its edge, round by round."""

MATCH_MM: Final = 2.0
WORST_RESIDUAL_MM: Final = 1.2
LEAST_MATCHED: Final = 0.5
LEAST_INSIDE: Final = 0.3
"""A registration that leaves more than this in the median, finds fewer edges, or sees less of the bones, is refused
(defaults; what right ones and wrong ones leave is tabled in docs/audit.md)."""

_KEPT: Final = 0.7
_FALL_HU: Final = 60.0
"""A fall of less than this over 2 mm is no edge of bone (muscle varies by half of it)."""


@dataclass(frozen=True, slots=True, eq=False)
class BonePlaces:
    """Places sampled on the plan's bones, (n, 3), with their outward normals."""

    at_lps_mm: Array
    normal: Array


def bone_places(anatomy: Anatomy, count: int = PLACES) -> BonePlaces:
    """Places evenly spread by area over the bones' surfaces that border on soft tissue; always the same ones."""
    corners = []
    for surface in (anatomy.sacrum, *anatomy.ilium.values()):
        wanted = np.isin(surface.label, [n for n, name in enumerate(SURFACE_NAMES) if name in EDGED])
        corners.append(surface.vertices_lps_mm[surface.triangles[wanted]])
    triangles = np.concatenate(corners)
    cross = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(cross, axis=1)
    rng = np.random.default_rng(0)
    total = np.cumsum(area)
    chosen = np.searchsorted(total, total[-1] * (np.arange(count) + rng.random(count)) / count)
    chosen = np.minimum(chosen, len(triangles) - 1)
    return BonePlaces(triangles[chosen].mean(axis=1), cross[chosen] / np.maximum(area[chosen], 1e-12)[:, None])


def register(anatomy: Anatomy, ct: CtVolume) -> Registration:
    """Find how a later CT of the same patient lies to the plan.

    Parameters
    ----------
    anatomy : Anatomy
        Of the labels that the plan was made on.
    ct : CtVolume
        Of the same patient, in any position; parts may be cut off.

    Raises
    ------
    InputError
        Where no motion lays the bones onto each other: another patient, too little of the pelvis, hardly any bone.
    """
    places = bone_places(anatomy)
    start = _coarse(places, ct)
    return _checked(_refined(places, ct, start))


def _coarse(places: BonePlaces, ct: CtVolume) -> Rigid:
    """The best of many starts: places onto dense blocks of the CT, the worst three tenths left out."""
    edge = _block_edge_lps_mm(ct)
    if len(edge) < 200:
        raise InputError(
            "post-operative CT", found="hardly any bone", wanted="a CT of the pelvis in Hounsfield units",
            fix="check that it is the right series",
        )  # fmt: skip
    tree, some = KDTree(edge), places.at_lps_mm[:: len(places.at_lps_mm) // COARSE_PLACES]
    middle, target = some.mean(axis=0), edge.mean(axis=0)
    trials = []
    for turn in _turns_deg():
        for along in (-80.0, -40.0, 0.0, 40.0):
            rotation = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
            trial = Rigid(rotation, target + np.array((0.0, 0.0, along)) - rotation @ middle)
            trials.append(_nearest_points(some, tree, trial, rounds=8))
    best = sorted(trials, key=lambda found: found[0])[:4]
    final = [_nearest_points(some, tree, trial, rounds=30) for _, trial in best]
    return min(final, key=lambda found: found[0])[1]


def _turns_deg() -> list[tuple[float, float, float]]:
    """Starting rotations: as it is, and tilted by 25 degrees about each axis either way."""
    tilts = [
        (s * 25.0 * (axis == 0), s * 25.0 * (axis == 1), s * 25.0 * (axis == 2)) for axis in range(3) for s in (-1, 1)
    ]
    return [(0.0, 0.0, 0.0), *tilts]


def _block_edge_lps_mm(ct: CtVolume) -> Array:
    """Centres of the blocks on the border of dense matter."""
    step = np.maximum(1, np.rint(BLOCK_MM / ct.grid.spacing_mm)).astype(int)
    shape = [n // s * s for n, s in zip(ct.hu.shape, step, strict=True)]
    if min(shape) == 0:
        return np.zeros((0, 3))
    part = ct.hu[: shape[0], : shape[1], : shape[2]]
    cut = part.reshape(shape[0] // step[0], step[0], shape[1] // step[1], step[1], shape[2] // step[2], step[2])
    dense = cut.mean(axis=(1, 3, 5), dtype=np.float32) > BONE_HU
    label, count = ndimage.label(dense)
    if count:
        # The table, wires and calcified vessels are small; bones hang together or are large.
        size = np.bincount(label.ravel())
        size[0] = 0
        dense = (size > 0.02 * size.sum())[label]
    border = dense & ~ndimage.binary_erosion(dense)
    return ct.grid.lps_from_ijk((np.argwhere(border) + 0.5) * step - 0.5)


def _nearest_points(points: Array, tree: KDTree, start: Rigid, rounds: int) -> tuple[float, Rigid]:
    """Iterated closest points from a start: what is left over (mean of the kept ones, mm), and the motion."""
    rigid, left = start, np.inf
    for _ in range(rounds):
        moved = rigid.points(points)
        found, which = tree.query(moved)
        distance, index = np.asarray(found), np.asarray(which)
        kept = distance <= np.quantile(distance, _KEPT)
        left = float(distance[kept].mean())
        rigid = _onto(points[kept], np.asarray(tree.data)[index[kept]])
    return left, rigid


def _onto(points: Array, targets: Array) -> Rigid:
    """The motion that brings points nearest to their targets (least squares)."""
    a, b = points.mean(axis=0), targets.mean(axis=0)
    u, _, vt = np.linalg.svd((points - a).T @ (targets - b))
    turn = vt.T @ np.diag((1.0, 1.0, np.sign(np.linalg.det(vt.T @ u.T)))) @ u.T
    return Rigid(turn, b - turn @ a)


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Where along its normal each place finds the edge of bone (mm), how steep it is, and whether it is inside."""

    offset_mm: Array
    fall: Array
    inside: Array


def _edges(ct: CtVolume, at: Array, normal: Array, reach_mm: float) -> _Edges:
    """The steepest fall along outward normals, between samples by the parabola through it."""
    steps = np.arange(-reach_mm - 1.0, reach_mm + 1.0 + 1e-9, STEP_MM)
    ijk = ct.grid.ijk_from_lps(at[:, None, :] + steps[None, :, None] * normal[:, None, :])
    middle = ct.grid.ijk_from_lps(at)
    inside = ((middle >= 0) & (middle <= np.asarray(ct.grid.shape) - 1)).all(axis=1)
    hu = ndimage.map_coordinates(ct.hu, ijk.reshape(-1, 3).T, output=np.float32, order=1, mode="nearest")
    profile = hu.reshape(len(at), len(steps))
    metal = profile.max(axis=1) > METAL_HU
    profile = np.minimum(profile, DENSEST_HU)
    half = round(1.0 / STEP_MM)
    fall = profile[:, : -2 * half] - profile[:, 2 * half :]
    # Far edges of equal height are less likely its own: a neighbour's, or the far side of a thin cortex.
    position = steps[half:-half]
    best = np.argmax(fall * (1.0 - 0.5 * np.abs(position) / (reach_mm + 1.0)), axis=1)
    rows = np.arange(len(at))
    low, peak, high = (fall[rows, np.clip(best + d, 0, fall.shape[1] - 1)] for d in (-1, 0, 1))
    curve = low - 2.0 * peak + high
    between = np.where(curve < 0, 0.5 * (low - high) / np.where(curve < 0, curve, -1.0), 0.0)
    border = (best == 0) | (best == fall.shape[1] - 1)
    usable = inside & ~metal & ~border
    return _Edges(
        position[best] + STEP_MM * np.clip(between, -0.5, 0.5), np.where(usable, peak, 0.0), np.asarray(inside)
    )


def _refined(places: BonePlaces, ct: CtVolume, start: Rigid) -> Registration:
    rigid = start
    for reach in REACHES_MM:
        at, normal = rigid.points(places.at_lps_mm), places.normal @ rigid.rotation.T
        edges = _edges(ct, at, normal, reach)
        found = edges.fall > _FALL_HU
        if found.sum() < 50:
            break
        rigid = _stepped(rigid, at[found], normal[found], edges.offset_mm[found])
    at, normal = rigid.points(places.at_lps_mm), places.normal @ rigid.rotation.T
    edges = _edges(ct, at, normal, REACHES_MM[-1])
    found = edges.fall > _FALL_HU
    bias = float(np.median(edges.offset_mm[found])) if found.any() else 0.0
    off = np.abs(edges.offset_mm - bias)
    matched = found & (off <= MATCH_MM)
    return Registration(
        plan_from_ct=rigid.inverse,
        residual_mm=float(np.median(off[found])) if found.any() else float("inf"),
        matched_share=float(matched.sum() / max(edges.inside.sum(), 1)),
        inside_share=float(edges.inside.mean()),
    )


def _stepped(rigid: Rigid, at: Array, normal: Array, offset: Array) -> Rigid:
    """One robust step: the small motion, and a common offset, that brings places onto their edges."""
    centre = at.mean(axis=0)
    system = np.column_stack([np.cross(at - centre, normal), normal, np.ones(len(at))])
    change = np.zeros(7)
    change[6] = np.median(offset)
    for _ in range(6):
        rest = offset - system @ change
        scale = max(2.5 * 1.4826 * float(np.median(np.abs(rest))), 0.5)
        weight = np.maximum(1.0 - (rest / scale) ** 2, 0.0)  # Tukey's, whose square weighs the squares
        change = np.linalg.lstsq(system * weight[:, None], offset * weight, rcond=None)[0]
    turn = Rotation.from_rotvec(change[:3]).as_matrix()
    return Rigid(turn @ rigid.rotation, turn @ (rigid.shift_mm - centre) + centre + change[3:6])


def _checked(found: Registration) -> Registration:
    """Raise where the bones do not lie on each other."""
    if found.inside_share < LEAST_INSIDE:
        raise InputError(
            "post-operative CT", found=f"{found.inside_share:.0%} of the plan's bone surfaces inside it",
            wanted=f"at least {LEAST_INSIDE:.0%}", fix="give a CT that covers sacrum and hip bones",
        )  # fmt: skip
    if found.residual_mm > WORST_RESIDUAL_MM or found.matched_share < LEAST_MATCHED:
        raise InputError(
            "post-operative CT",
            found=f"bones that do not lie on those of the plan ({found.residual_mm:.1f} mm off in the median, "
            f"{found.matched_share:.0%} of the edges within {MATCH_MM:g} mm)",
            wanted=f"at most {WORST_RESIDUAL_MM:g} mm and at least {LEAST_MATCHED:.0%}",
            fix="check that plan, labels and CT are of one patient",
        )  # fmt: skip
    return found
