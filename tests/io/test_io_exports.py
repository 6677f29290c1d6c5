"""Exports: every file says its space, holds the true solid, and comes whole or not at all."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from io_makers import message
from io_plans import CATALOGUE, plan, plan_file, report

from sjplan.core.errors import InputError, UnknownNameError
from sjplan.core.plan import Outcome
from sjplan.io.exports import EXPORT_KINDS, export
from sjplan.io.planfile import side_entry

NAMES = [f"left_{n}_tri-7" for n in (1, 2, 3)]


def test_slicer_lines_run_from_entry_to_tip(tmp_path: Path) -> None:
    """Keys and values as in 3D Slicer's markups schema v1.0.3."""
    paths = export(plan_file(), "slicer", tmp_path / "out", CATALOGUE)
    assert sorted(p.name for p in paths) == sorted([f"{n}.mrk.json" for n in NAMES] + [f"{n}.stl" for n in NAMES])
    assert all(p.is_file() for p in paths)
    for n, (name, trajectory) in enumerate(zip(NAMES, plan().trajectories, strict=True), 1):
        data = json.loads((tmp_path / "out" / f"{name}.mrk.json").read_text())
        assert data["@schema"].endswith("/markups-schema-v1.0.3.json#")
        (line,) = data["markups"]
        assert (line["type"], line["name"]) == ("Line", f"left implant {n}")
        assert (line["coordinateSystem"], line["coordinateUnits"]) == ("LPS", "mm")
        first, second = (point["position"] for point in line["controlPoints"])
        assert np.allclose(first, trajectory.entry_lps_mm, atol=1e-6)
        assert np.allclose(second, trajectory.tip_lps_mm, atol=1e-6)
        assert line["measurements"][0]["value"] == pytest.approx(45.0, abs=1e-5)
        assert "Not for clinical use" in line["description"]


@pytest.mark.parametrize("kind", ["stl", "obj"])
def test_models_are_the_true_solid_in_lps(kind: str, tmp_path: Path) -> None:
    paths = export(plan_file(), kind, tmp_path, CATALOGUE)
    assert [p.name for p in paths] == [f"{n}.{kind}" for n in NAMES]
    for path, trajectory in zip(paths, plan().trajectories, strict=True):
        mesh = trimesh.load_mesh(path)
        assert mesh.is_watertight
        # Rounded triangle: side triangle of inradius 2.5, plus its rim, plus the disc of the corners.
        area = 3 * np.sqrt(3) * 2.5**2 + 3 * (2 * np.sqrt(3) * 2.5) * 1.0 + np.pi
        assert mesh.volume == pytest.approx(area * 45.0, rel=0.01)
        middle = (trajectory.entry_lps_mm + trajectory.tip_lps_mm) / 2
        assert np.allclose(mesh.center_mass, middle, atol=0.05)
        corner = trajectory.section_axes()[0]
        reach = (mesh.vertices - trajectory.entry_lps_mm) @ corner
        assert reach.max() == pytest.approx(6.0, abs=0.02)


def test_headers_say_space_and_purpose(tmp_path: Path) -> None:
    stl = export(plan_file(), "stl", tmp_path, CATALOGUE)[0].read_bytes()
    assert stl.startswith(b"SPACE=LPS")
    assert b"not for clinical use" in stl[:80]
    assert len(stl) == 84 + 50 * int.from_bytes(stl[80:84], "little")
    lines = export(plan_file(), "obj", tmp_path, CATALOGUE)[0].read_text().splitlines()
    assert lines[0] == "# SPACE=LPS"
    assert "Not for clinical use" in lines[2]


def test_a_table_of_all_implants(tmp_path: Path) -> None:
    (path,) = export(plan_file(), "csv", tmp_path, CATALOGUE)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["side"], r["slot"], r["model"], r["status"]) for r in rows] == [
        ("left", str(n), "tri-7", "found") for n in (1, 2, 3)
    ]
    first = plan().trajectories[0]
    assert [float(rows[0][f"tip_{axis}_lps_mm"]) for axis in "xyz"] == pytest.approx(first.tip_lps_mm, abs=1e-6)
    assert rows[0]["nearest_structure"] == "iliac_border"
    assert rows[2]["overshoot_reserve_mm"] == ""
    assert all("Not for clinical use" in r["notice"] for r in rows)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as kind:
        export(plan_file(), "slycer", tmp_path / "out", CATALOGUE)
    assert "did you mean 'slicer'?" in message(kind.value)
    nothing = plan_file().model_copy(update={"sides": [side_entry(Outcome("timeout"), "left", "p")]})
    with pytest.raises(InputError, match=r"no accepted implants \(left timeout\)"):
        export(nothing, "stl", tmp_path / "out", CATALOGUE)
    with pytest.raises(UnknownNameError, match="model"):
        export(plan_file(), "stl", tmp_path / "out", {"thread-10": CATALOGUE["thread-10"]})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    for name in EXPORT_KINDS:
        with pytest.raises(InputError, match="cannot be written"):
            export(plan_file(), name, tmp_path / "file" / "out", CATALOGUE)


def test_cylinders_of_both_sides(tmp_path: Path) -> None:
    model = CATALOGUE["thread-11.5"]
    sides = [
        side_entry(Outcome("found", plan(side, model, 2)), side, "p", report(plan(side, model, 2)))
        for side in ("left", "right")
    ]
    both = plan_file().model_copy(update={"sides": sides})
    paths = export(both, "stl", tmp_path, CATALOGUE)
    assert [p.name for p in paths] == [f"{s}_{n}_thread-11.5.stl" for s in ("left", "right") for n in (1, 2)]
    assert trimesh.load_mesh(paths[0]).volume == pytest.approx(np.pi * 5.75**2 * 45.0, rel=0.01)
