"""Everything found inside the sacrum: canal, foramina with their levels, endplate. Needs no hips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sjplan.anatomy.bones import Bones, Index, sacrum_alone
from sjplan.anatomy.canal import CanalAxis, find_canal_axis
from sjplan.anatomy.endplate import Endplate, find_endplate
from sjplan.anatomy.levels import Naming, missing_levels, name_levels
from sjplan.anatomy.mouths import MouthRing, find_mouths
from sjplan.anatomy.pockets import Pockets, find_pockets
from sjplan.anatomy.symmetry import Axes, find_axes
from sjplan.anatomy.tunnels import Tunnels, find_tunnels
from sjplan.anatomy.types import Foramen, Mouth
from sjplan.core.arrays import Array
from sjplan.core.errors import AnatomyError
from sjplan.core.findings import Finding
from sjplan.core.grid import Grid

LEAST_NECK_MM2 = 8.0
LEAST_RADIUS_MM = 1.7
"""A ventral opening narrower than this is no neural foramen left open (smallest S4 necks: 6 mm wide)."""

LEAST_DEPTH_MM = 16.0
"""Arc below the S1 endplate from which on a tunnel may be a foramen: the first ones lie 28 mm deep and more on sixteen
real pelves. Above there are only gaps between an articular process and a high ala, 11 to 13 mm deep in one phantom."""

MOUTHS_APART_MM = 5.0

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class SacralAnatomy:
    """What was found in one sacrum; positions are in grid mm or voxel indices of the whole map."""

    bones: Bones
    axes: Axes
    pockets: Pockets
    canal_axis: CanalAxis
    endplate: Endplate
    tunnels: Tunnels
    mouths: tuple[dict[str, MouthRing], ...]
    naming: Naming
    lumens: tuple[Index, ...]
    findings: tuple[Finding, ...]

    @property
    def canal_voxels(self) -> Index:
        """Voxels of the canal, whole map."""
        return np.argwhere(self.tunnels.canal) + self.pockets.start


def find_sacral_anatomy(bones: Bones, axes: Axes, progress: Progress | None = None) -> SacralAnatomy:
    """Find canal, foramina and endplate in a sacrum whose axes are known.

    Raises
    ------
    AnatomyError
        If there is no canal, or no endplate in front of it.
    """
    tell = progress or (lambda _what, _share: None)
    tell("closing the sacrum", 0.1)
    pockets = find_pockets(bones)
    frame = axes.frame
    axis = find_canal_axis(
        frame.to(pockets.points_mm(pockets.voxels)), pockets.enclosure.astype(np.float64), bones.spacing_mm
    )
    if axis is None:
        raise AnatomyError(
            "sacral canal",
            found="no enclosed space along the middle of the sacrum",
            wanted="an open sacral canal",
            fix="check the sacrum's label: a canal filled by the segmentation hides the foramina as well",
        )
    tell("following the foramina", 0.3)
    endplate = find_endplate(pockets.bone, pockets.start, bones.spacing_mm, frame, axis)
    tunnels = find_tunnels(pockets, frame, axis)
    mouths = tuple(find_mouths(pockets, frame, tunnels))
    _, arc, _ = axis.unroll(endplate.centre[None])
    usable = [
        tunnel.arc_mm > float(arc[0]) + LEAST_DEPTH_MM and _usable(mouth.get("ventral"), tunnel.radius_mm)
        for mouth, tunnel in zip(mouths, tunnels.tunnels, strict=True)
    ]
    weak = [_weak(mouth) for mouth in mouths]
    naming = name_levels(tunnels.tunnels, usable, weak, float(arc[0]))
    _, along, _ = axis.unroll(frame.to(np.argwhere(bones.sacrum)[::11] * bones.spacing_mm))
    sides = {sign: bones.side_of(sign) for sign in (1, -1)}
    missing = missing_levels(naming, sides, float(arc[0]), float(np.quantile(along, 0.998)))
    lumens = tuple(_lumen(pockets, n.lumen, mouth) for n, mouth in zip(tunnels.tunnels, mouths, strict=True))
    return SacralAnatomy(
        bones, axes, pockets, axis, endplate, tunnels, mouths, naming, lumens, (*naming.findings, *missing)
    )  # fmt: skip


def _usable(ventral: MouthRing | None, radius_mm: float) -> bool:
    """Whether a tunnel is open in front wide enough to be a neural foramen."""
    return ventral is not None and ventral.neck_area_mm2 > LEAST_NECK_MM2 and radius_mm > LEAST_RADIUS_MM


def _weak(mouths: dict[str, MouthRing]) -> bool:
    """Whether the mouths are uncertain: no dorsal one, an open ring, or both at one place."""
    ventral, dorsal = mouths.get("ventral"), mouths.get("dorsal")
    if ventral is None or dorsal is None or not ventral.ring:
        return True
    return float(np.linalg.norm(ventral.centre_mm - dorsal.centre_mm)) < MOUTHS_APART_MM


def _lumen(pockets: Pockets, voxels: Index, mouths: dict[str, MouthRing]) -> Index:
    """Lumen voxels in the whole map, with the free voxels of all closed rings up to the mouths.

    In a thin plate of bone the opening's own voxels look out on both sides and are hardly enclosed; the rings
    found on the way to the mouth say that they are inside all the same.
    """
    own = np.zeros(pockets.bone.shape, dtype=bool)
    own[tuple(voxels.T)] = True
    for mouth in mouths.values():
        index = np.floor(mouth.passage_mm / pockets.spacing_mm + 0.5).astype(int) - pockets.start
        index = index[((index >= 0) & (index < pockets.bone.shape)).all(axis=1)]
        own[tuple(index.T)] = True
    return np.argwhere(own & ~pockets.bone) + pockets.start


def foramina_of(sacral: SacralAnatomy, midline_lps: Array, left_lps: Array) -> tuple[Foramen, ...]:
    """The named foramina in LPS, cranial to caudal, left before right.

    Parameters
    ----------
    midline_lps : (3,) float
        A point of the mid-sagittal plane.
    left_lps : (3,) float
        Its normal, to the patient's left.
    """
    bones = sacral.bones
    out = []
    for named in sacral.naming.named:
        side = bones.side_of(named.sign)
        mouths = sacral.mouths[named.index]
        lumen = bones.lps(sacral.lumens[named.index] * bones.spacing_mm)
        outwards = left_lps if side == "left" else -left_lps
        lateral = float(((lumen - midline_lps) @ outwards).max()) + 0.5 * _extent(bones, outwards)
        ventral = mouths["ventral"]
        out.append(
            Foramen(
                named.level, side, bones.lps(ventral.line_mm), lumen, _mouth(bones, ventral),
                _mouth(bones, mouths.get("dorsal")), lateral, named.doubtful,
            )
        )  # fmt: skip
    return tuple(sorted(out, key=lambda f: (f.level, f.side)))


def _extent(bones: Bones, direction_lps: Array) -> float:
    """Width of one voxel along a direction, mm."""
    return float(np.abs(direction_lps @ bones.grid.direction) @ bones.spacing_mm)


def _mouth(bones: Bones, mouth: MouthRing | None) -> Mouth | None:
    if mouth is None:
        return None
    return Mouth(
        bones.lps(mouth.centre_mm), bones.lps_vector(mouth.normal), mouth.major_mm, mouth.minor_mm, mouth.neck_radius_mm
    )


@dataclass(frozen=True, slots=True, eq=False)
class SacrumForamina:
    """Foramina of a sacrum without hips."""

    foramina: tuple[Foramen, ...]
    findings: tuple[Finding, ...]


def foramina_of_sacrum(mask: NDArray[np.bool_], grid: Grid) -> SacrumForamina:
    """Find the open foramina of a sacrum mask without hips.

    The grid's LPS axes say where left and back are, so a model in another frame has to be turned first.

    Parameters
    ----------
    mask : (ni, nj, nk) bool
        The sacrum, S1 included.
    grid : Grid
        Where the voxels lie.

    Returns
    -------
    SacrumForamina
        Open foramina, and a finding for each of the eight that is missing.
    """
    bones = sacrum_alone(mask, grid)
    sacral = find_sacral_anatomy(bones, find_axes(bones))
    plane = sacral.axes.frame
    left = bones.lps_vector(plane.axes[0]) * (1.0 if bones.plus_side == "left" else -1.0)
    return SacrumForamina(foramina_of(sacral, bones.lps(plane.origin_mm), left), sacral.findings)
