"""A phantom's folder: what is in it, that names survive, and how a half-written one is told from a whole one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.core.labels import LabelMap
from sjplan.core.tolerances import AIR_HU
from sjplan.core.trajectory import Trajectory
from sjplan.io.cases import read_case
from sjplan.io.catalogue import read_implants
from sjplan.io.hounsfield import PADDING_HU
from sjplan.io.phantoms import (
    FILES,
    clear_half_written,
    clear_phantom,
    frame_and_landmarks,
    is_complete,
    read_truth,
    truth_text,
    write_phantom,
)
from sjplan.io.presets import read_spec
from sjplan.phantom.build import Phantom, build_phantom
from sjplan.phantom.truth.clearance import TrueSurfaces, implant_clearance_mm

SPEC = read_spec("left-tilted", seed=3, spacing_mm=4.0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return build_phantom(SPEC.parameters, SPEC.spacing_mm, SPEC.seed)


@pytest.fixture
def folder(phantom: Phantom, tmp_path: Path) -> Path:
    place = tmp_path / "phantom"
    place.mkdir()
    write_phantom(phantom, SPEC, place)
    return place


def test_a_folder_holds_these_files_and_no_others(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert is_complete(folder, SPEC)


def test_compressed_files_hold_no_time(folder: Path) -> None:
    for path in folder.glob("*.gz"):
        assert path.read_bytes()[4:8] == bytes(4)
        assert not path.read_bytes()[3], "no file name either"


def test_ct_and_labels_come_back_with_every_name(phantom: Phantom, folder: Path) -> None:
    more = {240: "marked_by_hand_left", 241: "marked_by_hand_right"}
    assert not set(more) & set(phantom.labels.names)
    label = phantom.labels.label.copy()
    label[0, 0, 0], label[1, 0, 0] = more
    named = LabelMap(phantom.labels.grid, label, {**phantom.labels.names, **more})
    write_phantom(replace(phantom, labels=named), SPEC, folder)
    case = read_case(folder)
    assert case.ct is not None
    assert case.labels is not None
    assert case.labels.names == named.names
    assert np.array_equal(case.labels.label, label)
    # As in a scan, values down to where padding begins are air when they are read.
    assert np.array_equal(case.ct.hu, np.where(phantom.ct.hu <= PADDING_HU, AIR_HU, phantom.ct.hu))
    assert case.labels.mask("marked_by_hand_left").sum() == 1


def test_names_of_an_older_map_do_not_stay_behind(phantom: Phantom, folder: Path) -> None:
    odd = {5: "sacrum", 6: "hip_left", 7: "hip_right"}
    write_phantom(replace(phantom, labels=LabelMap(phantom.labels.grid, phantom.labels.label, odd)), SPEC, folder)
    write_phantom(phantom, SPEC, folder)
    case = read_case(folder)
    assert case.labels is not None
    assert case.labels.names == phantom.labels.names


def test_the_truth_tells_centrelines_with_their_radii(phantom: Phantom, folder: Path) -> None:
    truth = read_truth(folder)
    assert truth["schema"] == "sjplan.truth/1"
    assert (truth["frame"], truth["units"], truth["seed"], truth["spacing_mm"]) == ("LPS", "mm", 3, 4.0)
    assert truth["parameters"]["rotation_deg"] == [6.0, -9.0, 11.0]
    assert truth["parameters"]["habitus"]["sex"] == "female"
    assert len(truth["foramina"]) == 8
    for told, known in zip(truth["foramina"], phantom.truth.foramina, strict=True):
        assert told["name"] == known.name
        for part in ("ventral", "dorsal"):
            line = np.array(told[f"{part}_line_lps_mm"])
            assert np.allclose(line, getattr(known, f"{part}_line_lps_mm"), atol=1e-6)
            assert len(told[f"{part}_radius_mm"]) == len(line)
            assert np.allclose(told[f"{part}_mouth_lps_mm"], getattr(known, f"{part}_mouth_lps_mm"), atol=1e-6)
    assert len(truth["canal_axis_lps_mm"]) == len(truth["canal_height_mm"]) == len(truth["canal_half_width_mm"])
    assert set(truth["joints"]) == {"left", "right"}
    assert "points_lps_mm" not in truth["joints"]["left"]
    assert set(truth["view_angles_deg"]) == set(phantom.truth.view_angles_deg) >= {"ap", "inlet", "outlet", "lateral"}
    assert all(len(angles) == 3 for angles in truth["view_angles_deg"].values())
    frame, landmarks = frame_and_landmarks(truth)
    assert np.allclose(frame.axes, phantom.truth.sacral_frame.axes, atol=1e-6)
    assert set(landmarks) == set(phantom.truth.landmarks)


@pytest.mark.parametrize("text", ["", "[]", '{"frame": "LPS"}', "\x00"])
def test_a_file_that_is_no_truth_is_refused(folder: Path, text: str) -> None:
    (folder / "truth.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"truth\.json: found .*wanted the truth of a phantom"):
        read_truth(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_that_lacks_a_file_is_not_whole(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert not is_complete(folder, SPEC)


def test_a_folder_of_another_spec_is_not_this_one(folder: Path) -> None:
    assert not is_complete(folder, replace(SPEC, seed=4))
    assert not is_complete(folder, replace(SPEC, spacing_mm=3.0))
    (folder / "spec.toml").write_bytes(b"\xff\xfe")
    assert not is_complete(folder, SPEC)


def test_what_is_cleared_is_only_ours(folder: Path) -> None:
    (folder / "plan.json").write_text("{}")
    (folder / ".sjplan-abc").mkdir()
    (folder / ".sjplan-abc" / "ct.nii.gz").write_bytes(b"half")
    (folder / ".sjplan-x.nii.gz").write_bytes(b"half")
    clear_half_written(folder)
    assert sorted(p.name for p in folder.iterdir()) == sorted([*FILES, "plan.json"])
    clear_phantom(folder)
    assert [p.name for p in folder.iterdir()] == ["plan.json"]
    (folder / "plan.json").unlink()
    clear_phantom(folder)
    assert not folder.exists()


def test_the_truth_is_plain_json_without_nan(folder: Path) -> None:
    text = (folder / "truth.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    json.loads(text, parse_constant=lambda word: pytest.fail(word))


@pytest.mark.slow
def test_the_truth_does_not_hang_on_the_voxels() -> None:
    """Nor does its clearance: the same text but for the spacing, and the same distances to the last digit."""
    implant = Trajectory((78.0, 20.0, -10.0), (8.0, 5.0, -12.0), 0.0, read_implants()["tri-7"])
    texts, clearances = [], []
    for spacing_mm in (3.0, 4.0):
        spec = read_spec("default", seed=3, spacing_mm=spacing_mm)
        truth = build_phantom(spec.parameters, spacing_mm, 3).truth
        texts.append(json.loads(truth_text(truth, spec)))
        assert texts[-1].pop("spacing_mm") == spacing_mm
        found = implant_clearance_mm(TrueSurfaces(truth.pelvis), "left", implant)
        clearances.append([c.as_dict() for c in found])
    assert texts[0] == texts[1]
    assert clearances[0] == clearances[1]
    assert {"canal", "foramen_S1_left", "superior"} <= {c["structure"] for c in clearances[0]}
