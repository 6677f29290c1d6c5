"""Implants and bones for 3D Slicer: line markups, and a scene that ties lines and models together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.io.atomic import write_bytes, write_text

MARKUPS_SCHEMA: Final = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
"""Identifier by which 3D Slicer recognises the format; nothing is fetched from it."""

SCENE_NAME: Final = "scene.mrml"
"""The one file to open; everything that it names lies beside it."""

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One implant's axis as 3D Slicer shows it.

    Parameters
    ----------
    file : str
        Name of the file, without its ending.
    name, description : str
        For people.
    entry_lps_mm, tip_lps_mm : list of float
        Its two ends, in this order.
    length_mm : float
        Distance between them.
    colour : (3,) float
        Red, green and blue, 0 to 1.
    """

    file: str
    name: str
    description: str
    entry_lps_mm: list[float]
    tip_lps_mm: list[float]
    length_mm: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class SceneModel:
    """A model file of the scene: its name in the folder, and how it is shown."""

    file: str
    name: str
    colour: Colour
    opacity: float


def write_markup(folder: Path, line: Line) -> Path:
    """Write one line from entry to tip, as 3D Slicer's markups module stores it (schema v1.0.3)."""
    return write_text(folder / _markup_file(line), json.dumps(markup(line), indent=1, allow_nan=False) + "\n")


def _markup_file(line: Line) -> str:
    return f"{line.file}.mrk.json"


def markup(line: Line) -> dict[str, Any]:
    """What a markup file holds of one line."""
    colour = list(line.colour)
    points = [
        {
            "id": str(number),
            "label": f"{line.name} {end}",
            "description": NOT_FOR_CLINICAL_USE,
            "associatedNodeID": "",
            "position": position,
            "orientation": [-1.0, -0.0, -0.0, -0.0, -1.0, -0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": True,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, (end, position) in enumerate((("entry", line.entry_lps_mm), ("tip", line.tip_lps_mm)), 1)
    ]
    length = {"name": "length", "enabled": True, "value": line.length_mm, "units": "mm", "printFormat": "%-#4.4g%s"}
    drawn = {
        "type": "Line",
        "name": line.name,
        "description": line.description,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": True,
        "fixedNumberOfControlPoints": True,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": 2,
        "controlPoints": points,
        "measurements": [length],
        "display": {
            "visibility": True,
            "opacity": 1.0,
            "color": colour,
            "selectedColor": colour,
            "lineThickness": 0.3,
        },
    }
    return {"@schema": MARKUPS_SCHEMA, "markups": [drawn]}


def write_scene(folder: Path, lines: Sequence[Line], models: Sequence[SceneModel]) -> Path:
    """Write a MRML scene that names the markups and models of its folder, each with its space and colour.

    A model of a scene counts as RAS unless the scene says LPS, whatever is said elsewhere: here it says so.
    """
    root = ElementTree.Element("MRML", version="Slicer5.0.0", userTags="")
    root.append(ElementTree.Comment(f" LPS, millimetres. {NOT_FOR_CLINICAL_USE} "))
    for n, model in enumerate(models, 1):
        shown = {"color": _numbers(model.colour), "opacity": f"{model.opacity:g}"}
        _node(root, "Model", n, name=model.name, references=_references("Model", "ModelStorage", n))
        _node(root, "ModelDisplay", n, name=f"{model.name} display", visibility="true", **shown)
        _node(root, "ModelStorage", n, name=f"{model.name} file", fileName=quote(model.file), coordinateSystem="LPS")
    for n, line in enumerate(lines, 1):
        colour = _numbers(line.colour)
        file = quote(_markup_file(line))
        _node(root, "MarkupsLine", n, name=line.name, references=_references("Markups", "MarkupsJsonStorage", n))
        _node(root, "MarkupsDisplay", n, name=f"{line.name} display", color=colour, selectedColor=colour)
        _node(root, "MarkupsJsonStorage", n, name=f"{line.name} file", fileName=file, coordinateSystem="LPS")
    ElementTree.indent(root, " ")
    return write_bytes(folder / SCENE_NAME, ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n")


def _node(root: ElementTree.Element, tag: str, number: int, **attributes: str) -> None:
    ElementTree.SubElement(root, tag, {"id": f"vtkMRML{tag}Node{number}", **attributes})


def _references(kind: str, storage: str, number: int) -> str:
    return f"display:vtkMRML{kind}DisplayNode{number};storage:vtkMRML{storage}Node{number};"


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
