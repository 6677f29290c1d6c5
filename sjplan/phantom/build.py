"""Builds a phantom: CT, labels and truth from parameters and a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap
from sjplan.core.volume import CtVolume
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import BONES, Pelvis
from sjplan.phantom.sampling import Band, lps_of, sample_band
from sjplan.phantom.survey import survey
from sjplan.phantom.tissue import NOISE_HU, Texture, Volume, add_bone, soft_tissue
from sjplan.phantom.truth import PhantomTruth

Scalar = TypeVar("Scalar", bound=np.generic)
Progress = Callable[[str, float], None]

EXTENT_MM: Final = ((-158.0, -112.0, -194.0), (158.0, 96.0, 92.0))
"""Box of the pelvic frame at size 1 that the grid holds: the pelvis, L5, L4 and the soft tissue round them."""

SPACING_RANGE_MM: Final = (0.4, 4.0)
"""Voxel edges that can be built: finer needs gigabytes, coarser shows no joint."""

BAND_MM: Final = 3.5
"""Depth to which distances are exact: more than the thickest cortex."""


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A phantom pelvis: what a scanner would give, what a segmentation would give, and the truth."""

    ct: CtVolume
    labels: LabelMap
    truth: PhantomTruth


def build_phantom(
    parameters: PhantomParameters,
    spacing_mm: float | ArrayLike = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Phantom:
    """Build one phantom.

    The labels depend on the parameters and the spacing alone; the seed draws trabecular texture and image noise.

    Parameters
    ----------
    parameters : PhantomParameters
        What to build.
    spacing_mm : float or (3,) float
        Voxel edge, 0.4 to 4 mm.
    seed : int
        Seed of texture and noise, >= 0.
    progress : callable, optional
        Called with what is being done and the fraction done, 0 to 1.

    Returns
    -------
    Phantom
        Volumes on one grid along the scanner's axes, x fastest in memory.

    Raises
    ------
    InputError
        For a spacing out of range or a negative seed.

    Examples
    --------
    >>> phantom = build_phantom(PhantomParameters(), spacing_mm=4.0)
    >>> phantom.labels.present()
    ('sacrum', 'vertebrae_L5', 'vertebrae_L4', 'femur_left', 'femur_right', 'hip_left', 'hip_right')
    """
    if seed < 0:
        raise InputError("phantom seed", found=f"{seed}", wanted=">= 0")
    tell = progress or (lambda what, fraction: None)
    spacing = _checked_spacing(spacing_mm)
    rng = np.random.default_rng(seed)
    tell("shaping the bones", 0.0)
    pelvis = Pelvis(parameters)
    grid = _grid(parameters, pelvis, spacing)
    voxel_mm = float(np.cbrt(grid.voxel_volume_mm3))
    tell("filling in soft tissue", 0.03)
    hu = _soft_tissue_volume(pelvis, grid, voxel_mm)
    label = np.zeros(grid.shape, dtype=np.uint8, order="F")
    texture = Texture.drawn(rng)
    ids = {name: i for i, name in TOTALSEGMENTATOR_V2.items()}
    for n, bone in enumerate(BONES):
        tell(f"sampling {bone}", 0.15 + 0.7 * n / len(BONES))
        band = sample_band(lambda p, bone=bone: pelvis.bone_mm(bone, p), grid, BAND_MM)  # type: ignore[misc]
        add_bone(hu, bone, band, pelvis, _points_of(band, grid, voxel_mm), texture, voxel_mm)
        view = label[band.slices]
        view[band.distance_mm < 0] = ids[bone]
    tell("adding noise", 0.88)
    ct = CtVolume(grid, _with_noise(hu, rng))
    names = {ids[bone]: bone for bone in BONES}
    labels = LabelMap(grid, _sealed(label), names)
    tell("measuring the truth", 0.95)
    truth = survey(pelvis)
    tell("done", 1.0)
    return Phantom(ct, labels, truth)


def _checked_spacing(spacing_mm: float | ArrayLike) -> Array:
    spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (3,)) if np.size(spacing_mm) in (1, 3) else None
    low, high = SPACING_RANGE_MM
    if spacing is None or not ((spacing >= low) & (spacing <= high)).all():
        raise InputError(
            "phantom spacing_mm",
            found=f"{spacing_mm!r}",
            wanted=f"{low:g} to {high:g} mm, one value or one for each axis",
        )
    return spacing


def _grid(parameters: PhantomParameters, pelvis: Pelvis, spacing: Array) -> Grid:
    """A grid along the scanner's axes that holds the posed pelvis."""
    low, high = np.array(EXTENT_MM)
    corners = np.array(
        [[(low, high)[i][0], (low, high)[j][1], (low, high)[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    )
    posed = pelvis.lps_from_pelvic(corners)
    start, stop = posed.min(axis=0), posed.max(axis=0)
    n = np.ceil((stop - start) / spacing).astype(int) + 1
    return Grid((int(n[0]), int(n[1]), int(n[2])), spacing, start, np.eye(3))


def _soft_tissue_volume(pelvis: Pelvis, grid: Grid, voxel_mm: float) -> Volume:
    hu: Volume = np.zeros(grid.shape, dtype=np.float32, order="F")
    plane = np.stack(np.meshgrid(*[np.arange(n) for n in (*grid.shape[:2], 1)], indexing="ij"), axis=-1).reshape(-1, 3)
    for k in range(grid.shape[2]):
        points = lps_of(grid, plane + np.array((0, 0, k)))
        hu[:, :, k] = soft_tissue(pelvis, points, voxel_mm).reshape(grid.shape[:2])
    return hu


def _points_of(band: Band, grid: Grid, voxel_mm: float) -> Array:
    return lps_of(grid, np.argwhere(band.distance_mm < 0.5 * voxel_mm) + band.start)


def _with_noise(hu: Volume, rng: np.random.Generator) -> NDArray[np.int16]:
    """Round to int16 after adding noise inside the body; air keeps its exact value."""
    out = np.zeros(hu.shape, dtype=np.int16, order="F")
    for k in range(hu.shape[2]):
        plane = hu[:, :, k]
        noise = rng.standard_normal(plane.shape, dtype=np.float32) * np.float32(NOISE_HU)
        out[:, :, k] = np.rint(plane + np.where(plane > -900.0, noise, 0.0)).clip(-1000, 3000)
    return _sealed(out)


def _sealed(values: NDArray[Scalar]) -> NDArray[Scalar]:
    values.setflags(write=False)
    return values
