"""The phantom fitted to a CT: its pose and parameters, from edges of bone found along its points' normals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.spatial.transform import Rotation

from sjplan.core.arrays import Array
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import rotation_matrix
from sjplan.segment.curved import CurvedPelvis
from sjplan.segment.start import posed
from sjplan.segment.template import BONES, CORE, CURVE, SHAPE, Points, bounded, moves, surface_points
from sjplan.segment.working import SOFT_HU, Working

CEILING_HU: Final = 400.0
FLOOR_HU: Final = -40.0
"""Values are clipped to these, so that neither metal nor gas nor a thick cortex outweighs a thin one (default)."""

LINE_CEILING_HU: Final = 1200.0
"""The same for dark lines, which lie between bright cortices and may be brighter than marrow (default)."""

HALF_EDGE_MM: Final = 1.5
"""An edge is the difference of what lies so far inside and outside of a place."""

STEP_MM: Final = 0.75
STRONG_HU: Final = 180.0
"""Difference across an edge from which it counts in full (default)."""

PER_MM_HU: Final = 4.0
"""How much stronger an edge has to be for each mm that it lies farther away (default)."""

NOISE_MM: Final = 2.0
"""How far the edges found lie off the best phantom, typically: against this the spread of parameters is weighed."""


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """What was found along the normals: how far outward (n,), and how much it counts, 0 to 1 (n,)."""

    offset_mm: Array
    weight: Array


def edges(ct: Working, lps_mm: Array, normal: Array, reach_mm: float, gap_mm: Array | None = None) -> Edges:
    """The strongest edge from bone to soft tissue along each normal, near ones preferred.

    Parameters
    ----------
    ct : Working
        Clipped and smoothed HU (see `clipped`).
    lps_mm, normal : (n, 3) float
        Places and outward directions.
    reach_mm : float
        How far inward and outward to look.
    gap_mm : (n,) float, optional
        Distance to the nearest other bone. Where it is small the edge is sought at a dark line between bright bone: in
        a joint the strongest fall may be the one from the other bone's cortex to its marrow. Where it is 0 none is.
    """
    t = np.arange(-reach_mm - HALF_EDGE_MM, reach_mm + HALF_EDGE_MM + STEP_MM / 2, STEP_MM)
    places = lps_mm[:, None, :] + t[:, None] * normal[:, None, :]
    values = ct.at(places.reshape(-1, 3)).reshape(len(lps_mm), -1)
    shift = round(2.0 * HALF_EDGE_MM / STEP_MM)
    plain = np.minimum(values, CEILING_HU)
    fall = plain[:, :-shift] - plain[:, shift:]
    offset = t[: fall.shape[1]] + HALF_EDGE_MM
    score = fall - PER_MM_HU * np.abs(offset)
    best = np.argmax(score, axis=1)
    strength = fall[np.arange(len(fall)), best]
    weight = np.clip(strength / STRONG_HU, 0.0, 1.0) ** 2
    weight[~ct.holds(lps_mm)] = 0.0
    # An edge at the end of the search is one that was cut off.
    weight[(best == 0) | (best == fall.shape[1] - 1)] *= 0.2
    place = offset[best]
    if gap_mm is not None:
        facing = gap_mm < FACING_MM
        place[facing], weight[facing] = _lines(values[facing], t, gap_mm[facing], reach_mm)
        weight[facing & ((gap_mm <= 0.0) | ~ct.holds(lps_mm))] = 0.0
    return Edges(place, weight)


FACING_MM: Final = 5.0
"""Bones so near to each other face each other across a joint (default)."""

BESIDE_MM: Final = 4.5
"""How far from a dark line the bright bone on either side of it is looked for (default)."""

DEEP_HU: Final = 90.0
LINE_PER_MM_HU: Final = 30.0
"""How much darker than both its sides a line is that counts in full, and how much darker it has to be for each mm that
it lies farther away: the marrow of a thin plate is a dark line too (default)."""


def _lines(values: Array, t: Array, gap_mm: Array, reach_mm: float) -> tuple[Array, Array]:
    """Where along each normal a dark line lies between bright bone: half a gap before it, and its weight."""
    steps = round(BESIDE_MM / STEP_MM)
    before = maximum_filter1d(values, steps + 1, axis=1, origin=steps // 2)
    beyond = maximum_filter1d(values, steps + 1, axis=1, origin=-(steps // 2))
    depth = np.minimum(before, beyond) - values
    offset = t - 0.5 * gap_mm[:, None]
    score = np.where(np.abs(offset) <= reach_mm, depth - LINE_PER_MM_HU * np.abs(offset), -np.inf)
    best = np.argmax(score, axis=1)
    rows = np.arange(len(values))
    return offset[rows, best], np.clip(depth[rows, best] / DEEP_HU, 0.0, 1.0) ** 2


def clipped(ct: Working) -> Working:
    """HU clipped to what tells bone from soft tissue, and bone from bone."""
    return Working(ct.grid, np.clip(ct.values, FLOOR_HU, LINE_CEILING_HU), SOFT_HU)


def agreement(ct: Working, points: Points) -> float:
    """How well the points lie on edges of bone: 0 not at all, 1 everywhere."""
    found = edges(ct, points.lps_mm, points.normal, 6.0)
    held = ct.holds(points.lps_mm)
    if held.mean() < 0.3:
        return 0.0
    near = np.exp(-0.5 * (found.offset_mm / 3.0) ** 2)
    return float((found.weight * near)[held].mean())


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A phantom that was fitted, with points on its bones."""

    pelvis: CurvedPelvis
    points: Points
    bones: tuple[str, ...] = BONES

    @property
    def parameters(self) -> PhantomParameters:
        """Of the phantom."""
        return self.pelvis.parameters


def start_fit(parameters: PhantomParameters, bones: tuple[str, ...], curve_mm: float = 0.0) -> Fit:
    """A phantom before anything is fitted, with points on some of its bones."""
    pelvis = CurvedPelvis(parameters, curve_mm)
    return Fit(pelvis, surface_points(pelvis, bones), bones)


def bones_present(ct: Working, fit: Fit) -> tuple[str, ...]:
    """The bones of the pelvis, and those of the others that lie on edges of the CT."""
    points, found = surface_points(fit.pelvis), list(CORE)
    seen = edges(ct, points.lps_mm, points.normal, PRESENT_REACH_MM)
    held = ct.holds(points.lps_mm)
    for n, bone in enumerate(BONES):
        own = (points.bone == n) & held
        if bone not in CORE and own.sum() > LEAST_POINTS and seen.weight[own].mean() > PRESENT:
            found.append(bone)
    return tuple(found)


PRESENT: Final = 0.25
PRESENT_REACH_MM: Final = 9.0
LEAST_POINTS: Final = 60
"""Mean weight of edges so near to a bone's points from which it is in the scan, and how many points that needs."""


def fitted(ct: Working, fit: Fit, reaches_mm: tuple[float, ...], shape: bool) -> Fit:
    """One round: pose, and shape where asked for, moved by the linear model of the points; then the phantom anew."""
    parameters, points = fit.parameters, fit.points
    size = parameters.size
    arm = points.lps_mm - parameters.offset_lps_mm
    pose = np.column_stack([np.cross(arm, points.normal), (arm * points.normal).sum(axis=1), points.normal])
    model = np.hstack([pose, moves(fit.pelvis, points)]) if shape else pose
    spreads = [*(s.sd for s in SHAPE.values()), CURVE.sd] if shape else []
    prior_sd = np.array([0.3, 0.3, 0.3, 0.15, 200.0, 200.0, 200.0, *spreads])
    # Priors are about the whole parameter, not the step: distance so far from the usual pelvis.
    so_far = np.zeros(model.shape[1])
    if shape:
        usual = PhantomParameters()
        so_far[7:] = [*(getattr(parameters, n) - getattr(usual, n) for n in SHAPE), fit.pelvis.curve_mm]
    x = np.zeros(model.shape[1])
    for reach in reaches_mm:
        place = (
            points.lps_mm + pose_shift(arm, x[:7]) + ((model[:, 7:] @ x[7:])[:, None] * points.normal if shape else 0.0)
        )
        found = edges(ct, place, Rotation.from_rotvec(x[:3]).apply(points.normal), reach, points.gap_mm)
        target = model @ x + found.offset_mm
        for _ in range(3):
            left = target - model @ x
            weight = found.weight / (1.0 + (left / (0.5 * reach)) ** 2) ** 2
            scale = 1.0 / NOISE_MM**2 * min(1.0, EFFECTIVE / max(weight.sum(), 1.0))
            normal = (model * (weight * scale)[:, None]).T @ model + np.diag(prior_sd**-2.0)
            right = (model * (weight * scale)[:, None]).T @ target - so_far * prior_sd**-2.0
            x = np.linalg.solve(normal, right)
    rotation = Rotation.from_rotvec(x[:3]) * Rotation.from_matrix(rotation_matrix(parameters.rotation_deg))
    new = posed(parameters, rotation, size * float(np.exp(x[3])), parameters.offset_lps_mm + x[4:7])
    curve_mm = fit.pelvis.curve_mm
    if shape:
        values = {n: getattr(parameters, n) + float(d) for n, d in zip(SHAPE, x[7:-1], strict=True)}
        new, curve_mm = bounded(new, values), curve_mm + float(x[-1])
    return start_fit(new, fit.bones, curve_mm)


EFFECTIVE: Final = 400.0
"""How many independent edges the many that were found are worth: neighbours err together (default)."""


def pose_shift(arm: Array, x: Array) -> Array:
    """How far points move by a turn, a scale and a shift."""
    return np.asarray(Rotation.from_rotvec(x[:3]).apply(arm) * np.exp(x[3]) + x[4:7] - arm)
