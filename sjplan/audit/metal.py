"""Metal in a CT: found by its density, parted into implants, and the planned model laid into each.

A scanner blurs metal, mixes it with its surroundings at the rim of a voxel, and cuts its brightness at the end of its
scale; the rim that a threshold finds lies wherever the threshold puts it. What is fitted is therefore the picture: the
model's solid, blurred, at a brightness that is solved for, and cut where the CT is cut. The size of the section is
known, and that settles where its rim lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares
from scipy.special import erf

from sjplan.audit.lines import Found, nearest_planned
from sjplan.audit.meshes import changed, segment_of
from sjplan.audit.pairing import laid_along, paired
from sjplan.audit.registration import METAL_HU
from sjplan.audit.types import PlacedImplant, PlannedImplant, Rigid, Segment
from sjplan.core.arrays import Array, unit
from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.core.volume import CtVolume
from sjplan.geometry.solids import Solid, implant_solid, signed_distance

LEAST_MM3: Final = 300.0
"""Smaller pieces of metal are clips, dental dust and streaks (default; the smallest implant has over 1000)."""

LENGTHS_MM: Final = (18.0, 140.0)
BLOOM_MM: Final = 2.0
"""A piece so long, with nine tenths of its voxels no farther from its axis than the model's corners and this, is taken
for an implant (defaults)."""

FILLED: Final = (0.5, 1.6)
"""Nor has it much less or more metal than the planned section over its length: blur makes it 1.1 to 1.3 (default)."""

MOST_TOUCHING: Final = 6
PART_OF_LENGTH: Final = 0.7
"""A piece that is no implant is taken apart into as few as it can be made up of, up to so many and no more than its
volume allows; each part is at least so long, as a share of the planned length (defaults)."""

AROUND_MM: Final = 4.0
"""So far round a first guess the picture is compared."""

_TABLE_STEP_MM: Final = 0.2
_ROLLS: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class MetalFound:
    """Pieces that may be implants, and how many are metal of another kind (a hip replacement, a clip of size)."""

    pieces: tuple[Segment, ...]
    others: int


def metal_in(ct: CtVolume, planned: Sequence[PlannedImplant], plan_from_ct: Rigid) -> MetalFound:
    """Elongated pieces of metal in a CT, in its own frame.

    Parameters
    ----------
    ct : CtVolume
        Hounsfield units.
    planned : sequence of PlannedImplant
        Say how large one implant is and which way they run: what touches is parted by that.
    plan_from_ct : Rigid
        From the registration.
    """
    label, count = ndimage.label(ct.hu > METAL_HU)
    voxel = ct.grid.voxel_volume_mm3
    volume = np.bincount(label.ravel(order="K"), minlength=count + 1) * voxel
    boxes = ndimage.find_objects(label)
    pieces: list[Segment] = []
    others = 0
    for n in range(1, count + 1):
        if volume[n] < LEAST_MM3:
            continue
        box = boxes[n - 1]
        ijk = np.argwhere(label[box] == n) + [s.start for s in box]
        found = _implants_in(ct.grid.lps_from_ijk(ijk), voxel, planned, plan_from_ct)
        pieces += [Segment(f"metal {len(pieces) + k}", ends) for k, ends in enumerate(found, 1)]
        others += not found
    return MetalFound(tuple(pieces), others)


def _implants_in(
    points: Array, voxel_mm3: float, planned: Sequence[PlannedImplant], plan_from_ct: Rigid
) -> list[Array]:
    """Ends of the fewest implants that a piece can be made up of; none where it can not."""
    middle = plan_from_ct.points(points.mean(axis=0))
    own = nearest_planned(planned, Segment("", np.stack([middle, middle]))).trajectory
    axis = plan_from_ct.rotation.T @ own.axis
    most = round(len(points) * voxel_mm3 / (_section_mm2(own.model) * own.length_mm))
    for several in range(1, most + 1 if most <= MOST_TOUCHING else 2):
        parts = [points] if several == 1 else _parted(points, several, axis)
        segments = [segment_of("", part) for part in parts]
        shortest = LENGTHS_MM[0] if several == 1 else PART_OF_LENGTH * own.length_mm
        if parts and all(_is_one(s, p, voxel_mm3, own.model, shortest) for s, p in zip(segments, parts, strict=True)):
            return [s.ends_lps_mm for s in segments]
    return []


def _is_one(segment: Segment, points: Array, voxel_mm3: float, model: ImplantModel, shortest_mm: float) -> bool:
    first, last = segment.ends_lps_mm
    length = float(np.linalg.norm(last - first))
    thickest = float(np.quantile(_off_line(points, segment), 0.9))
    filled = len(points) * voxel_mm3 / (_section_mm2(model) * max(length, 1.0))
    long_enough = shortest_mm <= length <= LENGTHS_MM[1]
    return long_enough and thickest <= model.circumscribed_radius_mm + BLOOM_MM and FILLED[0] <= filled <= FILLED[1]


def _parted(points: Array, several: int, axis: Array) -> list[Array]:
    """Points by the nearest of several lines, which begin side by side along `axis`; none where a line loses all."""
    across = points - np.outer(points @ axis, axis)
    spread = np.linalg.svd(across - across.mean(axis=0), full_matrices=False)[2][0]
    at = across @ spread
    groups = np.searchsorted(np.quantile(at, np.arange(1, several) / several), at)
    for _ in range(20):
        parts = [points[groups == n] for n in range(several)]
        if min(len(part) for part in parts) < 10:
            return []
        again = np.stack([_off_line(points, segment_of("", part)) for part in parts], axis=1).argmin(axis=1)
        if (again == groups).all():
            break
        groups = again
    return parts


def _off_line(points: Array, segment: Segment) -> Array:
    first, last = segment.ends_lps_mm
    axis = unit(last - first)
    off = points - first
    return np.asarray(np.linalg.norm(off - (off @ axis)[:, None] * axis, axis=1))


def _section_mm2(model: ImplantModel) -> float:
    """Area of a section, by the mean of its inner and outer circle."""
    return float(np.pi * (0.5 * (model.inscribed_radius_mm + model.circumscribed_radius_mm)) ** 2)


def placed_from_metal(ct: CtVolume, planned: Sequence[PlannedImplant], found: MetalFound, plan_from_ct: Rigid) -> Found:
    """Implants of the planned models laid into pieces of metal, in the frame of the plan.

    Parameters
    ----------
    ct : CtVolume
        Where the metal was found.
    planned : sequence of PlannedImplant
        At least one.
    found : MetalFound
        From `metal_in`.
    plan_from_ct : Rigid
        From the registration.
    """
    moved = [Segment(s.name, plan_from_ct.points(s.ends_lps_mm)) for s in found.pieces]
    pairing = paired(planned, moved)
    fitted = {row: _in_plan(ct, planned[row].trajectory, moved[column], plan_from_ct) for row, column in pairing.pairs}
    extra = [_in_plan(ct, nearest_planned(planned, moved[n]).trajectory, moved[n], plan_from_ct) for n in pairing.extra]
    return fitted, extra


def _in_plan(ct: CtVolume, planned: Trajectory, found: Segment, plan_from_ct: Rigid) -> PlacedImplant:
    entry, tip = plan_from_ct.inverse.points(laid_along(planned, found).ends_lps_mm)
    trajectory, rms = fitted_to_metal(ct, planned.model, entry, tip)
    ends = plan_from_ct.points(np.stack([trajectory.entry_lps_mm, trajectory.tip_lps_mm]))
    corner = plan_from_ct.rotation @ trajectory.section_axes()[0]
    start = Trajectory(ends[0], ends[1], 0.0, planned.model)
    u, v = start.section_axes()
    roll = float(np.degrees(np.arctan2(corner @ v, corner @ u)))
    placed = Trajectory(ends[0], ends[1], roll, planned.model)
    return PlacedImplant(found.name, placed, planned.model.section == "triangle", rms)


def fitted_to_metal(ct: CtVolume, model: ImplantModel, entry: Array, tip: Array) -> tuple[Trajectory, float]:
    """The implant whose blurred picture is most like the CT's, and what is left over as a share of its brightness.

    Parameters
    ----------
    ct : CtVolume
        Hounsfield units, perhaps cut at the end of the scanner's scale.
    model : ImplantModel
        What was placed.
    entry, tip : (3,) float
        About where, LPS mm of the CT.
    """
    scene = _Scene.round(ct, Trajectory(entry, tip, 0.0, model))
    rolls = np.arange(_ROLLS) * 120.0 / _ROLLS if model.section == "triangle" else np.zeros(1)
    start_metal = max(9000.0, scene.cap) if scene.cap < np.inf else float(scene.hu.max())
    first = _best_at_rolls(scene, Trajectory(entry, tip, 0.0, model), rolls, start_metal)
    first = _solved(scene, *first)
    if len(rolls) > 1:
        # Ends and axis were a guess when the roll was chosen: where another looks better from here, it is tried.
        again = _best_at_rolls(scene, first[0], rolls, *first[1:])
        if again[0].roll_deg != first[0].roll_deg:
            first = min((first, _solved(scene, *again)), key=lambda f: scene.cost(*f))
    trajectory, metal, sigma, ground = first
    rest = scene.picture(trajectory, metal, sigma, ground) - scene.hu
    return trajectory, float(np.sqrt(np.mean(rest**2)) / (min(metal, scene.cap) - ground))


_Fit = tuple[Trajectory, float, float, float]
"""Trajectory, brightness of the metal (HU), blur (mm), brightness of what is round it (HU)."""


def _best_at_rolls(
    scene: _Scene, start: Trajectory, rolls: Array, metal: float, sigma: float = 0.7, ground: float = 200.0
) -> _Fit:
    trials = [Trajectory(start.entry_lps_mm, start.tip_lps_mm, start.roll_deg + float(r), start.model) for r in rolls]
    return min(((t, metal, sigma, ground) for t in trials), key=lambda f: scene.cost(*f))


def _solved(scene: _Scene, start: Trajectory, metal: float, sigma: float, ground: float) -> _Fit:
    triangle = start.model.section == "triangle"
    scale = 0.1 * (min(metal, scene.cap) - ground)

    def unpacked(x: Array) -> _Fit:
        moved = changed(start, np.append(x[:6], x[9] / 6.0) if triangle else x[:6])
        return moved, metal * np.exp(x[6]), sigma * np.exp(x[7]), ground + 1000.0 * x[8]

    def rest(x: Array) -> Array:
        return np.asarray((scene.picture(*unpacked(x)) - scene.hu) / scale)

    # All unknowns are in steps of about a millimetre's effect, so that one difference step serves them all.
    size = 10 if triangle else 9
    result = least_squares(
        rest, np.zeros(size), loss="soft_l1", diff_step=np.full(size, 1e-3), max_nfev=25, xtol=1e-5, tr_solver="lsmr"
    )
    return unpacked(result.x)


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """The voxels round an implant: places (n, m, 3) that each value is a mean of, values, end of the scale."""

    at_lps_mm: Array
    hu: Array
    cap: float

    @classmethod
    def round(cls, ct: CtVolume, guess: Trajectory) -> _Scene:
        reach = guess.model.circumscribed_radius_mm + AROUND_MM
        ends = ct.grid.ijk_from_lps(np.stack([guess.entry_lps_mm, guess.tip_lps_mm]))
        pad = reach / ct.grid.spacing_mm + 1
        low = np.clip(np.floor(ends.min(axis=0) - pad), 0, None).astype(int)
        high = np.minimum(np.ceil(ends.max(axis=0) + pad) + 1, ct.grid.shape).astype(int)
        box = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
        ijk = box.reshape(-1, 3)
        at = ct.grid.lps_from_ijk(ijk)
        off = at - guess.entry_lps_mm
        along = off @ guess.axis
        across = np.linalg.norm(off - along[:, None] * guess.axis, axis=1)
        near = (across <= reach) & (along >= -AROUND_MM - 2.0) & (along <= guess.length_mm + AROUND_MM + 2.0)
        hu = ct.hu[tuple(ijk[near].T)].astype(np.float64)
        brightest = float(ct.hu.max())
        cut = int((hu >= brightest - 0.5).sum()) > 20
        parts = np.maximum(1, np.rint(ct.grid.spacing_mm / 0.8)).astype(int)
        within = [(np.arange(n) + 0.5) / n - 0.5 for n in parts]
        inner = np.stack(np.meshgrid(*within, indexing="ij"), axis=-1).reshape(-1, 3) @ ct.grid.matrix.T
        return cls(at[near][:, None, :] + inner[None], hu, brightest if cut else np.inf)

    def picture(self, trajectory: Trajectory, metal: float, sigma: float, ground: float) -> Array:
        """What the CT would show of an implant."""
        sigma = float(np.clip(sigma, 0.2, 3.0))
        u, v = trajectory.section_axes()
        off = self.at_lps_mm - trajectory.entry_lps_mm
        root = np.sqrt(2.0) * sigma
        along = off @ trajectory.axis
        ends = 0.5 * (erf(along / root) - erf((along - trajectory.length_mm) / root))
        share = (ends * _blurred_section(trajectory, sigma, off @ u, off @ v)).mean(axis=1)
        return np.asarray(np.minimum(ground + (metal - ground) * share, self.cap))

    def cost(self, trajectory: Trajectory, metal: float, sigma: float, ground: float) -> float:
        scale = 0.1 * (min(metal, self.cap) - ground)
        rest = (self.picture(trajectory, metal, sigma, ground) - self.hu) / scale
        return float((np.sqrt(1.0 + rest**2) - 1.0).sum())


def _blurred_section(trajectory: Trajectory, sigma: float, x: Array, y: Array) -> Array:
    """The section's blurred indicator at (x, y): exact for a Gaussian blur, read off a table."""
    packed = implant_solid(trajectory).packed
    table, reach = _section_table(float(packed[13]), float(packed[14]), sigma)
    at = (np.stack([x.ravel(), y.ravel()]) + reach) / _TABLE_STEP_MM
    return np.asarray(ndimage.map_coordinates(table, at, order=1, mode="nearest").reshape(x.shape))


@lru_cache(maxsize=32)
def _section_table(core: float, rounding: float, sigma: float) -> tuple[Array, float]:
    """A square of the blurred section, and its half-width (mm); the section's corner points along the first axis."""
    reach = _TABLE_STEP_MM * np.ceil((core + rounding + 4.0 * sigma + 0.5) / _TABLE_STEP_MM)
    axis = np.arange(-reach, reach + 0.5 * _TABLE_STEP_MM, _TABLE_STEP_MM)
    u, v = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    endless = Solid(np.concatenate([(0, 0, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (1000.0, core, rounding)]))
    distance = signed_distance(endless, np.column_stack([u, v, np.full_like(u, 500.0)])).reshape(len(axis), -1)
    # Soft by half a step, so that its rim does not jump from node to node; that softness is a part of the blur.
    own = 0.5 * _TABLE_STEP_MM
    sharp = 0.5 * (1.0 - erf(distance / (np.sqrt(2.0) * own)))
    rest = np.sqrt(max(sigma**2 - own**2, 1e-6)) / _TABLE_STEP_MM
    return ndimage.gaussian_filter(sharp, rest, mode="nearest", truncate=4.0), reach
