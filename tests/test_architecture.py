"""The house rules of docs/architecture.md, read from the source: who may import whom, and who knows of files."""

import ast
import sys
from pathlib import Path

import pytest

import sjplan

PACKAGE = Path(sjplan.__file__).parent

LAYER = {
    **dict.fromkeys(["core"], 0),
    **dict.fromkeys(["geometry", "xray"], 1),
    **dict.fromkeys(["anatomy", "phantom", "safety", "planning"], 2),
    **dict.fromkeys(["io", "render", "report", "views", "segment", "audit"], 3),
    **dict.fromkeys(["bench", "training", "testing"], 4),
    **dict.fromkeys(["cli", "app"], 5),
}
ALSO_ALLOWED = {"safety": {"anatomy"}, "planning": {"anatomy", "safety"}, "cli": {"app"}}
"""Imports inside one layer; any other pair of rooms on a layer is strange to each other."""

COMPUTE_LIBRARIES = {"numpy", "scipy", "numba", "trimesh", "rtree"}
"""Third-party packages that L0 to L2 may use: arithmetic and meshes, no files and no windows."""

FILE_AND_WINDOW_MODULES = {
    *("csv", "gzip", "json", "pathlib", "pickle", "shutil", "sqlite3", "tempfile", "tkinter", "tomllib", "xml"),
    *("zipfile", "http", "socket", "urllib"),
}
"""Parts of the standard library that are about files, windows or the network: strange to L0 to L2."""


def room_of(module: str) -> str:
    """The room of a dotted module name; empty for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported_modules(module: str, tree: ast.AST, *, is_package: bool = False) -> list[str]:
    """Every module that a source imports, at the top or inside a function, relative imports resolved."""
    found: list[str] = []
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{source}.{alias.name}" if source == "sjplan" else source for alias in node.names]
        elif isinstance(node, ast.Call) and _called_name(node) in ("import_module", "__import__") and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                found.append(argument.value)
    return found


def _called_name(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Rules that one module breaks, as sentences; an empty list is what everybody wants."""
    room = room_of(module)
    tree = ast.parse(source)
    if not room:
        return [f"{module} imports {m}" for m in imported_modules(module, tree) if m.startswith("sjplan")]
    if room == "data":
        return [f"{module} holds code" for node in tree.body if not isinstance(node, ast.Expr)]
    if room not in LAYER:
        return [f"{module}: no layer is named for the room {room}"]
    broken: list[str] = []
    for name in imported_modules(module, tree, is_package=is_package):
        top, target = name.split(".")[0], room_of(name)
        if top == "sjplan":
            broken += _broken_by_room(module, room, target)
        elif LAYER[room] <= 2 and top in FILE_AND_WINDOW_MODULES:
            broken.append(f"{module} imports {top}: L0 to L2 know no file and no window")
        elif LAYER[room] <= 2 and top not in COMPUTE_LIBRARIES and top not in sys.stdlib_module_names:
            broken.append(f"{module} imports {top}: not a compute library")
    broken += _broken_by_strings(module, room, tree)
    return broken


def _broken_by_room(module: str, room: str, target: str) -> list[str]:
    if target in ("", room) or target.startswith("__"):
        return []
    if target in ("NOT_FOR_CLINICAL_USE",):
        return []
    if target == "data":
        return [] if room == "io" else [f"{module} imports sjplan.data: only io reads it"]
    if target not in LAYER:
        return [f"{module} imports sjplan.{target}: no layer is named for it"]
    if LAYER[target] < LAYER[room] or target in ALSO_ALLOWED.get(room, set()):
        return []
    return [f"{module} (L{LAYER[room]}) imports sjplan.{target} (L{LAYER[target]})"]


def _broken_by_strings(module: str, room: str, tree: ast.AST) -> list[str]:
    """Data files are reached through a string, and a file is opened by a call: both leave no import behind."""
    broken = []
    for node in ast.walk(tree):
        if room != "io" and isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value == "sjplan.data" or node.value.startswith("sjplan.data."):
                broken.append(f"{module} names sjplan.data: only io reads it")
        elif LAYER[room] <= 2 and isinstance(node, ast.Call) and getattr(node.func, "id", "") == "open":
            broken.append(f"{module} opens a file")
    return broken


def modules() -> list[tuple[str, Path]]:
    """Dotted name and path of every module of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found.append((".".join(["sjplan", *(p for p in parts if p != "__init__")]), path))
    return found


@pytest.mark.parametrize(("module", "path"), modules(), ids=[name for name, _ in modules()])
def test_module_keeps_to_its_layer(module: str, path: Path) -> None:
    assert violations(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py") == []


def test_every_room_has_a_layer() -> None:
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name not in ("__pycache__", "data")}
    assert rooms <= set(LAYER)
    assert {"core", "geometry", "xray", "anatomy", "safety", "planning", "io", "cli"} <= rooms


BAD = {
    "up one layer": ("sjplan.core.grid", "from sjplan.geometry import surface"),
    "up to the top": ("sjplan.io.volumes", "import sjplan.cli.main"),
    "inside a function": ("sjplan.anatomy.build", "def f():\n    from sjplan.io.volumes import read_ct"),
    "from the package": ("sjplan.geometry.solids", "from sjplan import safety"),
    "relative": ("sjplan.core.grid", "from ..io import volumes"),
    "by name": ("sjplan.core.grid", "import importlib\nimportlib.import_module('sjplan.io.volumes')"),
    "beside, L1": ("sjplan.xray.projector", "from sjplan.geometry.solids import Solid"),
    "beside, anatomy": ("sjplan.anatomy.build", "from sjplan.safety.judge import judge"),
    "beside, safety": ("sjplan.safety.judge", "from sjplan.planning.protocol import Problem"),
    "beside, phantom": ("sjplan.phantom.build", "from sjplan.anatomy.build import anatomy_from_labels"),
    "beside, L3": ("sjplan.report.html", "from sjplan.render.scene import scene_png"),
    "beside, L4": ("sjplan.testing.contract", "import sjplan.bench.rows"),
    "beside, L5": ("sjplan.app.server", "from sjplan.cli import main"),
    "a file format": ("sjplan.geometry.surface", "import SimpleITK as sitk"),
    "a window": ("sjplan.anatomy.build", "import pyvista"),
    "a window, deep": ("sjplan.xray.projector", "from vtkmodules.vtkCommonCore import vtkPoints"),
    "a path": ("sjplan.core.plan", "from pathlib import Path"),
    "json": ("sjplan.safety.judge", "import json"),
    "opening": ("sjplan.planning.raster", "text = open('limits.toml').read()"),
    "data as a module": ("sjplan.planning.raster", "import sjplan.data"),
    "data as a string": ("sjplan.render.scene", "from importlib.resources import files\nfiles('sjplan.data')"),
    "an unnamed room": ("sjplan.helpers.misc", "x = 1"),
    "a call on an unnamed room": ("sjplan.io.volumes", "import sjplan.helpers"),
    "the package itself": ("sjplan", "from sjplan.core.grid import Grid"),
    "code in data": ("sjplan.data", "x = 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_import_goes_red(name: str) -> None:
    module, source = BAD[name]
    assert len(violations(module, source)) == 1


FIRST_MODULE = {room_of(m): (m, p) for m, p in reversed(modules()) if p.name != "__init__.py" and room_of(m) in LAYER}


@pytest.mark.parametrize("room", FIRST_MODULE)
def test_a_real_module_goes_red_when_a_bad_import_is_added(room: str) -> None:
    module, path = FIRST_MODULE[room]
    worse = path.read_text(encoding="utf-8") + "\n\nimport sjplan.nowhere\n"
    assert violations(module, worse) == [f"{module} imports sjplan.nowhere: no layer is named for it"]


GOOD = {
    "down": ("sjplan.cli.plan", "from sjplan.io.cases import read_case\nfrom sjplan.core.plan import Plan"),
    "own room": ("sjplan.io.cases", "from sjplan.io.volumes import read_ct\nfrom . import atomic"),
    "safety on anatomy": ("sjplan.safety.judge", "from sjplan.anatomy.types import Anatomy"),
    "planning on safety": ("sjplan.planning.raster", "from sjplan.safety.types import MarginReport"),
    "compute": ("sjplan.geometry.fields", "import numpy as np\nimport trimesh\nfrom scipy import ndimage\nimport math"),
    "the version": ("sjplan.io.planfile", "from sjplan import __version__, NOT_FOR_CLINICAL_USE"),
    "io reads data": ("sjplan.io.catalogue", "from importlib.resources import files\nfiles('sjplan.data')"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_imports_stay_green(name: str) -> None:
    module, source = GOOD[name]
    assert violations(module, source) == []
