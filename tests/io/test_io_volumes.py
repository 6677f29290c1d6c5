"""Volumes and label maps come back where they were, in any orientation, with the values they had."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_makers import asymmetric, blocks, ct_on, message, plain_grid
from scipy.spatial.transform import Rotation

from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap
from sjplan.core.tolerances import SAME_SPACE_TOL_MM
from sjplan.core.volume import CtVolume
from sjplan.io.volumes import load, read_ct, read_labels, write_ct, write_labels

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
SIGNED_PERMUTATIONS = [
    np.eye(3)[list(order)] * signs
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
OBLIQUE = Rotation.from_euler("xyz", [17, -38, 111], degrees=True).as_matrix()


def same_place(first: Grid, second: Grid) -> bool:
    """Corners within 0.01 mm even if the volume were 500 voxels wide."""
    wide = [Grid((500, 500, 500), g.spacing_mm, g.origin_lps_mm, g.direction) for g in (first, second)]
    return bool(np.abs(wide[0].corners_lps_mm() - wide[1].corners_lps_mm()).max() <= SAME_SPACE_TOL_MM)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("turn", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_every_axis_order_and_flip_round_trips(suffix: str, turn: Any, tmp_path: Path) -> None:
    for n, matrix in enumerate(SIGNED_PERMUTATIONS):
        grid = Grid((5, 4, 3), np.array([0.7, 1.1, 2.3]), np.array([-117.3, 45.6, 812.9]), turn @ matrix)
        ct = ct_on(grid)
        back = read_ct(write_ct(ct, tmp_path / f"{n}{suffix}"))
        assert np.array_equal(back.hu, ct.hu)
        assert same_place(back.grid, grid)
        assert np.sign(np.linalg.det(back.grid.direction)) == np.sign(np.linalg.det(grid.direction))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(SUFFIXES),
    shape=st.tuples(*[st.integers(2, 6)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 6)] * 3),
    origin=st.tuples(*[st.floats(-2000, 2000)] * 3),
    seed=st.integers(0, 10**6),
    half_turn=st.booleans(),
    mirrored=st.booleans(),
)
def test_any_grid_round_trips(
    suffix: str, shape: Any, spacing: Any, origin: Any, seed: int, half_turn: bool, mirrored: bool, tmp_path: Path
) -> None:
    """Half turns matter: there NIfTI's quaternion, stored without its first part, is at its least exact."""
    direction = Rotation.random(random_state=seed).as_matrix()
    if half_turn:
        direction = 2 * np.outer(direction[0], direction[0]) - np.eye(3)
    if mirrored:
        direction = direction * [1, 1, -1]
    grid = Grid(shape, np.asarray(spacing), np.asarray(origin), direction)
    ct = CtVolume(grid, asymmetric(grid.shape))
    back = read_ct(write_ct(ct, tmp_path / f"a{suffix}"))
    assert np.array_equal(back.hu, ct.hu)
    assert same_place(back.grid, grid)


def test_a_voxel_lies_where_simpleitk_says(tmp_path: Path) -> None:
    """Independent of our own writer: an image made by SimpleITK, one bright voxel, its physical point."""
    stored = np.zeros((4, 5, 6), dtype=np.int16)
    stored[3, 1, 2] = 1000
    image = sitk.GetImageFromArray(stored)
    image.SetSpacing((0.5, 1.5, 2.5))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection(OBLIQUE.ravel().tolist())
    for suffix in SUFFIXES:
        sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
        ct = read_ct(tmp_path / f"a{suffix}")
        bright = np.argwhere(ct.hu == 1000)
        assert bright.tolist() == [[2, 1, 3]]
        expected = image.TransformIndexToPhysicalPoint((2, 1, 3))
        assert np.allclose(ct.grid.lps_from_ijk(bright[0]), expected, atol=1e-4)


def test_arrays_are_read_only_with_x_fastest(tmp_path: Path) -> None:
    grid = plain_grid()
    for values in (
        read_ct(write_ct(ct_on(grid), tmp_path / "ct.nii.gz")).hu,
        read_labels(write_labels(blocks(grid), tmp_path / "labels.nii.gz")).label,
    ):
        assert values.shape == grid.shape
        assert values.flags.f_contiguous
        assert not values.flags.writeable


def test_the_source_holds_path_and_hash_of_the_bytes(tmp_path: Path) -> None:
    path = write_ct(ct_on(plain_grid()), tmp_path / "ct.mha")
    source = read_ct(path).source
    assert source is not None
    assert source.path == str(path)
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64, np.uint16, np.int8])
def test_padding_becomes_air_and_every_number_type_is_read(dtype: Any, tmp_path: Path) -> None:
    stored = np.zeros((3, 4, 5), dtype=dtype)
    values = {np.uint16: [0, 40, 60000], np.int8: [-100, 0, 100]}.get(dtype, [-3024, -2000, -1024, -1023, -1000, 40])
    stored.ravel()[: len(values)] = values
    sitk.WriteImage(sitk.GetImageFromArray(stored), str(tmp_path / "a.nrrd"))
    wanted = {-3024: -1000, -2000: -1000, -1024: -1000, 60000: 32767}
    read = read_ct(tmp_path / "a.nrrd").hu.transpose(2, 1, 0).ravel()[: len(values)]
    assert read.tolist() == [wanted.get(v, v) for v in values]


def test_floats_are_rounded_not_cut(tmp_path: Path) -> None:
    stored = np.full((3, 4, 5), -0.6, dtype=np.float32)
    stored[0, 0, :3] = 99.7, -500.4, 1e9
    sitk.WriteImage(sitk.GetImageFromArray(stored), str(tmp_path / "a.nrrd"))
    assert read_ct(tmp_path / "a.nrrd").hu[:4, 0, 0].tolist() == [100, -500, 32767, -1]


def codes(path: Path) -> list[str]:
    return [finding.code for finding in load(path, "ct").findings]


def test_implausible_hounsfield_units_are_a_finding(tmp_path: Path) -> None:
    grid = plain_grid()
    bone = np.minimum(asymmetric(grid.shape), 1900)  # more would be metal
    assert codes(write_ct(CtVolume(grid, bone), tmp_path / "a.nii")) == []
    grey = np.abs(asymmetric(grid.shape, 1, 255))
    assert codes(write_ct(CtVolume(grid, grey), tmp_path / "b.nii")) == ["ct-not-hounsfield"]
    masked = np.where(np.arange(grid.shape[0])[:, None, None] < 6, 0, bone).astype(np.int16)
    assert codes(write_ct(CtVolume(grid, masked), tmp_path / "c.nii")) == ["ct-masked-background"]


def test_label_maps_of_any_number_type_are_read(tmp_path: Path) -> None:
    labels = blocks(plain_grid())
    for n, dtype in enumerate((np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64)):
        image = sitk.GetImageFromArray(labels.label.transpose(2, 1, 0).astype(dtype))
        sitk.WriteImage(image, str(tmp_path / f"{n}.nii.gz"))
        back = read_labels(tmp_path / f"{n}.nii.gz")
        assert np.array_equal(back.label, labels.label)
        assert back.present() == ("sacrum", "hip_left", "hip_right")
        assert dict(back.names) == TOTALSEGMENTATOR_V2


def write_plain(path: Path, stored: Any) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(stored), str(path))
    return path


def test_what_is_no_label_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as negative:
        read_labels(write_plain(tmp_path / "a.nrrd", np.full((3, 3, 3), -5, dtype=np.int16)))
    assert "negative values (down to -5)" in message(negative.value)
    with pytest.raises(InputError) as broken:
        read_labels(write_plain(tmp_path / "b.nrrd", np.full((3, 3, 3), 24.5, dtype=np.float32)))
    assert "not whole numbers" in message(broken.value)
    with pytest.raises(InputError) as many:
        read_labels(write_plain(tmp_path / "c.nrrd", np.arange(1000, dtype=np.int16).reshape(10, 10, 10)))
    assert "more than 256 different values; wanted a label map; fix: is this a CT?" in message(many.value)


def test_names_files_and_large_ids(tmp_path: Path) -> None:
    stored = np.zeros((3, 4, 5), dtype=np.int32)
    stored[0], stored[1], stored[2, 0], stored[2, 1] = 1001, 2, 40000, 255
    write_plain(tmp_path / "a.nii.gz", stored)
    own = tmp_path / "own.toml"
    own.write_text('sacrum = [1001, 255]\nhip_left = 2\nhip_right = 40000\n"L5" = 7\n')
    labels = read_labels(tmp_path / "a.nii.gz", names=own)
    turned = stored.transpose(2, 1, 0)
    assert np.array_equal(labels.mask("sacrum"), np.isin(turned, (1001, 255)))
    assert np.array_equal(labels.mask("hip_left"), turned == 2)
    assert np.array_equal(labels.mask("hip_right"), turned == 40000)
    assert "L5" in labels.names.values()
    (tmp_path / "a.names.json").write_text(json.dumps({"sacrum": 2, "hip_left": 1001, "hip_right": 40000}))
    found = read_labels(tmp_path / "a.nii.gz")
    assert np.array_equal(found.mask("sacrum"), turned == 2)


def test_labels_without_a_known_name_are_a_finding(tmp_path: Path) -> None:
    stored = np.ones((3, 4, 5), dtype=np.uint8)
    findings = load(write_plain(tmp_path / "a.nii.gz", stored), "labels").findings
    assert [f.code for f in findings] == ["labels-unnamed"]
    assert "None of the labels 1 has a name (sacrum 25, hip_left 77, hip_right 78)" in findings[0].text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sacrum = ", "neither TOML nor JSON"),
        ('sacrum = 25\nhip_left = "left"\nhip_right = 3', "hip_left: found 'left'; wanted an id from 1 to 65535"),
        ("sacrum = 0\nhip_left = 2\nhip_right = 3", "sacrum: found 0"),
        ("sacrum = true\nhip_left = 2\nhip_right = 3", "sacrum: found True"),
        ("sacrum = 2\nhip_left = 2\nhip_right = 3", "hip_left: found id 2, which is sacrum too"),
        ("sacrum = 2\nhip_l = 4\nhip_right = 3", "found sacrum, hip_l, hip_right; wanted a line for hip_left"),
        ("surface_error_mm = -0.1", "surface_error_mm: found -0.1; wanted 0 to 3 mm"),
        ("surface_error_mm = 3.5", "surface_error_mm: found 3.5"),
        ("surface_error_mm = nan", "surface_error_mm: found nan"),
        ("surface_error_mm = true", "surface_error_mm: found True"),
        ("surface_error_mm = [0.5]", "surface_error_mm: found [0.5]"),
    ],
)
def test_bad_names_files(text: str, expected: str, tmp_path: Path) -> None:
    path = write_labels(blocks(plain_grid()), tmp_path / "a.nii.gz")
    names = tmp_path / "names.toml"
    names.write_text(text)
    with pytest.raises(InputError) as caught:
        read_labels(path, names=names)
    assert expected in message(caught.value)


def test_names_of_a_written_map_come_back(tmp_path: Path) -> None:
    plain = blocks(plain_grid())
    write_labels(plain, tmp_path / "plain.nii.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["plain.nii.gz"]
    other = LabelMap(plain.grid, plain.label, {25: "sacrum", 77: "hip_right", 78: "hip_left", 9: "sacrum"})
    back = read_labels(write_labels(other, tmp_path / "other.nii.gz"))
    assert dict(back.names) == dict(other.names)


def test_an_error_of_the_labels_own_comes_back(tmp_path: Path) -> None:
    """In the names file beside the map, which is there for it also where all names are known."""
    plain = replace(blocks(plain_grid()), surface_error_mm=0.75)
    path = write_labels(plain, tmp_path / "plain.nii.gz")
    for untrusted in (False, True):
        back = read_labels(path, untrusted=untrusted)
        assert back.surface_error_mm == 0.75
        assert set(back.names.values()) == set(plain.names.values())


def test_labels_are_not_written_beside_names_of_others(tmp_path: Path) -> None:
    """They would be read by those; names of our own, of an earlier map, are written anew."""
    plain = blocks(plain_grid())
    path = write_labels(replace(plain, surface_error_mm=0.75), tmp_path / "a.nii.gz")
    assert read_labels(write_labels(plain, path)).surface_error_mm == 0.0
    (tmp_path / "b.names.toml").write_text("sacrum = 78\nhip_left = 25\nhip_right = 77\n")
    with pytest.raises(InputError, match="a names file of other labels"):
        write_labels(plain, tmp_path / "b.nii.gz")
    assert not (tmp_path / "b.nii.gz").exists()


def test_writing_to_a_wrong_name_or_place(tmp_path: Path) -> None:
    ct = ct_on(plain_grid())
    with pytest.raises(InputError, match=r"wanted one of \.nii\.gz, \.nii, \.nrrd, \.mha"):
        write_ct(ct, tmp_path / "ct.mhd")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write_ct(ct, tmp_path / "file" / "ct.nii.gz")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.real
def test_real_files(real_data: Path) -> None:
    ct = read_ct(real_data / "totalsegmentator_example" / "ct_3mm_int16.nii.gz")
    labels = read_labels(real_data / "totalsegmentator_example" / "labels_totalseg_v2.nii.gz")
    assert ct.grid.same_space(labels.grid)
    assert "vertebrae_S1" in labels.present()
    hips = read_ct(real_data / "hipbones_ct_1mm" / "pelvisSegmIntensityLPI.mha")
    assert hips.grid.direction.tolist() == [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]
    for path in sorted(real_data.glob("*/labelmaps_1mm/*_labels.nii.gz")):
        assert read_labels(path).present() == ("sacrum", "hip_left", "hip_right")
