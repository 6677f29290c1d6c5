"""What 3D Slicer's published markups schema v1.0.3 asks of a file, as a check of our own.

Read from markups-schema-v1.0.3.json of the Slicer repository (Modules/Loadable/Markups/Resources/Schema): the names,
types, lengths and lists of values below are its; a key that it does not name is let pass, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[str, Any], list[str]]


def number(where: str, value: Any) -> list[str]:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    return [] if good else [f"{where}: {value!r} is no number"]


def of(kind: type) -> Check:
    return lambda where, value: [] if isinstance(value, kind) else [f"{where}: {value!r} is no {kind.__name__}"]


def one_of(*values: str) -> Check:
    return lambda where, value: [] if value in values else [f"{where}: {value!r} is none of {values}"]


def between(low: float, high: float) -> Check:
    def check(where: str, value: Any) -> list[str]:
        wrong = number(where, value)
        return wrong or ([] if low <= value <= high else [f"{where}: {value!r} is not {low} to {high}"])

    return check


def numbers(count: int, item: Check = number) -> Check:
    def check(where: str, value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) != count:
            return [f"{where}: {value!r} is no list of {count}"]
        return [problem for n, v in enumerate(value) for problem in item(f"{where}[{n}]", v)]

    return check


def keys(table: dict[str, Check], *required: str) -> Check:
    def check(where: str, value: Any) -> list[str]:
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        missing = [f"{where}: no {name}" for name in required if name not in value]
        return missing + [p for name, v in value.items() if name in table for p in table[name](f"{where}.{name}", v)]

    return check


def every(item: Check) -> Check:
    def check(where: str, value: Any) -> list[str]:
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [problem for n, v in enumerate(value) for problem in item(f"{where}[{n}]", v)]

    return check


text, flag = of(str), of(bool)
at_least_0, share = between(0.0, float("inf")), between(0.0, 1.0)
colour = numbers(3, share)

POINT = keys({
    "id": text, "label": text, "description": text, "associatedNodeID": text, "position": numbers(3),
    "orientation": numbers(9), "selected": flag, "locked": flag, "visibility": flag,
    "positionStatus": one_of("undefined", "preview", "defined"),
})  # fmt: skip
MEASUREMENT = keys({
    "name": text, "enabled": flag, "value": number, "units": text, "description": text, "printFormat": text,
})  # fmt: skip
DISPLAY = keys({
    "visibility": flag, "opacity": share, "color": colour, "selectedColor": colour, "activeColor": colour,
    "propertiesLabelVisibility": flag, "pointLabelsVisibility": flag, "textScale": at_least_0,
    "glyphScale": at_least_0, "glyphSize": at_least_0, "useGlyphScale": flag, "sliceProjection": flag,
    "sliceProjectionOpacity": share, "lineThickness": at_least_0, "handlesInteractive": flag,
    "snapMode": one_of("unconstrained", "toVisibleSurface"),
})  # fmt: skip
MARKUP = keys({
    "type": one_of("Fiducial", "Line", "Angle", "Curve", "ClosedCurve", "Plane", "ROI"), "name": text,
    "coordinateSystem": one_of("LPS", "RAS"), "coordinateUnits": one_of("mm", "um"), "locked": flag,
    "fixedNumberOfControlPoints": flag, "labelFormat": text, "controlPoints": every(POINT), "display": DISPLAY,
    "measurements": every(MEASUREMENT),
}, "type")  # fmt: skip
FILE = keys({"@schema": text, "markups": every(MARKUP)}, "@schema", "markups")


def problems(document: Any) -> list[str]:
    """What the schema would object to; an empty list for a file that it accepts."""
    return FILE("file", document)
