"""From the bent phantom to voxels: bone told from soft tissue, then bone from bone."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from scipy.special import erf, erfinv

from sjplan.core.grid import Grid
from sjplan.segment.deform import Deformed
from sjplan.segment.joint_line import JointLine, draw_joint, joint_line, move_joint
from sjplan.segment.marrow import FINE_MM, marrow
from sjplan.segment.parting import bone_lakes, parted
from sjplan.segment.template import BONES
from sjplan.segment.working import Volume, grid_between, image_of, resampled, sitk, values_of

LATTICE_MM: Final = 2.5
"""Step at which distances to the bent phantom are worked out; between, they are interpolated."""

OUTWARD_MM: Final = 0.7
"""How far outside of bone the bent phantom's surface lies, as the steepest fall does in a CT that is smoothed for this:
0.4 to 0.9 mm on a phantom and a real shape of 1 mm (medians). In voxels coarser than `FINE_MM`, in which little but the
phantom tells bone, what lies beyond a thin cortex is rather bone than not: there it fades."""

SOFT_HU: Final = 50.0
LEAST_HU: Final = 110.0
"""Muscle, and what bone is denser than at the least where it is not marrow (default)."""

PEAK_MM: Final = 2.5
"""The edge of bone lies where the CT falls to half-way between soft tissue and the densest place so near."""

BLUR_MM: Final = 0.6
"""Smoothing against noise (sd, mm; default)."""

SHELL_MM: Final = 3.5
REACH_MM: Final = 11.0
"""Dense voxels so near to the bent phantom are bone, and what hangs together with them up to the second distance."""

HIP_MORE_MM: Final = 7.0
"""How much farther off a hip bone's may be: crest, spines and the acetabulum's roof of some real hips lie beyond
`REACH_MM` of what the phantom can be bent to. Femora have a template of their own; nothing else lies so near a hip bone
as L4 does to L5 (default)."""

CORTEX_HU: Final = (300.0, 800.0)
"""Density of cortex as thick plates show it: 700 to 1500 HU at 1 mm (CLINICAL.md 4.5), sacrum about 800. Coarse
voxels and old bone show less, so the scan's own is taken, between these (default)."""

CORTEX_QUANTILE: Final = 0.6
AT_SURFACE_MM: Final = 2.0
"""The scan's own: of the densest places near voxels so near to the bent phantom's surface, so many show less."""

MOST_SHARE: Final = 0.75
MOST_SHARE_COARSE: Final = 0.6
"""The edge of a thin plate lies at no more than this share of its densest place: noise would make holes in it. The
second holds in voxels coarser than `FINE_MM`, which show half a cortex as none (default)."""

CLEFT_MM: Final = 3.0
"""Dark lines up to about this width part bone from bone (default)."""

GAP_MM: Final = 2.0
GAP_SHARE: Final = 0.4
"""How wide a gap is looked for on either side of where two bones meet, and how much darker it is than they are."""

JOINT_HU: Final = 15.0
JOINT_SPREAD_MM: Final = 2.0
DEEP_MM: Final = 4.0
"""Sacrum and hip do not touch where a line shows between them, however faint: where about so far around they are darker
by so much than noise alone makes any place so deep in bone (defaults). An SI joint is 0.8 to 4.4 mm wide (DEMIR)."""

FARTHEST_MM: Final = 60.0
"""Distances are cut to this."""


@dataclass(frozen=True, slots=True, eq=False)
class BoneVoxels:
    """Which bone each voxel is: 0 none, 1 + index into `BONES`; on a grid."""

    grid: Grid
    bone: NDArray[np.uint8]
    hu: Volume
    distance_mm: Volume


def bone_distances(bent: Deformed, grid: Grid, voxel_mm: float) -> dict[str, Volume]:
    """Distance of every voxel to each bone of the bent phantom that is in the scan, negative inside.

    `voxel_mm` is the longest voxel edge of the CT itself.
    """
    outward_mm = OUTWARD_MM * min(1.0, FINE_MM / voxel_mm) ** 4
    corners = grid.corners_lps_mm()
    lattice = grid_between(corners.min(axis=0) - LATTICE_MM, corners.max(axis=0) + LATTICE_MM, LATTICE_MM)
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    place = lattice.lps_from_ijk(ijk)
    out = {}
    for bone in bent.fit.bones:
        coarse = (bent.distance_mm(bone, place) + outward_mm).reshape(lattice.shape).astype(np.float32)
        out[bone] = resampled(image_of(lattice, np.clip(coarse, -30.0, FARTHEST_MM)), grid, FARTHEST_MM)
    return out


def _least(distances: dict[str, Volume], *bones: str) -> Volume:
    """Distance to the nearest of some bones; far where none of them is in the scan."""
    have = [distances[bone] for bone in bones if bone in distances]
    if not have:
        return np.full(next(iter(distances.values())).shape, FARTHEST_MM, dtype=np.float32, order="F")
    return np.asarray(functools.reduce(np.minimum, have), dtype=np.float32)


def bone_voxels(ct: Any, grid: Grid, bent: Deformed) -> BoneVoxels:
    """Tell bones apart on a grid.

    Parameters
    ----------
    ct : SimpleITK image
        HU.
    grid : Grid
        Where to.
    bent : Deformed
        The phantom bent onto the scan.
    """
    distances = bone_distances(bent, grid, max(ct.GetSpacing()))
    distance = _least(distances, *BONES)
    sought = (distance < REACH_MM) | (_least(distances, *SIDED["hip"]) < REACH_MM + HIP_MORE_MM)
    hu = resampled(ct, grid)
    smooth = sitk.SmoothingRecursiveGaussian(image_of(grid, hu), BLUR_MM)
    bone, cortex = _bone(smooth, grid, distance, sought, max(ct.GetSpacing()))
    del sought
    for line, hip in _joints(hu, distances, cortex, grid):
        move_joint(line, distances["sacrum"], distances[hip], grid)
    which = _named(bone, smooth, distances, grid)
    for line, hip in _joints(hu, distances, cortex, grid):
        draw_joint(which, bone, 1 + BONES.index(hip), line, distances["sacrum"], distances[hip], grid)
    return BoneVoxels(grid, which, hu, distance)


def _joints(hu: Volume, distances: dict[str, Volume], cortex_hu: float, grid: Grid) -> Iterator[tuple[JointLine, str]]:
    """The line of each joint in the scan, and its hip."""
    for hip in SIDED["hip"]:
        line = joint_line(hu, grid, distances["sacrum"], distances[hip], cortex_hu)
        if line is not None:
            yield line, hip


def _named(bone: NDArray[np.bool_], smooth: Any, distances: dict[str, Volume], grid: Grid) -> NDArray[np.uint8]:
    """Which bone each voxel of bone is, and 0 where dark lines part bones."""
    spine, legs = _least(distances, "sacrum", "vertebrae_L5"), _least(distances, *SIDED["hip"], *SIDED["femur"])
    dark, level = _cleft(smooth, grid)
    lakes = bone_lakes(bone, dark, grid)
    which = np.zeros(grid.shape, dtype=np.uint8, order="F")

    def part(within: NDArray[np.bool_], one_mm: Volume, two_mm: Volume) -> NDArray[np.bool_]:
        return parted(np.where(within, lakes, -1), dark, level, one_mm, two_mm, grid)

    axial = part(bone, spine, legs)
    sacrum = axial
    if "vertebrae_L5" in distances:
        sacrum = part(axial, distances["sacrum"], distances["vertebrae_L5"])
        which[axial & ~sacrum] = 1 + BONES.index("vertebrae_L5")
    which[sacrum] = 1
    lateral = bone & ~axial
    hip = lateral
    if any(name in distances for name in SIDED["femur"]):
        hip = part(lateral, _least(distances, *SIDED["hip"]), _least(distances, *SIDED["femur"]))
        _by_side(which, lateral & ~hip, distances, SIDED["femur"])
    _by_side(which, hip, distances, SIDED["hip"])
    which[_gap(which, dark, level, grid)] = 0
    open_joints(which, dark, noise_hu(bone, dark, grid), grid)
    return which


SIDED: Final = {kind: (f"{kind}_left", f"{kind}_right") for kind in ("hip", "femur")}


def _by_side(
    which: NDArray[np.uint8], mask: NDArray[np.bool_], distances: dict[str, Volume], names: tuple[str, str]
) -> None:
    """Give the voxels of a mask to the nearer of two bones."""
    left, right = (_least(distances, name) for name in names)
    nearer = left <= right
    which[mask & nearer] = 1 + BONES.index(names[0])
    which[mask & ~nearer] = 1 + BONES.index(names[1])


def _gap(which: NDArray[np.uint8], dark: Volume, level: Volume, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of bone where one bone meets another that are too dark for bone: the joint between them."""
    meets = np.zeros(which.shape, dtype=bool)
    for axis in range(3):
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = which[tuple(low)], which[tuple(high)]
        differ = (a != b) & (a > 0) & (b > 0)
        meets[tuple(low)] |= differ
        meets[tuple(high)] |= differ
    steps = max(0, round(GAP_MM / float(grid.spacing_mm.max())) - 1)
    near = ndi.binary_dilation(meets, iterations=steps) if steps else meets
    return near & (dark > GAP_SHARE * (level - SOFT_HU))


def noise_hu(bone: NDArray[np.bool_], dark: Volume, grid: Grid) -> float:
    """How dark the darker of two voxels looks deep in bone, where no line is (median, HU); infinite if none is deep."""
    steps = max(1, round(DEEP_MM / float(grid.spacing_mm.min())))
    deep = ndi.binary_erosion(bone, iterations=steps)
    beside = deep[:-1] & deep[1:]
    return float(np.median(np.maximum(dark[:-1], dark[1:])[beside])) if beside.any() else np.inf


def open_joints(which: NDArray[np.uint8], dark: Volume, noise: float, grid: Grid) -> None:
    """Make the darker voxel of two into gap, in place, where sacrum and hip touch and a line shows between them.

    Parameters
    ----------
    which : (ni, nj, nk) uint8
        Which bone each voxel is; see `BoneVoxels`.
    dark : (ni, nj, nk) float32
        How much darker each place is than both sides of it, HU.
    noise : float
        How dark the darker of two voxels looks where there is no line, HU; see `noise_hu`.
    grid : Grid
        Of both.
    """
    hips = [1 + BONES.index(name) for name in SIDED["hip"]]
    touching = []
    for axis in range(3):
        low = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
        high = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
        a, b = which[low], which[high]
        first = np.argwhere(((a == 1) & np.isin(b, hips)) | ((b == 1) & np.isin(a, hips)))
        second = first + np.eye(3, dtype=int)[axis]
        depth = dark[tuple(first.T)] - dark[tuple(second.T)]
        darker = np.where(depth == 0.0, a[tuple(first.T)] == 1, depth > 0.0)  # ties go by bone, not by the grid
        touching.append(np.where(darker[:, None], first, second))
    found = np.unique(np.concatenate(touching), axis=0)
    if not len(found):
        return
    # The mean over neighbours in the joint, as one voxel tells a line from noise badly.
    tree = cKDTree(found * grid.spacing_mm)
    near = tree.query_ball_point(found * grid.spacing_mm, JOINT_SPREAD_MM)
    depth = dark[tuple(found.T)]
    shown = np.array([float(depth[n].mean()) for n in near]) > noise + JOINT_HU
    which[tuple(found[shown].T)] = 0


def _bone(
    smooth: Any, grid: Grid, distance: Volume, sought: NDArray[np.bool_], voxel_mm: float
) -> tuple[NDArray[np.bool_], float]:
    """Dense voxels near the bent phantom, and the marrow that they enclose; and the scan's density of cortex, HU."""
    calm = np.asarray(values_of(smooth))
    radius = [max(1, round(PEAK_MM / float(s))) for s in grid.spacing_mm]
    clamped = sitk.Clamp(smooth, sitk.sitkFloat32, SOFT_HU, METAL_HU)
    peak = np.asarray(values_of(sitk.GrayscaleDilate(clamped, radius, sitk.sitkBall)))
    shown = peak[np.abs(distance) < AT_SURFACE_MM]
    cortex = float(np.clip(np.quantile(shown, CORTEX_QUANTILE), *CORTEX_HU)) if shown.size else CORTEX_HU[1]
    dense = (calm > edge_hu(peak, cortex, voxel_mm)) & (calm > LEAST_HU) & sought
    dense = ndi.binary_propagation(dense & (distance < SHELL_MM), mask=dense)
    bone = dense | marrow(dense, calm, distance, sought, grid, voxel_mm)
    # The outermost voxels of bone hold its cortex: those as dark as what lies around bone are none.
    rim = bone & ~ndi.binary_erosion(bone, border_value=1)
    return np.asarray(bone & ~(rim & (calm < SOFT_HU))), cortex


METAL_HU: Final = 1800.0
"""Denser is metal: the edge of bone beside it lies no higher than half of this."""


def edge_hu(peak_hu: Volume, cortex_hu: float, voxel_mm: float = 1.0) -> Volume:
    """HU at the edge of a plate of cortex of a density `cortex_hu` whose densest place, in the CT, is `peak_hu`.

    A blurred plate that is thick shows its full density in the middle, and half of it at its edge. A thin one shows
    less in the middle, and at its edge nearly as much. For a plate of density C and a Gaussian blur the middle is
    C erf(a) and the edge C erf(2 a) / 2, with a the half-width over the blur. `voxel_mm` is the longest voxel edge.

    Examples
    --------
    >>> edge_hu(np.array([450.0, 750.0, 1150.0]), 800.0).round().tolist()
    [350.0, 425.0, 600.0]
    """
    share = np.clip((peak_hu - SOFT_HU) / (cortex_hu - SOFT_HU), 0.0, None)
    steps = np.linspace(0.0, 1.0, 201)
    edge = 0.5 * erf(2.0 * erfinv(np.minimum(steps, 0.999)))
    most = MOST_SHARE if voxel_mm <= FINE_MM else MOST_SHARE_COARSE
    edge = np.minimum(edge, most * steps)
    return np.asarray(
        SOFT_HU + (cortex_hu - SOFT_HU) * np.where(share < 1.0, np.interp(share, steps, edge), 0.5 * share),
        dtype=np.float32,
    )


def _cleft(smooth: Any, grid: Grid) -> tuple[Volume, Volume]:
    """How much darker each place is than both sides of it, a few millimetres off; and how bright these are."""
    radius = [max(1, round(CLEFT_MM / float(s))) for s in grid.spacing_mm]
    clipped = sitk.Clamp(smooth, sitk.sitkFloat32, -50.0, 900.0)
    closed = sitk.GrayscaleMorphologicalClosing(clipped, radius, sitk.sitkBall)
    return np.asarray(values_of(closed - clipped)), np.asarray(values_of(closed))
