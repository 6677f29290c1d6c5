"""Labels of TotalSegmentator are taken by name: the same id means other things in other versions."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.io.volumes import read_labels
from sjplan.segment.totalsegmentator import affine_ras, labels_by_name, with_totalsegmentator

V2 = {25: "sacrum", 26: "vertebrae_S1", 27: "vertebrae_L5", 75: "femur_left", 76: "femur_right", 77: "hip_left",
      78: "hip_right", 1: "spleen"}  # fmt: skip
V3 = {25: "sacrum", 26: "vertebrae_L6", 27: "vertebrae_L5", 75: "femur_left", 76: "femur_right", 77: "hip_left",
      78: "hip_right", 1: "spleen"}  # fmt: skip
OBLIQUE = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
GRID = Grid((4, 5, 6), (1.0, 2.0, 3.0), (10.0, -20.0, 30.0), OBLIQUE)


def values() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """One plane of each id."""
    out = np.zeros(GRID.shape, dtype=np.uint8)
    for k, i in enumerate((25, 26, 77, 78, 1)):
        out[..., k] = i
    return out


def test_version_2_joins_the_first_vertebra_into_the_sacrum() -> None:
    labels = labels_by_name(GRID, values(), V2)
    assert labels.label[0, 0].tolist() == [25, 25, 77, 78, 0, 0]
    assert labels.names[25] == "sacrum"
    assert "vertebrae_S1" not in labels.names.values()


def test_version_3_means_another_vertebra_by_the_same_id() -> None:
    labels = labels_by_name(GRID, values(), V3)
    assert labels.label[0, 0].tolist() == [25, 0, 77, 78, 0, 0]


def test_ids_of_any_tool_are_turned_into_those_that_sjplan_reads() -> None:
    other = {1: "hip_right", 25: "hip_left", 26: "sacrum", 77: "kidney_left", 78: "colon"}
    assert labels_by_name(GRID, values(), other).label[0, 0].tolist() == [77, 25, 0, 0, 78, 0]


def test_labels_without_a_hip_are_refused() -> None:
    with pytest.raises(InputError, match="no voxel of hip_left"):
        labels_by_name(GRID, values(), {25: "sacrum", 78: "hip_right"})


def test_absent_tool_gets_one_line_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "totalsegmentator", None)
    monkeypatch.setitem(sys.modules, "totalsegmentator.python_api", None)
    with pytest.raises(InputError, match=r"pip install 'sjplan\[totalsegmentator\]'"):
        with_totalsegmentator(CtVolume(GRID, np.zeros(GRID.shape, np.int16)))


class Installed:
    """Stands for the package, whose weights are not to be had here: keeps what it was asked, answers by its map."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, names: dict[int, str], shift_mm: float = 0.0) -> None:
        self.asked: dict[str, Any] = {}
        self.shift_mm = shift_mm
        modules = {
            "totalsegmentator": ModuleType("totalsegmentator"),
            "totalsegmentator.python_api": SimpleNamespace(totalsegmentator=self.run),
            "totalsegmentator.map_to_binary": SimpleNamespace(class_map={"total": names}),
            "nibabel": SimpleNamespace(Nifti1Image=lambda data, affine: SimpleNamespace(dataobj=data, affine=affine)),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)

    def run(self, image: Any, output: Any, **options: Any) -> Any:
        self.asked = {"image": image, "output": output, **options}
        affine = image.affine.copy()
        affine[0, 3] += self.shift_mm
        return SimpleNamespace(dataobj=values(), affine=affine)


@pytest.mark.parametrize(("names", "second"), [(V2, 25), (V3, 0)])
def test_it_is_asked_by_name_for_what_its_version_knows(
    monkeypatch: pytest.MonkeyPatch, names: dict[int, str], second: int
) -> None:
    tool = Installed(monkeypatch, names)
    labels = with_totalsegmentator(CtVolume(GRID, np.zeros(GRID.shape, np.int16)))
    assert tool.asked["ml"] is True
    assert tool.asked["task"] == "total"
    assert tool.asked["output"] is None
    assert ("vertebrae_S1" in tool.asked["roi_subset"]) == ("vertebrae_S1" in names.values())
    assert "spleen" not in tool.asked["roi_subset"]
    assert np.allclose(tool.asked["image"].affine, affine_ras(GRID))
    assert int(labels.label[0, 0, 1]) == second
    assert labels.grid is GRID


def test_an_answer_in_another_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Installed(monkeypatch, V2, shift_mm=0.5)
    with pytest.raises(InputError, match="in another place"):
        with_totalsegmentator(CtVolume(GRID, np.zeros(GRID.shape, np.int16)))


def test_affine_turns_voxels_into_right_anterior_superior() -> None:
    affine = affine_ras(GRID)
    corner = affine @ (3, 4, 5, 1)
    assert corner[:3] == pytest.approx(GRID.lps_from_ijk([3, 4, 5]) * (-1, -1, 1))


@pytest.mark.real
def test_the_real_map_of_version_2_keeps_every_bone(real_data: Path) -> None:
    given = read_labels(real_data / "totalsegmentator_example" / "labels_totalseg_v2.nii.gz")
    labels = labels_by_name(given.grid, given.label, given.names)
    joined = int(given.mask("sacrum", "vertebrae_S1").sum())
    assert int(labels.mask("sacrum").sum()) == joined > int(given.mask("sacrum").sum()) > 0
    for name in ("hip_left", "hip_right", "vertebrae_L5", "femur_left", "femur_right"):
        assert int(labels.mask(name).sum()) == int(given.mask(name).sum()) > 0
