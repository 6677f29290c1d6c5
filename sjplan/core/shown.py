"""Distances as a person reads them: cut towards what is worse, so that no word promises more than was measured."""

from __future__ import annotations

import math

_TINY: float = 1e-9
"""Noise of a float that stands for a round number."""


def cut_mm(value: float) -> str:
    """A distance with one decimal, cut towards what is worse.

    Examples
    --------
    >>> cut_mm(1.99), cut_mm(-0.01), cut_mm(3.0)
    ('1.9', '-0.1', '3.0')
    """
    return f"{math.floor(value * 10.0 + _TINY) / 10.0:.1f}"


def clear_or_out(value: float) -> str:
    """A margin in words.

    Examples
    --------
    >>> clear_or_out(1.99), clear_or_out(-0.01)
    ('1.9 mm clear', '0.1 mm out')
    """
    return f"{cut_mm(value)} mm clear" if value >= 0.0 else f"{cut_mm(value)[1:]} mm out"
