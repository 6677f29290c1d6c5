"""Every kind of bad input that the project names: one line that says what, found, wanted and fix, and exit 2."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cli_support import Done, Sjplan, changed, one_line

Image = sitk.Image


def planned(sjplan: Sjplan, case: Path, out: Path, *more: object) -> Done:
    return sjplan("plan", case, "--side", "left", "--no-pictures", "--out", out, *more)


def refused(done: Done, out: Path, *said: str) -> None:
    """One line, exit 2, nothing on stdout, and the output folder as it was: absent, its parent clean."""
    assert (done.code, done.out) == (2, ""), done.err
    assert one_line(done.err), done.err
    assert ": found " in done.err
    assert "; wanted " in done.err
    for words in said:
        assert words in done.err
    assert not out.exists()
    assert [p.name for p in out.parent.iterdir() if p.name.startswith(".sjplan")] == []


def written(image: Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def without(label: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.where(array == label, 0, array).astype(array.dtype)


def swapped(array: np.ndarray) -> np.ndarray:
    return np.where(array == 77, 78, np.where(array == 78, 77, array)).astype(array.dtype)


def test_missing_file(sjplan: Sjplan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, tmp_path / "nowhere.nii.gz", out), out, "nowhere.nii.gz", "no such file or folder")


def test_ct_without_labels(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, phantom / "ct.nii.gz", out), out, "--labels")


def test_missing_labels_file(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, phantom / "ct.nii.gz", out, "--labels", tmp_path / "l.nii"), out, "l.nii")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a: np.zeros_like(a), ["no voxel"]),
        (without(77), ["hip_left"]),
        (without(78), ["hip_right"]),
        (without(25), ["sacrum"]),
        (swapped, ["hip_left", "swap"]),
    ],
    ids=["empty", "no left hip", "no right hip", "no sacrum", "sides swapped"],
)
def test_label_map_that_is_no_pelvis(
    sjplan: Sjplan,
    labels_image: Image,
    tmp_path: Path,
    change: Callable[[np.ndarray], np.ndarray],
    said: list[str],
) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, written(changed(labels_image, change), tmp_path / "l.nii.gz"), out), out, *said)


def test_two_dimensional_image(sjplan: Sjplan, labels_image: Image, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, written(labels_image[:, :, 5], tmp_path / "flat.mha"), out), out, "flat.mha", "2")


def test_four_dimensional_image(sjplan: Sjplan, labels_image: Image, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = sitk.JoinSeries([labels_image, labels_image])
    refused(planned(sjplan, written(image, tmp_path / "film.nii.gz"), out), out, "film.nii.gz", "4")


def test_rgb_image(sjplan: Sjplan, labels_image: Image, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = sitk.Compose(labels_image, labels_image, labels_image)
    refused(planned(sjplan, written(image, tmp_path / "rgb.nrrd"), out), out, "rgb.nrrd")


def test_ct_and_labels_of_different_space(sjplan: Sjplan, phantom: Path, labels_image: Image, tmp_path: Path) -> None:
    labels_image.SetOrigin([v + 1.0 for v in labels_image.GetOrigin()])
    labels = written(labels_image, tmp_path / "moved.nii.gz")
    out = tmp_path / "out"
    refused(planned(sjplan, phantom / "ct.nii.gz", out, "--labels", labels), out, "moved.nii.gz", "resample")


NRRD = """NRRD0004
type: uint8
dimension: 3
space: left-posterior-superior
sizes: {sizes}
space directions: {directions}
kinds: domain domain domain
endian: little
encoding: raw
space origin: (0,0,0)
{more}
"""


def nrrd(path: Path, *, sizes: str = "8 8 8", directions: str = "(1,0,0) (0,1,0) (0,0,1)", more: str = "") -> Path:
    header = NRRD.format(sizes=sizes, directions=directions, more=more).rstrip("\n") + "\n\n"
    path.write_bytes(header.encode() + bytes(512))
    return path


@pytest.mark.parametrize(
    ("directions", "said"),
    [
        ("(1,0.2,0) (0,1,0) (0,0,1)", "orthonormal"),
        ("(0,0,0) (0,1,0) (0,0,1)", "mm"),
        ("(nan,0,0) (0,1,0) (0,0,1)", ""),
    ],
    ids=["sheared", "zero spacing", "NaN spacing"],
)
def test_bad_geometry(sjplan: Sjplan, tmp_path: Path, directions: str, said: str) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, nrrd(tmp_path / "bent.nrrd", directions=directions), out), out, "bent.nrrd", said)


def test_header_that_names_another_file(sjplan: Sjplan, tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(512))
    out = tmp_path / "out"
    case = nrrd(tmp_path / "outside.nrrd", more="data file: secret.raw")
    refused(planned(sjplan, case, out), out, "outside.nrrd", "secret.raw")


def test_header_that_claims_more_than_the_cap(sjplan: Sjplan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, nrrd(tmp_path / "huge.nrrd", sizes="60000 60000 60000"), out), out, "huge.nrrd")


def test_truncated_file(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    whole = (phantom / "labels.nii.gz").read_bytes()
    case = tmp_path / "cut.nii.gz"
    case.write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "out"
    refused(planned(sjplan, case, out), out, "cut.nii.gz")
    plain = tmp_path / "cut.nii"
    plain.write_bytes(gzip.decompress(whole)[:-1000])
    refused(planned(sjplan, plain, out), out, "cut.nii")


def test_file_that_is_no_image(sjplan: Sjplan, tmp_path: Path) -> None:
    case = tmp_path / "letter.nii.gz"
    case.write_text("Dear colleague, ...")
    out = tmp_path / "out"
    refused(planned(sjplan, case, out), out, "letter.nii.gz")


def test_empty_folder(sjplan: Sjplan, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    refused(planned(sjplan, tmp_path / "empty", out), out, "empty")


def test_folder_with_several_series_lists_them(sjplan: Sjplan, tmp_path: Path) -> None:
    folder = tmp_path / "dicom"
    folder.mkdir()
    uids = ["1.2.826.0.1.3680043.2.1125.1.1", "1.2.826.0.1.3680043.2.1125.1.2"]
    for n, uid in enumerate(uids):
        dicom_series(folder, uid, prefix=f"s{n}")
    out = tmp_path / "out"
    refused(planned(sjplan, folder, out), out, *uids, "--series")


def dicom_series(folder: Path, uid: str, prefix: str) -> None:
    """Three CT slices of air, as a scanner would write them."""
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k in range(3):
        image = sitk.Image([16, 16, 1], sitk.sitkInt16) - 1000
        tags = {
            "0008|0060": "CT",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
            "0008|0018": f"{uid}.{k + 1}",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.1",
            "0020|000e": uid,
            "0020|0013": str(k + 1),
            "0020|0032": f"0\\0\\{k * 2.0}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "2.0",
            "0028|0030": "1\\1",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{prefix}-{k}.dcm"))
        writer.Execute(image)


def test_coarse_labels_are_not_planned_but_looked_at(
    sjplan: Sjplan, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    coarse = tmp_path / "coarse"
    assert sjplan("phantom", "build", "default", "--out", coarse, "--spacing", "3").code == 0
    out = tmp_path / "out"
    refused(planned(sjplan, coarse, out), out, "3 x 3 x 3 mm", "2 mm")
    done = sjplan("fluoro", coarse, "--view", "inlet", "--out", tmp_path / "inlet.png", "--json")
    assert done.code == 0
    assert any("planning does not" in note for note in done.json["notes"])
    assert (tmp_path / "inlet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--planner", "raster-v2"], ["planner", "did you mean 'raster-v1'?"]),
        (["--implant", "tri7"], ["implant", "did you mean 'tri-7'?"]),
        (["--implant", "tri-7,tri-7"], ["2 ids"]),
        (["--count", "4"], ["--count", "2 or 3"]),
        (["--seed", "-1"], ["--seed"]),
        (["--budget", "0"], ["--budget"]),
        (["--limits", "nolimits.toml"], ["nolimits.toml"]),
        (["--catalogue", "nocatalogue.toml"], ["nocatalogue.toml"]),
        (["--error-model", "fluoro"], ["error model", "fluoro-planned"]),
        (["--errors", "noerrors.toml"], ["noerrors.toml"]),
    ],
)
def test_unknown_names_and_bad_numbers(
    sjplan: Sjplan, phantom: Path, tmp_path: Path, words: list[str], said: list[str]
) -> None:
    out = tmp_path / "out"
    refused(planned(sjplan, phantom, out, *words), out, *said)


def test_unknown_view_and_preset(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "picture.png"
    for more, said in (
        (["--device", "flatpanel"], "flat-panel"),
        (["--device", "flat-panel", "--kvp", "121"], "60 to 120"),
        (["--device", "flat-panel", "--seed", "-1"], "--seed"),
        (["--kvp", "80"], "--device"),
        (["--seed", "0"], "--device"),
        (["--field", "100,100"], "--device"),
        (["--device", "flat-panel", "--field", "100"], "WIDTH,HEIGHT"),
        (["--device", "flat-panel", "--field", "5,100"], "20 to"),
        (["--device", "flat-panel", "--move", "0,400,0"], "-215 to 215 mm"),
        (["--device", "flat-panel", "--distances", "600,1000"], "--distances"),
        (["--move", "0,nan,0"], "ACROSS,LIFT,ALONG"),
        (["--move", "0,20"], "ACROSS,LIFT,ALONG"),
        (["--distances", "650,400"], "0 to 400"),
        (["--distances", "650"], "ISOCENTRE,DETECTOR"),
        (["--npy", tmp_path / "none" / "a.npy"], "no folder"),
        (["--npy", out], "--out"),
        (["--npy", tmp_path / "a.npy", "--device", "flat-panel", "--signal", tmp_path / "a.npy"], "--npy"),
    ):
        refused(sjplan("fluoro", phantom, "--view", "ap", "--out", out, *more), out, said)
    refused(sjplan("fluoro", phantom, "--view", "ap", "--out", out, "--explain"), out, "--explain", "--plan")
    done = sjplan("fluoro", phantom, "--view", "inlett", "--out", out)
    refused(done, out, "did you mean 'inlet'?")
    refused(sjplan("fluoro", phantom, "--view", "10,200", "--out", out), out, "200")
    out = tmp_path / "out"
    refused(sjplan("phantom", "build", "defualt", "--out", out), out, "did you mean 'default'?")
    refused(planned(sjplan, Path("defualt"), out), out, "did you mean 'default'?")
    refused(sjplan("phantom", "cohort", "adutls", "--out", out), out, "did you mean 'adults'?")


def test_output_that_cannot_be_written(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    for out in (file, file / "below"):
        done = planned(sjplan, phantom, out)
        assert done.code == 2
        assert str(file) in done.err
    assert file.read_text() == "in the way"
    done = sjplan("fluoro", phantom, "--view", "ap", "--out", tmp_path / "missing" / "ap.png")
    refused(done, tmp_path / "missing", "missing")
    refused(sjplan("fluoro", phantom, "--view", "ap", "--out", tmp_path / "ap.jpg"), tmp_path / "ap.jpg", ".png")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place that even the superuser cannot write to")
def test_folder_without_permission(sjplan: Sjplan, phantom: Path) -> None:
    out = Path("/proc/self/out")
    refused(planned(sjplan, phantom, out), out, "cannot be written")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "JSON"),
        ("[]", "no plan"),
        ('{"schema": "sjplan.plan/9"}', "sjplan.plan/9"),
        ('{"schema": "sjplan.plan/1"}', "created"),
        ('{"schema": "sjplan.plan/1", "seed": NaN}', "NaN"),
    ],
)
def test_bad_plan_file(sjplan: Sjplan, phantom: Path, tmp_path: Path, text: str, said: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(text)
    out = tmp_path / "out"
    refused(sjplan("evaluate", phantom, plan), out, "plan.json", said)
    refused(sjplan("export", plan, "--to", "csv", "--out", out), out, "plan.json", said)


def test_the_real_process_says_the_same(phantom: Path, labels_image: Image, tmp_path: Path) -> None:
    """No traceback, and no stray line of a library, reaches a shell."""
    case = written(changed(labels_image, without(77)), tmp_path / "one hip.nii.gz")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "sjplan.cli.main", "plan", str(case), "--out", str(out), "--no-pictures"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    refused(Done(done.returncode, done.stdout, done.stderr), out, "hip_left")


def test_untrusted_reading_refuses_alike(sjplan: Sjplan, tmp_path: Path) -> None:
    out = tmp_path / "out"
    case = nrrd(tmp_path / "huge.nrrd", sizes="60000 60000 60000")
    refused(planned(sjplan, case, out, "--untrusted"), out, "huge.nrrd")
