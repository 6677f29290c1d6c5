"""Corridors of a real pelvis beside those that experts drew in it, and in the mirror."""

from pathlib import Path

import anatomy_reference as reference
import numpy as np
import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.core.labels import LabelMap
from sjplan.io.volumes import read_labels
from sjplan.planning.corridor_walls import corridor_walls
from sjplan.planning.corridors import Corridor, find_corridors, measure_corridor
from sjplan.testing.problems import Motion

pytestmark = [pytest.mark.real, pytest.mark.slow]

PELVIS = "08"


@pytest.fixture(scope="module")
def labels(real_data: Path) -> LabelMap:
    return read_labels(reference.label_path(real_data, PELVIS))


@pytest.fixture(scope="module")
def anatomy(labels: LabelMap) -> Anatomy:
    return anatomy_from_labels(labels)


@pytest.fixture(scope="module")
def found(anatomy: Anatomy) -> dict[tuple[str, str], Corridor]:
    return {(c.level, c.side): c for c in find_corridors(anatomy)}


@pytest.mark.parametrize("level", ["S1", "S2"])
def test_beside_the_expert(
    level: str, real_data: Path, anatomy: Anatomy, found: dict[tuple[str, str], Corridor]
) -> None:
    """Nearly their axis, a cylinder at least as wide as theirs, and a level that the lumens agree with."""
    expert = next(c for c in reference.corridors(real_data) if (c.pelvis, c.level) == (PELVIS, level))
    ours = found[level, "both"]
    theirs = measure_corridor(corridor_walls(anatomy), level, "both", expert.start, expert.end)
    assert theirs.found
    assert ours.axis is not None
    assert theirs.axis is not None
    assert np.degrees(np.arccos(abs(float(ours.axis @ theirs.axis)))) < 5.0
    assert ours.inscribed_diameter_mm >= theirs.inscribed_diameter_mm
    assert ours.area_equivalent_diameter_mm == pytest.approx(theirs.area_equivalent_diameter_mm, abs=1.0)
    assert ours.start_lps_mm is not None
    assert ours.end_lps_mm is not None
    points = reference.medial_axis(anatomy, reference.Corridor(PELVIS, level, ours.start_lps_mm, ours.end_lps_mm))
    for side in ("left", "right"):
        over = {name: reference.cranial_of_foramen_mm(anatomy, points, name, side) for name in ("S1", "S2")}
        assert over["S2"] > 0
        assert over["S1"] > 0 if level == "S1" else over["S1"] < 0


def test_mirrored_pelvis_swaps_the_sides(labels: LabelMap, found: dict[tuple[str, str], Corridor]) -> None:
    there = find_corridors(anatomy_from_labels(Motion.mirror().labels(labels)))
    swapped = {"left": "right", "right": "left", "both": "both"}
    for c in there:
        here = found[c.level, swapped[c.side]]
        assert c.inscribed_diameter_mm == pytest.approx(here.inscribed_diameter_mm, abs=0.15)
