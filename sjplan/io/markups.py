"""Lines of 3D Slicer markups (.mrk.json), turned into LPS where the file says RAS."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.io.payload import read_text

MAX_MARKUPS_BYTES: Final = 2**24
"""Largest markups file that is read (bytes)."""

FARTHEST_MM: Final = 5000.0
"""Coordinates beyond this are none of a patient in a scanner."""

_LPS_FROM: Final = {"LPS": (1.0, 1.0, 1.0), "0": (-1.0, -1.0, 1.0), "RAS": (-1.0, -1.0, 1.0), "1": (1.0, 1.0, 1.0)}
"""Signs by the file's coordinate system; 3D Slicer once wrote numbers for them (0 RAS, 1 LPS)."""


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line: its name, and its first and last control point (2, 3) in LPS mm."""

    name: str
    ends_lps_mm: Array


def read_lines(path: str | Path) -> tuple[Line, ...]:
    """Every line of a 3D Slicer markups file.

    A file without a coordinate system is LPS, as 3D Slicer reads it; markups of other types are left out.

    Raises
    ------
    InputError
        For a file that is missing, no JSON, no markups, holds no line, an unknown coordinate system or unit, a line
        without two defined points, or points that are no coordinates in mm.
    """
    text = read_text(path, MAX_MARKUPS_BYTES)
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise _wrong(path, f"no valid JSON ({reason})", "a 3D Slicer markups file (.mrk.json)") from error
    markups = table.get("markups") if isinstance(table, dict) else None
    if not isinstance(markups, list):
        raise _wrong(path, "no markups", "a 3D Slicer markups file (.mrk.json)")
    lines = [m for m in markups if isinstance(m, dict) and m.get("type") == "Line"]
    if not lines:
        types = sorted({str(m.get("type")) for m in markups if isinstance(m, dict)})[:5]
        raise _wrong(path, f"no line among its markups ({', '.join(types) or 'none'})", "one line an implant")
    stem = Path(path).name.removesuffix(".json").removesuffix(".mrk")
    return tuple(_line(path, m, stem if len(lines) == 1 else f"{stem} {n}") for n, m in enumerate(lines, 1))


def _line(path: str | Path, markup: dict[str, Any], fallback: str) -> Line:
    name = markup.get("name")
    name = name if isinstance(name, str) and 0 < len(name) <= 200 else fallback
    system = str(markup.get("coordinateSystem", "LPS"))
    if system not in _LPS_FROM:
        raise _wrong(path, f"{name}: coordinate system {system[:20]!r}", "LPS or RAS")
    unit = markup.get("coordinateUnits", "mm")
    unit = unit[0] if isinstance(unit, list) and unit else unit
    if unit != "mm":
        raise _wrong(path, f"{name}: coordinates in {str(unit)[:20]!r}", "mm")
    points = markup.get("controlPoints")
    points = points if isinstance(points, list) else []
    defined = [p for p in points if isinstance(p, dict) and p.get("positionStatus", "defined") == "defined"]
    if len(defined) != 2:
        raise _wrong(path, f"{name}: {len(defined)} defined control points", "two, one at each end of the implant")
    ends = np.array([_position(path, name, p.get("position")) for p in defined]) * _LPS_FROM[system]
    length = float(np.linalg.norm(ends[1] - ends[0]))
    if not 5.0 <= length <= 300.0:
        raise _wrong(path, f"{name}: a line of {length:.3g} mm", "the length of an implant, 5 to 300 mm")
    return Line(name, ends)


def _position(path: str | Path, name: str, value: object) -> list[float]:
    if isinstance(value, list) and len(value) == 3 and all(_is_a_coordinate(v) for v in value):
        return [float(v) for v in value]
    raise _wrong(path, f"{name}: position {str(value)[:60]}", f"three numbers in mm, up to {FARTHEST_MM:g}")


def _is_a_coordinate(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= FARTHEST_MM


def _wrong(path: str | Path, found: str, wanted: str) -> InputError:
    return InputError(str(path), found=found, wanted=wanted, fix="save the line from 3D Slicer again")
