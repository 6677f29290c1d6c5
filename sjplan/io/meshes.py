"""Triangle meshes as STL, OBJ, PLY and GLB, in LPS and millimetres and saying so; STL comes back in LPS."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.io.atomic import write_bytes, write_text
from sjplan.io.payload import check_file_size

MAX_STL_BYTES: Final = 2**27
"""Largest STL that is read (bytes): over two million triangles."""

FARTHEST_MM: Final = 5000.0
"""Coordinates beyond this are none of a patient in a scanner."""

_STL_HEADER = b"SPACE=LPS; units mm; sjplan; " + b"not for clinical use"
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_FACE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])

GLTF_FROM_LPS_MM: Final = ((0.001, 0.0, 0.0), (0.0, 0.0, 0.001), (0.0, -0.001, 0.0))
"""Rotation and scale from our coordinates to glTF's own (metres, +Y up, the front towards +Z): the patient's left stays
+X, the head becomes +Y, the front +Z. Written into every GLB for programs that want them so (glTF 2.0, 3.4)."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One mesh with what a program shows of it.

    Parameters
    ----------
    name : str
        Also the file's name, without its ending.
    vertices_lps_mm : (n, 3) float
        Points.
    triangles : (m, 3) int
        Vertex indices, counter-clockwise from outside.
    colour : (3,) float
        Red, green and blue, 0 to 1.
    opacity : float
        0 (unseen) to 1.
    """

    name: str
    vertices_lps_mm: Array
    triangles: NDArray[np.int32]
    colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    opacity: float = 1.0


def stl_bytes(vertices_lps_mm: Array, triangles: NDArray[np.int32]) -> bytes:
    """A binary STL whose 80-byte header says SPACE=LPS, as 3D Slicer reads it; arguments as for `write_stl`."""
    corners = np.asarray(vertices_lps_mm, dtype=np.float64)[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    facets = np.zeros(len(corners), dtype=_FACET)
    facets["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    facets["corners"] = corners
    return _STL_HEADER.ljust(80) + struct.pack("<I", len(facets)) + facets.tobytes()


def write_stl(path: str | Path, vertices_lps_mm: Array, triangles: NDArray[np.int32]) -> Path:
    """Write a binary STL that says its space.

    Parameters
    ----------
    path : path
        File to write.
    vertices_lps_mm : (n, 3) float
        Points.
    triangles : (m, 3) int
        Vertex indices, counter-clockwise from outside.
    """
    return write_bytes(path, stl_bytes(vertices_lps_mm, triangles))


def write_obj(path: str | Path, name: str, vertices_lps_mm: Array, triangles: NDArray[np.int32]) -> Path:
    """Write a Wavefront OBJ whose first comments say SPACE=LPS and millimetres; arguments as for `write_stl`."""
    lines = ["# SPACE=LPS", "# units mm", f"# sjplan. {NOT_FOR_CLINICAL_USE}", f"o {name}"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in np.asarray(vertices_lps_mm).tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (np.asarray(triangles) + 1).tolist()]
    return write_text(path, "\n".join(lines) + "\n")


def write_ply(path: str | Path, vertices_lps_mm: Array, triangles: NDArray[np.int32]) -> Path:
    """Write a binary PLY whose comments say SPACE=LPS and millimetres; arguments as for `write_stl`."""
    faces = np.zeros(len(triangles), dtype=_FACE)
    faces["count"], faces["corners"] = 3, triangles
    header = [
        "ply", "format binary_little_endian 1.0", "comment SPACE=LPS", "comment units mm",
        f"comment sjplan. {NOT_FOR_CLINICAL_USE}", f"element vertex {len(vertices_lps_mm)}",
        "property float x", "property float y", "property float z",
        f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header",
    ]  # fmt: skip
    points = np.asarray(vertices_lps_mm, dtype="<f4")
    return write_bytes(path, ("\n".join(header) + "\n").encode("ascii") + points.tobytes() + faces.tobytes())


def write_glb(path: str | Path, models: Sequence[Model]) -> Path:
    """Write binary glTF with one named, coloured mesh a model, its coordinates LPS millimetres as they are.

    glTF's own unit is the metre and its own up +Y. Coordinates are kept nevertheless, so that a mesh read back from
    any of the formats is the same mesh; `asset.extras` of the file says so, and holds `GLTF_FROM_LPS_MM`.

    Parameters
    ----------
    path : path
        File to write.
    models : sequence of Model
        At least one.
    """
    import trimesh
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    scene = trimesh.Scene()
    for model in models:
        material = PBRMaterial(
            name=model.name, baseColorFactor=[*model.colour, model.opacity], metallicFactor=0.0, roughnessFactor=0.7,
            alphaMode="OPAQUE" if model.opacity >= 1.0 else "BLEND",
        )  # fmt: skip
        mesh = trimesh.Trimesh(
            model.vertices_lps_mm, model.triangles, process=False, visual=TextureVisuals(material=material)
        )
        scene.add_geometry(mesh, node_name=model.name, geom_name=model.name)

    def said(tree: dict[str, Any]) -> None:
        tree["asset"] = {
            "version": "2.0", "generator": "sjplan",
            "extras": {"space": "LPS", "units": "mm", "gltf_from_lps_mm": [list(row) for row in GLTF_FROM_LPS_MM],
                       "notice": NOT_FOR_CLINICAL_USE},
        }  # fmt: skip

    return write_bytes(path, scene.export(file_type="glb", tree_postprocessor=said, include_normals=False))


def read_stl(path: str | Path) -> tuple[Array, NDArray[np.int32]]:
    """Read a binary or ASCII STL: vertices (n, 3) in LPS mm, triangles (m, 3).

    A header (or solid name) that says SPACE=RAS is turned; one that says nothing is LPS, as 3D Slicer reads it.

    Raises
    ------
    InputError
        For a file that is missing, too large, no STL, without triangles, or with corners that are no coordinates.
    """
    size = check_file_size(path)
    if size > MAX_STL_BYTES:
        raise InputError(str(path), found=f"{size} bytes", wanted=f"an STL of at most {MAX_STL_BYTES} bytes")
    data = Path(path).read_bytes()
    corners = _binary_corners(data) if _is_binary(data) else _text_corners(data)
    if corners is None or not len(corners):
        raise InputError(
            str(path), found="no triangles of an STL", wanted="a binary or ASCII STL of an implant",
            fix="export the model again",
        )  # fmt: skip
    if not np.isfinite(corners).all() or float(np.abs(corners).max()) > FARTHEST_MM:
        raise InputError(
            str(path), found="corners that are no coordinates in mm", wanted=f"finite numbers up to {FARTHEST_MM:g}",
            fix="export the model in mm",
        )  # fmt: skip
    if re.search(rb"SPACE\s*=\s*RAS", data[:200]):
        corners = corners * (-1.0, -1.0, 1.0)
    vertices, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return vertices, index.reshape(-1, 3).astype(np.int32)


def _is_binary(data: bytes) -> bool:
    """By the length that the count of triangles implies: binary files may begin with `solid` too."""
    return len(data) >= 84 and len(data) == 84 + struct.unpack_from("<I", data, 80)[0] * _FACET.itemsize


def _binary_corners(data: bytes) -> Array:
    return np.frombuffer(data, _FACET, offset=84)["corners"].astype(np.float64)


def _text_corners(data: bytes) -> Array | None:
    if data.lstrip()[:5].lower() != b"solid":
        return None
    found = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data)
    try:
        corners = np.array(found, dtype=np.float64).reshape(-1, 3, 3)
    except ValueError:
        return None
    return corners
