"""Numbers as a person reads them: cut towards what is worse, so that no word promises more than was measured."""

from __future__ import annotations

import math

_TINY: float = 1e-9
"""Noise of a float that stands for a round number."""


def cut(value: float, decimals: int = 1) -> str:
    """What is better the more there is of it, never shown as more than it is.

    Examples
    --------
    >>> cut(1.96), cut(-0.01), cut(3.0), cut(14.7, 0)
    ('1.9', '-0.1', '3.0', '14')
    """
    step = 10**decimals
    return f"{math.floor(value * step + _TINY) / step:.{decimals}f}"


def raised(value: float, decimals: int = 1) -> str:
    """What is worse the more there is of it, never shown as less than it is.

    Examples
    --------
    >>> raised(1.24), raised(-0.01), raised(3.0), raised(20.3, 0)
    ('1.3', '0.0', '3.0', '21')
    """
    step = 10**decimals
    return f"{math.ceil(value * step - _TINY) / step:.{decimals}f}"


def cut_mm(value: float) -> str:
    """A distance with one decimal, cut towards what is worse.

    Examples
    --------
    >>> cut_mm(1.99), cut_mm(-0.01), cut_mm(3.0)
    ('1.9', '-0.1', '3.0')
    """
    return cut(value)


def clear_or_out(value: float) -> str:
    """A margin in words.

    Examples
    --------
    >>> clear_or_out(1.99), clear_or_out(-0.01)
    ('1.9 mm clear', '0.1 mm out')
    """
    return f"{cut_mm(value)} mm clear" if value >= 0.0 else f"{cut_mm(value)[1:]} mm out"
