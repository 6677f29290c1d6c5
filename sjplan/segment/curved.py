"""The phantom with a sacrum that is curved otherwise: the one thing in which people differ and it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis

FROM_MM: Final = 25.0
OVER_MM: Final = 60.0
"""Where below the S1 endplate a curve begins, and how much farther down it has its full amount: S2 and S4 to S5 of the
usual phantom. What is above, joints and foramina of S1 and S2 among it, stays as the phantom has it."""


@dataclass(frozen=True, slots=True, eq=False)
class CurvedPelvis:
    """A pelvis whose lower sacrum lies farther back (or, negative, in front) by a parabola.

    Parameters
    ----------
    parameters : PhantomParameters
        Of the phantom.
    curve_mm : float
        How much farther back, at size 1, where the parabola has its full amount.

    Examples
    --------
    A place behind the usual lower sacrum is within one that lies farther back; S1 stays.

    >>> usual, back = CurvedPelvis(PhantomParameters()), CurvedPelvis(PhantomParameters(), 8.0)
    >>> lower = usual.pelvis.lps_from_sacral([[12.0, -20.0, -70.0], [12.0, -14.0, -10.0]])
    >>> shifted = usual.pelvis.lps_from_sacral([[12.0, -15.5, -70.0], [12.0, -14.0, -10.0]])
    >>> bool(np.allclose(usual.bone_mm("sacrum", lower), back.bone_mm("sacrum", shifted)))
    True
    """

    parameters: PhantomParameters
    curve_mm: float = 0.0
    pelvis: Pelvis = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pelvis", Pelvis(self.parameters))

    def bone_mm(self, bone: str, points_lps_mm: ArrayLike) -> Array:
        """Distance (n,) of LPS points (n, 3) to one of `BONES`, positive outside; of a curved sacrum about."""
        if bone != "sacrum" or self.curve_mm == 0.0:
            return self.pelvis.bone_mm(bone, points_lps_mm)
        place = np.array(self.pelvis.sacral_mm(points_lps_mm))
        down = np.maximum(-place[:, 2] - FROM_MM, 0.0) / OVER_MM
        place[:, 1] -= self.curve_mm * down**2
        return self.pelvis.bone_mm(bone, self.pelvis.lps_from_sacral(place))
