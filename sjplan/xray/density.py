"""Plausible Hounsfield units for a label map that comes without a CT."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.tolerances import AIR_HU
from sjplan.core.volume import CtVolume

_SEED: Final = 20261101
_PARTIAL_VOLUME_MM: Final = 0.9
"""Blur of a bone's edge: a label map's staircase would else shine through every tangent view of a cortex."""

_MUSCLE_HU: Final = 50.0
_FAT_HU: Final = -100.0
"""Muscle 50 to 60, fat -100 HU (CLINICAL.md 4.5)."""

_SIDE_MARGIN_MM: Final = 45.0
_FRONT_MARGIN_MM: Final = 25.0
_BACK_MARGIN_MM: Final = 35.0
"""Soft tissue outside the bones' box: a bony pelvis of 270 by 165 mm gives the body 360 mm across (hip breadth of
men, HIPBR) and 225 mm deep (200 to 230 mm lying, CLINICAL.md 4.6)."""

_FAT_LAYER_MM: Final = 18.0
"""Between the 15 and 60 mm of fat that CLINICAL.md 4.6 gives, on its thin side: it takes nothing from contrast."""

_ABOVE_MM: Final = 230.0
_BELOW_MM: Final = 110.0
"""How far the body goes on above and below the bones, so that every ray of inlet and outlet views of up to 50 degrees
enters and leaves through its skin; steeper ones leave through its ends, and their picture pales towards the edge."""

_BODY_POWER: Final = 2.5
"""Exponent of the body's outline, between an ellipse (2) and a box: a lying body is flat underneath."""

_BONE_WORDS: Final = ("sacrum", "vertebra", "hip", "femur", "rib", "coccyx", "ilium", "pelvis")


@dataclass(frozen=True, slots=True)
class BoneDensity:
    """Densities assumed of one bone: shell thickness in mm, cortex and cancellous bone in HU.

    `lateral_hu` replaces `cancellous_hu` far from the mid-sagittal plane (the sacrum's ala is emptier than its
    body); `texture_hu` is the standard deviation of the cancellous bone's texture.
    """

    shell_mm: float
    cortical_hu: float
    cancellous_hu: float
    lateral_hu: float
    texture_hu: float


_HIP: Final = BoneDensity(2.0, 1000.0, 230.0, 230.0, 70.0)
_SACRUM: Final = BoneDensity(1.5, 800.0, 260.0, 100.0, 70.0)
_VERTEBRA: Final = BoneDensity(1.3, 750.0, 250.0, 250.0, 60.0)
_FEMUR: Final = BoneDensity(2.5, 1100.0, 260.0, 260.0, 70.0)
"""Cancellous: S1 body 280, ala 100, ilium 230 to 255 HU (NAKAM); cortex 700 to 1500 HU at 1 mm and shells of 1.5 to
3 mm (ilium), 0.8 to 1.5 mm (sacrum): CLINICAL.md 4.4 and 4.5, recalled."""


def assumed_ct(labels: LabelMap) -> CtVolume:
    """Invent a CT for a label map: bones with a cortical shell and textured inside, a body round them, air outside.

    What is not bone, the joint gap too, is soft tissue. The same label map always gives the same CT.

    Parameters
    ----------
    labels : LabelMap
        With at least one bone by name (sacrum, hip, vertebrae, femur).

    Returns
    -------
    CtVolume
        Marked `assumed`. Its grid has the label map's voxels and direction, and reaches further on all sides.

    Raises
    ------
    InputError
        If no bone is labelled.

    Examples
    --------
    >>> label = np.zeros((40, 40, 40), np.uint8)
    >>> label[15:25, 15:25, 15:25] = 25
    >>> grid = Grid((40, 40, 40), (2, 2, 2), (0, 0, 0), np.eye(3))
    >>> ct = assumed_ct(LabelMap(grid, label, {25: "sacrum"}))
    >>> ct.assumed, bool(ct.hu.max() > 500), int(ct.hu[0, 0, 0])
    (True, True, -1000)
    """
    bones = list(_bones(labels))
    if not bones:
        raise InputError(
            "label map",
            found="no bone among " + (", ".join(labels.present()) or "no labels at all"),
            wanted="at least one of sacrum, hip, vertebrae or femur",
        )
    start = np.min([b.start for b in bones], axis=0)
    stop = np.max([np.add(b.start, b.mask.shape) for b in bones], axis=0)
    low, high = _bounds_lps(labels.grid.cropped(start, stop))
    centre, half = _body(low, high)
    grid, offset = _body_grid(labels.grid, centre, half)
    hu = np.empty(grid.shape, dtype=np.int16)
    _fill_body(hu, grid.origin_lps_mm, np.ascontiguousarray(grid.matrix), centre, half)
    middle_x = 0.5 * float(low[0] + high[0])
    rng = np.random.default_rng(_SEED)
    margin = np.ceil(3.0 * _PARTIAL_VOLUME_MM / grid.spacing_mm).astype(int)
    taken = np.zeros(stop - start + 2 * margin, dtype=np.float32)
    near = hu[_box(start - margin - offset, taken.shape)]
    for bone in bones:
        fraction, values = _bone_hu(bone, labels.grid, margin, middle_x, rng)
        box = _box(bone.start - start, fraction.shape)
        near[box] = _with_bone(near[box], taken[box], fraction, values)
    hu.setflags(write=False)
    return CtVolume(grid, hu, labels.source, assumed=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Bone:
    density: BoneDensity
    mask: NDArray[np.bool_]
    start: NDArray[np.int_]


def _bones(labels: LabelMap) -> Iterator[_Bone]:
    """Every bone as a mask in its own box; the parts of a sacrum are one bone."""
    groups: dict[str, list[int]] = {}
    present = set(labels.present())
    for i, name in sorted(labels.names.items()):
        if name in present and any(word in name.lower() for word in _BONE_WORDS):
            groups.setdefault("sacrum" if name == "vertebrae_S1" else name, []).append(i)
    boxes = find_objects(labels.label)
    for name, ids in groups.items():
        parts = [boxes[i - 1] for i in ids]
        start = np.min([[s.start for s in p] for p in parts], axis=0)
        stop = np.max([[s.stop for s in p] for p in parts], axis=0)
        inside = labels.label[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
        yield _Bone(_density_of(name), np.isin(inside, ids), start)


def _density_of(name: str) -> BoneDensity:
    for word, density in (("sacrum", _SACRUM), ("vertebra", _VERTEBRA), ("femur", _FEMUR)):
        if word in name.lower():
            return density
    return _HIP


def _bounds_lps(grid: Grid) -> tuple[Array, Array]:
    corners = grid.corners_lps_mm()
    return np.asarray(corners.min(axis=0)), np.asarray(corners.max(axis=0))


def _body(low: Array, high: Array) -> tuple[Array, Array]:
    """Centre and half extent, in LPS, of the body round bones that lie between two corners."""
    low = low - np.array([_SIDE_MARGIN_MM, _FRONT_MARGIN_MM, _BELOW_MM])
    high = high + np.array([_SIDE_MARGIN_MM, _BACK_MARGIN_MM, _ABOVE_MM])
    return np.asarray(0.5 * (low + high)), np.asarray(0.5 * (high - low))


def _body_grid(grid: Grid, centre: Array, half: Array) -> tuple[Grid, NDArray[np.int_]]:
    """The label map's voxels extended or cut to hold the body, and the index of its first voxel in the label map."""
    corners = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * half + centre
    ijk = grid.ijk_from_lps(corners)
    start = np.floor(ijk.min(axis=0)).astype(int) - 1
    stop = np.ceil(ijk.max(axis=0)).astype(int) + 2
    return grid.cropped(start, stop), start


@njit(cache=True, parallel=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def _fill_body(hu: Any, origin: Any, matrix: Any, centre: Any, half: Any) -> None:
    """Air, a layer of fat and muscle inside; half-filled voxels at the skin are mixed."""
    edge = 0.5 * math.sqrt(matrix[0, 0] ** 2 + matrix[0, 1] ** 2 + matrix[0, 2] ** 2)
    ni, nj, nk = hu.shape
    for i in prange(ni):
        for j in range(nj):
            for k in range(nk):
                x = abs(origin[0] + matrix[0, 0] * i + matrix[0, 1] * j + matrix[0, 2] * k - centre[0])
                y = abs(origin[1] + matrix[1, 0] * i + matrix[1, 1] * j + matrix[1, 2] * k - centre[1])
                z = abs(origin[2] + matrix[2, 0] * i + matrix[2, 1] * j + matrix[2, 2] * k - centre[2])
                if z > half[2]:
                    hu[i, j, k] = AIR_HU
                    continue
                skin = _inside(x, y, half[0], half[1], edge)
                muscle = _inside(x, y, half[0] - _FAT_LAYER_MM, half[1] - _FAT_LAYER_MM, edge)
                inner = _FAT_HU + muscle * (_MUSCLE_HU - _FAT_HU)
                hu[i, j, k] = round(AIR_HU + skin * (inner - AIR_HU))


@njit(cache=True, inline="always", error_model="numpy")
def _inside(x: float, y: float, a: float, b: float, edge: float) -> Any:
    """1 inside the outline (x / a)^2.5 + (y / b)^2.5 = 1, 0 outside, a ramp of `edge` mm on either side."""
    u, v = x / a, y / b
    # t ** 2.5 written without pow, which would take most of the time; near the outline, where the ramp lies, the
    # radius differs from 1 by a power's share of what the sum differs from 1.
    beyond = u * u * math.sqrt(u) + v * v * math.sqrt(v) - 1.0
    depth = -beyond / _BODY_POWER * min(a, b)
    return min(max(0.5 + 0.5 * depth / edge, 0.0), 1.0)


def _bone_hu(
    bone: _Bone, grid: Grid, margin: NDArray[np.int_], middle_x: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share of bone in every voxel of its box, widened by `margin`, and the HU that pure bone would have there."""
    mask = np.pad(bone.mask, [(m, m) for m in margin]).astype(np.float32)
    fraction = gaussian_filter(mask, _PARTIAL_VOLUME_MM / grid.spacing_mm, mode="constant")
    # Blurred by the shell's thickness, a flat face's mask is 0.84 at that depth: a smooth stand-in for the distance,
    # which also makes plates of less than two shells all cortex, as the floor of the iliac fossa is.
    depth = gaussian_filter(mask, bone.density.shell_mm / grid.spacing_mm, mode="constant")
    inner = _smoothstep(depth, 0.76, 0.91)
    d = bone.density
    values = _texture(mask.shape, grid.spacing_mm, rng)
    values *= np.float32(d.texture_hu)
    values += np.float32(d.cancellous_hu - d.cortical_hu)
    if d.lateral_hu != d.cancellous_hu:
        first = bone.start - margin
        lateral = _lateral(grid.cropped(first, first + mask.shape), middle_x)
        values += lateral * np.float32(d.lateral_hu - d.cancellous_hu)
    values *= inner
    values += np.float32(d.cortical_hu)
    return fraction, values


def _smoothstep(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    t = values - np.float32(low)
    t *= np.float32(1.0 / (high - low))
    np.clip(t, 0.0, 1.0, out=t)
    slope = np.float32(3.0) - np.float32(2.0) * t
    t *= t
    t *= slope
    return t


def _lateral(grid: Grid, middle_x: float) -> NDArray[np.float32]:
    """0 within 18 mm of the bones' middle, 1 beyond 32 mm: from the sacrum's bodies to its alae.

    Half of the S1 body's width is 25 mm, the S1 foramen's outer edge lies at 30 mm (CLINICAL.md 4.1, 4.2).
    """
    i, j, k = (np.arange(n, dtype=np.float32) for n in grid.shape)
    m = grid.matrix.astype(np.float32)[0]
    x = (grid.origin_lps_mm[0] - middle_x + m[0] * i)[:, None, None] + (m[1] * j)[:, None] + m[2] * k
    return _smoothstep(np.abs(x).astype(np.float32), 18.0, 32.0)


def _texture(shape: tuple[int, ...], spacing_mm: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise of unit standard deviation with a grain of about 3 mm."""
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 1.1 / spacing_mm, mode="wrap")
    return np.asarray(noise / max(float(noise.std()), 1e-6), dtype=np.float32)


def _box(start: NDArray[np.int_], shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


def _with_bone(
    before: NDArray[np.int16],
    taken: NDArray[np.float32],
    fraction: NDArray[np.float32],
    values: NDArray[np.float32],
) -> NDArray[np.int16]:
    """Mix one bone into what was there; where it meets an earlier bone, leave a gap of soft tissue.

    `taken` is the share of earlier bones, and takes up this one.
    """
    mixed = before.astype(np.float32)
    mixed += fraction * (values - mixed)
    gap = np.minimum(np.float32(4.0) * fraction * taken, np.float32(1.0))
    mixed += gap * (np.float32(_MUSCLE_HU) - mixed)
    np.maximum(taken, fraction, out=taken)
    return np.asarray(np.rint(mixed), dtype=np.int16)
