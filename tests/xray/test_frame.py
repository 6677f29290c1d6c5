"""Frames: exposure, scatter, noise and blur, each against what it is defined to be."""

from dataclasses import replace
from importlib import resources

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
from sjplan.xray.spectrum import air_kerma_ugy_per_mas, beam, transmitted
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
    thick = automatic_exposure(maker.tables, maker.device, slab(380.0), kvp=60.0)
    assert thick.mas == pytest.approx(maker.device.ma_at_min / maker.device.frames_per_s)
    for kvp in (59.0, 121.0):
        with pytest.raises(GeometryError, match="60 to 120"):
            automatic_exposure(maker.tables, maker.device, slab(220.0), kvp=kvp)


def test_kerma_and_dose_follow_from_voltage_and_charge(maker):
    """Behind 200 mm of water and 10 of bone, at 1020 mm; the skin lies half of the water before the isocentre."""
    device, tables = maker.device, maker.tables
    found = automatic_exposure(tables, device, slab(200.0, 10.0))
    source = beam(tables, found.kvp, device.filters_mm)
    open_ugy = air_kerma_ugy_per_mas(tables, source) * found.mas
    behind = transmitted(tables, source, tables.kerma_ugy, {"water": 200.0, "bone": 10.0})
    assert found.detector_ngy == pytest.approx(1000.0 * open_ugy * behind * GRID_PRIMARY / 1.02**2, rel=1e-6)
    assert found.entrance_ugy == pytest.approx(open_ugy / 0.43**2, rel=1e-6)
    assert found.dose_area_ugy_m2 == pytest.approx(open_ugy * (0.298 / 1.02) ** 2, rel=1e-6)


@pytest.mark.parametrize(("low", "high"), [(60.2, 60.9), (60.0, 119.7), (60.3, 150.0)])
def test_exposure_control_never_leaves_the_tubes_range(maker, low, high):
    device = replace(maker.device, kvp_min=low, kvp_max=high)
    assert automatic_exposure(maker.tables, device, slab(50.0)).kvp == low
    assert automatic_exposure(maker.tables, device, slab(700.0)).kvp == high


@pytest.mark.parametrize(("water", "bone"), [(210.0, 0.0), (120.0, 50.0)])
def test_behind_a_slab_primary_and_scatter_are_as_defined(maker, water, bone):
    """Both slabs scatter as 210 mm of water, three times the primary without a grid; in the middle of the field."""
    signal, exposure = maker.make(slab(water, bone), 0.58)
    source = beam(maker.tables, exposure.kvp, maker.device.filters_mm)
    primary = transmitted(maker.tables, source, csi_weights(maker.tables), {"water": water, "bone": bone})
    middle = float(signal[60:68, 70:90].mean())
    assert middle == pytest.approx(primary * (1.0 + 3.0 * GRID_SCATTER / GRID_PRIMARY), rel=0.01)


def test_the_open_beam_is_weaker_at_the_feet_and_in_the_corners(maker):
    paths, pixel_mm = slab(shape=(256, 256)), 298.0 / 256
    signal, _ = maker.make(paths, pixel_mm)
    slant = (1.0 + (149.0 / 1020.0) ** 2) ** -1.5
    assert float(signal[128, 128]) == pytest.approx(1.0, abs=0.01)
    assert float(signal[-1, 128]) == pytest.approx(0.9 * slant, abs=0.01)
    assert float(signal[0, 128]) == pytest.approx(1.1 * slant, abs=0.01)
    assert float(signal[128, -1]) == pytest.approx(slant, abs=0.01)


def test_noise_is_that_of_the_quanta_that_are_stopped(maker):
    """Poisson in every bin of the spectrum, before the detector's blur; electronics add a known little."""
    device = replace(maker.device, mtf50_per_mm=1e4)  # as good as no blur of the detector
    sharp = FrameMaker(maker.tables, device)
    paths, rng = slab(220.0, shape=(256, 256)), np.random.default_rng(1)
    plain, exposure = sharp.make(paths, 0.58)
    noise = sharp.make(paths, 0.58, rng)[0] - plain
    source = beam(maker.tables, exposure.kvp, device.filters_mm)
    stopped = csi_weights(maker.tables) / maker.tables.energy_kev
    per_pixel = exposure.mas * GRID_PRIMARY * 0.058**2 / 1.02**2
    opened = float(source.fluence @ csi_weights(maker.tables)) * per_pixel
    behind = source.fluence * np.exp(-220.0 * maker.tables.mu("water")) * stopped * per_pixel
    drawn = np.random.default_rng(2).poisson(behind, (20_000, 140)) @ maker.tables.energy_kev / opened
    primary = float(drawn.mean())
    with_scatter = drawn.var() * float(plain.mean()) / primary
    one = float((behind * maker.tables.energy_kev**2).sum() / (behind * maker.tables.energy_kev).sum()) / opened
    assert float(noise.var()) == pytest.approx(with_scatter + (3.0 * one) ** 2, rel=0.05)


def test_single_shots_are_less_noisy_and_a_seed_makes_the_same_noise(maker):
    deviations = []
    for mode in ("fluoroscopy", "single-shot"):
        plain, _ = maker.make(slab(220.0), 0.58, mode=mode)
        noisy, _ = maker.make(slab(220.0), 0.58, np.random.default_rng(1), mode)
        deviations.append(float(np.std(noisy / plain)))
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


@pytest.mark.parametrize("pixel_mm", [0.3, 0.58, 1.16])
def test_an_edge_is_blurred_by_focal_spot_and_detector(maker, pixel_mm):
    """Variances add; at 0.58 mm the kernels are three pixels wide, and exact in the second moment all the same."""
    paths = slab(100.0, shape=(64, 256))
    paths.steel_mm[:, 128:] = 20.0
    signal, _ = maker.make(paths, pixel_mm)
    line = signal[32].astype(float)
    spread, at = -np.diff(line), np.arange(255) - 127
    near, beside = np.abs(at) <= 4, (np.abs(at) > 4) & (np.abs(at) < 12)
    weights = spread[near] - spread[beside].mean()  # what scatter falls by across the edge
    mean = (weights * at[near]).sum() / weights.sum()
    moment = (weights * (at[near] - mean) ** 2).sum() / weights.sum()
    assert mean == pytest.approx(0.0, abs=0.1)
    wanted = maker.device.spot_blur_mm**2 + maker.device.detector_blur_mm**2
    assert pixel_mm**2 * moment == pytest.approx(wanted, rel=0.15)


def test_an_intensifier_spreads_an_eighth_of_its_light():
    """Far from everything bright, a shadow is lit by the glare alone."""
    device = replace(read_carms()["intensifier-12"], heel_share=0.0, pincushion=0.0)
    maker, bare = (FrameMaker(read_physics(), replace(device, glare_share=g)) for g in (0.12, 0.0))
    paths = slab(shape=(256, 256))
    paths.steel_mm[124:132, 124:132] = 80.0
    glaring, without = (m.make(paths, 305.0 / 256)[0] for m in (maker, bare))
    assert float(glaring[128, 128] - without[128, 128]) == pytest.approx(0.12, abs=0.02)
    assert float(glaring[128, 60] / without[128, 60]) == pytest.approx(1.0, abs=0.05)


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
    near = text.replace("30.0", "50.0").replace("500.0", "140.0")
    file.write_text(f"[carms.mine]\n{near}\n")
    with pytest.raises(InputError, match=r"source_to_isocentre_mm.*140.*300 to 900"):
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


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (3, 200)])
@pytest.mark.parametrize("kind", ["flat-panel", "intensifier-12"])
def test_tiny_frames_are_frames(kind, shape):
    maker = FrameMaker(read_physics(), read_carms()[kind])
    signal, exposure = maker.make(slab(200.0, shape=shape), 20.0, np.random.default_rng(0))
    assert signal.shape == shape
    assert (signal > 0).all()
    assert exposure.kvp >= 60


def test_a_flat_panel_has_no_pincushion_and_filters_are_known(tmp_path, maker):
    with pytest.raises(GeometryError, match="intensifier"):
        replace(maker.device, pincushion=0.1)
    with pytest.raises(GeometryError, match="frames_per_s"):
        replace(maker.device, frames_per_s=0.0)
    file = tmp_path / "mine.toml"
    shipped = resources.files("sjplan.data").joinpath("carms.toml").read_text("utf-8")
    file.write_text(shipped.replace("copper = 0.1", "kryptonite = 0.1"))
    with pytest.raises(InputError, match=r"flat-panel filters_mm.*kryptonite.*aluminium"):
        read_carms(file)
    file.write_text(shipped.replace("orbital_deg = [-40.0, 110.0]", "orbital_deg = [10.0, -10.0]"))
    with pytest.raises(InputError, match=r"orbital_deg: found 10 to -10"):
        read_carms(file)


def test_a_collimated_field_gets_less_scatter_and_less_dose(maker):
    """The kerma in the middle stays; what is open scatters onto itself alone, and outside there is only scatter."""
    shape, pixel_mm = (160, 160), maker.device.field_mm / 160
    paths = slab(220.0, shape=shape)
    whole = maker.device.field_mm * maker.device.source_to_isocentre_mm / maker.device.source_to_detector_mm
    blades = maker.device.blades((whole / 2, whole / 4), 160)
    assert blades == (60, 100, 40, 120)
    plain, exposure = maker.make(paths, pixel_mm)
    found, narrow = maker.make(paths, pixel_mm, blades=blades)
    assert narrow.dose_area_ugy_m2 == pytest.approx(exposure.dose_area_ugy_m2 / 8)
    assert (narrow.kvp, narrow.mas, narrow.entrance_ugy) == (exposure.kvp, exposure.mas, exposure.entrance_ugy)
    middle = (slice(75, 85), slice(70, 90))
    assert found[middle].mean() < 0.9 * plain[middle].mean()
    source = beam(maker.tables, exposure.kvp, maker.device.filters_mm)
    primary = transmitted(maker.tables, source, csi_weights(maker.tables), {"water": 220.0})
    assert found[middle].mean() > primary
    outside = np.ones(shape, bool)
    outside[58:102, 38:122] = False
    assert 0 < found[outside].max() < 0.5 * found[middle].mean()


@pytest.mark.parametrize("size", [(19.0, 100.0), (100.0, 500.0), (float("nan"), 100.0), (-5.0, 100.0)])
def test_a_field_that_the_collimator_does_not_give_is_refused(maker, size):
    with pytest.raises(GeometryError, match="collimated"):
        maker.device.blades(size)


def test_an_intensifiers_dose_counts_what_is_open_of_its_circle():
    maker = FrameMaker(read_physics(), read_carms()["intensifier-12"])
    whole = maker.device.field_mm * maker.device.source_to_isocentre_mm / maker.device.source_to_detector_mm
    paths = slab(200.0, shape=(200, 200))
    _, exposure = maker.make(paths, 1.5)
    _, half = maker.make(paths, 1.5, blades=maker.device.blades((whole, whole / 2), 200))
    # of a circle, the band of half its height holds (2 asin(1/2) + sin(2 asin(1/2))) / pi
    share = (2 * np.arcsin(0.5) + np.sin(2 * np.arcsin(0.5))) / np.pi
    assert half.dose_area_ugy_m2 == pytest.approx(share * exposure.dose_area_ugy_m2, rel=0.02)
