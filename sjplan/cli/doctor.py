"""`sjplan doctor`: whether everything that sjplan needs works on this machine, and what to do where it does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from rich.text import Text

import sjplan
from sjplan.cli.opengl import install_hint, probe_opengl
from sjplan.cli.options import AsJson
from sjplan.cli.output import out_console, print_json

State = Literal["ok", "note", "missing"]
COLOUR: Final = {"ok": "green", "note": "yellow", "missing": "red"}

PACKAGES: Final = (
    *("numpy", "scipy", "SimpleITK", "trimesh", "rtree", "pyvista", "vtk", "numba", "pydicom", "pydantic"),
    *("cyclopts", "rich", "jinja2"),
)

MEMORY_WANTED_GB: Final = 2.0
"""Peak of one plan on a 1 mm label map: the project's own ceiling."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's answer; `fix` says what to do where the state is not ok."""

    name: str
    state: State
    text: str
    fix: str = ""


def doctor(*, json: AsJson = False) -> int:
    """Check this machine: versions, OpenGL, kernel cache, memory, real data. Exit 1 if something needed is missing."""
    checks = [
        python_check(),
        *package_checks(),
        opengl_check(),
        cache_check(),
        threads_check(),
        memory_check(),
        browser_check(),
        real_data_check(),
    ]
    healthy = all(check.state != "missing" for check in checks)
    if json:
        print_json({"healthy": healthy, "checks": [asdict(check) for check in checks]})
        return 0 if healthy else 1
    console = out_console()
    for check in checks:
        console.print(Text(f"{check.state:8}", style=COLOUR[check.state]) + Text(f"{check.name:13} {check.text}"))
        if check.fix:
            console.print(Text(f"{'':22} {check.fix}", style="bold" if check.state == "missing" else "dim"))
    console.print("everything needed is here" if healthy else "something needed is missing: see the lines above")
    return 0 if healthy else 1


def python_check() -> Check:
    """Version of Python and of sjplan."""
    text = f"Python {platform.python_version()}, sjplan {sjplan.__version__}, {platform.platform()}"
    return Check("python", "ok", text)


def package_checks() -> list[Check]:
    """One line with the versions of what is installed; one line for each package that is not."""
    found, checks = [], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            checks.append(Check(package, "missing", "not installed", f"pip install {package}"))
    return [Check("packages", "ok", ", ".join(found)), *checks]


def opengl_check() -> Check:
    """Whether a picture can be drawn off screen."""
    probe = probe_opengl()
    if probe.works:
        return Check("OpenGL", "ok", probe.text)
    return Check("OpenGL", "missing", probe.text, install_hint())


def cache_check() -> Check:
    """Whether numba can keep compiled kernels, so that only the first run compiles."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    beside = Path(sjplan.__file__).parent / "planning"
    folders = [Path(named)] if named else [beside, Path.home() / ".cache" / "numba"]
    for folder in folders:
        if can_write(folder):
            return Check("kernel cache", "ok", f"{folder} can be written")
    text = f"{' and '.join(map(str, folders))} cannot be written"
    return Check("kernel cache", "missing", text, "set NUMBA_CACHE_DIR to a folder that you may write")


def can_write(folder: Path) -> bool:
    """Whether a file can be made in `folder`, or in the nearest folder above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def threads_check() -> Check:
    """Processors that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("NUMBA_NUM_THREADS")
    text = f"{usable} processors" + (f", NUMBA_NUM_THREADS={asked}" if asked else "")
    return Check("threads", "ok" if usable > 1 else "note", text, "" if usable > 1 else "planning uses more if given")


def memory_check() -> Check:
    """Memory that is free now, where the system says so."""
    path = Path("/proc/meminfo")
    if not path.is_file():
        return Check("memory", "note", "this system does not say", f"a plan needs {MEMORY_WANTED_GB:g} GB")
    values = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines())
    free_gb = int(values.get("MemAvailable", "0 kB").split()[0]) / 1024**2
    if free_gb < MEMORY_WANTED_GB:
        return Check("memory", "note", f"{free_gb:.1f} GB free", f"a plan may need {MEMORY_WANTED_GB:g} GB")
    return Check("memory", "ok", f"{free_gb:.1f} GB free")


def browser_check() -> Check:
    """Whether the browser tests can run; nothing else needs Chromium."""
    found = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
    if found:
        return Check("chromium", "ok", found)
    return Check("chromium", "note", "not found", "only the browser tests need it: apt-get install -y chromium")


def real_data_check() -> Check:
    """Whether the tests on real pelves can run; a user does not need them."""
    named = os.environ.get("SJPLAN_REAL_DATA")
    if not named:
        return Check("real data", "note", "SJPLAN_REAL_DATA is not set", "only the tests on real pelves need it")
    if (Path(named) / "vsd_pelvis").is_dir():
        return Check("real data", "ok", named)
    return Check("real data", "note", f"{named} holds no vsd_pelvis", "point SJPLAN_REAL_DATA at the real pelves")
