"""Triangle meshes as STL and OBJ, in LPS and saying so."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.arrays import Array
from sjplan.io.atomic import write_bytes, write_text

_STL_HEADER = b"SPACE=LPS; units mm; sjplan; " + b"not for clinical use"
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def write_stl(path: str | Path, vertices_lps_mm: Array, triangles: NDArray[np.int32]) -> Path:
    """Write a binary STL whose 80-byte header says SPACE=LPS, as 3D Slicer reads it.

    Parameters
    ----------
    path : path
        File to write.
    vertices_lps_mm : (n, 3) float
        Points.
    triangles : (m, 3) int
        Vertex indices, counter-clockwise from outside.
    """
    corners = np.asarray(vertices_lps_mm, dtype=np.float64)[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    facets = np.zeros(len(corners), dtype=_FACET)
    facets["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    facets["corners"] = corners
    return write_bytes(path, _STL_HEADER.ljust(80) + struct.pack("<I", len(facets)) + facets.tobytes())


def write_obj(path: str | Path, name: str, vertices_lps_mm: Array, triangles: NDArray[np.int32]) -> Path:
    """Write a Wavefront OBJ whose first comments say SPACE=LPS and millimetres; arguments as for `write_stl`."""
    lines = ["# SPACE=LPS", "# units mm", f"# sjplan. {NOT_FOR_CLINICAL_USE}", f"o {name}"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in np.asarray(vertices_lps_mm).tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (np.asarray(triangles) + 1).tolist()]
    return write_text(path, "\n".join(lines) + "\n")
