"""Pedicles are the narrow places of the canal's profile, shallow ones too where there must be one."""

import numpy as np
import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.canal import CanalAxis
from sjplan.anatomy.pedicles import find_pedicles
from sjplan.core.frames import SIDES
from sjplan.core.structures import LEVELS
from sjplan.io.cohorts import draw, read_cohort
from sjplan.phantom.build import build_labels
from sjplan.phantom.truth.survey import survey

FIRST, LAST, LENGTH = 40, 122, 138
AXIS = CanalAxis(np.column_stack([np.zeros(LENGTH), -np.arange(float(LENGTH))]), FIRST, LAST)

TOP = {40: 12, 53: 12, 57: 26, 64: 26}
"""The canal alone, then the first foramen's opening: arc to half-width, mm."""

REST = {78: 25, 85: 24, 90: 8, 94: 21, 102: 20, 107: 5, 114: 17, 122: 14}
"""Below the first pedicle: two more at 90 and 107."""


def pedicles(*sides):
    """Pedicles of a profile, the same on both sides or one for each."""
    profiles = [np.interp(np.arange(LENGTH), list(p), [float(w) for w in p.values()]) for p in sides]
    return find_pedicles(AXIS, {1: profiles[0], -1: profiles[-1]})


@pytest.mark.parametrize("width_mm", [21.0, 22.5, 24.0])
def test_a_shallow_pedicle_below_a_narrow_canal_is_found(width_mm):
    """The long first stretch is narrowest at its top, where there is no foramen yet; its pedicle is wider than that."""
    assert pedicles(TOP | {70: width_mm} | REST) == {1: (70, 90, 107), -1: (70, 90, 107)}


def test_a_pedicle_shallow_on_one_side_alone_is_found_on_both():
    shallow, deep = TOP | {70: 22.5} | REST, TOP | {71: 12.0} | REST
    assert pedicles(shallow, deep) == {1: (70, 90, 107), -1: (71, 90, 107)}


def test_of_two_dips_in_a_long_stretch_the_deeper_below_its_shoulders_is_the_pedicle():
    """The dip at 62 is the narrower one, but stands on a rising slope and is hardly a dip at all."""
    assert pedicles({40: 12, 53: 12, 60: 22.9, 62: 22.5, 66: 26, 71: 23, 78: 26} | REST)[1] == (71, 90, 107)


def test_a_long_stretch_without_a_dip_stays_whole():
    assert pedicles(TOP | {70: 25.8} | REST) == {1: (90, 107), -1: (90, 107)}


@pytest.mark.slow
def test_levels_of_a_short_steep_sacrum():
    """Member 198 of the cohort at 1 mm: its first pedicle is 22 mm from the mid-plane and 1.5 mm deep."""
    labels, pelvis = build_labels(draw(read_cohort("adults"), 198, 0), spacing_mm=1.0)
    anatomy, truth = anatomy_from_labels(labels), survey(pelvis)
    assert not anatomy.findings
    for side in SIDES:
        assert anatomy.levels(side) == LEVELS
        for level in LEVELS:
            off = anatomy.foramen(level, side).ventral.centre_lps_mm - truth.foramen(level, side).ventral_mouth_lps_mm
            assert np.linalg.norm(off) < 5.0, f"{level} {side}"
