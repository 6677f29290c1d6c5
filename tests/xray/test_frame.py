"""Frames: exposure, scatter, noise and blur, each against what it is defined to be."""

import numpy as np
import pytest

from sjplan.core.errors import GeometryError, InputError
from sjplan.io.carms import read_carms
from sjplan.io.physics import read_physics
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.device import GRID_PRIMARY, GRID_SCATTER
from sjplan.xray.exposure import automatic_exposure
from sjplan.xray.frame import FrameMaker
from sjplan.xray.pincushion import DrawnOut, drawn_out
from sjplan.xray.signal import csi_weights
from sjplan.xray.spectrum import beam, transmitted
from sjplan.xray.types import CArm, Detector, Paths

SHAPE = (128, 160)


def slab(water=0.0, bone=0.0, titanium=0.0, steel=0.0, shape=SHAPE):
    return Paths(*(np.full(shape, p, np.float32) for p in (water, bone, titanium, steel)))


@pytest.fixture(scope="module")
def maker():
    return FrameMaker(read_physics(), read_carms()["flat-panel"])


def test_thicker_patients_get_more_voltage_more_charge_and_more_dose(maker):
    found = [automatic_exposure(maker.tables, maker.device, slab(t)) for t in (150.0, 200.0, 250.0, 300.0)]
    for name in ("kvp", "mas", "entrance_ugy", "dose_area_ugy_m2"):
        assert (np.diff([getattr(e, name) for e in found]) >= 0).all(), name
    assert found[0].kvp < found[-1].kvp
    assert [e.detector_ngy for e in found] == pytest.approx([10.0] * 4)


def test_exposure_control_stops_at_what_the_tube_gives(maker):
    device = maker.device
    found = automatic_exposure(maker.tables, device, slab(600.0))
    assert found.kvp == device.kvp_max
    assert found.mas == pytest.approx(device.ma_at_max / device.frames_per_s)
    assert found.detector_ngy < 1.0


def test_single_shots_are_exposed_fifteen_times_as_much(maker):
    one, other = (
        automatic_exposure(maker.tables, maker.device, slab(220.0), m) for m in ("fluoroscopy", "single-shot")
    )
    assert other.kvp == one.kvp
    assert other.mas == pytest.approx(15.0 * one.mas)


def test_a_voltage_set_by_hand_is_kept(maker):
    found = automatic_exposure(maker.tables, maker.device, slab(220.0), kvp=95.5)
    assert found.kvp == 95.5
    assert found.detector_ngy == pytest.approx(10.0)
    with pytest.raises(GeometryError, match="40 to 150"):
        automatic_exposure(maker.tables, maker.device, slab(220.0), kvp=39.0)


def test_behind_a_slab_primary_and_scatter_are_as_defined(maker):
    """Behind 210 mm of water, scatter to primary is 3 without a grid; the heel effect cancels over the rows."""
    signal, exposure = maker.make(slab(210.0), 0.58)
    source = beam(maker.tables, exposure.kvp, maker.device.filters_mm)
    primary = transmitted(maker.tables, source, csi_weights(maker.tables), {"water": 210.0})
    assert float(signal.mean()) == pytest.approx(primary * (1.0 + 3.0 * GRID_SCATTER / GRID_PRIMARY), rel=0.02)
    assert 0.9 / 1.1 < float(signal[-1].mean() / signal[0].mean()) < 0.9  # scatter evens it out a little


def test_noise_is_that_of_the_quanta(maker):
    """Ten nanogray are about 300 quanta a mm2; fifteen times the charge makes the noise smaller by its root."""
    deviations = []
    for mode in ("fluoroscopy", "single-shot"):
        plain, _ = maker.make(slab(220.0), 0.58, mode=mode)
        noisy, _ = maker.make(slab(220.0), 0.58, np.random.default_rng(1), mode)
        deviations.append(float(np.std(noisy / plain)))
    assert 0.05 < deviations[0] < 0.2
    assert deviations[0] / deviations[1] == pytest.approx(np.sqrt(15.0), rel=0.15)
    again, _ = maker.make(slab(220.0), 0.58, np.random.default_rng(1))
    assert np.array_equal(again, maker.make(slab(220.0), 0.58, np.random.default_rng(1))[0])


def test_metal_is_seen_as_what_it_is_made_of_and_both_by_the_direct_sum(maker):
    paths = slab(200.0)
    paths.titanium_mm[40:60, 40:60] = 7.0
    paths.steel_mm[50:70, 50:70] = 3.2
    source = beam(maker.tables, 80.0, maker.device.filters_mm)
    found, weights = maker._behind(source, paths), csi_weights(maker.tables)
    for at, titanium, steel in (((45, 45), 7.0, 0.0), ((65, 65), 0.0, 3.2), ((55, 55), 7.0, 3.2), ((5, 5), 0.0, 0.0)):
        slabs = {"water": 200.0, "titanium": titanium, "steel": steel}
        assert found[at] == pytest.approx(transmitted(maker.tables, source, weights, slabs), rel=0.01)


def test_an_edge_is_blurred_by_focal_spot_and_detector(maker):
    paths = slab(100.0, shape=(64, 256))
    paths.steel_mm[:, 128:] = 20.0
    signal, _ = maker.make(paths, 0.3)
    line = signal[32] / signal[32].max()
    spread = -np.diff(line)
    at = np.arange(255) - 127
    near = np.abs(at) < 8
    moment = (spread * at**2)[near].sum() / spread[near].sum() - ((spread * at)[near].sum() / spread[near].sum()) ** 2
    assert 0.3 * np.sqrt(moment) == pytest.approx(maker.device.blur_mm(1020.0 / 530.0), rel=0.15)


def test_an_intensifier_has_a_round_field_and_draws_its_edge_out():
    maker = FrameMaker(read_physics(), read_carms()["intensifier-12"])
    paths = slab(200.0, shape=(200, 200))
    paths.steel_mm[:, 40] = 5.0
    signal, _ = maker.make(paths, 1.5)
    assert signal[0, 0] < 1e-5 < signal[100, 100]
    assert abs(int(np.argmin(signal[100, 10:90])) + 10 - 40) <= 2
    assert int(np.argmin(signal[30, 10:90])) + 10 < int(np.argmin(signal[100, 10:90])) + 10


def test_a_pose_beyond_the_arms_reach_is_refused(maker):
    assert maker.device.pose(CArm(110, -90, 12.5, (0, 0, 0))).source_to_detector_mm == 1020.0
    for angles, said in (((111, 0, 0), "orbital_deg.*111.*-40 to 110"), ((0, 91, 0), "tilt"), ((0, 0, -13), "wig_wag")):
        with pytest.raises(GeometryError, match=said):
            maker.device.pose(CArm(*angles, (0, 0, 0)))


def test_a_users_carm_is_checked(tmp_path):
    text = "\n".join(
        f"{k} = {v!r}" if not isinstance(v, dict) else f"{k} = {{ aluminium = 3.0 }}"
        for k, v in {
            "summary": "mine", "kind": "flat-panel", "source_to_isocentre_mm": 500.0, "source_to_detector_mm": 900.0,
            "orbital_deg": [-30, 100], "tilt_deg": [-50, 50], "wig_wag_deg": [-10, 10], "field_mm": 200.0,
            "focal_spot_mm": 0.3, "kvp_min": 30.0, "kvp_max": 110.0, "ma_at_min": 1.0, "ma_at_max": 5.0,
            "frames_per_s": 8.0, "filters_mm": {}, "mtf50_per_mm": 1.5,
        }.items()
    )  # fmt: skip
    file = tmp_path / "mine.toml"
    file.write_text(f"[carms.mine]\n{text}\n")
    with pytest.raises(InputError, match=r"carms\.mine.*30 to 110.*40 to 150"):
        read_carms(file)
    file.write_text(f"[carms.mine]\n{text.replace('30.0', '50.0')}\n")
    assert read_carms(file)["mine"].detector(400).pixel_mm == 0.5


def test_overlays_lie_where_an_intensifier_shows_what_they_mark():
    geometry = CArmGeometry.of(CArm(0, 0, 0, (0, 0, 0)), Detector(301, 301, 1.0))
    shown = DrawnOut.like(geometry, 0.05)
    for point in ((40.0, 0.0, 30.0), (-60.0, 5.0, 10.0), (0.0, 0.0, 0.0)):
        column, row = geometry.project(point)
        image = np.zeros((301, 301), np.float32)
        rows, columns = np.indices(image.shape)
        image[:] = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 8.0)
        moved = drawn_out(image, 0.05)
        found = [(axis * moved).sum() / moved.sum() for axis in (columns, rows)]
        assert shown.project(point) == pytest.approx(found, abs=0.1)
