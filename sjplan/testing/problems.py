"""Small planning problems on a phantom, the same case seen from elsewhere, and honest answers to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.arrays import Array, check_shape, check_vector
from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.core.limits import Limits
from sjplan.core.plan import Side
from sjplan.core.tolerances import DIRECTION_TOL
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.planning.answers import arrays, dishonesty, fingerprint
from sjplan.planning.protocol import Problem

__all__ = [
    "CASES",
    "IMPOSSIBLE_MM",
    "MOTIONS",
    "SHIFT_LPS_MM",
    "SPACING_MM",
    "TURN_DEG",
    "Motion",
    "arrays",
    "dishonesty",
    "fingerprint",
    "impossible_problem",
    "phantom_anatomy",
    "phantom_labels",
    "phantom_problem",
]

SPACING_MM = 2.0
"""Voxel edge of the contract's phantom: the coarsest that may be planned on, so that a contract stays cheap."""

IMPOSSIBLE_MM = 60.0
"""Distance between crossings at which no three implants fit: a joint is about as tall as this."""

TURN_DEG = (12.0, -9.0, 17.0)
SHIFT_LPS_MM = (2000.0, -1500.0, 300.0)
"""How the contract's turned and shifted cases lie in the scanner: oblique, and metres from the origin."""

CASES = ("as scanned", "mirrored", "shifted", "turned")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A rigid motion of a case, or one with a mirror: x -> matrix x + shift.

    Parameters
    ----------
    matrix : (3, 3) float
        Orthonormal; a determinant of -1 mirrors, and then left and right change their names.
    shift_lps_mm : (3,) float
        Applied afterwards.

    Raises
    ------
    GeometryError
        If the matrix is not orthonormal.

    Examples
    --------
    >>> Motion.mirror().points([[10.0, 2.0, 3.0]]).tolist(), Motion.mirror().side("left")
    ([[-10.0, 2.0, 3.0]], 'right')
    """

    matrix: Array
    shift_lps_mm: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", check_shape("matrix", self.matrix, (3, 3)))
        object.__setattr__(self, "shift_lps_mm", check_vector("shift_lps_mm", self.shift_lps_mm))
        if np.abs(self.matrix.T @ self.matrix - np.eye(3)).max() > DIRECTION_TOL:
            raise GeometryError("matrix", found=f"{self.matrix.tolist()}", wanted="an orthonormal matrix")

    @classmethod
    def none(cls) -> Motion:
        """Everything stays."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def mirror(cls) -> Motion:
        """Left becomes right."""
        return cls(np.diag([-1.0, 1.0, 1.0]), np.zeros(3))

    @classmethod
    def shift(cls, shift_lps_mm: ArrayLike) -> Motion:
        """Moved, not turned."""
        return cls(np.eye(3), np.asarray(shift_lps_mm, dtype=np.float64))

    @classmethod
    def turn(cls, about_x_deg: float, about_y_deg: float, about_z_deg: float) -> Motion:
        """Turned about the scanner's x, then y, then z axis through its origin."""
        result = np.eye(3)
        for axis, angle in enumerate((about_x_deg, about_y_deg, about_z_deg)):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            step = np.eye(3)
            step[a, a] = step[b, b] = np.cos(np.deg2rad(angle))
            step[b, a], step[a, b] = np.sin(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))
            result = step @ result
        return cls(result, np.zeros(3))

    @property
    def mirrors(self) -> bool:
        """Whether left and right change places."""
        return bool(np.linalg.det(self.matrix) < 0)

    def points(self, points_lps_mm: ArrayLike) -> Array:
        """Moved points, (..., 3)."""
        return np.asarray(np.asarray(points_lps_mm, dtype=np.float64) @ self.matrix.T + self.shift_lps_mm)

    def vectors(self, vectors: ArrayLike) -> Array:
        """Moved directions, (..., 3)."""
        return np.asarray(np.asarray(vectors, dtype=np.float64) @ self.matrix.T)

    def side(self, side: Side) -> Side:
        """The name that a side has afterwards."""
        if not self.mirrors:
            return side
        return "right" if side == "left" else "left"

    def labels(self, labels: LabelMap) -> LabelMap:
        """The same voxels on a grid that lies elsewhere; nothing is resampled."""
        grid = labels.grid
        moved = Grid(
            grid.shape, grid.spacing_mm, self.points(grid.origin_lps_mm), self.matrix @ np.asarray(grid.direction)
        )
        names = {i: self._name(name) for i, name in labels.names.items()}
        return replace(labels, grid=moved, names=names)

    def _name(self, name: str) -> str:
        for side in get_args(Side):
            if self.mirrors and name.endswith(f"_{side}"):
                return name.removesuffix(side) + self.side(side)
        return name


MOTIONS: Mapping[str, Motion] = {
    "as scanned": Motion.none(),
    "mirrored": Motion.mirror(),
    "shifted": Motion.shift(SHIFT_LPS_MM),
    "turned": Motion.turn(*TURN_DEG),
}
"""Every case of `CASES` as a motion of the first."""


@lru_cache(maxsize=1)
def phantom_labels() -> LabelMap:
    """Label map of the default phantom at 2 mm."""
    # Where a planner is asked in a process of its own, nothing of a phantom is imported.
    from sjplan.io.presets import read_preset
    from sjplan.phantom.build import build_labels

    return build_labels(read_preset("default"), spacing_mm=SPACING_MM)[0]


@lru_cache(maxsize=len(CASES))
def phantom_anatomy(case: str = "as scanned") -> Anatomy:
    """Anatomy of the default phantom as one of `CASES`, made once in a process."""
    return anatomy_from_labels(MOTIONS[case].labels(phantom_labels()))


def phantom_problem(
    case: str = "as scanned",
    side: Side = "left",
    models: tuple[str, ...] = ("tri-7", "tri-7", "tri-7"),
    limits: Limits | None = None,
) -> Problem:
    """A problem that has a solution with millimetres to spare: the default phantom under the default limits.

    Parameters
    ----------
    case : str
        One of `CASES`.
    side : {"left", "right"}
        Side of the case as it is scanned; a mirrored case asks for the other one.
    models : tuple of str
        Catalogue ids, one a slot.
    limits : Limits, optional
        In place of the default limits.
    """
    catalogue = read_implants()
    return Problem(
        anatomy=phantom_anatomy(case),
        side=MOTIONS[case].side(side),
        models=tuple(catalogue[name] for name in models),
        limits=read_limits() if limits is None else limits,
    )


def impossible_problem(models: tuple[str, ...] = ("tri-7", "tri-7", "tri-7")) -> Problem:
    """A problem without a solution: the same phantom, but crossings of the joint are to lie 60 mm apart."""
    return phantom_problem(models=models, limits=replace(read_limits(), crossing_spacing_min_mm=IMPOSSIBLE_MM))
