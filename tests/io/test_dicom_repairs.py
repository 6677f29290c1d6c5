"""What is repaired: a tilted gantry, unequal slice distances, localizers; each said in a finding, none guessed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from io_makers import dicom_series, message
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from sjplan.core.errors import InputError
from sjplan.core.findings import Finding
from sjplan.core.volume import CtVolume
from sjplan.io.volumes import load, read_ct


def read(folder: Path) -> tuple[CtVolume, dict[str, Finding]]:
    loaded = load(folder, "ct")
    assert isinstance(loaded.volume, CtVolume)
    return loaded.volume, {f.code: f for f in loaded.findings}


def field(points: np.ndarray) -> np.ndarray:
    """A density that linear interpolation reproduces: linear in every coordinate, different in each."""
    return 100.0 + (points - np.array([-25.0, 45.0, 10.0])) @ np.array([20.0, -15.0, 18.0])


def paint(dataset: Dataset, k: int) -> None:
    """The field at the place where the header puts every pixel (DICOM PS3.3, C.7.6.2.1.1)."""
    del k
    row, column = np.reshape(np.array(dataset.ImageOrientationPatient, dtype=float), (2, 3))
    down, across = (float(v) for v in dataset.PixelSpacing)
    i, j = np.meshgrid(np.arange(dataset.Columns), np.arange(dataset.Rows))
    points = np.array(dataset.ImagePositionPatient, dtype=float) + (
        i[..., None] * across * row + j[..., None] * down * column
    )
    dataset.RescaleSlope = 0.125
    dataset.PixelData = np.rint((field(points) + 1024) / 0.125).astype("<i2").tobytes()


OBLIQUE = [0.8, 0.6, 0.0, -0.48, 0.64, 0.6]


@pytest.mark.parametrize("orientation", [[1, 0, 0, 0, 1, 0], OBLIQUE])
@pytest.mark.parametrize(
    ("heights", "shift", "codes"),
    [
        (None, -0.7, {"dicom-gantry-tilt"}),
        (None, 0.9, {"dicom-gantry-tilt"}),
        ([0, 2, 4, 6, 9, 12, 15, 18], 0.0, {"dicom-uneven-slices"}),
        ([0, 2, 4, 6.05, 8, 10, 12, 14], 0.0, {"dicom-uneven-slices"}),
        ([0, 2, 4, 6, 8, 8.5, 10.5, 12.5], -0.7, {"dicom-gantry-tilt", "dicom-uneven-slices"}),
    ],
)
def test_what_is_resampled_lies_where_the_headers_say(
    heights: list[float] | None, shift: float, codes: set[str], orientation: list[float], tmp_path: Path
) -> None:
    """A linear field comes back, but for two roundings, at every voxel that slices reach; the rest is air."""
    places = [2.0 * k for k in range(8)] if heights is None else heights

    def move(dataset: Dataset, k: int) -> None:
        column = np.array(orientation[3:], dtype=float)
        offset = shift / 2.0 * places[k] * column
        dataset.ImagePositionPatient = [float(v) for v in np.array(dataset.ImagePositionPatient, float) + offset]
        paint(dataset, k)

    dicom_series(tmp_path, heights=heights, orientation=orientation, change=move)
    ct, findings = read(tmp_path)
    assert set(findings) == codes
    assert np.allclose(ct.grid.direction[:, 0], orientation[:3])
    assert np.allclose(ct.grid.direction[:, 1], orientation[3:])
    points = ct.grid.lps_from_ijk(np.moveaxis(np.indices(ct.grid.shape), 0, -1))
    local = (points - np.array([-30.0, 40.0, 5.0])) @ ct.grid.direction
    height = local[..., 2]
    low, high = shift / 2.0 * height, shift / 2.0 * height + 9 * 0.9
    inside = (local[..., 1] >= low - 1e-6) & (local[..., 1] <= high + 1e-6)
    if codes != {"dicom-uneven-slices"}:  # between slices that are shifted against each other one of the two may end
        inside = (local[..., 1] >= low + 1.0) & (local[..., 1] <= high - 1.0)
    inside &= (local[..., 0] >= -1e-6) & (local[..., 0] <= 11 * 0.8 + 1e-6)
    assert inside.mean() > 0.3
    assert np.abs(ct.hu[inside] - field(points)[inside]).max() <= 1.07
    outside = (local[..., 1] < low - 2.0) | (local[..., 1] > high + 2.0)
    assert (ct.hu[outside] == -1000).all()
    assert height.min() == pytest.approx(0.0, abs=1e-6)
    assert height.max() == pytest.approx(places[-1], abs=1e-6)


def test_a_tilt_of_whole_pixels_changes_no_number(tmp_path: Path) -> None:
    """Slices that are moved back by whole pixels come back to the last bit, and the finding tells the angle."""
    stored = dicom_series(tmp_path, shift_mm=-0.9)
    ct, findings = read(tmp_path)
    assert "24.2 degrees" in findings["dicom-gantry-tilt"].text
    assert ct.grid.shape == (12, 17, 8)
    assert ct.grid.spacing_mm.tolist() == [0.8, 0.9, 2.0]
    assert np.allclose(ct.grid.origin_lps_mm, [-30.0, 40.0 - 7 * 0.9, 5.0])
    for k in range(8):
        plane = ct.hu[:, :, k].T
        assert np.array_equal(plane[7 - k : 17 - k], stored[k] - 1024)
        assert (np.delete(plane, slice(7 - k, 17 - k), axis=0) == -1000).all()


def test_small_departures_that_add_up_are_resampled(tmp_path: Path) -> None:
    """Each distance is within a hundredth of the others, and yet slices lie half a millimetre from an even stack."""
    heights = np.cumsum([0.0, *[2.0] * 30, *[2.028] * 30])
    dicom_series(tmp_path, count=61, heights=heights.tolist(), change=paint)
    ct, findings = read(tmp_path)
    assert "dicom-uneven-slices" in findings
    points = ct.grid.lps_from_ijk([[5, 5, k] for k in range(ct.grid.shape[2])])
    assert np.abs(ct.hu[5, 5] - field(points)).max() <= 1.07
    assert np.allclose(points[[0, -1], 2], [5.0, 5.0 + heights[-1]])


def test_an_uneven_stack_promises_no_more_than_its_coarsest_part(tmp_path: Path) -> None:
    """The planner's check of resolution sees the grid: interpolated slices must not make it look finer."""
    dicom_series(tmp_path, heights=[0, 1, 2, 3, 4, 6.5, 9, 11.5], change=lambda d, k: setattr(d, "SliceThickness", 2.5))
    ct, findings = read(tmp_path)
    assert ct.grid.spacing_mm[2] >= 2.2
    assert "1.00 to 2.50 mm apart" in findings["dicom-uneven-slices"].text
    assert findings["dicom-uneven-slices"].severity == "warning"


@pytest.mark.real
def test_the_real_tilted_series_is_tilted_and_unevenly_spaced(real_data: Path, tmp_path: Path) -> None:
    """A head: 4 mm slices, then 7 mm ones, each as thick as they are apart: coarse, but nothing between was unseen."""
    with tarfile.open(real_data / "dicom_ge_gantry_tilt" / "dcm_qa_ct_GE.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "In" / "GE"
    ct, findings = read(folder)
    assert "18.5 degrees" in findings["dicom-gantry-tilt"].text
    assert "1.08 to 7.00 mm apart" in findings["dicom-uneven-slices"].text
    assert ct.grid.spacing_mm[2] == pytest.approx(6.86, abs=0.01)
    # What lies at a slice's own pixels, where the header puts them, is in the volume (the first slice is one of its).
    first = min((pydicom.dcmread(p) for p in folder.iterdir()), key=lambda d: d.ImagePositionPatient[2])
    row, column = np.reshape(np.array(first.ImageOrientationPatient, float), (2, 3))
    j, i = np.meshgrid(np.arange(0, 512, 37), np.arange(0, 512, 41), indexing="ij")
    size = float(first.PixelSpacing[0])
    points = np.array(first.ImagePositionPatient, float) + size * (i[..., None] * row + j[..., None] * column)
    index = ct.grid.ijk_from_lps(points)
    assert np.allclose(index[..., 2], 0.0, atol=1e-4)
    below = np.floor(index[..., 1]).astype(int)
    part = index[..., 1] - below
    nearest = np.rint(index[..., 0]).astype(int)
    inside = below + 1 < ct.grid.shape[1]
    plane = ct.hu[:, :, 0].astype(float)
    # Two linear interpolations of noise agree only on average; a shift of one pixel would be seen at once.
    again = (1 - part) * plane[nearest, below] + part * plane[nearest, np.minimum(below + 1, ct.grid.shape[1] - 1)]
    stored = np.maximum(first.pixel_array[j, i].astype(float), -1000.0)
    stored[stored <= -1024] = -1000.0
    assert np.median(np.abs(again - stored)[inside]) < 10.0
    # A gap that no slice has seen is refused, and both defects are named.
    for path in folder.iterdir():
        if pydicom.dcmread(path, stop_before_pixels=True).InstanceNumber in (20, 21):
            path.unlink()
    with pytest.raises(InputError) as caught:
        read_ct(folder)
    assert "a gantry tilt of 18.5 degrees" in message(caught.value)
    assert "slice distances from 1.08 to 21.00 mm" in message(caught.value)


SCOUT = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def scout(dataset: Dataset, k: int) -> None:
    del k
    dataset.ImageType, dataset.ImageOrientationPatient = SCOUT, [0, 1, 0, 0, 0, -1]


def test_localizers_are_set_aside_in_the_series_and_beside_it(tmp_path: Path) -> None:
    uid = generate_uid()
    stored = dicom_series(tmp_path, series=uid)
    dicom_series(tmp_path, count=1, series=uid, prefix="scout", change=scout)
    ct, findings = read(tmp_path)
    assert np.array_equal(ct.hu.transpose(2, 1, 0), stored - 1024)
    assert findings["dicom-localizers-set-aside"].text.startswith("1 localizer(s)")
    dicom_series(tmp_path, count=2, series=generate_uid(), prefix="other", change=scout)
    ct, findings = read(tmp_path)
    assert np.array_equal(ct.hu.transpose(2, 1, 0), stored - 1024)
    assert findings["dicom-series-set-aside"].text.startswith("1 other series of the folder (2 pictures)")


def test_every_slice_is_read_by_its_own_slope_and_intercept(tmp_path: Path) -> None:
    """SimpleITK rounds every slice to the type that the first one needs."""

    def change(dataset: Dataset, k: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = (1 if k == 0 else 0.5 + 0.25 * k), -1024 + 100 * k

    stored = dicom_series(tmp_path, change=change)
    ct, findings = read(tmp_path)
    slopes = np.array([1.0] + [0.5 + 0.25 * k for k in range(1, 8)])
    wanted = stored * slopes[:, None, None] + (-1024 + 100 * np.arange(8))[:, None, None]
    wanted[wanted <= -1024] = -1000
    assert np.array_equal(ct.hu.transpose(2, 1, 0), np.rint(wanted))
    assert "8 different rescale" in findings["dicom-rescale-per-slice"].text


@pytest.mark.parametrize(("mark", "signed", "air"), [(-2000, 1, True), (63536, 0, True), (1024, 1, False)])
def test_marked_padding_is_air_unless_it_means_tissue(mark: int, signed: int, air: bool, tmp_path: Path) -> None:
    """A padding value that is water in Hounsfield units is some export's mistake: the voxels stay what they are."""
    pixels = np.full((10, 12), 1100, dtype="<i4")
    pixels[:, 0] = mark

    def change(dataset: Dataset, k: int) -> None:
        del k
        dataset.PixelRepresentation = signed
        dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
        dataset.add_new(0x00280120, "SS" if signed else "US", mark)

    dicom_series(tmp_path, change=change)
    ct, _ = read(tmp_path)
    assert set(np.unique(ct.hu[0])) == ({-1000} if air else {0})
    assert set(np.unique(ct.hu[1:])) == {76}


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP", "HFDR", "FFDL"])
def test_how_the_patient_lay_turns_nothing(position: str, tmp_path: Path) -> None:
    """Positions and orientations are the patient's own (LPS): the same numbers, and one note."""
    stored = dicom_series(tmp_path, change=lambda dataset, k: setattr(dataset, "PatientPosition", position))
    ct, findings = read(tmp_path)
    assert np.array_equal(ct.hu.transpose(2, 1, 0), stored - 1024)
    assert np.array_equal(ct.grid.direction, np.eye(3))
    assert ct.source is not None
    assert ct.source.facts["patient_position"] == position
    assert f"The patient lay {position}" in findings["dicom-patient-position"].text


def test_a_term_that_is_no_position_is_kept_nowhere(tmp_path: Path) -> None:
    dicom_series(tmp_path, change=lambda dataset, k: setattr(dataset, "PatientPosition", "NOBODY"))
    ct, findings = read(tmp_path)
    assert ct.source is not None
    assert "patient_position" not in ct.source.facts
    assert findings == {}
