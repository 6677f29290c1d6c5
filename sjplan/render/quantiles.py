"""Percentiles of many pixels, exact, without sorting them: what a display's window is set by, 25 times a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sjplan.core.arrays import Array

_BINS: Final = 4096


def percentiles(values: Array, wanted: Sequence[float]) -> tuple[float, ...]:
    """Percentiles of finite values, with straight lines between neighbours in order; as `numpy.percentile` has them.

    Parameters
    ----------
    values : (n,) float
        At least one.
    wanted : sequence of float
        0 to 100.

    Examples
    --------
    >>> percentiles(np.array([3.0, 1.0, 2.0, 5.0]), [0.0, 50.0, 95.0])
    (1.0, 2.5, 4.7)
    """
    least, most = float(values.min()), float(values.max())
    if not most > least:
        return tuple(least for _ in wanted)
    bins, ends = _binned(values, least, _BINS / (most - least))
    found = []
    for share in wanted:
        at = 0.01 * share * (len(values) - 1)
        rank = int(at)
        low, high = _ranked(values, bins, ends, rank), _ranked(values, bins, ends, min(rank + 1, len(values) - 1))
        found.append(low + (at - rank) * (high - low))
    return tuple(found)


def _ranked(values: Array, bins: NDArray[np.int16], ends: NDArray[np.int64], rank: int) -> float:
    """The value at a place in their order: found among those of its bin."""
    home = int(np.searchsorted(ends, rank, side="right"))
    before = int(ends[home - 1]) if home else 0
    return float(np.partition(values[bins == home], rank - before)[rank - before])


@njit(cache=True, error_model="numpy")
def _binned(values: Any, least: float, per_value: float) -> Any:
    """Bin of every value, and how many values the bins hold up to and with each."""
    bins, counts = np.empty(len(values), np.int16), np.zeros(_BINS, np.int64)
    for n in range(len(values)):
        home = min(int((values[n] - least) * per_value), _BINS - 1)
        bins[n] = home
        counts[home] += 1
    return bins, np.cumsum(counts)
