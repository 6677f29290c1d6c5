"""Builds a phantom: CT, labels and truth from parameters and a seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import SJPLAN_OWN, TOTALSEGMENTATOR_V2, LabelMap
from sjplan.core.volume import CtVolume
from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.courses.tubes import is_vessel, label_of, tubes_of
from sjplan.phantom.field_of_view import scan_grid
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import BONES, Pelvis
from sjplan.phantom.sampling import Band, exact_reach_mm, sample_band
from sjplan.phantom.tissue.body import Body
from sjplan.phantom.tissue.layers import lay_out, paint_tissue
from sjplan.phantom.truth.facts import PhantomTruth
from sjplan.phantom.truth.survey import survey

Scalar = TypeVar("Scalar", bound=np.generic)
Progress = Callable[[str, float], None]

SPACING_RANGE_MM: Final = (0.4, 4.0)
"""Voxel edges that can be built: finer needs gigabytes, coarser shows no joint."""

LABEL_BAND_MM: Final = 0.0
CT_BAND_MM: Final = 8.0
"""Depth to which distances are wanted: their sign alone for labels, more than the thickest shell for a CT."""

DISC_LABELS: Final = {"L5S1": "disc_L5_S1", "L4L5": "disc_L4_L5"}
"""Names in a label map of the discs."""

IDS: Final = {name: i for i, name in (*TOTALSEGMENTATOR_V2.items(), *SJPLAN_OWN.items())}

THREADS: Final = 2
"""Threads of one build, if nothing else is asked for: more gain little, and cohorts run builds side by side."""


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
    *,
    threads: int | None = None,
) -> Phantom:
    """Build one phantom.

    Bones, discs, nerve roots and vessels have labels. They depend on the parameters and the spacing alone; the seed
    draws bowel, texture and image noise. The same seed gives the same bytes on any number of threads.

    Parameters
    ----------
    parameters : PhantomParameters
        What to build.
    spacing_mm : float or (3,) float
        Voxel edge, 0.4 to 4 mm.
    seed : int
        Seed of bowel, texture and noise, >= 0.
    progress : callable, optional
        Called with what is being done and the fraction done, 0 to 1.
    threads : int, optional
        How many threads work on it; two where the machine has them.

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
    >>> phantom.labels.present()[:3]
    ('sacrum', 'vertebrae_L5', 'vertebrae_L4')
    """
    if seed < 0:
        raise InputError("phantom seed", found=f"{seed}", wanted=">= 0")
    tell = progress or (lambda what, fraction: None)
    spacing = _checked_spacing(spacing_mm)
    tell("shaping the bones", 0.0)
    pelvis = Pelvis(parameters)
    body = Body(parameters.habitus)
    grid = scan_grid(pelvis, body, spacing)
    with ThreadPoolExecutor(_threads(threads)) as pool:
        sampled = _bands(pelvis, grid, CT_BAND_MM, pool)
        tissue = pool.submit(lay_out, pelvis, body, grid, seed)
        tubes = tubes_of(pelvis)
        soft = _soft_bands(pelvis, grid, tubes, pool)
        tell("measuring the truth", 0.05)
        truth = survey(pelvis)
        bands: dict[str, Band] = {}
        for n, (bone, band) in enumerate(sampled):
            bands[bone] = band
            tell(f"sampling {bone}", 0.08 + 0.32 * n / len(BONES))
        tell("sampling nerves and vessels", 0.4)
        tube_bands = {name: soft[name].result() for name in tubes}
        labels = _labels(grid, _painted(soft), bands)
        tell("filling in tissue", 0.45)
        hu = paint_tissue(pelvis, body, grid, tissue.result(), bands, tubes, tube_bands, seed, pool)
    tell("done", 1.0)
    return Phantom(CtVolume(grid, _sealed(hu)), labels, truth)


def build_labels(
    parameters: PhantomParameters, spacing_mm: float | ArrayLike = 1.0, *, threads: int | None = None
) -> tuple[LabelMap, Pelvis]:
    """The labels of one phantom's bones, and the bones, without a CT: all that planning needs, in a third of the time.

    Bones have the labels that `build_phantom` gives them; discs, nerves and vessels are left out.

    Parameters
    ----------
    parameters : PhantomParameters
        What to build.
    spacing_mm : float or (3,) float
        Voxel edge, 0.4 to 4 mm.
    threads : int, optional
        How many threads work on it; two where the machine has them.

    Raises
    ------
    InputError
        For a spacing out of range.

    Examples
    --------
    >>> labels, pelvis = build_labels(PhantomParameters(), spacing_mm=4.0)
    >>> bool(labels.mask("sacrum").any()), pelvis.parameters.size
    (True, 1.0)
    """
    spacing = _checked_spacing(spacing_mm)
    pelvis = Pelvis(parameters)
    grid = scan_grid(pelvis, Body(parameters.habitus), spacing)
    with ThreadPoolExecutor(_threads(threads)) as pool:
        bands = dict(_bands(pelvis, grid, LABEL_BAND_MM, pool))
    return _labels(grid, (), bands), pelvis


def _threads(wanted: int | None) -> int:
    return max(1, wanted) if wanted is not None else min(THREADS, os.cpu_count() or 1)


def _bands(pelvis: Pelvis, grid: Grid, band_mm: float, pool: ThreadPoolExecutor) -> Iterable[tuple[str, Band]]:
    """Distances of every bone, in the order of `BONES`."""

    def sampled(bone: str) -> Band:
        return sample_band(lambda p: pelvis.bone_mm(bone, p), grid, band_mm)

    return zip(BONES, pool.map(sampled, BONES), strict=True)


def _soft_bands(
    pelvis: Pelvis, grid: Grid, tubes: Mapping[str, Tube], pool: ThreadPoolExecutor
) -> dict[str, Future[Band]]:
    """Distances of vessels, nerves and discs by name, in the order in which they are painted."""
    reach = exact_reach_mm(grid)
    found = {
        name: pool.submit(sample_band, tubes[name].distance_mm, grid, reach)
        for name in sorted(tubes, key=is_vessel, reverse=True)
    }
    for disc in DISC_LABELS:
        found[disc] = pool.submit(sample_band, partial(pelvis.disc_mm, disc), grid, LABEL_BAND_MM)
    return found


def _painted(soft: Mapping[str, Future[Band]]) -> Iterable[tuple[str, Band]]:
    """The same by the name of its label."""
    return ((DISC_LABELS.get(name) or label_of(name), band.result()) for name, band in soft.items())


def _labels(grid: Grid, soft: Iterable[tuple[str, Band]], bones: Mapping[str, Band]) -> LabelMap:
    """Everything by name; where two meet, the later one stays."""
    label = np.zeros(grid.shape, dtype=np.uint8, order="F")
    drawn: dict[str, list[Band]] = {}
    for name, band in (*soft, *((bone, bones[bone]) for bone in BONES)):
        label[band.slices][band.distance_mm < 0] = IDS[name]
        drawn.setdefault(name, []).append(band)
    left = {name for name, bands in drawn.items() if any((label[band.slices] == IDS[name]).any() for band in bands)}
    names = {i: name for name, i in IDS.items() if name in left}
    return LabelMap(grid, _sealed(label), names)


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


def _sealed(values: NDArray[Scalar]) -> NDArray[Scalar]:
    values.setflags(write=False)
    return values
