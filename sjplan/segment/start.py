"""Where in the scan a pelvis lies: the phantom's bones looked for in several sizes and turns, anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from scipy.fft import irfftn, next_fast_len, rfftn
from scipy.ndimage import distance_transform_edt, zoom
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from sjplan.core.arrays import Array
from sjplan.core.errors import AnatomyError
from sjplan.phantom.parameters import MAX_ROTATION_DEG, RANGES, PhantomParameters
from sjplan.phantom.pelvis import Pelvis, rotation_matrix
from sjplan.segment.template import BONES, CORE, HALF_BOX_MM, Points
from sjplan.segment.working import Volume, Working

SEARCH_MM: Final = 8.0
"""Voxels of the first search: the two wings and the sacrum are told from all else at that (default)."""

SIZES: Final = (0.88, 1.0, 1.12)
TIPS_DEG: Final = (-20.0, 0.0, 20.0)
"""Sizes and turns about the left-right axis in which the template is looked for; the refinement bridges the steps."""

STARTS: Final = 6
APART_MM: Final = 28.0
"""How many places are refined, and how far apart they lie at least."""

SHELL_MM: Final = 16.0
"""Width of the soft tissue round the bones that has to be free of bone."""

BONE_HU: Final = (120.0, 420.0)
"""From no bone to surely bone, in voxels of some millimetres."""

FARTHEST_MM: Final = 25.0
SOFT_MM: Final = 5.0
"""Distances to the nearest edge of bone count up to the first, and less than their square beyond the second."""


def boneness(values: Volume) -> Volume:
    """0 for soft tissue to 1 for bone."""
    low, high = BONE_HU
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0), dtype=np.float32)


def starts(ct: Working) -> list[PhantomParameters]:
    """The places where the phantom fits best, the best first; at most `STARTS`, at least `APART_MM` apart.

    Raises
    ------
    AnatomyError
        If the scan holds hardly any bone.
    """
    step = float(ct.grid.spacing_mm[0])
    coarse: Array = np.asarray(
        zoom(boneness(ct.values), step / SEARCH_MM, order=1, grid_mode=True, mode="nearest"), dtype=np.float64
    )
    if float(coarse.sum()) * SEARCH_MM**3 < LEAST_BONE_MM3:
        raise AnatomyError(
            "CT", found="hardly any bone", wanted="a CT of a pelvis in Hounsfield units",
            fix="check that the file is a CT and holds the pelvis",
        )  # fmt: skip
    origin = ct.grid.origin_lps_mm + (SEARCH_MM - step) / 2.0
    pelvis = Pelvis(PhantomParameters())
    found: list[tuple[float, PhantomParameters]] = []
    for size in SIZES:
        for tip in TIPS_DEG:
            kernel, shell, middle = _kernel(pelvis, size, tip)
            score = _likeness(coarse, kernel, shell)
            for value, place in _peaks(score):
                offset = origin + (np.array(place) - (np.array(kernel.shape) - 1)) * SEARCH_MM + middle
                found.append(
                    (
                        value,
                        replace(
                            PhantomParameters(), size=size, offset_lps_mm=offset, rotation_deg=np.array((tip, 0.0, 0.0))
                        ),
                    )
                )
    found.sort(key=lambda f: -f[0])
    kept: list[PhantomParameters] = []
    for _, candidate in found:
        apart = [np.linalg.norm(candidate.offset_lps_mm - k.offset_lps_mm) for k in kept]
        if all(a > APART_MM for a in apart):
            kept.append(candidate)
        if len(kept) == STARTS:
            break
    return kept


LEAST_BONE_MM3: Final = 60_000.0
"""Dense bone below which there is no pelvis (mm3): one wing has more (default)."""


def _kernel(pelvis: Pelvis, size: float, tip_deg: float) -> tuple[Array, Array, Array]:
    """Bone, where something is expected, and the endplate's place in it, of a turned and scaled phantom."""
    half = np.asarray(HALF_BOX_MM) * size
    low, high = -half * (1.0, 1.0, 1.1), half * (1.0, 1.0, 0.4)
    count = np.ceil((high - low) / SEARCH_MM).astype(int) + 1
    lattice = np.stack(np.meshgrid(*(np.arange(n) for n in count), indexing="ij"), axis=-1).reshape(-1, 3)
    lps = low + lattice * SEARCH_MM
    own = lps @ rotation_matrix((tip_deg, 0.0, 0.0)) / size
    nearest = np.min([pelvis.bone_mm(bone, own) for bone in CORE], axis=0).reshape(tuple(count)) * size
    bone = np.clip(0.5 - nearest / SEARCH_MM, 0.0, 1.0)
    others = np.min([pelvis.bone_mm(b, own) for b in BONES if b not in CORE], axis=0).reshape(tuple(count)) * size
    shell = (nearest < SHELL_MM) & ((others > 2.0 * SEARCH_MM) | (nearest < 0))
    return bone, shell.astype(np.float64), -low


def _likeness(image: Array, bone: Array, shell: Array) -> Array:
    """Correlation of the image with the bone, within the shell, for every place of the template ("full" mode)."""
    shape = [next_fast_len(a + b - 1, real=True) for a, b in zip(image.shape, bone.shape, strict=True)]
    count = shell.sum()
    kernel = np.where(shell > 0, bone - (bone * shell).sum() / count, 0.0)
    kernel /= np.sqrt((kernel**2).sum())
    transform = rfftn(image, shape)
    flipped = [rfftn(k[::-1, ::-1, ::-1], shape) for k in (kernel, shell)]
    dot = irfftn(transform * flipped[0], shape)
    mean = irfftn(transform * flipped[1], shape) / count
    power = irfftn(rfftn(image.astype(np.float64) ** 2, shape) * flipped[1], shape)
    spread = np.sqrt(np.maximum(power - count * mean**2, 0.0))
    whole = tuple(slice(0, a + b - 1) for a, b in zip(image.shape, bone.shape, strict=True))
    # A place with little bone in it would be divided by next to nothing.
    score = dot / np.maximum(spread, 0.3 * float(spread.max()))
    return np.asarray(score[whole])


def _peaks(score: Array) -> list[tuple[float, tuple[int, int, int]]]:
    """The best few places of a score, apart from each other."""
    score = score.copy()
    reach = int(np.ceil(APART_MM / SEARCH_MM))
    found = []
    for _ in range(STARTS):
        at = np.unravel_index(int(np.argmax(score)), score.shape)
        place = (int(at[0]), int(at[1]), int(at[2]))
        found.append((float(score[place]), place))
        score[tuple(slice(max(p - reach, 0), p + reach + 1) for p in place)] = -1.0
    return found


def edge_distance(ct: Working, threshold_hu: float = 200.0) -> Working:
    """Distance to the nearest edge of bone, in mm, for every voxel."""
    bone = ct.values > threshold_hu
    inner = bone.copy()
    for axis in range(3):
        for way in (1, -1):
            inner &= np.roll(bone, way, axis)
    edge = bone & ~inner
    distance = distance_transform_edt(~edge, sampling=ct.grid.spacing_mm)
    return Working(ct.grid, np.minimum(distance, FARTHEST_MM).astype(np.float32), FARTHEST_MM)


def refined(
    points: Points, distance: Working, ct: Working, start: PhantomParameters
) -> tuple[PhantomParameters, float]:
    """Pose and size that bring the points nearest to edges of bone, and the mean distance that is left (mm).

    `points` are those of the phantom in its own place, at size 1. Points beyond the scan say nothing; where most lie
    beyond it the distance is infinite.
    """
    core = points.bone < len(CORE)
    own = points.lps_mm[core][::3]
    rotation = Rotation.from_matrix(rotation_matrix(start.rotation_deg))
    begin = np.concatenate([rotation.as_rotvec(), [np.log(start.size)], start.offset_lps_mm / 100.0])

    def placed(x: Array) -> Array:
        return np.asarray(Rotation.from_rotvec(x[:3]).apply(own) * np.exp(x[3]) + x[4:] * 100.0)

    def residual(x: Array) -> Array:
        at = placed(x)
        out = distance.at(at)
        out[~ct.holds(at)] = SOFT_MM
        return np.asarray(np.append(out / SOFT_MM, 3.0 * (x[3] / 0.1)))

    done = least_squares(residual, begin, loss="soft_l1", max_nfev=40, diff_step=np.full(7, 1e-3))
    held = ct.holds(placed(done.x))
    if held.mean() < 0.5:
        return start, np.inf
    low, high, _ = RANGES["size"]
    return (
        posed(
            start, Rotation.from_rotvec(done.x[:3]), float(np.clip(np.exp(done.x[3]), low, high)), done.x[4:] * 100.0
        ),
        float(np.minimum(distance.at(placed(done.x))[held], FARTHEST_MM).mean()),
    )


def posed(parameters: PhantomParameters, rotation: Rotation, size: float, offset_lps_mm: Array) -> PhantomParameters:
    """The parameters with another pose, cut to what the phantom allows."""
    x, y, z = rotation.as_euler("xyz", degrees=True)
    turn = np.clip((x, y, z), -MAX_ROTATION_DEG, MAX_ROTATION_DEG)
    low, high, _ = RANGES["size"]
    return replace(
        parameters, size=float(np.clip(size, low, high)), offset_lps_mm=offset_lps_mm, rotation_deg=np.asarray(turn)
    )
