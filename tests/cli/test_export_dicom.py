"""`sjplan export --to dicom` on a phantom that lies there as a DICOM series, and its segmentation read back."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cli_support import Sjplan, one_line
from dicom_makers import dciodvfy_errors, dicom_ct

from sjplan.io.planfile import read_plan, write_plan
from sjplan.io.volumes import read_ct, read_labels

pytest.importorskip("highdicom")


@pytest.fixture(scope="module")
def series(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dicom_ct(tmp_path_factory.mktemp("series") / "ct", read_ct(phantom / "ct.nii.gz"))


@pytest.fixture(scope="module")
def dicom_plan(series: Path, phantom: Path, plan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom's plan, as `sjplan plan SERIES --labels FILE` would have written it: the labels are the same."""
    plan_file, source = read_plan(plan_folder / "plan.json"), read_ct(series).source
    assert source is not None
    labels = str(phantom / "labels.nii.gz")
    sha256 = {"ct": source.sha256, "labels": plan_file.case.sha256["labels"]}
    case = plan_file.case.model_copy(update={"paths": {"ct": str(series), "labels": labels}, "sha256": sha256})
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    return write_plan(plan_file.model_copy(update={"case": case}), path)


@pytest.fixture(scope="module")
def objects(dicom_plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sjplan.cli.main import run

    out = tmp_path_factory.mktemp("objects") / "dicom"
    assert run(["export", str(dicom_plan), "--to", "dicom", "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_every_object_is_written_and_sound(objects: Path) -> None:
    names = sorted(p.stem for p in objects.iterdir())
    views = ["view_ap", "view_inlet", "view_lateral", "view_outlet"]
    assert names == ["bones", *(f"left_{n}_tri-7" for n in (1, 2, 3)), "report", *views]
    for path in objects.iterdir():
        assert dciodvfy_errors(path) == []
        assert b"SECRET-17" not in path.read_bytes()
    inlet = pydicom.dcmread(objects / "view_inlet.dcm")
    assert (inlet.Rows, inlet.Columns) == (1024, 1024)
    assert inlet.PatientOrientation[0] == "L"
    assert np.ptp(inlet.pixel_array) == 255


@pytest.mark.slow
def test_the_segmentation_stands_in_for_the_label_map(
    sjplan: Sjplan, objects: Path, series: Path, phantom: Path, dicom_plan: Path
) -> None:
    """The bones come back voxel by voxel; the plan judged on them has the margins that it had."""
    back, labels = read_labels(objects / "bones.dcm"), read_labels(phantom / "labels.nii.gz")
    assert back.grid.same_space(labels.grid)
    for name in ("sacrum", "hip_left", "hip_right"):
        assert np.array_equal(back.mask(name), labels.mask(name))
        assert back.mask(name).any()
    done = sjplan("evaluate", series, dicom_plan, "--labels", objects / "bones.dcm", "--untrusted", "--json")
    assert done.code == 0
    found = [i["margin_mm"] for i in done.json["sides"][0]["implants"]]
    assert found == [i.margin_mm for i in read_plan(dicom_plan).sides[0].implants]
    assert done.json["notes"] == ["the plan was made for another file: sha256 of the labels differs"]


def test_parts_can_be_left_out_and_identifiers_kept(sjplan: Sjplan, dicom_plan: Path, tmp_path: Path) -> None:
    words = ("--no-bones", "--no-views", "--keep-identifiers", "--json")
    done = sjplan("export", dicom_plan, "--to", "dicom", *words, "--out", tmp_path / "out")
    assert done.code == 0
    assert done.json["files"] == [*(f"left_{n}_tri-7.dcm" for n in (1, 2, 3)), "report.dcm"]
    assert pydicom.dcmread(tmp_path / "out" / "report.dcm").PatientID == "SECRET-17"


def test_a_label_map_that_is_gone_costs_the_segmentation_only(
    sjplan: Sjplan, dicom_plan: Path, phantom: Path, tmp_path: Path
) -> None:
    document = json.loads(dicom_plan.read_text())
    document["case"]["paths"]["labels"] = "gone.nii.gz"
    (tmp_path / "plan.json").write_text(json.dumps(document))
    export = ("export", tmp_path / "plan.json", "--to", "dicom", "--no-views", "--json")
    done = sjplan(*export, "--out", tmp_path / "without")
    assert done.code == 0
    assert "bones.dcm" not in done.json["files"]
    assert done.json["notes"][0].startswith("no bones: the plan's label map is gone (gone.nii.gz)")
    done = sjplan(*export, "--labels", phantom / "labels.nii.gz", "--out", tmp_path / "with")
    assert "bones.dcm" in done.json["files"]
    assert done.json["notes"] == []


def test_what_needs_a_dicom_case_says_so(
    sjplan: Sjplan, plan_folder: Path, dicom_plan: Path, series: Path, tmp_path: Path
) -> None:
    def refused(*words: object) -> str:
        done = sjplan("export", *words, "--to", "dicom", "--out", tmp_path / "out")
        assert done.code == 2
        assert one_line(done.err)
        assert not (tmp_path / "out").exists()
        return done.err

    assert "a plan made on ct.nii.gz; wanted one made on a DICOM series" in refused(plan_folder / "plan.json")
    document = json.loads(dicom_plan.read_text())
    document["case"]["paths"]["ct"] = "gone"
    (tmp_path / "plan.json").write_text(json.dumps(document))
    assert "its CT is gone (gone)" in refused(tmp_path / "plan.json")
    document["case"]["paths"] = {}
    (tmp_path / "plan.json").write_text(json.dumps(document))
    assert "a plan made on a label map alone" in refused(tmp_path / "plan.json")
    other = dicom_ct(tmp_path / "other", read_ct(series))  # the same pictures under other UIDs
    assert "another CT than the one that the plan was made on (sha256 differs)" in refused(dicom_plan, "--case", other)
