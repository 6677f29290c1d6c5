"""`sjplan segment`: one line for what cannot be segmented, labels only where they may be trusted or are asked for."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from cli_support import Sjplan, one_line

from sjplan.core.errors import AnatomyError
from sjplan.core.findings import Finding
from sjplan.core.labels import LabelMap
from sjplan.core.volume import CtVolume
from sjplan.io.volumes import read_labels
from sjplan.segment.types import Confidence, Segmentation


@pytest.fixture
def empty_ct(tmp_path: Path) -> Path:
    """A scan of soft tissue."""
    path = tmp_path / "soft.nii.gz"
    image = sitk.GetImageFromArray(np.full((40, 40, 40), 45, np.int16))
    image.SetSpacing((5.0, 5.0, 5.0))
    sitk.WriteImage(image, str(path))
    return path


def test_a_label_map_is_no_ct(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    done = sjplan("segment", phantom / "labels.nii.gz", "--out", tmp_path / "a.nii.gz")
    assert done.code == 2
    assert one_line(done.err)
    assert "a label map without a CT" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--out", "labels.png"), "ends in .nii.gz"),
        (("--out", "no such folder/labels.nii.gz"), "no folder"),
        (("--out", "labels.nii.gz", "--picture", "picture.jpg"), "ends in .png"),
        (("--out", "labels.nii.gz", "--with", "magic"), "phantom"),
    ],
)
def test_names_are_checked_before_anything_is_read(
    sjplan: Sjplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sjplan("segment", "no such case.nii.gz", *words)
    assert done.code == 2
    assert one_line(done.err)
    assert said in done.err


def test_totalsegmentator_that_is_absent_gets_one_line(
    sjplan: Sjplan, empty_ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "totalsegmentator", None)
    out = tmp_path / "labels.nii.gz"
    done = sjplan("segment", empty_ct, "--with", "totalsegmentator", "--out", out)
    assert done.code == 2
    assert one_line(done.err)
    assert "pip install 'sjplan[totalsegmentator]'" in done.err
    assert not out.exists()


def test_a_scan_without_bone_is_an_honest_no(sjplan: Sjplan, empty_ct: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.nii.gz"
    done = sjplan("segment", empty_ct, "--out", out, "--picture", tmp_path / "picture.png", "--json")
    assert done.code == 1
    assert done.json["picture"] == str(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert done.json["trusted"] is False
    assert done.json["findings"][-1]["code"] == "no-pelvis"
    assert "hardly any bone" in done.err
    assert not out.exists()


@pytest.mark.parametrize(("keep", "trusted"), [(False, True), (False, False), (True, False)])
def test_labels_are_written_where_trusted_or_kept(
    sjplan: Sjplan, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, trusted: bool
) -> None:
    """What the command does with an answer; the answer itself is the business of tests/segment."""
    given = read_labels(phantom / "labels.nii.gz")
    refusals = () if trusted else (Finding("segmentation-doubtful", "refusal", "sacrum: confidence 0.31"),)

    def answer(ct: CtVolume, progress: object = None) -> Segmentation:
        labels = LabelMap(ct.grid, given.label, {25: "sacrum", 77: "hip_left", 78: "hip_right"})
        return Segmentation(labels, {"sacrum": Confidence(0.9, 0.8, 200.0)}, refusals)

    monkeypatch.setattr("sjplan.segment.build.segment_ct", answer)
    out, picture = tmp_path / "labels.nii.gz", tmp_path / "picture.png"
    words = ["--keep"] if keep else []
    done = sjplan("segment", phantom / "ct.nii.gz", "--out", out, "--picture", picture, "--json", *words)
    assert done.code == (0 if trusted else 1)
    assert done.json["structures"]["sacrum"]["confidence"] == 0.72
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert out.exists() == (trusted or keep)
    assert done.json["labels"] == (str(out) if trusted or keep else None)
    assert ("confidence 0.31" in done.err) == (not trusted)
    if out.exists():
        assert np.array_equal(read_labels(out).mask("sacrum"), given.mask("sacrum"))


def test_what_the_ct_itself_shows_is_said_beside_the_labels(
    sjplan: Sjplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hu = np.full((40, 40, 40), 45, np.int16)
    hu[10:20, 10:20, 10:20] = 3000
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((5.0, 5.0, 5.0))
    sitk.WriteImage(image, str(tmp_path / "metal.nii.gz"))

    def answer(ct: CtVolume, progress: object = None) -> Segmentation:
        labels = LabelMap(ct.grid, np.zeros(ct.grid.shape, np.uint8), {25: "sacrum", 77: "hip_left", 78: "hip_right"})
        return Segmentation(labels, {}, (Finding("segmentation-unchecked", "refusal", "too coarse"),))

    monkeypatch.setattr("sjplan.segment.build.segment_ct", answer)
    words = ("segment", tmp_path / "metal.nii.gz", "--out", tmp_path / "labels.nii.gz")
    done, told = sjplan(*words), sjplan(*words, "--json")
    assert done.err.count("of the CT is metal") == 1
    assert [f["code"] for f in told.json["findings"]].count("ct-metal") == 1
    # where there is no sacrum, the picture shows the middle of the scan
    drawn = sjplan(*words, "--json", "--picture", tmp_path / "picture.png")
    assert drawn.json["picture"] == str(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "labels.nii.gz").write_bytes(b"older")
    assert "is of an earlier run" in sjplan(*words).err
    (tmp_path / "labels.names.toml").write_text("sacrum = 1")
    refused = sjplan(*words)
    assert refused.code == 2
    assert one_line(refused.err)
    assert "a names file of other labels" in refused.err
    (tmp_path / "labels.names.toml").unlink()

    def nothing(ct: CtVolume, progress: object = None) -> Segmentation:
        raise AnatomyError("CT", found="no pelvis", wanted="sacrum and both hip bones")

    monkeypatch.setattr("sjplan.segment.build.segment_ct", nothing)
    codes = [f["code"] for f in sjplan(*words, "--json").json["findings"]]
    assert codes.count("ct-metal") == codes.count("no-pelvis") == 1
