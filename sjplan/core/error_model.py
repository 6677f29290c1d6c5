"""How far an implant ends up from where it was planned: an error model, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_shape
from sjplan.core.errors import GeometryError

COMPONENTS: Final = ("across_u_mm", "across_v_mm", "depth_mm", "tilt_u_deg", "tilt_v_deg")
"""What is normally distributed: the tip across the axis (two ways) and along it; the axis tilted about the tip."""


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """A zero-mean normal error of one implant's pose, and the error of the label map.

    Parameters
    ----------
    id, summary : str
        Short name, and one line for people.
    covariance : (5, 5) float
        Of `COMPONENTS`, in mm and degrees: the tip moves across (u, v) and along the axis (positive: deeper), then
        the implant turns about its tip.
    label_sigma_mm : float
        Standard deviation of a structure's surface along its normal: one value a structure and draw.
    sources : tuple of str
        Source keys, one per statement.

    Raises
    ------
    GeometryError
        If the covariance is not symmetric or not positive semidefinite, or a deviation is negative.

    Examples
    --------
    >>> model = ErrorModel("wide", "3 mm and 3 degrees", np.diag([9.0, 9, 9, 9, 9]), 0.3)
    >>> round(model.mean_tip_error_mm, 2), round(model.mean_angle_deg, 2)
    (4.79, 3.76)
    """

    id: str
    summary: str
    covariance: Array
    label_sigma_mm: float = 0.0
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        covariance = check_shape(f"{self.id}.covariance", self.covariance, (5, 5))
        object.__setattr__(self, "covariance", covariance)
        if not np.allclose(covariance, covariance.T, rtol=1e-9, atol=1e-12):
            raise GeometryError(f"{self.id}.covariance", found="an asymmetric matrix", wanted="a symmetric one")
        least = float(np.linalg.eigvalsh(covariance)[0])
        if least < -1e-9 * max(1.0, float(np.abs(covariance).max())):
            raise GeometryError(
                f"{self.id}.covariance", found=f"an eigenvalue of {least:.3g}", wanted="a positive semidefinite matrix"
            )
        if not 0 <= self.label_sigma_mm < 10:
            raise GeometryError(f"{self.id}.label_sigma_mm", found=f"{self.label_sigma_mm:g}", wanted="0 to 10 mm")

    @property
    def mean_tip_error_mm(self) -> float:
        """Mean distance of the tip from where it was planned; exact where the three deviations are equal."""
        return float(np.sqrt(8.0 / np.pi) * np.sqrt(np.trace(self.covariance[:3, :3]) / 3.0))

    @property
    def mean_angle_deg(self) -> float:
        """Mean angle between the planned and the real axis; exact where both tilts deviate equally."""
        return float(np.sqrt(np.pi / 2.0) * np.sqrt(np.trace(self.covariance[3:, 3:]) / 2.0))

    def errors(self, normal: ArrayLike) -> Array:
        """Errors (..., 5) from standard normal numbers of the same shape."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray(np.asarray(normal) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T)
