"""A trajectory: one implant of a given length at a given place, and the section's axes round it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_vector, unit
from sjplan.core.errors import GeometryError
from sjplan.core.implant import ImplantModel
from sjplan.core.tolerances import LENGTH_TOL_MM

_CRANIAL = np.array([0.0, 0.0, 1.0])
_POSTERIOR = np.array([0.0, 1.0, 0.0])


def section_axes(axis: ArrayLike, roll_deg: float) -> tuple[Array, Array]:
    """Unit vectors (u, v) across `axis`; u points at a corner of the section, (u, v, axis) is right-handed.

    At roll 0, u is the cranial direction made perpendicular to the axis; roll turns right-handed about
    the axis (entry to tip). An axis along the body takes posterior in place of cranial.
    """
    w = unit(axis)
    reference = _CRANIAL if abs(float(w @ _CRANIAL)) < 0.99 else _POSTERIOR
    u0 = unit(reference - (reference @ w) * w)
    v0 = np.cross(w, u0)
    a = np.deg2rad(roll_deg)
    return np.asarray(np.cos(a) * u0 + np.sin(a) * v0), np.asarray(np.cos(a) * v0 - np.sin(a) * u0)


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """One implant in place.

    Parameters
    ----------
    entry_lps_mm, tip_lps_mm : (3,) float
        Centres of the flat lateral and medial ends.
    roll_deg : float
        0: a corner of the section points cranially; right-handed about entry to tip. A triangle repeats after 120.
    model : ImplantModel
        The catalogue entry.

    Raises
    ------
    GeometryError
        If the two ends coincide.

    Examples
    --------
    >>> model = ImplantModel("rod", "a rod", "cylinder", 3.65, 3.65, (40.0,))
    >>> t = Trajectory((60, 0, 0), (20, 0, 0), 0.0, model)
    >>> t.length_mm, t.axis.tolist()
    (40.0, [-1.0, 0.0, 0.0])
    """

    entry_lps_mm: Array
    tip_lps_mm: Array
    roll_deg: float
    model: ImplantModel

    def __post_init__(self) -> None:
        object.__setattr__(self, "entry_lps_mm", check_vector("entry_lps_mm", self.entry_lps_mm))
        object.__setattr__(self, "tip_lps_mm", check_vector("tip_lps_mm", self.tip_lps_mm))
        object.__setattr__(self, "roll_deg", float(self.roll_deg))
        if not np.isfinite(self.roll_deg):
            raise GeometryError("roll_deg", found=f"{self.roll_deg}", wanted="a finite angle in degrees")
        if float(np.linalg.norm(self.tip_lps_mm - self.entry_lps_mm)) < LENGTH_TOL_MM:
            raise GeometryError("trajectory", found="entry and tip at one point", wanted="two different points")

    @property
    def length_mm(self) -> float:
        """Distance from entry to tip."""
        return float(np.linalg.norm(self.tip_lps_mm - self.entry_lps_mm))

    @property
    def axis(self) -> Array:
        """Unit vector from entry to tip."""
        return unit(self.tip_lps_mm - self.entry_lps_mm)

    @property
    def in_catalogue(self) -> bool:
        """Whether the length is one that the model is sold in."""
        return any(abs(self.length_mm - length) <= LENGTH_TOL_MM for length in self.model.lengths_mm)

    def section_axes(self) -> tuple[Array, Array]:
        """Unit vectors (u, v) across the axis, u towards a corner; see `section_axes`."""
        return section_axes(self.axis, self.roll_deg)
