"""Which files `sjplan audit` measures on, which it refuses, and what its table says of them."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
from cli_support import Sjplan, one_line

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.cli.audit_files import labels_path, placed_in
from sjplan.core.errors import InputError
from sjplan.io.planschema import CaseEntry, PlanFile

OWN, OTHER = b"the label map of the plan", b"another one"


def plan_on(path: str | None, sha256: str | None = hashlib.sha256(OWN).hexdigest()) -> PlanFile:
    paths, known = {} if path is None else {"labels": path}, {} if sha256 is None else {"labels": sha256}
    return PlanFile.model_construct(case=CaseEntry(paths=paths, sha256=known))


def put(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: not that of the plan."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("own", ["plan/ph2/labels.nii.gz", "plan/labels.nii.gz", "elsewhere/ph2/labels.nii.gz"])
def test_the_label_map_of_the_plan_is_found_among_others(elsewhere: Path, tmp_path: Path, own: str) -> None:
    """By its path and by its name beside the plan, then by its path from the current folder; others do not count."""
    for place in ("plan/ph2/labels.nii.gz", "plan/labels.nii.gz", "elsewhere/ph2/labels.nii.gz"):
        put(tmp_path / place, OTHER)
    put(tmp_path / own, OWN)
    assert labels_path(plan_on("ph2/labels.nii.gz"), tmp_path / "plan" / "plan.json", None) == tmp_path / own


def test_an_absolute_path_and_a_label_map_of_another_name(elsewhere: Path, tmp_path: Path) -> None:
    plan, far = tmp_path / "plan" / "plan.json", put(tmp_path / "far" / "seg.nii.gz", OWN)
    beside = put(tmp_path / "plan" / "labels.nii.gz", OWN)
    assert labels_path(plan_on(str(far)), plan, None) == far
    far.write_bytes(OTHER)
    assert labels_path(plan_on(str(far)), plan, None) == beside


def test_a_plan_that_knows_no_sha256_takes_what_lies_beside_it(elsewhere: Path, tmp_path: Path) -> None:
    beside = put(tmp_path / "plan" / "labels.nii.gz", OTHER)
    put(elsewhere / "labels.nii.gz", OTHER)
    assert labels_path(plan_on("labels.nii.gz", None), tmp_path / "plan" / "plan.json", None) == beside


def test_no_other_label_map_than_that_of_the_plan(elsewhere: Path, tmp_path: Path) -> None:
    plan, other = tmp_path / "plan" / "plan.json", put(elsewhere / "labels.nii.gz", OTHER)
    with pytest.raises(
        InputError, match=r"labels\.nii\.gz: found another label map than .* fix: give it with --labels"
    ):
        labels_path(plan_on("labels.nii.gz"), plan, None)
    assert labels_path(plan_on("labels.nii.gz"), plan, other) == other
    for named in ("gone.nii.gz", "x" * 5000, "a\0b", None):
        with pytest.raises(InputError, match=r"a plan whose label map is not there .* fix: give it with --labels FILE"):
            labels_path(plan_on(named), plan, None)


def test_it_is_measured_on_the_label_map_of_the_plan(
    sjplan: Sjplan, plan_folder: Path, phantom: Path, labels_image: sitk.Image, elsewhere: Path, tmp_path: Path
) -> None:
    """A case folder holds its own label map, another lies where the command is run: the plan's own counts."""
    case, out = tmp_path / "cases" / "one", tmp_path / "out"
    case.mkdir(parents=True)
    table = json.loads((plan_folder / "plan.json").read_text(encoding="utf-8"))
    table["case"]["paths"] = {"labels": "labels.nii.gz"}
    (case / "plan.json").write_text(json.dumps(table), encoding="utf-8")
    labels_image[0, 0, 0] = 25
    sitk.WriteImage(labels_image, "labels.nii.gz", True)
    refused = sjplan("audit", case / "plan.json", case / "plan.json", "--out", out)
    assert (refused.code, refused.out) == (2, "")
    assert one_line(refused.err)
    assert "another label map than the one that the plan was made on" in refused.err
    shutil.copy(phantom / "labels.nii.gz", case)
    shutil.copy(case / "plan.json", case / "placed.json")
    done = sjplan("audit", case.parent, "--json")
    assert done.code == 0
    assert done.json["cases"][0]["notes"] == []
    given = sjplan("audit", case.parent, "--labels", "labels.nii.gz", "--out", out)
    assert given.out.splitlines()[-1] == f"written to {out}. {NOT_FOR_CLINICAL_USE}"
    rows = list(csv.DictReader((out / "audit.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["slot"] for row in rows] == ["1", "2", "3"]
    assert {row["notes"] for row in rows} == {"the plan was made on another label map: its sha256 differs"}
    assert {row["notice"] for row in rows} == {NOT_FOR_CLINICAL_USE}


def test_several_placed_in_one_case_are_not_chosen_from(sjplan: Sjplan, plan_folder: Path, tmp_path: Path) -> None:
    cases, out = tmp_path / "cases", tmp_path / "out"
    for name, files in (("a", ("placed.stl", "placed.json")), ("b", ())):
        put(cases / name / "plan.json", (plan_folder / "plan.json").read_bytes())
        for file in files:
            put(cases / name / file, b"{}")
    done = sjplan("audit", cases, "--out", out)
    assert done.code == 1
    assert NOT_FOR_CLINICAL_USE in done.out.splitlines()[-1]
    several, none = list(csv.DictReader((out / "audit.csv").read_text(encoding="utf-8").splitlines()))
    assert "found placed.json, placed.stl; wanted one placed.*, or one folder placed" in several["error"]
    assert "nothing that was placed" in none["error"]
    assert several["notice"] == none["notice"] == NOT_FOR_CLINICAL_USE
    (cases / "a" / "placed.stl").unlink()
    assert placed_in(cases / "a") == cases / "a" / "placed.json"


@pytest.mark.parametrize(
    "name", ["plan.glb", "left_1.obj", "implants.csv", "scene.mrml", "placed", "a folder/left.obj"]
)
def test_what_an_audit_does_not_read_is_told_what_it_does(
    sjplan: Sjplan, plan_folder: Path, tmp_path: Path, name: str
) -> None:
    file = put(tmp_path / name, b"anything")
    done = sjplan("audit", plan_folder / "plan.json", file.parent if "/" in name else file)
    assert (done.code, done.out) == (2, "")
    assert one_line(done.err)
    assert (
        "which an audit does not read; wanted a plan.json, lines of 3D Slicer (.mrk.json), STL, or a CT (" in done.err
    )
    assert "fix: sjplan export --to stl or slicer" in done.err


def test_a_file_of_a_stranger_is_audited_as_any_other(sjplan: Sjplan, plan_folder: Path, tmp_path: Path) -> None:
    """Plan, lines and label map each through a child: the same answer, and one line for what cannot be read."""
    plan, bad = plan_folder / "plan.json", put(tmp_path / "bad.stl", b"solid nothing")
    for placed in (plan_folder / "slicer", bad):
        trusted, guarded = (sjplan("audit", plan, placed, "--json", *words) for words in ((), ("--untrusted",)))
        assert (guarded.code, guarded.json) == (trusted.code, trusted.json)
    assert guarded.code == 2
    assert "no triangles of an STL" in guarded.json["error"]
