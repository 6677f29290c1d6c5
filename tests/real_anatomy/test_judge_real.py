"""The judge on real pelves: against a slow measurement, and against the surfaces that the labels were made from."""

import sys
from pathlib import Path

import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.io.catalogue import read_implants
from sjplan.io.limits import read_limits
from sjplan.io.volumes import read_labels

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from validate_judge import (
    compare_poses,
    compare_with_original,
    summary_of_originals,
    summary_of_poses,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_judge_agrees_with_a_slow_measurement_on_random_poses(real_data):
    labels = read_labels(real_data / "vsd_pelvis" / "labelmaps_1mm" / "z001_labels.nii.gz")
    models = [read_implants()[name] for name in ("tri-7", "thread-10")]
    found = summary_of_poses(compare_poses(anatomy_from_labels(labels), models, read_limits(), 20, seed=4))
    assert found["poses"] == 20
    assert found["overlapping"] > 0
    assert found["out_of_bounds"] == []
    assert found["largest_lower_bound_minus_slow_mm"] < 0
    assert found["largest_envelope_minus_distance_mm"] <= 0


def test_distances_hold_on_the_original_surfaces(real_data):
    rows = compare_with_original("z001", real_data / "vsd_pelvis", [read_implants()["tri-7"]], read_limits(), seed=20)
    found = summary_of_originals(rows)
    assert set(found["sides"]) == {"z001 left", "z001 right"}
    assert found["measurements"] > 60
    assert found["not_on_original"] == []
    assert found["below_lower_bound"] == []
    assert found["above_lower_bound_by_too_much"] == []
