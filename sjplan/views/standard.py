"""The C-arm poses of one patient's standard views, found from the bones instead of from population means.

Everything is relative to the patient's own pelvis, so that a patient who lies oblique gets true views; the numbers
that come out are relative to the scan's coronal plane. docs/carm.md tells each view's definition and source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_vector, unit
from sjplan.core.errors import AnatomyError, InputError, unknown_name
from sjplan.core.frames import SIDE_SIGN, SIDES, AnatomicalFrame
from sjplan.views.true_lateral import true_lateral
from sjplan.xray.carm import carm_angles, carm_rotation
from sjplan.xray.types import CArm

VIEW_NAMES: Final = (
    "ap",
    "lateral",
    "inlet",
    "inlet-canal",
    "outlet",
    "outlet-s1",
    *(f"{view}-{side}" for view in ("judet-iliac", "judet-obturator", "si-oblique") for side in SIDES),
)

SOURCE_TO_ISOCENTRE_MM: Final = 650.0
"""From the tube to the middle of the sacrum: the far end of the 500 to 650 mm of CLINICAL.md 3.2, since a surgeon
brings the detector near; 297 mm of detector then show 189 mm of pelvis, both SI joints among them."""

JUDET_ROLL_DEG: Final = 45.0
SI_OBLIQUE_ROLL_DEG: Final = 27.5
SI_OBLIQUE_TILT_DEG: Final = 22.5
"""Judet: 45 degrees of roll; profile of the SI joint: 25 to 30 of roll, 20 to 25 of tilt (RADPAE, CLINICAL.md 3.1)."""

TUBERCLES_BEFORE_SYMPHYSIS_MM: Final = 18.0
"""How far the pubic tubercles, and with them the anterior pelvic plane, lie in front of the middle of the symphysis:
measured on the seven VSD pelves, 15 to 22 mm. For where the bones' surfaces are not at hand."""

SYMPHYSIS_HALF_HEIGHT_MM: Final = 18.0
"""From the middle of the symphysis to its top, where surfaces are not at hand; a symphysis is about 35 to 40 mm high
(default, recalled)."""

S2_FORAMEN_BELOW_S2_MM: Final = 14.0
"""From the middle of the front of S2 down to the level of the S2 foramina: half of S2 (29.7 mm high, PMCT)."""

CENTRE_CAUDAL_MM: Final = 22.0
CENTRE_POSTERIOR_MM: Final = 12.0
"""From the S1 endplate's centre along and behind the sacrum's front, to between the two SI joints."""

SIDE_OFFSET_MM: Final = 40.0
"""One-sided views look at a point this far off the midline: the SI joint, beside the ala (inter-auricular half-width
45 to 54 mm, CLINICAL.md 4.1)."""

LIMITS_DEG: Final = {"orbital": 180.0, "tilt": 90.0, "wig-wag": 90.0}
"""Largest angle either way that `parse_view` takes."""


def standard_views(
    frame: AnatomicalFrame,
    landmarks: Mapping[str, ArrayLike],
    *,
    canal_direction: ArrayLike | None = None,
    s2_foramina_lps_mm: ArrayLike | None = None,
    lines: Mapping[str, Array] | None = None,
    source_to_isocentre_mm: float = SOURCE_TO_ISOCENTRE_MM,
) -> dict[str, CArm]:
    """Poses of the standard views of one pelvis.

    Parameters
    ----------
    frame : AnatomicalFrame
        Of the pelvis: origin at the S1 endplate, left perpendicular to the mid-sagittal plane, cranial along the
        sacral canal.
    landmarks : mapping of name to (3,) float
        In LPS mm. Used: promontory, s2_anterior, symphysis, asis_left, asis_right, and in their place what
        `front_points` finds. A view whose landmarks are missing is left out; without ASIS or symphysis "ap" follows
        the scan's own anterior-posterior direction.
    canal_direction : (3,) float, optional
        Down the sacral canal at S1 and S2; `-frame.cranial` where it is not given.
    s2_foramina_lps_mm : (n, 3) or (3,) float, optional
        Ventral mouths of the S2 foramina; else their level is estimated from s2_anterior.
    lines : mapping of name to (n, 3) float, optional
        As `landmark_lines` finds them. Without notches and iliac densities "lateral" follows the left-right axis.
    source_to_isocentre_mm : float
        From the tube to the middle of the sacrum.

    Returns
    -------
    dict of name to CArm
        In the order of `VIEW_NAMES`.

    Examples
    --------
    >>> frame = AnatomicalFrame((0, 0, 0), np.eye(3))
    >>> marks = {"asis_left": (120, -60, 10), "asis_right": (-120, -60, 10), "symphysis": (0, -60, -80)}
    >>> marks |= {"promontory": (0, -15, 0), "s2_anterior": (0, 5, -45)}
    >>> views = standard_views(frame, marks)
    >>> [round(views["ap"].orbital_deg, 6) + 0.0, round(views["inlet"].tilt_deg, 1)]
    [0.0, -66.0]
    """
    points = {name: check_vector(name, p) for name, p in landmarks.items()}
    pelvis = _Pelvis(frame, points)
    isocentre = pelvis.isocentre()
    rotations = {
        "ap": pelvis.turned(0.0, 0.0),
        "lateral": pelvis.turned(90.0, 0.0),
        "inlet-canal": pelvis.along(
            -frame.cranial if canal_direction is None else check_vector("canal", canal_direction)
        ),
    }
    s1_s2 = pelvis.front_line()
    if s1_s2 is not None:
        rotations["inlet"] = pelvis.along(s1_s2)
        rotations["outlet-s1"] = pelvis.along(np.cross(frame.left, s1_s2))
    outlet = pelvis.outlet(isocentre, source_to_isocentre_mm, s2_foramina_lps_mm)
    if outlet is not None:
        rotations["outlet"] = pelvis.along(outlet)
    for side in SIDES:
        sign = SIDE_SIGN[side]
        rotations[f"judet-iliac-{side}"] = pelvis.turned(sign * JUDET_ROLL_DEG, 0.0)
        rotations[f"judet-obturator-{side}"] = pelvis.turned(-sign * JUDET_ROLL_DEG, 0.0)
        rotations[f"si-oblique-{side}"] = pelvis.turned(-sign * SI_OBLIQUE_ROLL_DEG, SI_OBLIQUE_TILT_DEG)
    centres = {"lateral": isocentre}
    lateral = true_lateral(frame, lines or {})
    if lateral is not None:
        rotations["lateral"], centres["lateral"] = pelvis.towards(lateral.ray), lateral.centre_lps_mm
    views = {}
    for name in VIEW_NAMES:
        if name in rotations:
            side = name.rsplit("-", 1)[-1]
            centre = centres.get(name, isocentre + SIDE_SIGN.get(side, 0.0) * SIDE_OFFSET_MM * frame.left)
            views[name] = CArm(*carm_angles(rotations[name]), centre, source_to_isocentre_mm)
    return views


def named_view(name: str, views: Mapping[str, CArm]) -> CArm:
    """One view by name.

    Raises
    ------
    UnknownNameError
        For a name that no view has; says the nearest.
    AnatomyError
        For a view that exists, but that this patient's landmarks could not give.
    """
    if name in views:
        return views[name]
    if name not in VIEW_NAMES:
        raise unknown_name("view", name, VIEW_NAMES)
    raise AnatomyError(
        f"view {name}",
        found="landmarks that do not give it (promontory, s2_anterior or symphysis is missing)",
        wanted="one of " + ", ".join(views),
        fix="give the pose as ORBITAL,TILT[,WIGWAG] in degrees",
    )


def parse_view(text: str, views: Mapping[str, CArm]) -> CArm:
    """A view by name, or by numbers "ORBITAL,TILT[,WIGWAG]" in degrees about the isocentre of the "ap" view.

    Raises
    ------
    UnknownNameError, AnatomyError
        As `named_view`.
    InputError
        For numbers that are too few, too many, not finite or out of range.

    Examples
    --------
    >>> views = {"ap": CArm(0, 0, 0, (1, 2, 3))}
    >>> carm = parse_view("10, -25", views)
    >>> carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg, carm.isocentre_lps_mm.tolist()
    (10.0, -25.0, 0.0, [1.0, 2.0, 3.0])
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [_number(part) for part in parts]
    if all(number is None for number in numbers) and len(parts) == 1:
        return named_view(text.strip(), views)
    wanted = "a view's name, or ORBITAL,TILT or ORBITAL,TILT,WIGWAG in degrees, such as 0,-25"
    if len(parts) not in (2, 3) or any(number is None for number in numbers):
        raise InputError("view", found=repr(text), wanted=wanted, fix="names: " + ", ".join(views))
    angles = [number for number in numbers if number is not None] + [0.0] * (3 - len(parts))
    for (name, limit), angle in zip(LIMITS_DEG.items(), angles, strict=True):
        if not abs(angle) <= limit:
            raise InputError(f"view {name}", found=f"{angle:g} degrees", wanted=f"-{limit:g} to {limit:g} degrees")
    ap = named_view("ap", views)
    return CArm(angles[0], angles[1], angles[2], ap.isocentre_lps_mm, ap.source_to_isocentre_mm)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class _Pelvis:
    """The directions and points of one pelvis that views are made of."""

    def __init__(self, frame: AnatomicalFrame, points: Mapping[str, Array]) -> None:
        self.frame, self.points = frame, points
        self.cranial = self._cranial()

    def _has(self, names: Iterable[str]) -> bool:
        return all(name in self.points for name in names)

    def _cranial(self) -> Array:
        """Up in the AP view: in the plane of ASIS and pubic tubercles; without them, in the scan's coronal plane."""
        left = self.frame.left
        if self._has(("asis_front_left", "asis_front_right", "pubic_front")):
            up = 0.5 * (self.points["asis_front_left"] + self.points["asis_front_right"]) - self.points["pubic_front"]
            return unit(up - (up @ left) * left)
        if not self._has(("asis_left", "asis_right", "symphysis")):
            return unit(np.cross(left, (0.0, 1.0, 0.0)))
        up = 0.5 * (self.points["asis_left"] + self.points["asis_right"]) - self.points["symphysis"]
        up = up - (up @ left) * left
        # The plane passes in front of the symphysis, so it leans back less than the line to the symphysis does.
        lean = np.arcsin(min(TUBERCLES_BEFORE_SYMPHYSIS_MM / float(np.linalg.norm(up)), 1.0))
        return unit(np.cos(lean) * up + np.sin(lean) * np.cross(up, left))

    def turned(self, orbital_deg: float, tilt_deg: float) -> Array:
        """The arm's rotation at angles that count from this pelvis's own AP view."""
        left = self.frame.left
        ap = np.column_stack([left, np.cross(self.cranial, left), self.cranial])
        return np.asarray(ap @ carm_rotation(orbital_deg, tilt_deg, 0.0))

    def towards(self, ray: Array) -> Array:
        """The arm's rotation for a ray across the pelvis, the AP view's head up in the image."""
        up = unit(self.cranial - (self.cranial @ ray) * ray)
        return np.column_stack([np.cross(ray, up), ray, up])

    def along(self, direction: ArrayLike) -> Array:
        """The arm's rotation for a ray in the mid-sagittal plane, image columns along the pelvis's left."""
        left = self.frame.left
        d = np.asarray(direction, dtype=np.float64)
        ray = unit(d - (d @ left) * left)
        return np.column_stack([left, ray, np.cross(left, ray)])

    def isocentre(self) -> Array:
        """In the mid-sagittal plane between the two SI joints."""
        return self.frame.lps_from_frame((0.0, CENTRE_POSTERIOR_MM, -CENTRE_CAUDAL_MM))

    def in_plane(self, point: Array) -> Array:
        """A point moved square onto the mid-sagittal plane."""
        return np.asarray(point - ((point - self.frame.origin_lps_mm) @ self.frame.left) * self.frame.left)

    def front_line(self) -> Array | None:
        """Unit vector down the front of S1 and S2, in the mid-sagittal plane."""
        for upper, lower in (("s1_front", "s2_front"), ("promontory", "s2_anterior")):
            if self._has((upper, lower)):
                return unit(self.in_plane(self.points[lower]) - self.in_plane(self.points[upper]))
        return None

    def symphysis_top(self) -> Array:
        """In the mid-sagittal plane."""
        if "symphysis_top" in self.points:
            return self.in_plane(self.points["symphysis_top"])
        return self.in_plane(self.points["symphysis"]) + SYMPHYSIS_HALF_HEIGHT_MM * self.cranial

    def outlet(self, isocentre: Array, source_mm: float, s2_foramina_lps_mm: ArrayLike | None) -> Array | None:
        """Central ray for which the top of the symphysis hides the S2 foramina: tube, symphysis, S2 on one line."""
        down = self.front_line()
        if "symphysis" not in self.points or (down is None and s2_foramina_lps_mm is None):
            return None
        if s2_foramina_lps_mm is not None:
            level = np.asarray(s2_foramina_lps_mm, dtype=np.float64).reshape(-1, 3).mean(axis=0)
        else:
            level = self.points["s2_anterior"] + S2_FORAMEN_BELOW_S2_MM * np.asarray(down)
        level = self.in_plane(level)
        towards_tube = unit(self.symphysis_top() - level)
        from_centre = level - isocentre
        along = float(from_centre @ towards_tube)
        reach = -along + np.sqrt(along**2 - float(from_centre @ from_centre) + source_mm**2)
        return np.asarray(isocentre - (level + reach * towards_tube))
