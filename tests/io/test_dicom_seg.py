"""DICOM segmentations as label maps: exact on oblique grids, known by label or code, and refused before any pixel."""

from __future__ import annotations

import datetime
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_makers import dciodvfy_errors, dicom_ct
from io_makers import asymmetric, ct_on, message
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from sjplan.core.errors import FrameMismatchError, InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import LabelMap
from sjplan.io.cases import read_case
from sjplan.io.dicom_objects import encoded
from sjplan.io.dicom_pieces import bone_segmentation
from sjplan.io.dicom_seg import read_segmentation
from sjplan.io.dicom_study import Study, read_study
from sjplan.io.volumes import load, read_ct, read_labels

hd = pytest.importorskip("highdicom")

NAMES = {25: "sacrum", 26: "vertebrae_S1", 77: "hip_left", 78: "hip_right", 27: "vertebrae_L5"}
BONES = ("sacrum", "vertebrae_S1", "hip_left", "hip_right")


def oblique() -> Grid:
    """Rows times columns is no multiple of eight, so that frames begin inside a byte."""
    angle = np.deg2rad([20.0, -15.0])
    (c, d), (s, t) = np.cos(angle), np.sin(angle)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])
    return Grid((13, 11, 9), np.array([0.8, 1.1, 2.3]), np.array([-31.25, 40.5, 7.125]), turn)


def scattered(grid: Grid) -> LabelMap:
    """Labels without any order, so that no flip or shift goes unseen; nothing in the first two and the last slice."""
    ids = np.array([0, *NAMES], dtype=np.uint8)
    label = ids[asymmetric(grid.shape, 0, len(ids))]
    label[:, :, [0, 1, -1]] = 0
    return LabelMap(grid, label, NAMES)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = dicom_ct(tmp_path_factory.mktemp("ct") / "series", ct_on(oblique()))
    return read_study(folder, None, datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC))


@pytest.fixture(scope="module")
def bones(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation as we write it."""
    path = tmp_path_factory.mktemp("seg") / "bones.dcm"
    path.write_bytes(encoded(bone_segmentation(scattered(oblique()), study)))
    return path


def series_of(study: Study, folder: Path) -> Path:
    """The CT of a study, written again in its frame of reference."""
    for path in dicom_ct(folder, ct_on(oblique())).iterdir():
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = study.frame_uid
        dataset.save_as(path)
    return folder


def written(study: Study, path: Path, labels: LabelMap, kind: str = "BINARY", *, keep_empty: bool = True,
            change: Callable[[Dataset], None] | None = None, **more: Any) -> Path:  # fmt: skip
    """A segmentation as another program writes it."""
    names = [n for n in BONES if n in labels.present()]
    number = np.zeros(256, np.uint8)
    for n, name in enumerate(names, 1):
        number[[i for i, called in labels.names.items() if called == name]] = n
    described = [
        hd.seg.SegmentDescription(n, name, hd.sr.CodedConcept("91723000", "SCT", "Anatomical Structure"),
                                  hd.sr.CodedConcept("91723000", "SCT", "Anatomical Structure"), "MANUAL")
        for n, name in enumerate(names, 1)
    ]  # fmt: skip
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = labels.grid.matrix[:, ::-1], labels.grid.origin_lps_mm
    volume = hd.Volume(np.ascontiguousarray(number[labels.label].transpose(2, 1, 0)), affine, "PATIENT",
                       frame_of_reference_uid=study.frame_uid)  # fmt: skip
    dataset = hd.seg.Segmentation(
        source_images=list(study.instances), pixel_array=volume, segmentation_type=kind,
        segment_descriptions=described, series_instance_uid="2.25.2", series_number=1, sop_instance_uid="2.25.3",
        instance_number=1, manufacturer="m", manufacturer_model_name="m", software_versions="1",
        device_serial_number="1", omit_empty_frames=not keep_empty, **more,
    )  # fmt: skip
    if change is not None:
        change(dataset)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("untrusted", [False, True])
def test_what_we_write_reads_back_to_the_last_voxel(bones: Path, untrusted: bool) -> None:
    labels, wanted = read_labels(bones, untrusted=untrusted), scattered(oblique())
    assert np.abs(labels.grid.corners_lps_mm() - wanted.grid.corners_lps_mm()).max() < 1e-6
    assert labels.grid.shape == wanted.grid.shape
    assert labels.names == {i: name for i, name in NAMES.items() if name in BONES}
    assert np.array_equal(labels.label, np.where(wanted.label == 27, 0, wanted.label))
    assert labels.source is not None
    assert labels.source.facts["format"] == "DICOM SEG"
    assert len(labels.source.sha256) == 64


@pytest.mark.parametrize("untrusted", [False, True])
def test_how_far_labels_may_be_off_goes_with_them(study: Study, tmp_path: Path, untrusted: bool) -> None:
    """Bounds that held on the label map hold on its segmentation, through an archive that keeps nothing beside it."""
    path = tmp_path / "bones.dcm"
    path.write_bytes(encoded(bone_segmentation(replace(scattered(oblique()), surface_error_mm=1.75), study)))
    assert read_labels(path, untrusted=untrusted).surface_error_mm == 1.75
    assert dciodvfy_errors(path) == []
    hd.seg.segread(path)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path)
    assert read_labels(path, untrusted=untrusted).surface_error_mm == 1.75
    (tmp_path / "bones.names.json").write_text('{"sacrum": 1, "hip_left": 3, "hip_right": 4, "surface_error_mm": 0.5}')
    assert read_labels(path, untrusted=untrusted).surface_error_mm == 1.75, "the larger"


def test_a_private_element_of_anybody_else_says_nothing(study: Study, tmp_path: Path) -> None:
    def foreign(dataset: Dataset) -> None:
        dataset.private_block(0x3011, "OTHERS", create=True).add_new(1, "DS", "2.0")

    assert read_labels(written(study, tmp_path / "a.dcm", scattered(oblique()), change=foreign)).surface_error_mm == 0.0


@pytest.mark.parametrize("value", ["nan", "-1", "1e9", "", "two"])
def test_an_error_that_is_no_length_is_refused(study: Study, tmp_path: Path, value: str) -> None:
    def spoilt(dataset: Dataset) -> None:
        dataset.private_block(0x3011, "SJPLAN", create=True).add_new(1, "LO", value)

    path = written(study, tmp_path / "a.dcm", scattered(oblique()), change=spoilt)
    with pytest.raises(InputError, match="no number of how far its labels may be off"):
        read_labels(path)


def test_highdicom_reads_the_same(bones: Path) -> None:
    """The library's own reading is the reference: geometry, numbers and labels."""
    ours = read_labels(bones)
    seg = hd.seg.segread(bones)
    volume = seg.get_volume(combine_segments=True, relabel=False)
    named = {n: seg.get_segment_description(n).segment_label for n in seg.segment_numbers}
    back = {name: i for i, name in ours.names.items()}
    theirs = np.array([0, *(back[named[n]] for n in sorted(named))])[volume.array]
    index = np.stack(np.meshgrid(*(np.arange(n) for n in volume.array.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    ijk = ours.grid.ijk_from_lps(points)
    assert np.abs(ijk - np.rint(ijk)).max() < 1e-6
    i, j, k = np.rint(ijk).astype(int).T
    assert np.array_equal(ours.label[i, j, k], theirs.ravel())
    assert seg.NumberOfFrames == 4 * oblique().shape[2], "frames without a voxel are kept"


def test_a_segmentation_without_empty_slices_finds_its_place_in_the_ct(study: Study, tmp_path: Path) -> None:
    """As most programs write them; the case then is the same as with the whole map."""
    labels = scattered(oblique())
    gap = labels.label.copy()
    gap[:, :, 4] = 0
    labels = LabelMap(labels.grid, gap, NAMES)
    path = written(study, tmp_path / "seg.dcm", labels, keep_empty=False)
    alone = load(path, "labels")
    assert isinstance(alone.volume, LabelMap)
    assert alone.volume.grid.shape == (13, 11, 6)
    assert [f.code for f in alone.findings] == ["seg-frames-omitted"]
    assert "leaves out 1 of 6 slices" in alone.findings[0].text
    folder = series_of(study, tmp_path / "ct")
    case = read_case(folder, path)
    assert case.labels is not None
    assert case.labels.grid.same_space(oblique())
    assert np.array_equal(case.labels.label, np.where(gap == 27, 0, gap))


def test_a_segmentation_of_another_place_is_not_moved(study: Study, tmp_path: Path) -> None:
    grid = oblique()
    shifted = Grid(grid.shape, grid.spacing_mm, grid.lps_from_ijk([0.5, 0.0, 0.0]), grid.direction)
    labels = scattered(grid)
    path = written(study, tmp_path / "seg.dcm", LabelMap(shifted, labels.label, NAMES), keep_empty=False)
    with pytest.raises(FrameMismatchError, match="resample"):
        read_case(series_of(study, tmp_path / "ct"), path)


def test_a_segmentation_of_another_examination_is_refused(study: Study, bones: Path, tmp_path: Path) -> None:
    """Same grid, other frame of reference: another patient on the same table."""
    assert read_case(series_of(study, tmp_path / "own"), bones).labels is not None
    other = dicom_ct(tmp_path / "other", ct_on(oblique()))
    with pytest.raises(InputError, match="a segmentation in another frame of reference") as error:
        read_case(other, bones)
    message(error.value)
    for path in other.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.FrameOfReferenceUID
        dataset.save_as(path)
    assert read_case(other, bones).labels is not None, "a series that does not say: its grid has to do"


@pytest.mark.parametrize("syntax", [None, RLELossless])
def test_label_map_segmentations(study: Study, tmp_path: Path, syntax: str | None) -> None:
    more = {} if syntax is None else {"transfer_syntax_uid": syntax}
    labels = scattered(oblique())
    back = read_labels(written(study, tmp_path / "map.dcm", labels, "LABELMAP", **more))
    assert np.array_equal(back.label, np.where(labels.label == 27, 0, labels.label))


def named(*labels: str, codes: dict[int, tuple[str, str]] | None = None) -> Callable[[Dataset], None]:
    """A change that gives segments other labels, and codes with a side."""

    def change(dataset: Dataset) -> None:
        for n, (segment, label) in enumerate(zip(dataset.SegmentSequence, labels, strict=True)):
            segment.SegmentLabel = label
            value, side = (codes or {}).get(n, ("", ""))
            if value:
                item = segment.SegmentedPropertyTypeCodeSequence[0]
                item.CodeValue = value
                modifier = Dataset()
                modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = side, "SCT", "a side"
                item.SegmentedPropertyTypeModifierCodeSequence = [modifier] if side else []

    return change


LEFT, RIGHT = "7771000", "24028007"


@pytest.mark.parametrize(
    "change",
    [
        named("Sacrum", "x", "Left hip", "hip bone, right"),
        named("os sacrum", "x", "Ilium L", "Ilium R", codes={0: ("54735007", "")}),
        named("a", "b", "c", "d", codes={0: ("54735007", ""), 2: ("29836001", LEFT), 3: ("22356005", RIGHT)}),
        named("Segment_1", "x", "HIP_LEFT", "hipRight", codes={0: ("T-11AD0", "")}),
    ],
    ids=["words", "words and a code", "codes alone", "older codes, other spellings"],
)
def test_segments_are_known_by_label_or_code(study: Study, tmp_path: Path, change: Callable[[Dataset], None]) -> None:
    labels = scattered(oblique())
    found = load(written(study, tmp_path / "seg.dcm", labels, change=change), "labels")
    assert isinstance(found.volume, LabelMap)
    for name in ("sacrum", "hip_left", "hip_right"):
        assert np.array_equal(found.volume.mask(name), labels.mask(name))
    assert set(found.volume.names.values()) == {"sacrum", "hip_left", "hip_right"}
    assert [f.code for f in found.findings] == ["seg-segments-skipped"]


def test_a_names_file_gives_segment_numbers(study: Study, tmp_path: Path) -> None:
    labels = scattered(oblique())
    path = written(study, tmp_path / "seg.dcm", labels, change=named("a", "b", "c", "d"))
    (tmp_path / "names.toml").write_text("sacrum = [1, 2]\nhip_left = 3\nhip_right = 4\nsurface_error_mm = 0.5\n")
    back = read_labels(path, names=tmp_path / "names.toml")
    assert np.array_equal(back.mask("sacrum"), labels.mask("sacrum", "vertebrae_S1"))
    assert np.array_equal(back.mask("hip_right"), labels.mask("hip_right"))
    assert back.surface_error_mm == 0.5


def test_sides_that_contradict_each_other_and_segments_of_nothing(study: Study, tmp_path: Path) -> None:
    labels = scattered(oblique())
    both = named("sacrum", "x", "hip_left", "hip_right", codes={2: ("29836001", RIGHT)})
    with pytest.raises(InputError, match="segment 'hip_left', whose code says right") as error:
        read_labels(written(study, tmp_path / "a.dcm", labels, change=both))
    message(error.value)
    with pytest.raises(InputError, match="found segments liver, spleen, Pelvis, kidney; wanted sacrum, hip_left"):
        read_labels(written(study, tmp_path / "b.dcm", labels, change=named("liver", "spleen", "Pelvis", "kidney")))


def test_a_voxel_in_two_segments_is_refused(study: Study, tmp_path: Path) -> None:
    def overlap(dataset: Dataset) -> None:
        pixels = np.frombuffer(dataset.PixelData, np.uint8).copy()
        pixels[:] = 0xFF
        dataset.PixelData = pixels.tobytes()

    with pytest.raises(InputError, match="voxels that belong to two segments"):
        read_labels(written(study, tmp_path / "a.dcm", scattered(oblique()), change=overlap))


def with_tag(keyword: str, value: Any) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def moved_frame(dataset: Dataset) -> None:
    frame = dataset.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0]
    frame.ImagePositionPatient = [float(v) + 7.0 for v in frame.ImagePositionPatient]


def without_places(dataset: Dataset) -> None:
    for item in dataset.PerFrameFunctionalGroupsSequence:
        del item.PlanePositionSequence


def without_description(dataset: Dataset) -> None:
    dataset.SegmentSequence = dataset.SegmentSequence[:2]


def skewed(dataset: Dataset) -> None:
    orientation = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [1, 0, 0, 0.5, 0.5, 0]


REFUSED: list[tuple[Callable[[Dataset], None], str]] = [
    (with_tag("NumberOfFrames", 2**31 - 1), "2147483647 frames"),
    (with_tag("NumberOfFrames", 100_000), "truncated"),
    (with_tag("Rows", 65535), "truncated"),
    (with_tag("Rows", 1), "frames of 13x1"),
    (with_tag("BitsAllocated", 8), "8 bits a voxel"),
    (with_tag("SegmentationType", "FRACTIONAL"), "type FRACTIONAL"),
    (with_tag("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "another kind (CT Image Storage)"),
    (with_tag("PerFrameFunctionalGroupsSequence", []), "0 places for 36 frames"),
    (moved_frame, "shifted sideways by"),
    (without_places, "without position"),
    (without_description, "not described"),
    (skewed, "not orthonormal"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_a_header_is_refused_before_any_pixel(
    bones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Dataset], None], said: str
) -> None:
    monkeypatch.setattr("sjplan.io.dicom_seg._voxels", lambda *_: pytest.fail("pixels were read"))
    dataset = pydicom.dcmread(bones)
    change(dataset)
    dataset.save_as(tmp_path / "bad.dcm")
    with pytest.raises(InputError) as error:
        read_labels(tmp_path / "bad.dcm")
    assert said in message(error.value)


@pytest.mark.parametrize(
    ("syntax", "said"), [(DeflatedExplicitVRLittleEndian, "deflated"), (JPEG2000Lossless, "compressed bits")]
)
def test_what_would_have_to_be_unpacked_first_is_refused(bones: Path, tmp_path: Path, syntax: str, said: str) -> None:
    data = bones.read_bytes()
    old = pydicom.uid.ExplicitVRLittleEndian.encode()
    new = str(syntax).encode()
    # File meta information by hand: its group length and the length of the transfer syntax change with the UID.
    at = data.index(b"\x02\x00\x10\x00UI")
    size = struct.unpack("<H", data[at + 6 : at + 8])[0]
    padded = new + b"\0" * (len(new) % 2)
    assert data[at + 8 : at + 8 + size].rstrip(b"\0") == old
    group = struct.unpack("<I", data[140:144])[0] + len(padded) - size
    head = data[:140] + struct.pack("<I", group) + data[144 : at + 6] + struct.pack("<H", len(padded)) + padded
    (tmp_path / "bad.dcm").write_bytes(head + data[at + 8 + size :])
    with pytest.raises(InputError) as error:
        read_labels(tmp_path / "bad.dcm")
    assert said in message(error.value)


def test_other_files_in_its_place(bones: Path, tmp_path: Path) -> None:
    slice_file = next(dicom_ct(tmp_path / "ct", ct_on(oblique())).iterdir())
    with pytest.raises(InputError, match=r"another kind \(CT Image Storage\)"):
        read_labels(slice_file)
    with pytest.raises(InputError, match="one slice"):
        load(slice_file, "any")
    with pytest.raises(InputError, match="modality"):
        read_ct(bones)
    case = read_case(bones)
    assert case.ct is None
    assert case.labels is not None
    cut = bones.read_bytes()
    for share in (0.02, 0.3, 0.9, 0.999):
        (tmp_path / "cut.dcm").write_bytes(cut[: int(share * len(cut))])
        with pytest.raises(InputError) as error:
            read_labels(tmp_path / "cut.dcm")
        message(error.value)
    shutil.copy(bones, tmp_path / "no ending")
    assert read_labels(tmp_path / "no ending").grid.shape == (13, 11, 9)


def test_files_of_all_kinds_that_come_with_pydicom(tmp_path: Path) -> None:
    """Images, reports, directories, deflated and broken files in place of a segmentation: one line each."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".dcm", ""))
    assert len(files) > 60
    for path in files:
        with pytest.raises(InputError) as error:
            read_labels(path)
        message(error.value)


def test_damaged_headers_never_crash_it(bones: Path, tmp_path: Path) -> None:
    """Bytes of the header changed at random, 150 seeds: a label map, or one line."""
    sound = bones.read_bytes()
    pixels = sound.index(b"\xe0\x7f\x10\x00")
    refused = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        data = bytearray(sound)
        for at in rng.integers(128, pixels, rng.integers(1, 12)):
            data[at] = rng.integers(256)
        path = tmp_path / "bad.dcm"
        path.write_bytes(bytes(data))
        try:
            labels = read_segmentation(path)[0] if path.read_bytes()[128:132] == b"DICM" else read_labels(path)
            assert labels.label.shape == labels.grid.shape
        except InputError as error:
            refused += 1
            message(error)
    assert refused > 15
