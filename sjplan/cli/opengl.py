"""Whether pictures can be drawn here: tried in a child process, because VTK without OpenGL takes its process down."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

from sjplan.core.errors import InputError

APT_LINE: Final = "apt-get install -y libegl1 libgl1 libx11-6 libxrender1 libxcursor1"
"""What a bare Debian 12 or Ubuntu lacks for off-screen VTK (`libosmesa6 libx11-6` does as well on Debian 12)."""

PROBE_TIMEOUT_S: Final = 60.0
"""A first import of VTK from a cold disk takes some ten seconds; a hanging GL driver would take for ever."""

PROBE: Final = """
import sys
import pyvista
from vtkmodules.vtkCommonCore import vtkObject
vtkObject.GlobalWarningDisplayOff()
window = pyvista.Plotter(off_screen=True, window_size=(64, 48))
window.set_background("black")
window.add_mesh(pyvista.Sphere(), color="white")
image = window.screenshot(return_img=True)
kind = window.render_window.GetClassName()
lines = window.render_window.ReportCapabilities().splitlines()
facts = dict(line.strip().partition(":")[::2] for line in lines)
window.close()
if image.shape != (48, 64, 3) or image.max() < 100:
    sys.exit("an empty picture came back")
print(kind, "|", facts.get("OpenGL renderer string", "unknown renderer").strip())
"""


@dataclass(frozen=True, slots=True)
class GlProbe:
    """Outcome of drawing one picture: whether it worked, and what drew it or what went wrong."""

    works: bool
    text: str


def probe_opengl(code: str = PROBE) -> GlProbe:
    """Draw one small off-screen picture in a child process.

    Parameters
    ----------
    code : str
        What the child runs; it prints what drew the picture, or ends in any other way.

    Examples
    --------
    >>> probe_opengl("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    GlProbe(works=False, text='the child process was ended by SIGSEGV, as VTK does where no OpenGL library is found')
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return GlProbe(False, f"no picture within {PROBE_TIMEOUT_S:g} s")
    if done.returncode == 0:
        return GlProbe(True, done.stdout.strip() or "one picture")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return GlProbe(False, f"the child process was ended by {name}, as VTK does where no OpenGL library is found")
    last = done.stderr.strip().splitlines()[-1:] or ["no message"]
    return GlProbe(False, f"the child process ended with code {done.returncode}: {last[0]}")


def install_hint() -> str:
    """What to install on this machine, as exactly as it can be said."""
    if platform.system() == "Linux":
        return f"as root: {APT_LINE} (or your distribution's packages for EGL and GL)"
    return f"install OpenGL drivers for {platform.system()}"


def require_opengl() -> None:
    """Refuse to begin work that ends in pictures where none can be drawn.

    Raises
    ------
    InputError
        If the probe fails; says what to install.
    """
    probe = probe_opengl()
    if not probe.works:
        raise InputError(
            "OpenGL",
            found=probe.text,
            wanted="off-screen rendering for the pictures",
            fix=f"{install_hint()}; or do without pictures (sjplan plan --no-pictures)",
        )
