"""Volumes: a CT in Hounsfield units, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sjplan.core.arrays import frozen
from sjplan.core.errors import GeometryError
from sjplan.core.grid import Grid


@dataclass(frozen=True, slots=True)
class Source:
    """Where a volume came from: path as given, sha256 of the bytes, facts about the series (no identifiers)."""

    path: str
    sha256: str
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class CtVolume:
    """A CT: grid, Hounsfield units indexed [i, j, k], source.

    Outside the grid is air. `assumed` marks densities that were invented for a label map without a CT.
    """

    grid: Grid
    hu: NDArray[np.int16]
    source: Source | None = None
    assumed: bool = False

    def __post_init__(self) -> None:
        if self.hu.shape != self.grid.shape:
            raise GeometryError("hu", found=f"shape {self.hu.shape}", wanted=f"the grid's {self.grid.shape}")
        object.__setattr__(self, "hu", readonly(self.hu, np.int16))


def readonly(values: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
    """A read-only view of `values`, copied only where the type differs or the caller could still write to it."""
    if values.dtype == dtype and not values.flags.writeable:
        return values
    return frozen(values, dtype) if values.ndim < 3 else _frozen_keep_order(values, dtype)


def _frozen_keep_order(values: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
    copy = np.array(values, dtype=dtype, order="K", copy=True)
    copy.setflags(write=False)
    return copy
