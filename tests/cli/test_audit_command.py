"""`sjplan audit`: what was placed, from every kind of file, against a plan; and what is refused in one line."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import Sjplan, one_line
from scipy.spatial.transform import Rotation

from sjplan.audit.deviations import roll_of_corner
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.planfile import read_plan, trajectory_from_entry

CATALOGUE = read_implants()
ERRORS = ({"tip": (1.2, -0.7, 0.4), "tilt": 2.0, "roll": 8.0}, {"tip": (0.0, 0.0, 0.0), "tilt": 0.0, "roll": -30.0},
          {"tip": (-0.5, 0.3, 1.1), "tilt": 1.0, "roll": 0.0})  # fmt: skip


def off_plan(plan: Trajectory, error: dict[str, Any]) -> Trajectory:
    """Moved at its tip, tilted about the section's corner, rolled: by known amounts."""
    u, _ = plan.section_axes()
    turn = Rotation.from_rotvec(np.radians(error["tilt"]) * u).as_matrix()
    axis, tip = turn @ plan.axis, plan.tip_lps_mm + error["tip"]
    corner = Rotation.from_rotvec(np.radians(error["roll"]) * axis).as_matrix() @ u
    return Trajectory(tip - plan.length_mm * axis, tip, roll_of_corner(axis, corner), plan.model)


@pytest.fixture
def placed_plan(plan_folder: Path, tmp_path: Path) -> Path:
    """The left plan with known errors, as a second plan file."""
    table = json.loads((plan_folder / "plan.json").read_text(encoding="utf-8"))
    entries = read_plan(plan_folder / "plan.json").sides[0].implants
    for implant, entry, error in zip(table["sides"][0]["implants"], entries, ERRORS, strict=True):
        moved = off_plan(trajectory_from_entry(entry, CATALOGUE, "left"), error)
        implant["entry_lps_mm"], implant["tip_lps_mm"] = moved.entry_lps_mm.tolist(), moved.tip_lps_mm.tolist()
        implant["roll_deg"] = moved.roll_deg
    path = tmp_path / "placed.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    return path


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def check(implants: list[dict[str, Any]], *, roll: bool = True, within: float = 0.05) -> None:
    for implant, error in zip(implants, ERRORS, strict=True):
        off = implant["deviation"]
        assert off["tip_mm"] == pytest.approx(np.linalg.norm(error["tip"]), abs=within)
        assert off["angle_deg"] == pytest.approx(error["tilt"], abs=within)
        assert off["roll_deg"] == (pytest.approx(error["roll"], abs=within) if roll else None)


def test_a_plan_against_itself_is_accepted(sjplan: Sjplan, plan_folder: Path) -> None:
    done = sjplan("audit", plan_folder / "plan.json", plan_folder / "plan.json", "--json")
    assert done.code == 0
    (side,) = done.json["sides"]
    assert side["accepted"]
    assert all(i["deviation"]["tip_mm"] == 0.0 and i["deviation"]["roll_deg"] == 0.0 for i in side["implants"])
    planned = read_plan(plan_folder / "plan.json").sides[0].implants
    for audited, entry in zip(side["implants"], planned, strict=True):
        assert audited["margin_mm"] == pytest.approx(entry.margin_mm, abs=2e-3)
        assert audited["grades"] == {"gertzbein-robbins": "A", "smith": "0"}


def test_errors_come_back_from_every_file(sjplan: Sjplan, plan_folder: Path, placed_plan: Path, tmp_path: Path) -> None:
    plan, out = plan_folder / "plan.json", tmp_path / "out"
    done = sjplan("audit", plan, placed_plan, "--json", "--out", out)
    assert done.code in (0, 1)
    check(done.json["sides"][0]["implants"])
    assert json.loads((out / "audit.json").read_text(encoding="utf-8")) == done.json
    pictures = {path.name: path.read_bytes() for path in out.glob("*.png")}
    assert sorted(pictures) == ["left-1.png", "left-2.png", "left-3.png"]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    rows = table_of(out / "audit.csv")
    assert [(r["side"], r["slot"], r["status"]) for r in rows] == [("left", str(n), "compared") for n in (1, 2, 3)]
    assert float(rows[0]["angle_deg"]) == pytest.approx(2.0, abs=0.05)
    for kind in ("slicer", "stl"):
        assert sjplan("export", placed_plan, "--to", kind, "--out", tmp_path / kind).code == 0
        again = sjplan("audit", plan, tmp_path / kind, "--json")
        assert again.code in (0, 1)
        check(again.json["sides"][0]["implants"], roll=kind == "stl")
        if kind == "stl":
            ours, theirs = (d["sides"][0]["implants"] for d in (again.json, done.json))
            for a, b in zip(ours, theirs, strict=True):
                assert a["margin_mm"] == pytest.approx(b["margin_mm"], abs=0.01)


def test_what_is_missing_or_not_planned_is_named(
    sjplan: Sjplan, plan_folder: Path, placed_plan: Path, tmp_path: Path
) -> None:
    plan, lines = plan_folder / "plan.json", tmp_path / "lines"
    assert sjplan("export", placed_plan, "--to", "slicer", "--out", lines).code == 0
    for model in lines.glob("*.stl"):
        model.unlink()
    second = next(lines.glob("left_2_*.mrk.json"))
    table = json.loads(second.read_text(encoding="utf-8"))
    for point in table["markups"][0]["controlPoints"]:
        point["position"][2] += 70.0
    second.write_text(json.dumps(table), encoding="utf-8")
    done = sjplan("audit", plan, lines)
    assert done.code == 1
    assert "implant 2 was planned and not found" in done.out
    assert "left implant 2 lies there and was not planned" in " ".join(done.out.split())
    assert "4.9 +- 1.26 mm" in " ".join(done.err.split())


def test_lines_on_the_plan_are_accepted(sjplan: Sjplan, plan_folder: Path) -> None:
    done = sjplan("audit", plan_folder / "plan.json", plan_folder / "slicer", "--json")
    assert done.code == 0
    for audited, entry in zip(
        done.json["sides"][0]["implants"], read_plan(plan_folder / "plan.json").sides[0].implants, strict=True
    ):
        assert audited["deviation"]["tip_mm"] < 1e-3
        assert audited["roll_deg"] is None
        assert audited["margin_mm"] == pytest.approx(entry.margin_mm, abs=2e-3)
        nearest = min(audited["clearances"], key=lambda c: c["distance_mm"])
        assert nearest["distance_mm"] == pytest.approx(nearest["envelope_mm"], abs=2e-3)


def test_ras_lines_are_turned(sjplan: Sjplan, plan_folder: Path, placed_plan: Path, tmp_path: Path) -> None:
    lines = tmp_path / "ras"
    assert sjplan("export", placed_plan, "--to", "slicer", "--out", lines).code == 0
    for file in lines.glob("*.mrk.json"):
        table = json.loads(file.read_text(encoding="utf-8"))
        table["markups"][0]["coordinateSystem"] = "RAS"
        for point in table["markups"][0]["controlPoints"]:
            point["position"] = [-point["position"][0], -point["position"][1], point["position"][2]]
        file.write_text(json.dumps(table), encoding="utf-8")
    done = sjplan("audit", plan_folder / "plan.json", lines, "--json")
    check(done.json["sides"][0]["implants"], roll=False)
    assert any("STL" in note for note in done.json["notes"])


def test_a_folder_of_cases_is_a_table_with_failures_as_rows(
    sjplan: Sjplan, plan_folder: Path, placed_plan: Path, phantom: Path, tmp_path: Path
) -> None:
    cases, out = tmp_path / "cases", tmp_path / "out"
    for name in ("a", "b", "c"):
        (cases / name).mkdir(parents=True)
        shutil.copy(plan_folder / "plan.json", cases / name)
    shutil.copy(placed_plan, cases / "a" / "placed.json")
    (cases / "b" / "placed.stl").write_bytes(b"solid nothing")
    done = sjplan("audit", cases, "--labels", phantom / "labels.nii.gz", "--out", out, "--json")
    assert done.code == 1
    assert [row["status"] for row in done.json["cases"]] == ["audited", "failed", "failed"]
    assert done.json["summary"]["implants"] == 3
    rows = table_of(out / "audit.csv")
    assert [r["status"] for r in rows] == ["compared"] * 3 + ["failed"] * 2
    assert "no triangles of an STL" in rows[3]["error"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"coordinateSystem": "XYZ"}, "LPS or RAS"),
        ({"coordinateUnits": "m"}, "wanted mm"),
        ({"controlPoints": []}, "0 defined control points"),
        ({"type": "Fiducial"}, "no line among its markups (Fiducial)"),
        ({"controlPoints": [{"position": [0, 0, 1e9]}, {"position": [0, 0, 0]}]}, "three numbers in mm"),
        ({"controlPoints": [{"position": [0, 0, "a"]}, {"position": [0, 0, 0]}]}, "three numbers in mm"),
        ({"controlPoints": [{"position": [0, 0, 1]}, {"position": [0, 0, 0]}]}, "a line of 1 mm"),
    ],
)
def test_bad_lines_get_one_line(
    sjplan: Sjplan, plan_folder: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    line = {
        "type": "Line",
        "coordinateSystem": "LPS",
        "controlPoints": [{"position": [0, 0, 0]}, {"position": [40, 0, 0]}],
    }
    bad = tmp_path / "bad.mrk.json"
    bad.write_text(json.dumps({"markups": [line | change]}), encoding="utf-8")
    done = sjplan("audit", plan_folder / "plan.json", bad, "--out", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert one_line(done.err)
    assert words in done.err
    assert not (tmp_path / "out").exists()


def test_other_bad_input_gets_one_line(sjplan: Sjplan, plan_folder: Path, phantom: Path, tmp_path: Path) -> None:
    plan = plan_folder / "plan.json"
    table = json.loads(plan.read_text(encoding="utf-8"))
    table["case"]["paths"] = {}
    lost = tmp_path / "lost.json"
    lost.write_text(json.dumps(table), encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, text in (
        ((plan,), "PLAN.json PLACED, or one folder of cases"),
        ((empty,), "no case"),
        ((plan, tmp_path / "nothing.stl"), "no such file"),
        ((lost, plan), "give it with --labels FILE"),
        ((plan, plan, "--side", "right"), "right, for which nothing is planned"),
        ((plan, phantom / "ct.nii.gz"), "no metal of an implant's shape"),
    ):
        done = sjplan("audit", *words)
        assert (done.code, done.out) == (2, ""), done
        assert one_line(done.err), done.err
        assert text in done.err
