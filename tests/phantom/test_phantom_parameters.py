import numpy as np
import pytest

from sjplan.core.errors import GeometryError, InputError, UnknownNameError
from sjplan.phantom.parameters import RANGES, TUNNELS, PhantomParameters


@pytest.mark.parametrize("name", RANGES)
def test_each_range_holds_at_both_ends(name: str) -> None:
    low, high = RANGES[name]
    assert getattr(PhantomParameters(**{name: low}), name) == low
    assert getattr(PhantomParameters(**{name: high}), name) == high
    for value in (low - 0.01, high + 0.01, float("nan")):
        with pytest.raises(InputError, match=f"phantom {name}: found .* wanted {low:g} to {high:g}"):
            PhantomParameters(**{name: value})


def test_a_foramen_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'S1_left'"):
        PhantomParameters(closed_foramina=("S1_lef",))
    assert len(TUNNELS) == 8


def test_pose_is_checked() -> None:
    with pytest.raises(GeometryError, match="offset_lps_mm"):
        PhantomParameters(offset_lps_mm=(0.0, 1.0))
    with pytest.raises(InputError, match="each within 30 degrees"):
        PhantomParameters(rotation_deg=(0.0, 31.0, 0.0))


def test_plain_values_build_the_same_parameters_again() -> None:
    first = PhantomParameters(size=0.9, closed_foramina=("S2_right",), rotation_deg=(1.0, 2.0, 3.0))
    again = PhantomParameters(**first.as_dict())
    assert again.as_dict() == first.as_dict()
    assert again.closed_foramina == ("S2_right",)


def test_arrays_are_copied_and_read_only() -> None:
    offset = np.array([1.0, 2.0, 3.0])
    parameters = PhantomParameters(offset_lps_mm=offset)
    offset[:] = 0.0
    assert parameters.offset_lps_mm.tolist() == [1.0, 2.0, 3.0]
    assert not parameters.offset_lps_mm.flags.writeable
