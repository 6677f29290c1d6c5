"""The tabulated signal against the direct sum over all energies."""

import numpy as np
import pytest

from sjplan.io.physics import read_physics
from sjplan.xray.signal import csi_weights, shares, signal_table
from sjplan.xray.spectrum import beam, transmitted


def found(table, water, bone, metal):
    paths = [np.array([[p]], dtype=np.float32) for p in (water, bone, metal)]
    out = np.zeros((1, 1), np.float32)
    shares(table, *paths, out)
    return float(out[0, 0])


@pytest.mark.parametrize("metal", ["titanium", "steel"])
@pytest.mark.parametrize("kvp", [60, 73.4, 90, 120])
def test_slabs_of_water_bone_and_metal_within_one_percent_of_the_direct_sum(kvp, metal, rng):
    tables = read_physics()
    source, weights = beam(tables, kvp, {"aluminium": 4.0, "copper": 0.1}), csi_weights(tables)
    table = signal_table(tables, source, weights, metal)
    slabs = [(0, 0, 0), (200, 0, 0), (0, 20, 0), (0, 0, 7), (320, 15, 7), (220, 30, 1.6), (180, 5, 45)]
    slabs += [(rng.uniform(0, 400), rng.uniform(0, 60), rng.uniform(0, 12)) for _ in range(200)]
    for water, bone, thick in slabs:
        exact = transmitted(tables, source, weights, {"water": water, "bone": bone, metal: thick})
        assert found(table, water, bone, thick) == pytest.approx(exact, rel=0.01, abs=1e-9), (water, bone, thick)


def test_without_metal_one_layer_is_enough():
    tables = read_physics()
    source, weights = beam(tables, 80, {"aluminium": 4.0}), csi_weights(tables)
    plain, with_metal = (signal_table(tables, source, weights, m) for m in (None, "steel"))
    assert plain.log_share.shape[2] == 1
    assert found(plain, 123, 4.5, 0) == pytest.approx(found(with_metal, 123, 4.5, 0), rel=1e-5)


def test_paths_beyond_the_table_count_as_its_ends():
    tables = read_physics()
    table = signal_table(tables, beam(tables, 80, {}), csi_weights(tables), "steel")
    assert found(table, -5, -3, -1) == pytest.approx(1.0)
    assert 0.0 <= found(table, 1e5, 1e4, 1e4) < 1e-12


# CLINICAL.md 3.5: share of a 4 Al + 0.1 Cu beam's signal behind 22 cm of water, and behind titanium and a pin in it.
@pytest.mark.parametrize(
    ("kvp", "through", "titanium", "steel"),
    [(80, 7.2e-3, 0.11, 0.05), (100, 9.4e-3, 0.18, 0.10), (120, 1.1e-2, 0.24, 0.15)],
)
def test_shares_are_those_that_other_tables_gave(kvp, through, titanium, steel):
    tables = read_physics()
    source, weights = beam(tables, kvp, {"aluminium": 4.0, "copper": 0.1}), csi_weights(tables)
    behind = transmitted(tables, source, weights, {"water": 220.0})
    assert behind == pytest.approx(through, rel=0.05)
    for material, thick, wanted in (("titanium", 7.0, titanium), ("steel", 3.2, steel)):
        seen = transmitted(tables, source, weights, {"water": 220.0 - thick, material: thick})
        assert seen / behind == pytest.approx(wanted, abs=0.01)
