import numpy as np
import pytest

from sjplan.core.errors import GeometryError, InputError, UnknownNameError
from sjplan.phantom.habitus import HABITUS_RANGES, Habitus
from sjplan.phantom.parameters import GROUPS, RANGES, TUNNELS, PhantomParameters
from sjplan.phantom.scanner import SCANNER_RANGES, Scanner
from sjplan.phantom.variants import VARIANT_RANGES, Variants

RANGES_OF = {Variants: VARIANT_RANGES, Habitus: HABITUS_RANGES, Scanner: SCANNER_RANGES}


@pytest.mark.parametrize("name", RANGES)
def test_each_range_holds_at_both_ends(name: str) -> None:
    low, high, _ = RANGES[name]
    assert getattr(PhantomParameters(**{name: low}), name) == low
    assert getattr(PhantomParameters(**{name: high}), name) == high
    for value in (low - 0.01, high + 0.01, float("nan")):
        with pytest.raises(InputError, match=f"phantom {name}: found .* wanted {low:g} to {high:g} "):
            PhantomParameters(**{name: value})


GROUPED = [(group, name) for group, kind in GROUPS.items() for name in RANGES_OF[kind]]


@pytest.mark.parametrize(("group", "name"), GROUPED)
def test_each_range_of_a_group_holds_at_both_ends(group: str, name: str) -> None:
    kind = GROUPS[group]
    low, high, source = RANGES_OF[kind][name]
    assert getattr(kind(**{name: low}), name) == low
    assert getattr(kind(**{name: high}), name) == high
    with pytest.raises(InputError, match=f"phantom {group} {name}: found .* wanted {low:g} to {high:g}") as caught:
        kind(**{name: high + 0.01})
    assert source in str(caught.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Variants(transitional="l6"), "phantom variants transitional: found 'l6'; wanted one of none, "),
        (lambda: Variants(vacuum_gas="up"), "phantom variants vacuum_gas: found 'up'; wanted one of none, left, "),
        (lambda: Habitus(sex="x"), "phantom habitus sex: found 'x'; wanted one of female, male"),
        (lambda: Scanner(padding_hu=0), "phantom scanner padding_hu: found 0; wanted one of -1024, -2000, -3024"),
        (
            lambda: PhantomParameters(sacral_slope_deg=60.0, pelvic_tilt_deg=30.0),
            r"sacral_slope_deg \+ pelvic_tilt_deg: found 60 \+ 30; wanted a pelvic incidence of 30 to 78 \(MACTH",
        ),
    ],
)
def test_words_and_contradictions_are_named(build, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()


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
    again = PhantomParameters.from_dict(first.as_dict())
    assert again.as_dict() == first.as_dict()
    assert again.closed_foramina == ("S2_right",)


def test_arrays_are_copied_and_read_only() -> None:
    offset = np.array([1.0, 2.0, 3.0])
    parameters = PhantomParameters(offset_lps_mm=offset)
    offset[:] = 0.0
    assert parameters.offset_lps_mm.tolist() == [1.0, 2.0, 3.0]
    assert not parameters.offset_lps_mm.flags.writeable
