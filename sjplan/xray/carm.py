"""The C-arm's geometry: from its three angles to rays and pixels, and back (see docs/carm.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from sjplan.core.arrays import Array, check_shape, check_vector, frozen
from sjplan.core.errors import GeometryError
from sjplan.core.tolerances import DIRECTION_TOL
from sjplan.xray.types import CArm, Detector

_GIMBAL_LOCK_COS = 1e-6
"""Below this cosine of the tilt, orbital and wig-wag turn about the same axis and only their sum is known."""


def carm_rotation(orbital_deg: float, tilt_deg: float, wig_wag_deg: float) -> Array:
    """Rotation of the arm, Ry(wig_wag) Rx(tilt) Rz(-orbital), in LPS.

    Its columns are the direction of growing image columns, the central ray, and the image's up direction.

    Returns
    -------
    (3, 3) float
        A proper rotation; the identity at rest: columns to the patient's left, ray to the back, up to the head.

    Examples
    --------
    >>> carm_rotation(90, 0, 0)[:, 1].round(12).tolist()
    [1.0, 0.0, 0.0]
    >>> carm_rotation(0, 90, 0)[:, 1].round(12).tolist()
    [0.0, 0.0, 1.0]
    """
    o, t, w = np.deg2rad([orbital_deg, tilt_deg, wig_wag_deg])
    rz = np.array([[np.cos(o), np.sin(o), 0.0], [-np.sin(o), np.cos(o), 0.0], [0.0, 0.0, 1.0]])
    rx = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(t), -np.sin(t)], [0.0, np.sin(t), np.cos(t)]])
    ry = np.array([[np.cos(w), 0.0, np.sin(w)], [0.0, 1.0, 0.0], [-np.sin(w), 0.0, np.cos(w)]])
    return np.asarray(ry @ rx @ rz)


def carm_angles(rotation: ArrayLike) -> tuple[float, float, float]:
    """Orbital, tilt and wig-wag in degrees that turn the arm to `rotation`: the inverse of `carm_rotation`.

    Every rotation has an answer, with the tilt from -90 to 90. At a tilt of exactly 90 degrees the answer is
    not unique; wig-wag is then given as 0.

    Parameters
    ----------
    rotation : (3, 3) float
        Columns as in `carm_rotation`.

    Raises
    ------
    GeometryError
        If the matrix is no proper rotation.

    Examples
    --------
    >>> [round(a, 9) for a in carm_angles(carm_rotation(30, -20, 10))]
    [30.0, -20.0, 10.0]
    """
    r = check_shape("rotation", rotation, (3, 3))
    if np.abs(r.T @ r - np.eye(3)).max() > DIRECTION_TOL or np.linalg.det(r) < 0:
        raise GeometryError("rotation", found=f"{r.tolist()}", wanted="a right-handed orthonormal matrix")
    tilt = np.arcsin(np.clip(-r[1, 2], -1.0, 1.0))
    if np.cos(tilt) < _GIMBAL_LOCK_COS:
        orbital, wig_wag = np.arctan2(r[0, 1], r[0, 0]), 0.0
    else:
        orbital, wig_wag = np.arctan2(-r[1, 0], r[1, 1]), np.arctan2(r[0, 2], r[2, 2])
    return float(np.rad2deg(orbital)), float(np.rad2deg(tilt)), float(np.rad2deg(wig_wag))


def carm_axes(carm: CArm) -> Array:
    """Unit vectors of a pose in LPS, (3, 3) rows: growing image columns, the central ray, the image's up."""
    return np.asarray(carm_rotation(carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg).T)


def moved(carm: CArm, travel_mm: tuple[float, float, float]) -> CArm:
    """A pose after table and lift have travelled: the same angles about another point of the patient.

    Parameters
    ----------
    carm : CArm
        Before.
    travel_mm : (across, lift, along)
        How far the middle of the picture goes to the patient's left, up (towards the back of a prone patient) and to
        the head.

    Examples
    --------
    >>> moved(CArm(0, 0, 0, (1, 2, 3)), (0, 0, -40)).isocentre_lps_mm.tolist()
    [1.0, 2.0, -37.0]
    """
    return replace(carm, isocentre_lps_mm=carm.isocentre_lps_mm + np.asarray(travel_mm, dtype=np.float64))


def ray_direction(carm: CArm) -> Array:
    """Unit vector of the central ray, tube to detector, in LPS."""
    return np.asarray(carm_axes(carm)[1])


@dataclass(frozen=True, slots=True, eq=False)
class CArmGeometry:
    """A point source and a flat detector in LPS: everything that a projection needs.

    Pixel (column, row) means the pixel's centre, (0, 0) is the top left one as displayed. The image is shown
    as seen from the tube: column step x row step points along the ray.

    Parameters
    ----------
    source_lps_mm : (3,) float
        Focal spot.
    origin_lps_mm : (3,) float
        Centre of pixel (0, 0).
    column_step_lps_mm, row_step_lps_mm : (3,) float
        From one pixel's centre to that of the next column, and of the next row.
    rows, columns : int
        Size of the image.

    Examples
    --------
    >>> geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(rows=101, columns=201, pixel_mm=1.0))
    >>> geometry.project([0, 0, 0]).round(9).tolist()
    [100.0, 50.0]
    >>> left, head = geometry.project([[10, 0, 0], [0, 0, 10]])
    >>> bool(left[0] > 100), bool(head[1] < 50)
    (True, True)
    """

    source_lps_mm: Array
    origin_lps_mm: Array
    column_step_lps_mm: Array
    row_step_lps_mm: Array
    rows: int
    columns: int

    def __post_init__(self) -> None:
        for name in ("source_lps_mm", "origin_lps_mm", "column_step_lps_mm", "row_step_lps_mm"):
            object.__setattr__(self, name, check_vector(name, getattr(self, name)))
        if not abs(float(self._normal @ (self.origin_lps_mm - self.source_lps_mm))) > 0:
            raise GeometryError("source_lps_mm", found="a point in the detector's plane", wanted="a point off it")

    @classmethod
    def of(cls, carm: CArm, detector: Detector) -> CArmGeometry:
        """Geometry of a pose: the central ray passes the isocentre and the middle of the detector."""
        column, ray, up = carm_axes(carm)
        source = carm.isocentre_lps_mm - carm.source_to_isocentre_mm * ray
        centre = source + carm.source_to_detector_mm * ray
        du, dv = detector.pixel_mm * column, -detector.pixel_mm * up
        origin = centre - 0.5 * (detector.columns - 1) * du - 0.5 * (detector.rows - 1) * dv
        return cls(source, origin, du, dv, detector.rows, detector.columns)

    @property
    def _normal(self) -> Array:
        return np.asarray(np.cross(self.column_step_lps_mm, self.row_step_lps_mm))

    def project(self, points_lps_mm: ArrayLike) -> Array:
        """Pixel coordinates (column, row), fractional, of LPS points.

        Parameters
        ----------
        points_lps_mm : (..., 3) float
            Points.

        Returns
        -------
        (..., 2) float
            May lie outside the image; NaN for points that are not in front of the tube.
        """
        to_point = np.asarray(points_lps_mm, dtype=np.float64) - self.source_lps_mm
        to_detector = self.origin_lps_mm - self.source_lps_mm
        normal = self._normal
        depth = (to_point @ normal) / float(to_detector @ normal)
        scale = np.divide(1.0, depth, out=np.full_like(depth, np.nan), where=depth > 0)
        on_detector = to_point * scale[..., None] - to_detector
        du, dv = self.column_step_lps_mm, self.row_step_lps_mm
        return np.stack([on_detector @ du / float(du @ du), on_detector @ dv / float(dv @ dv)], axis=-1)

    def pixel_lps_mm(self, pixels: ArrayLike) -> Array:
        """LPS points on the detector of (column, row) pixel coordinates, (..., 2) to (..., 3)."""
        p = np.asarray(pixels, dtype=np.float64)
        step = p[..., :1] * self.column_step_lps_mm + p[..., 1:2] * self.row_step_lps_mm
        return np.asarray(self.origin_lps_mm + step)

    def ray_through(self, pixels: ArrayLike) -> Array:
        """Unit directions from the source through (column, row) pixel coordinates, (..., 2) to (..., 3).

        Every point `source_lps_mm + t * ray` with t > 0 projects back onto the pixel.
        """
        ray = self.pixel_lps_mm(pixels) - self.source_lps_mm
        return np.asarray(ray / np.linalg.norm(ray, axis=-1, keepdims=True))

    def all_pixels(self) -> Array:
        """(rows, columns, 2): the (column, row) coordinates of every pixel."""
        column, row = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        return frozen(np.stack([column, row], axis=-1))
