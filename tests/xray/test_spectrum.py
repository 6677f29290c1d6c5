"""Spectra against what spekpy itself says of the same tube and filters."""

import json
from pathlib import Path

import numpy as np
import pytest

from sjplan.core.errors import GeometryError, UnknownNameError
from sjplan.io.physics import read_physics
from sjplan.xray.spectrum import air_kerma_ugy_per_mas, beam, half_value_layer_mm, mean_energy_kev, transmitted

SAID = json.loads((Path(__file__).parents[2] / "docs/results/spectra.json").read_text())["rows"]
NAMES = {"Al": "aluminium", "Cu": "copper"}


@pytest.mark.parametrize("row", SAID, ids=lambda r: f"{r['kvp']} {r['filters_mm']}")
def test_filtered_beams_are_those_of_spekpy(row):
    """Half-value layers within 2 %, kerma and mean energy within 1.5 %: filters are of other tables than spekpy's."""
    tables = read_physics()
    source = beam(tables, row["kvp"], {NAMES[n]: t for n, t in row["filters_mm"].items()})
    assert half_value_layer_mm(tables, source) == pytest.approx(row["hvl_al_mm"], rel=0.02)
    assert half_value_layer_mm(tables, source, "copper") == pytest.approx(row["hvl_cu_mm"], rel=0.02)
    assert air_kerma_ugy_per_mas(tables, source) == pytest.approx(row["air_kerma_ugy_per_mas"], rel=0.015)
    assert mean_energy_kev(tables, source) == pytest.approx(row["mean_kev"], rel=0.015)


# CLINICAL.md 3.4: mass attenuation in cm2/g at 60 keV, times density, from xraylib, another table.
@pytest.mark.parametrize(
    ("material", "per_mm"),
    [
        ("water", 0.02059),
        ("bone", 0.06044),
        ("titanium", 0.3275),
        ("steel", 1.0128),
        ("copper", 1.4273),
        ("csi", 3.572),
    ],
)
def test_attenuation_is_what_other_tables_say(material, per_mm):
    assert read_physics().mu_at(material, 60.0) == pytest.approx(per_mm, rel=0.005)


def test_more_voltage_and_more_filter_harden_the_beam():
    tables = read_physics()
    by_voltage = [half_value_layer_mm(tables, beam(tables, k, {"aluminium": 3.0})) for k in (40, 62.5, 63, 100, 150)]
    by_filter = [half_value_layer_mm(tables, beam(tables, 80, {"copper": t})) for t in (0.0, 0.1, 0.3, 0.9)]
    assert (np.diff(by_voltage) > 0).all()
    assert (np.diff(by_filter) > 0).all()


def test_no_photon_has_more_energy_than_the_voltage_gives():
    tables = read_physics()
    for kvp in (40.0, 73.0, 73.5, 150.0):
        source = beam(tables, kvp, {})
        assert (source.fluence[tables.energy_kev > np.ceil(kvp)] == 0).all()
        assert (source.fluence >= 0).all()


def test_slabs_in_a_row_take_what_they_take_one_by_one():
    """At one energy; over a spectrum the second slab takes less, because the first one hardens the beam."""
    tables = read_physics()
    source, at = beam(tables, 80, {"aluminium": 3.0}), np.zeros(140)
    at[50] = 1.0
    parts = transmitted(tables, source, at, {"water": 50.0}) * transmitted(tables, source, at, {"bone": 5.0})
    assert transmitted(tables, source, at, {"water": 50.0, "bone": 5.0}) == pytest.approx(parts)
    once, twice = (transmitted(tables, source, np.ones(140), {"bone": t}) for t in (10.0, 20.0))
    assert twice > 1.1 * once**2


@pytest.mark.parametrize("kvp", [39.9, 150.1, -80.0, float("nan")])
def test_a_voltage_out_of_range_is_refused(kvp):
    with pytest.raises(GeometryError, match=r"kvp.*40 to 150"):
        beam(read_physics(), kvp, {})


def test_filters_out_of_range_or_unknown_are_refused():
    with pytest.raises(GeometryError, match="0 to 50 mm"):
        beam(read_physics(), 80, {"copper": -0.1})
    with pytest.raises(UnknownNameError, match="kryptonite"):
        beam(read_physics(), 80, {"kryptonite": 1.0})
