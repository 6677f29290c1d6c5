"""Exports: every file says its space, holds the true solid, and comes whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
import pyvista as pv
import trimesh
from io_makers import message
from io_plans import CATALOGUE, plan, plan_file, report
from markups_schema import problems
from numpy.typing import NDArray

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError, UnknownNameError
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Outcome
from sjplan.geometry.solids import fine_mesh, implant_solid, signed_distance
from sjplan.io.exports import EXPORT_KINDS, SHAPE_TOL_MM, export, implant_models, placed_implants
from sjplan.io.meshes import Model
from sjplan.io.planfile import side_entry
from sjplan.io.slicer import Line, markup

NAMES = [f"left_{n}_tri-7" for n in (1, 2, 3)]


def test_slicer_lines_run_from_entry_to_tip(tmp_path: Path) -> None:
    """Keys and values as in 3D Slicer's markups schema v1.0.3."""
    paths = export(plan_file(), "slicer", tmp_path / "out", CATALOGUE)
    expected = [f"{n}.{ending}" for n in NAMES for ending in ("mrk.json", "stl")]
    assert sorted(p.name for p in paths) == sorted([*expected, "scene.mrml"])
    assert all(p.is_file() for p in paths)
    for n, (name, trajectory) in enumerate(zip(NAMES, plan().trajectories, strict=True), 1):
        data = json.loads((tmp_path / "out" / f"{name}.mrk.json").read_text())
        assert problems(data) == []
        assert data["@schema"].endswith("/markups-schema-v1.0.3.json#")
        (line,) = data["markups"]
        assert (line["type"], line["name"]) == ("Line", f"left implant {n}")
        assert (line["coordinateSystem"], line["coordinateUnits"]) == ("LPS", "mm")
        first, second = (point["position"] for point in line["controlPoints"])
        assert np.allclose(first, trajectory.entry_lps_mm, atol=1e-6)
        assert np.allclose(second, trajectory.tip_lps_mm, atol=1e-6)
        assert line["measurements"][0]["value"] == pytest.approx(45.0, abs=1e-5)
        assert "Not for clinical use" in line["description"]


def spoilt(change: Callable[[dict[str, Any]], object]) -> list[str]:
    line = Line("a", "left implant 1", "", [1.0, 2.0, 3.0], [0.0, 2.0, 3.0], 1.0, (1.0, 0.5, 0.0))
    document = markup(line)
    assert problems(document) == []
    change(document)
    return problems(document)


def test_the_check_of_markups_sees_what_the_schema_forbids() -> None:
    assert spoilt(lambda d: d.pop("@schema")) == ["file: no @schema"]
    assert spoilt(lambda d: d["markups"][0].pop("type")) == ["file.markups[0]: no type"]
    assert spoilt(lambda d: d["markups"][0].update(coordinateSystem="LPI")) != []
    assert spoilt(lambda d: d["markups"][0]["controlPoints"][1].update(position=[1.0, 2.0])) != []
    assert spoilt(lambda d: d["markups"][0]["controlPoints"][0].update(selected=1)) != []
    assert spoilt(lambda d: d["markups"][0]["display"].update(color=[2.0, 0.0, 0.0])) != []


def test_the_scene_names_every_file_as_lps(tmp_path: Path) -> None:
    """A model of a scene counts as RAS unless its storage node says LPS."""
    bone = Model("bone_sacrum", *cube(), (0.9, 0.8, 0.7), 0.5)
    paths = export(plan_file(), "slicer", tmp_path, CATALOGUE, [bone])
    root = ElementTree.parse(tmp_path / "scene.mrml").getroot()
    assert root.tag == "MRML"
    by_id = {node.get("id"): node for node in root.iter() if node.get("id")}
    assert len(by_id) == 3 * 4 + 3 * 3
    stored = [node for node in by_id.values() if "Storage" in node.tag]
    assert {unquote(node.get("fileName", "")) for node in stored} == {p.name for p in paths} - {"scene.mrml"}
    assert {node.get("coordinateSystem") for node in stored} == {"LPS"}
    for node in by_id.values():
        assert str(node.get("id")).startswith(f"vtkMRML{node.tag}Node")
        for reference in (node.get("references") or "").split(";")[:-1]:
            role, target = reference.split(":")
            assert role in ("display", "storage")
            assert target in by_id
    sacrum = next(node for node in root if node.get("name") == "bone_sacrum")
    display = by_id[str(sacrum.get("references")).split(";")[0].removeprefix("display:")]
    assert (display.get("color"), display.get("opacity")) == ("0.9 0.8 0.7", "0.5")


def cube() -> tuple[Array, NDArray[np.int32]]:
    """A box far from the origin, where single precision is coarsest (0.12 um at 1.5 m)."""
    mesh = trimesh.creation.box((10.0, 20.0, 30.0))
    far = np.array([1500.1234567, -1400.7654321, 3.3333333])
    return np.asarray(mesh.vertices) + far, np.asarray(mesh.faces, np.int32)


def triangles_of(path: Path, name: str) -> Array:
    """Corner points (m, 3, 3) of one model, as trimesh reads them."""
    loaded = trimesh.load(path, process=False)
    if isinstance(loaded, trimesh.Scene):
        transform, geometry = loaded.graph[name]
        return np.asarray(loaded.geometry[geometry].copy().apply_transform(transform).triangles)
    return np.asarray(loaded.triangles)


@pytest.mark.parametrize("kind", ["stl", "obj", "ply", "glb"])
def test_models_reopen_as_they_were(kind: str, tmp_path: Path) -> None:
    """Every corner of every triangle in trimesh, and as many points and triangles in VTK, within 0.001 mm."""
    bone = Model("bone_sacrum", *cube(), (0.9, 0.8, 0.7), 0.5)
    paths = export(plan_file(), kind, tmp_path, CATALOGUE, [bone])
    models = [*implant_models(placed_implants(plan_file(), CATALOGUE)), bone]
    assert len(paths) == (1 if kind == "glb" else 4)
    for n, model in enumerate(models):
        path = paths[0] if kind == "glb" else paths[n]
        wanted = model.vertices_lps_mm[model.triangles]
        found = triangles_of(path, model.name)
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-3
    read = pv.read(paths[0])
    surface = read.combine().extract_surface(algorithm=None) if isinstance(read, pv.MultiBlock) else read
    points = np.concatenate([m.vertices_lps_mm for m in (models if kind == "glb" else models[:1])])
    assert np.abs(np.array(surface.bounds)[0::2] - points.min(axis=0)).max() < 1e-3
    assert np.abs(np.array(surface.bounds)[1::2] - points.max(axis=0)).max() < 1e-3


def test_a_glb_says_what_its_numbers_are(tmp_path: Path) -> None:
    (path,) = export(plan_file(), "glb", tmp_path, CATALOGUE)
    data = path.read_bytes()
    assert data[:4] == b"glTF"
    tree = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    said = tree["asset"]["extras"]
    assert (tree["asset"]["version"], said["space"], said["units"]) == ("2.0", "LPS", "mm")
    assert "Not for clinical use" in said["notice"]
    assert sorted(node["name"] for node in tree["nodes"] if "mesh" in node) == NAMES
    # glTF: metres, +Y up, the front +Z, so the patient's left is +X.
    turn = np.array(said["gltf_from_lps_mm"])
    assert np.allclose(turn @ np.eye(3)[2] * 1000, [0, 1, 0]), "the head is up"
    assert np.allclose(turn @ -np.eye(3)[1] * 1000, [0, 0, 1]), "the front is front"
    assert np.linalg.det(turn * 1000) == pytest.approx(1.0), "and nothing is mirrored"


@pytest.mark.parametrize("name", ["tri-7", "thread-11.5"])
def test_an_exported_implant_strays_nowhere_from_its_true_solid(name: str) -> None:
    """Points lie on the surface, chords within 0.001 mm of it, no triangle is empty and the mesh is closed."""
    placed = plan(model=CATALOGUE[name]).trajectories[0]
    solid = implant_solid(placed)
    vertices, triangles = fine_mesh(solid, SHAPE_TOL_MM)
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    assert mesh.is_watertight
    assert mesh.area_faces.min() > 1e-4
    assert np.abs(signed_distance(solid, vertices[:-2])).max() < 1e-9
    middles = np.concatenate(
        [vertices[triangles].mean(axis=1), (vertices[triangles[:, 0]] + vertices[triangles[:, 1]]) / 2]
    )
    side = np.abs((middles - placed.entry_lps_mm) @ placed.axis - 22.5) < 22.4
    assert np.abs(signed_distance(solid, middles[side])).max() < SHAPE_TOL_MM


def test_a_sharp_triangle_has_three_corners() -> None:
    sharp = ImplantModel("sharp", "no rounding", "triangle", 3.5, 0.0, (45.0,))
    vertices, triangles = fine_mesh(implant_solid(plan(model=sharp).trajectories[0]), SHAPE_TOL_MM)
    assert (len(vertices), len(triangles)) == (8, 12)


@pytest.mark.parametrize("kind", ["stl", "obj"])
def test_models_are_the_true_solid_in_lps(kind: str, tmp_path: Path) -> None:
    paths = export(plan_file(), kind, tmp_path, CATALOGUE)
    assert [p.name for p in paths] == [f"{n}.{kind}" for n in NAMES]
    for path, trajectory in zip(paths, plan().trajectories, strict=True):
        mesh = trimesh.load_mesh(path)
        assert mesh.is_watertight
        # Rounded triangle: side triangle of inradius 2.5, plus its rim, plus the disc of the corners.
        area = 3 * np.sqrt(3) * 2.5**2 + 3 * (2 * np.sqrt(3) * 2.5) * 1.0 + np.pi
        assert mesh.volume == pytest.approx(area * 45.0, rel=1e-4)
        middle = (trajectory.entry_lps_mm + trajectory.tip_lps_mm) / 2
        assert np.allclose(mesh.center_mass, middle, atol=0.05)
        corner = trajectory.section_axes()[0]
        reach = (mesh.vertices - trajectory.entry_lps_mm) @ corner
        assert reach.max() == pytest.approx(6.0, abs=0.001)


def test_headers_say_space_and_purpose(tmp_path: Path) -> None:
    stl = export(plan_file(), "stl", tmp_path, CATALOGUE)[0].read_bytes()
    assert stl.startswith(b"SPACE=LPS")
    assert b"not for clinical use" in stl[:80]
    assert len(stl) == 84 + 50 * int.from_bytes(stl[80:84], "little")
    ply = export(plan_file(), "ply", tmp_path, CATALOGUE)[0].read_bytes()
    assert b"\ncomment SPACE=LPS\ncomment units mm\n" in ply
    assert b"Not for clinical use" in ply[:200]
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


def test_no_spreadsheet_runs_what_a_plan_names(tmp_path: Path) -> None:
    side = plan_file().sides[0]
    odd = [c.model_copy(update={"structure": "=1+1"}) for c in side.implants[0].clearances]
    implant = side.implants[0].model_copy(update={"clearances": odd})
    strange = plan_file().model_copy(update={"sides": [side.model_copy(update={"implants": [implant]})]})
    (path,) = export(strange, "csv", tmp_path, CATALOGUE)
    assert ",'=1+1," in path.read_text()


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
    assert trimesh.load_mesh(paths[0]).volume == pytest.approx(np.pi * 5.75**2 * 45.0, rel=1e-3)
