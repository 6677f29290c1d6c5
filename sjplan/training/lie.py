"""How a patient lies on the table: never as straight as in the scanner, and the C-arm's numbers are the room's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.xray.carm import carm_angles, carm_axes, carm_rotation
from sjplan.xray.types import CArm

MOST_DEG: Final = 30.0
"""Nobody is operated on who lies farther round."""

ROLLED_DEG: Final = (4.0, 8.0)
OBLIQUE_DEG: Final = (2.0, 5.0)
TILTED_DEG: Final = (0.0, 8.0)
"""From where to where a patient is turned either way. Prone on a table people lie rolled by 3 degrees and tilted by 5,
one standard deviation (CLINICAL.md 3.1, suggested); the lower ends are such that the numbers of a straight patient do
not do (default)."""


@dataclass(frozen=True, slots=True)
class Lie:
    """A turn of the patient out of how the scan has them, about the middle of the bones.

    Parameters
    ----------
    roll_deg, tilt_deg, oblique_deg : float
        About the body's long axis, from side to side, and about the room's vertical: the patient is turned as orbital,
        tilt and wig-wag would turn the arm, so that an arm turned likewise sees them straight again.

    Raises
    ------
    InputError
        For a turn that no patient is operated in.

    Examples
    --------
    >>> straight = CArm(90.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    >>> there = Lie(roll_deg=6.0).in_room(straight, np.zeros(3))
    >>> [round(angle) for angle in (there.orbital_deg, there.tilt_deg, there.wig_wag_deg)]
    [96, 0, 0]
    """

    roll_deg: float = 0.0
    tilt_deg: float = 0.0
    oblique_deg: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or abs(value) > MOST_DEG:
                raise InputError(
                    f"lie {name}", found=f"{value!r}"[:60], wanted=f"{-MOST_DEG:g} to {MOST_DEG:g} degrees"
                )

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Lie:
        """One as patients lie, in tenths of a degree."""
        turns = (rng.choice((-1.0, 1.0)) * rng.uniform(*most) for most in (ROLLED_DEG, TILTED_DEG, OBLIQUE_DEG))
        return cls(*(round(float(turn), 1) for turn in turns))

    @property
    def rotation(self) -> Array:
        """From the patient's axes to the room's, (3, 3)."""
        return carm_rotation(self.roll_deg, self.tilt_deg, self.oblique_deg)

    def in_room(self, carm: CArm, middle_lps_mm: Array) -> CArm:
        """A pose that is given beside the patient, as the room's numbers have it."""
        return _turned(carm, self.rotation, middle_lps_mm)

    def in_patient(self, carm: CArm, middle_lps_mm: Array) -> CArm:
        """A pose of the room's numbers, beside the patient: the inverse of `in_room`."""
        return _turned(carm, self.rotation.T, middle_lps_mm)


def lie_from(plain: object) -> Lie | None:
    """What a log's header says of how the patient lies; None where it says nothing: straight.

    Raises
    ------
    InputError
        For anything that is no lie.
    """
    if plain is None:
        return None
    names = ("roll_deg", "tilt_deg", "oblique_deg")
    if not isinstance(plain, Mapping) or sorted(map(str, plain)) != sorted(names):
        raise InputError("session log lie", found=repr(plain)[:60], wanted=", ".join(names))
    return Lie(*(plain[name] for name in names))


def _turned(carm: CArm, rotation: Array, middle_lps_mm: Array) -> CArm:
    orbital, tilt, wig_wag = carm_angles(rotation @ carm_axes(carm).T)
    isocentre = middle_lps_mm + rotation @ (carm.isocentre_lps_mm - middle_lps_mm)
    return replace(carm, orbital_deg=orbital, tilt_deg=tilt, wig_wag_deg=wig_wag, isocentre_lps_mm=isocentre)
