"""A plan as DICOM objects: what the standard's verifier, pydicom and highdicom make of them, and what is left out."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import trimesh
from dicom_makers import IDENTIFIERS, OTHER_SECRETS, dciodvfy_errors, dicom_ct
from io_makers import blocks, ct_on, message, plain_grid
from io_plans import CATALOGUE, plan, plan_file
from PIL import Image
from pydicom.dataset import Dataset

from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.plan import Outcome
from sjplan.io.cases import read_case
from sjplan.io.child import study_in_child
from sjplan.io.dicom_export import export_dicom
from sjplan.io.dicom_pieces import View
from sjplan.io.dicom_study import Study, read_study
from sjplan.io.exports import implant_models, placed_implants
from sjplan.io.planfile import side_entry
from sjplan.io.volumes import read_ct, read_labels

hd = pytest.importorskip("highdicom")

CREATED = datetime.datetime(2026, 11, 22, 10, 0, tzinfo=datetime.UTC)
NAMES = ["bones", *(f"left_{n}_tri-7" for n in (1, 2, 3)), "view_ap", "view_outlet", "report"]


def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (33, 47, 3)).astype(np.uint8)


def views() -> list[View]:
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "PNG")
    return [View("ap", buffer.getvalue(), "L", "F"), View("outlet", buffer.getvalue(), "L", "FP")]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dicom_ct(tmp_path_factory.mktemp("ct") / "series", ct_on(plain_grid()))


@pytest.fixture(scope="module")
def study(series: Path) -> Study:
    return read_study(series, None, CREATED)


def exported(study: Study, out: Path) -> list[Path]:
    return export_dicom(plan_file(), out, CATALOGUE, study, blocks(plain_grid()), views())


@pytest.fixture(scope="module")
def objects(study: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {p.stem: p for p in exported(study, tmp_path_factory.mktemp("out") / "dicom")}


def test_one_object_for_each_thing(objects: dict[str, Path]) -> None:
    assert list(objects) == NAMES
    kinds = {name: pydicom.dcmread(path).SOPClassUID.name for name, path in objects.items()}
    assert kinds["bones"] == "Segmentation Storage"
    assert kinds["left_2_tri-7"] == "Encapsulated STL Storage"
    assert kinds["view_ap"] == "Secondary Capture Image Storage"
    assert kinds["report"] == "Comprehensive 3D SR Storage"


@pytest.mark.parametrize("name", NAMES)
def test_the_verifier_finds_no_error(objects: dict[str, Path], name: str) -> None:
    assert dciodvfy_errors(objects[name]) == []


def test_the_verifier_would_see_one(objects: dict[str, Path], tmp_path: Path) -> None:
    dataset = pydicom.dcmread(objects["view_ap"])
    del dataset.BitsStored
    dataset.save_as(tmp_path / "bad.dcm")
    assert any("BitsStored" in line for line in dciodvfy_errors(tmp_path / "bad.dcm"))


def test_every_object_hangs_in_the_study_and_says_what_it_is_not_for(objects: dict[str, Path], study: Study) -> None:
    seen = set()
    for path in objects.values():
        dataset = pydicom.dcmread(path)
        assert dataset.StudyInstanceUID == study.study_uid
        assert dataset.SeriesDescription.endswith("not for clinical use")
        assert (dataset.ContentDate, dataset.InstanceCreationTime) == ("20261122", "100000")
        assert dataset.Manufacturer == "sjplan"
        seen.add((str(dataset.SeriesInstanceUID), dataset.Modality, dataset.SeriesNumber))
    assert len(seen) == 4, "a series for each kind"
    assert b"Not for clinical use" in objects["report"].read_bytes()
    assert "Not for clinical use" in pydicom.dcmread(objects["left_1_tri-7"]).DocumentTitle
    assert "not for clinical use" in pydicom.dcmread(objects["bones"]).ContentDescription
    capture = pydicom.dcmread(objects["view_ap"])
    assert "not for clinical use" in capture.ImageComments
    assert capture.BurnedInAnnotation == "NO", "what is burned in names no patient"


def test_nothing_of_the_patient_is_in_them(objects: dict[str, Path]) -> None:
    """No identifier of the source, in any object, in any place; and they say that it was left out."""
    for path in objects.values():
        data, dataset = path.read_bytes(), pydicom.dcmread(path)
        for secret in (*IDENTIFIERS.values(), *OTHER_SECRETS):
            assert secret == "O" or secret.encode() not in data
        assert all(not dataset[name].value for name in IDENTIFIERS)
        assert dataset.PatientIdentityRemoved == "YES"


def test_identifiers_are_kept_where_asked_for(series: Path, tmp_path: Path) -> None:
    kept = read_study(series, None, CREATED, keep_identifiers=True)
    for path in exported(kept, tmp_path):
        dataset, data = pydicom.dcmread(path), path.read_bytes()
        assert {name: str(dataset[name].value) for name in IDENTIFIERS} == IDENTIFIERS
        assert "PatientIdentityRemoved" not in dataset
        assert not any(secret.encode() in data for secret in OTHER_SECRETS), "and no more than was asked for"
        assert dciodvfy_errors(path) == []


@pytest.mark.parametrize("keep", [False, True])
def test_the_study_of_a_stranger_is_read_by_a_child(
    series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    """The same bytes come of it, and no file of the series is parsed here."""
    own = read_study(series, None, CREATED, keep_identifiers=keep)
    looked_at, dcmread = [], pydicom.dcmread

    def watched(path: Any, *args: Any, **more: Any) -> Any:
        looked_at.append(Path(path))
        return dcmread(path, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(pydicom, "dcmread", watched)
        other = study_in_child(series, None, CREATED, keep_identifiers=keep)
    assert looked_at
    assert not any(path.is_relative_to(series) for path in looked_at)
    assert other.identity == own.identity
    pairs = zip(exported(own, tmp_path / "a"), exported(other, tmp_path / "b"), strict=True)
    assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)
    with pytest.raises(InputError, match="no such series"):
        study_in_child(series, "9", CREATED)


def test_a_name_of_another_alphabet_is_kept_whole(tmp_path: Path) -> None:
    folder = dicom_ct(tmp_path / "ct", ct_on(plain_grid()))
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller^Jörg"
        dataset.save_as(path)
    study = read_study(folder, None, CREATED, keep_identifiers=True)
    for path in exported(study, tmp_path / "out"):
        assert str(pydicom.dcmread(path).PatientName) == "Müller^Jörg"


def test_identifiers_that_break_the_rules_are_left_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name of one part is a name; a sex of four letters and a date with dots would make the objects unsound."""
    folder = dicom_ct(tmp_path / "ct", ct_on(plain_grid()))
    for path in folder.iterdir():
        data = path.read_bytes()
        changes = ((b"Nobody^Ever ", b"NOBODY      "), (b"19700101", b"01.01.70"), (b"ST-94 ", b"ST\\94 "))
        for old, new in changes:
            assert data.count(old) == 1
            data = data.replace(old, new)
        path.write_bytes(data)
    study = read_study(folder, None, CREATED, keep_identifiers=True)
    for path in exported(study, tmp_path / "out"):
        dataset = pydicom.dcmread(path)
        assert (str(dataset.PatientName), dataset.PatientID) == ("NOBODY", "SECRET-17")
        assert (dataset.PatientBirthDate, dataset.StudyID) == ("", "")
        assert dciodvfy_errors(path) == []
    assert capsys.readouterr().err == ""
    assert all(not picture[name].value for picture in study.instances for name in IDENTIFIERS)


def uids(paths: list[Path]) -> list[str]:
    return [str(pydicom.dcmread(p).SOPInstanceUID) for p in paths]


def test_the_same_plan_gives_the_same_bytes_and_another_content_another_uid(
    objects: dict[str, Path], study: Study, series: Path, tmp_path: Path
) -> None:
    again = exported(study, tmp_path / "again")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in objects.values()]
    first = uids(list(objects.values()))
    assert len(set(first)) == len(first)
    assert all(len(uid) <= 64 and uid.startswith("2.25.") for uid in first)
    kept = read_study(series, None, CREATED, keep_identifiers=True)
    assert not set(uids(exported(kept, tmp_path / "kept"))) & set(first)
    labels = blocks(plain_grid(), ids=(25, 78, 77))
    other = uids(export_dicom(plan_file(), tmp_path / "other", CATALOGUE, study, labels, views()))
    assert [a == b for a, b in zip(first, other, strict=True)] == [False, *[True] * 5, False]


def test_implants_come_back_as_they_were(objects: dict[str, Path], study: Study) -> None:
    for model in implant_models(placed_implants(plan_file(), CATALOGUE)):
        dataset = pydicom.dcmread(objects[model.name])
        assert dataset.FrameOfReferenceUID == study.frame_uid
        assert dataset.MIMETypeOfEncapsulatedDocument == "model/stl"
        assert dataset.MeasurementUnitsCodeSequence[0].CodeValue == "mm"
        assert len(dataset.SourceInstanceSequence) == plain_grid().shape[2]
        stl = dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
        assert len(stl) == 84 + 50 * len(model.triangles)
        found = trimesh.load(io.BytesIO(stl), file_type="stl", process=False).triangles
        assert np.abs(found - model.vertices_lps_mm[model.triangles]).max() < 1e-3


def test_views_come_back_as_they_were(objects: dict[str, Path]) -> None:
    for name, orientation in (("view_ap", ["L", "F"]), ("view_outlet", ["L", "FP"])):
        dataset = pydicom.dcmread(objects[name])
        assert np.array_equal(dataset.pixel_array, picture())
        assert list(dataset.PatientOrientation) == orientation


def test_the_report_holds_ends_lengths_and_margins(objects: dict[str, Path], study: Study) -> None:
    report = hd.sr.srread(objects["report"])
    assert (report.VerificationFlag, report.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    groups = report.content.get_image_measurement_groups()
    entries = plan_file().sides[0].implants
    assert [g.tracking_identifier for g in groups] == [f"left implant {n}, tri-7" for n in (1, 2, 3)]
    for group, entry, trajectory in zip(groups, entries, plan().trajectories, strict=True):
        (site,) = group.finding_sites
        assert (site.value.value, site.laterality.value) == ("39723000", "7771000")
        found = {m.name.value: m for m in group.get_measurements()}
        (axis,) = found["410668003"].referenced_coordinates
        assert axis.graphic_type.value == "POLYLINE"
        assert axis.frame_of_reference_uid == study.frame_uid
        wanted = np.stack([trajectory.entry_lps_mm, trajectory.tip_lps_mm])
        assert np.abs(axis.value - wanted).max() < 1e-4, "single precision"
        assert found["410668003"].value == pytest.approx(entry.length_mm)
        assert found["margin"].value == entry.margin_mm
        assert found["margin"].unit.value == "mm"
        assert found["slack"].value == entry.slack_mm
        assert (found["iliac"].value, found["sacral"].value) == (entry.iliac_mm, entry.sacral_mm)
        assert found["roll"].unit.value == "deg"
        for clearance in entry.clearances:
            measured = found[f"clearance-{clearance.structure}"]
            assert measured.value == clearance.envelope_mm
            assert np.abs(measured.referenced_coordinates[0].value - clearance.at_lps_mm).max() < 1e-4


def test_the_report_names_all_the_others(objects: dict[str, Path], study: Study) -> None:
    report = pydicom.dcmread(objects["report"])
    named = {
        str(item.ReferencedSOPInstanceUID)
        for evidence in report.CurrentRequestedProcedureEvidenceSequence
        for part in evidence.ReferencedSeriesSequence
        for item in part.ReferencedSOPSequence
    }
    others = {str(pydicom.dcmread(p).SOPInstanceUID) for name, p in objects.items() if name != "report"}
    assert named == others | {str(i.SOPInstanceUID) for i in study.instances}


def test_a_series_in_one_file_is_joined_as_well(tmp_path: Path) -> None:
    """Enhanced CT: many pictures in one file, each with its own place."""
    slices = [pydicom.dcmread(p) for p in sorted(dicom_ct(tmp_path / "ct", ct_on(plain_grid())).iterdir())]
    for dataset in slices:
        dataset.BodyPartExamined, dataset.PatientPosition, dataset.Laterality = "PELVIS", "HFS", ""
    whole = hd.legacy.LegacyConvertedEnhancedCTImage(slices, "2.25.7", 4, "2.25.8", 1)
    (tmp_path / "enhanced").mkdir()
    whole.save_as(tmp_path / "enhanced" / "ct.dcm")
    study = read_study(tmp_path / "enhanced" / "ct.dcm", None, CREATED)
    assert len(study.instances) == 1
    for path in exported(study, tmp_path / "out"):
        assert dciodvfy_errors(path) == []
        data = path.read_bytes()
        assert not any(secret.encode() in data for secret in (*OTHER_SECRETS, "SECRET-17"))
    segmentation = pydicom.dcmread(tmp_path / "out" / "bones.dcm")
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == "2.25.7"
    case = read_case(tmp_path / "enhanced" / "ct.dcm", tmp_path / "out" / "bones.dcm")
    assert case.labels is not None
    assert np.array_equal(case.labels.label, blocks(plain_grid()).label)


def test_a_scout_beside_the_series_is_no_part_of_it(tmp_path: Path) -> None:
    """The pictures named are those that were read, without asking for --series."""
    folder = dicom_ct(tmp_path / "ct", ct_on(plain_grid()))
    scout = pydicom.dcmread(min(folder.iterdir()))
    scout.ImageType, scout.SeriesInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], "2.25.5"
    scout.SOPInstanceUID = scout.file_meta.MediaStorageSOPInstanceUID = "2.25.6"
    scout.save_as(folder / "scout.dcm")
    study = read_study(folder, None, CREATED)
    assert len(study.instances) == plain_grid().shape[2]
    assert "2.25.6" not in {i.SOPInstanceUID for i in study.instances}
    assert read_ct(folder).grid.same_space(plain_grid())


def test_labels_between_the_pictures_keep_their_own_grid(study: Study, tmp_path: Path) -> None:
    """A series that was resampled on the way in has no picture for each slice of its label map."""
    between = Grid((12, 9, 5), (1.0, 1.5, 3.1), (-10.0, 20.0, 31.3), np.eye(3))
    export_dicom(plan_file(), tmp_path, CATALOGUE, study, blocks(between))
    assert dciodvfy_errors(tmp_path / "bones.dcm") == []
    back = read_labels(tmp_path / "bones.dcm")
    assert back.grid.same_space(between)
    assert np.array_equal(back.label, blocks(between).label)


def test_nothing_is_written_of_a_plan_without_implants(study: Study, tmp_path: Path) -> None:
    nothing = plan_file().model_copy(update={"sides": [side_entry(Outcome("timeout"), "left", "p")]})
    with pytest.raises(InputError, match="no accepted implants"):
        export_dicom(nothing, tmp_path / "out", CATALOGUE, study)
    side = plan_file().sides[0]
    odd = [c.model_copy(update={"structure": "a\\b" * 9}) for c in side.implants[0].clearances]
    implant = side.implants[0].model_copy(update={"clearances": odd})
    strange = plan_file().model_copy(update={"sides": [side.model_copy(update={"implants": [implant]})]})
    with pytest.raises(InputError, match="a name of letters, digits and underscores"):
        export_dicom(strange, tmp_path / "out", CATALOGUE, study)
    with pytest.raises(InputError, match="found no bone"):
        export_dicom(plan_file(), tmp_path / "out", CATALOGUE, study, blocks(plain_grid(), ids=(1, 2)))
    assert list(tmp_path.iterdir()) == []


def spoilt(folder: Path, change: Callable[[Dataset, int], None]) -> Path:
    for n, path in enumerate(sorted(dicom_ct(folder, ct_on(plain_grid())).iterdir())):
        dataset = pydicom.dcmread(path)
        change(dataset, n)
        dataset.save_as(path)
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d, n: setattr(d, "Modality", "MR"), "no CT picture"),
        (lambda d, n: setattr(d, "SeriesInstanceUID", f"1.2.{n % 2}"), "2 series: 1.2.0 (4 slices of 12x9, CT"),
        (lambda d, n: delattr(d, "FrameOfReferenceUID"), "without one FrameOfReferenceUID"),
        (lambda d, n: setattr(d, "StudyInstanceUID", f"1.2.{n}"), "without one StudyInstanceUID"),
    ],
)
def test_series_that_nothing_can_join(tmp_path: Path, change: Callable[[Dataset, int], None], said: str) -> None:
    folder = spoilt(tmp_path / "ct", change)
    (folder / "notes.txt").write_text("no DICOM")
    with pytest.raises(InputError) as error:
        read_study(folder, None, CREATED)
    assert said in message(error.value)


def test_one_of_two_series_by_its_uid(tmp_path: Path) -> None:
    folder = spoilt(tmp_path / "ct", lambda d, n: setattr(d, "SeriesInstanceUID", f"1.2.{n % 2}"))
    study = read_study(folder, "1.2.1", CREATED)
    assert study.series_uid == "1.2.1"
    heights = [float(i.ImagePositionPatient[2]) for i in study.instances]
    assert heights == sorted(heights)
    with pytest.raises(InputError, match="no such series"):
        read_study(folder, "9", CREATED)


def test_without_highdicom_one_line_says_what_to_install(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "highdicom", None)
    with pytest.raises(InputError, match=r"no highdicom.*pip install 'sjplan\[dicom\]'"):
        exported(study, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
