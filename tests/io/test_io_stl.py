"""STL files come back in LPS as they were written, or are refused in one line."""

import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from sjplan.core.errors import InputError
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import outline
from sjplan.io.catalogue import read_implants
from sjplan.io.meshes import read_stl, write_stl
from sjplan.io.placed import read_placed

IMPLANT = Trajectory((60.0, 10.0, 5.0), (20.0, 4.0, 9.0), 10.0, read_implants()["tri-7"])


def volume_mm3(vertices: np.ndarray, triangles: np.ndarray) -> float:
    return float(trimesh.Trimesh(vertices, triangles, process=False).volume)


@pytest.mark.parametrize("kind", ["binary", "text", "RAS", "binary that begins with solid"])
def test_stl_comes_back(tmp_path: Path, kind: str) -> None:
    vertices, triangles = outline(IMPLANT)
    path = write_stl(tmp_path / "a.stl", vertices, triangles)
    if kind == "text":
        corners = vertices[triangles]
        lines = ["facet normal 0 0 0 outer loop" + "".join(f"\nvertex {x} {y} {z}" for x, y, z in c) for c in corners]
        path.write_text("solid SPACE=LPS\n" + "\nendloop endfacet\n".join(lines) + "\nendsolid", encoding="utf-8")
    elif kind == "RAS":
        write_stl(path, vertices * (-1.0, -1.0, 1.0), triangles)
        path.write_bytes(path.read_bytes().replace(b"SPACE=LPS", b"SPACE=RAS"))
    elif kind.startswith("binary that"):
        path.write_bytes(b"solid" + path.read_bytes()[5:])
    again, faces = read_stl(path)
    assert len(again) == len(np.unique(np.round(vertices, 4), axis=0))
    assert again.mean(axis=0) == pytest.approx(np.unique(np.round(vertices, 4), axis=0).mean(axis=0), abs=1e-3)
    assert volume_mm3(again, faces) == pytest.approx(volume_mm3(vertices, triangles), rel=1e-5)


def test_bad_stl_is_refused(tmp_path: Path) -> None:
    path = write_stl(tmp_path / "a.stl", *outline(IMPLANT))
    good = path.read_bytes()
    nan = good[:96] + struct.pack("<f", float("nan")) + good[100:]
    far = good[:96] + struct.pack("<f", 1e9) + good[100:]
    claims = good[:80] + struct.pack("<I", 4_000_000_000) + good[84:]
    for data, words in (
        (good[:-7], "no triangles of an STL"),
        (claims, "no triangles of an STL"),
        (b"solid\nvertex 1 2 x\n", "no triangles of an STL"),
        (b"solid\nvertex 1 2 3\n", "no triangles of an STL"),
        (nan, "no coordinates in mm"),
        (far, "no coordinates in mm"),
        (b"", "an empty file"),
    ):
        path.write_bytes(data)
        with pytest.raises(InputError, match=words):
            read_stl(path)


def test_a_folder_of_too_many_files_is_no_patient(tmp_path: Path) -> None:
    for n in range(65):
        (tmp_path / f"{n}.stl").write_bytes(b"solid")
    with pytest.raises(InputError, match=r"65 files \.stl"):
        read_placed(tmp_path)
