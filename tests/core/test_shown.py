"""Numbers as they are shown: never better than they are, and never off by a whole last digit."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjplan.core.shown import clear_or_out, cut, raised

VALUES = st.floats(-1e4, 1e4)


@given(VALUES, st.integers(0, 3))
def test_what_is_shown_is_at_the_worse_side_and_less_than_a_digit_off(value: float, decimals: int) -> None:
    step = 10.0**-decimals
    assert -1e-8 <= value - float(cut(value, decimals)) < step + 1e-8
    assert -1e-8 <= float(raised(value, decimals)) - value < step + 1e-8


@pytest.mark.parametrize("shown", [cut, raised])
def test_round_numbers_stay_and_nothing_is_minus_zero(shown: Callable[[float], str]) -> None:
    for tenths in range(-1000, 1000):
        assert shown(tenths * 0.1) == f"{tenths / 10:.1f}"
    assert not shown(-1e-12).startswith("-")


def test_a_hair_out_is_out() -> None:
    assert clear_or_out(-1e-3) == "0.1 mm out"
    assert clear_or_out(1.96) == "1.9 mm clear"
