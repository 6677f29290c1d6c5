"""L4 and L5 above the sacrum with the discs between: how they stand, lean, bend and keep clear of each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from sjplan.core.arrays import Array, frozen
from sjplan.core.errors import unknown_name
from sjplan.phantom.bones.femur import femur_mm
from sjplan.phantom.bones.parts import near_box, unsigned
from sjplan.phantom.bones.shapes import cone, ellipse, smooth_max, smooth_min
from sjplan.phantom.bones.vertebra import (
    DISH_MM,
    L4,
    L5,
    L5_ABOVE_LUMBARISED_S1,
    L5_SACRALISED,
    SECTION_POWER,
    WIDEST_Y_MM,
    Vertebra,
)
from sjplan.phantom.kernels import affine

__all__ = ["DISCS", "SPINE_LEVELS", "Place", "Spine", "femur_mm", "vertebra_mm"]

# Sacral frame: x to the left, y posterior, z cranial along the normal of the S1 endplate, origin at its centre; mm.

SPINE_LEVELS: Final = ("L5", "L4")
DISCS: Final = ("L5S1", "L4L5")
"""Names of the vertebrae and discs, from below."""

DISC_HEIGHT_MM: Final = (10.0, 11.0)
"""Height of the L5/S1 and L4/5 discs in their middle (recalled)."""

LORDOSIS_DEG: Final = (13.0, 9.0)
"""Angle between the endplates of either disc, open to the front (L5/S1 12 to 14, recalled; L4/5 default)."""

SACRALISED_DISC: Final = (5.5, 6.0)
"""Height and lordosis of the rudimentary disc below a sacralised L5 (default)."""

REFERENCE_S1_MM: Final = (49.0, 31.5)
"""Width and depth of S1's body to which the sizes of L4 and L5 belong (as the parameters' defaults)."""

TWIST_SHARE: Final = 0.35
"""Axial turn of a vertebra over the disc's side bend, spinous process to the hollow side (coupled; default)."""

FACET_GAP_MM: Final = 2.0
"""Cartilage between articular processes, kept all round (recalled: 2 to 4)."""

PSEUDO_JOINT_MM: Final = 1.5
"""Between the broad transverse process of a sacralised L5 and the ala (default)."""

ENDPLATE_GAP_MM: Final = 0.3
"""Between a disc and the bone above and below it: a disc touches no bone label (default)."""

CARVING_REACH_MM: Final = 4.0
"""A neighbour is asked for its distance within this reach of a vertebra only."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where something stands in the sacral frame.

    Parameters
    ----------
    origin_mm : (3,) float
        Its origin.
    axes : (3, 3) float
        Columns are its axes: left, posterior, cranial.
    """

    origin_mm: Array
    axes: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin_mm", frozen(self.origin_mm))
        object.__setattr__(self, "axes", frozen(self.axes))

    def local_mm(self, p: Array) -> Array:
        """Coordinates in this place of points (n, 3) in the sacral frame."""
        turned = np.ascontiguousarray(self.axes.T)
        return np.asarray(affine(np.ascontiguousarray(p), turned, -(turned @ self.origin_mm)))

    def sacral_mm(self, p: Array) -> Array:
        """Points (n, 3) of this place in the sacral frame."""
        return np.asarray(p @ self.axes.T + self.origin_mm)

    def moved(self, up_mm: float, back_mm: float = 0.0) -> Place:
        """The place so far up and back along its own axes."""
        return Place(self.origin_mm + self.axes @ np.array((0.0, back_mm, up_mm)), self.axes)

    def turned(self, lean_deg: float, bend_deg: float = 0.0) -> Place:
        """Turned about itself: leaning back, and bent to the left with the twist that goes with it."""
        turn = Rotation.from_euler("xyz", (-lean_deg, bend_deg, -TWIST_SHARE * bend_deg), degrees=True)
        return Place(self.origin_mm, self.axes @ turn.as_matrix())


class Spine:
    """L5, L4 and their discs.

    Parameters
    ----------
    s1_body_width_mm, s1_body_depth_mm : float
        Body of S1: L5 and L4 widen and deepen with it.
    scoliosis_deg : float
        Side bend between S1 and L4, positive to the left, half of it in either disc.
    transitional : str
        "none", "sacralised-l5" or "lumbarised-s1".
    around_mm : callable, optional
        Signed distance (n,) of points (n, 3) in the sacral frame, x signed, to the bones beside L5 (sacrum and hips):
        L5 keeps a joint's gap off them, so that facets match. Without it, a stand-in for S1 is used.

    Raises
    ------
    UnknownNameError
        For an unknown kind of transition.

    Examples
    --------
    >>> spine = Spine(scoliosis_deg=10.0)
    >>> bool(spine.places["L4"].origin_mm[0] > spine.places["L5"].origin_mm[0] > 0)
    True
    """

    def __init__(
        self,
        s1_body_width_mm: float = REFERENCE_S1_MM[0],
        s1_body_depth_mm: float = REFERENCE_S1_MM[1],
        scoliosis_deg: float = 0.0,
        transitional: str = "none",
        around_mm: Callable[[Array], Array] | None = None,
    ) -> None:
        kinds = {"none": L5, "sacralised-l5": L5_SACRALISED, "lumbarised-s1": L5_ABOVE_LUMBARISED_S1}
        if transitional not in kinds:
            raise unknown_name("spine transitional", transitional, kinds)
        self._half_mm = (s1_body_width_mm / 2.0, s1_body_depth_mm / 2.0)
        factors = s1_body_width_mm / REFERENCE_S1_MM[0], s1_body_depth_mm / REFERENCE_S1_MM[1]
        self.vertebrae = {
            "L5": Vertebra(kinds[transitional].resized(*factors)),
            "L4": Vertebra(L4.resized(*factors)),
        }
        sacralised = transitional == "sacralised-l5"
        self._around_mm = around_mm or self._s1_mm
        self._gap_mm = PSEUDO_JOINT_MM if sacralised else FACET_GAP_MM
        self.places: dict[str, Place] = {}
        self._stack(SACRALISED_DISC if sacralised else (DISC_HEIGHT_MM[0], LORDOSIS_DEG[0]), scoliosis_deg / 2.0)

    def _stack(self, lowest: tuple[float, float], bend_deg: float) -> None:
        """Place discs and vertebrae from below; `tops` are the endplates that bound each disc."""
        self.rims: dict[str, tuple[Place, Place]] = {}
        at = Place(np.zeros(3), np.eye(3))
        wall = self._half_mm[1] - 1.0
        for disc, level, (height, lordosis) in zip(
            DISCS, SPINE_LEVELS, (lowest, (DISC_HEIGHT_MM[1], LORDOSIS_DEG[1])), strict=True
        ):
            form = self.vertebrae[level].form
            below = at
            middle = below.turned(lordosis / 2.0, bend_deg / 2.0).moved(height / 2.0)
            rim = middle.moved(height / 2.0, wall - form.wall_y_mm).turned(lordosis / 2.0, bend_deg / 2.0)
            self.places[disc], self.rims[disc] = middle, (below, rim)
            self.places[level] = rim.turned(form.wedge_deg / 2.0).moved(form.height_mm / 2.0)
            at = self.places[level].moved(form.height_mm / 2.0).turned(form.wedge_deg / 2.0)
            wall = form.wall_y_mm

    def vertebra_mm(self, level: str, p: Array) -> Array:
        """First-order signed distance (n,) to L5 or L4; points (n, 3) in the sacral frame, x positive to the left.

        Far from the bone a lower bound.

        Raises
        ------
        UnknownNameError
            For another level.
        """
        if level not in self.vertebrae:
            raise unknown_name("vertebra", level, SPINE_LEVELS)
        bone = self._whole_mm(level, p)
        near = bone < CARVING_REACH_MM
        if near.any():
            if level == "L5":
                beside = self._gap_mm - self._around_mm(p[near])
            else:
                beside = FACET_GAP_MM - self._whole_mm("L5", p[near])
            bone[near] = smooth_max(bone[near], beside, 1.0)
        return bone

    def _whole_mm(self, level: str, p: Array) -> Array:
        return self.vertebrae[level].bone_mm(self.places[level].local_mm(p))

    def disc_mm(self, disc: str, p: Array) -> Array:
        """First-order signed distance (n,) to the disc "L5S1" or "L4L5"; points as for `vertebra_mm`.

        Raises
        ------
        UnknownNameError
            For another name.
        """
        if disc not in DISCS:
            raise unknown_name("disc", disc, DISCS)
        half = np.array((*(1.15 * np.array(self.vertebrae["L5"].form.body_half_mm)), 12.0))
        return near_box(
            self.places[disc].local_mm(p), -half, half, lambda q: self._disc_mm(disc, q, self.places[disc].sacral_mm(q))
        )

    def _disc_mm(self, disc: str, q: Array, p: Array) -> Array:
        level = SPINE_LEVELS[DISCS.index(disc)]
        above = self.vertebrae[level]
        half_x, half_y = above.form.body_half_mm
        round_ = ellipse(q[:, 0], q[:, 1] - WIDEST_Y_MM, 0.98 * half_x, half_y + WIDEST_Y_MM - 0.5, SECTION_POWER)
        round_ = smooth_max(round_, q[:, 1] - above.form.wall_y_mm - 0.5, 6.0)
        low, high = self.rims[disc]
        # Between the rims, and in the middle as far as the endplates are hollow.
        hollow = np.maximum(1.0 - (q[:, 0] / (0.9 * half_x)) ** 2 - (q[:, 1] / (0.9 * half_y)) ** 2, 0.0)
        plate = np.maximum(-low.local_mm(p)[:, 2], high.local_mm(p)[:, 2]) - 1.3 * DISH_MM * hollow
        whole = smooth_max(round_, plate, 1.5)
        whole = np.maximum(whole, ENDPLATE_GAP_MM - self._whole_mm(level, p))
        near = whole < CARVING_REACH_MM
        if near.any():
            below = self._around_mm(p[near]) if disc == "L5S1" else self._whole_mm("L5", p[near])
            whole[near] = np.maximum(whole[near], ENDPLATE_GAP_MM - below)
        return np.asarray(whole)

    def canal_middle_mm(self, level: str) -> Array:
        """Middle of the vertebral canal at the level's upper rim, middle and lower rim, (3, 3) in the sacral frame."""
        form = self.vertebrae[level].form
        y = form.wall_y_mm + 0.45 * form.canal_height_mm
        local = np.array([(0.0, y, share * form.height_mm) for share in (0.5, 0.0, -0.5)])
        return self.places[level].sacral_mm(local)

    def below_pedicle_mm(self, level: str, sign: float, radius_mm: float) -> Array:
        """Where a root of that radius passes below the pedicle, (3,) in the sacral frame; sign 1 is left."""
        form = self.vertebrae[level].form
        pedicle = next(part for part in form.arch if part.name == "pedicle")
        x, y, z = pedicle.end_mm
        local = np.array([(sign * (x + 1.0), 0.5 * (y + pedicle.start_mm[1]), z - max(pedicle.radii_mm) - radius_mm)])
        return np.asarray(self.places[level].sacral_mm(local)[0])

    def beside_body_mm(self, level: str, sign: float, radius_mm: float) -> Array:
        """Where that root then passes the side of the body, (3,) in the sacral frame."""
        form = self.vertebrae[level].form
        _, _, z = self.places[level].local_mm(self.below_pedicle_mm(level, sign, radius_mm)[None])[0]
        local = np.array([(sign * (0.95 * form.body_half_mm[0] + radius_mm), 3.0, z - 3.0)])
        return np.asarray(self.places[level].sacral_mm(local)[0])

    def _s1_mm(self, p: Array) -> Array:
        """A stand-in for S1 and its superior articular processes."""
        half_x, half_y = self._half_mm
        q = unsigned(p)
        rim = 1.2 * (np.clip(q[:, 0] / half_x, -1, 1) ** 2 + np.clip(q[:, 1] / half_y, -1, 1) ** 2)
        body = smooth_max(ellipse(q[:, 0], q[:, 1], half_x, half_y, 2.4), q[:, 2] - rim, 2.5)
        return smooth_min(body, cone(q, (20.0, 33.0, -12.0), (21.5, 37.0, 7.0), 7.0, 4.0), 4.0)


_ADULT: Final = Spine()


def vertebra_mm(level: str, p: Array) -> Array:
    """First-order signed distance to the L5 or L4 of an adult, points in the sacral frame.

    Examples
    --------
    >>> bool(vertebra_mm("L5", np.array([[0.0, 4.0, 25.0]]))[0] < 0)
    True
    """
    return _ADULT.vertebra_mm(level, p)
