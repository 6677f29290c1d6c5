"""C-arm angles under which the implicit pelvis shows its standard views to a parallel beam."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.spatial import ConvexHull

from sjplan.core.arrays import Array, frozen, unit
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.hip_marks import HipMarks
from sjplan.xray.carm import carm_angles

_ABOVE_MM, _BELOW_MM = 2.0, 8.0
_STEP_MM: Final = 0.5


def view_angles_deg(pelvis: Pelvis, marks: HipMarks) -> dict[str, Array]:
    """Orbital, tilt and wig-wag (3,) of each view, in degrees against the scanner's axes.

    AP looks square to the plane that touches both ASIS and the pubis, the lateral along the left-right axis; the inlet
    follows the line that touches the fronts of S1 and S2, outlet-s1 is square to that, inlet-canal follows the canal
    through S1 and S2; the outlet goes through the top of the symphysis and amid the ventral mouths of the S2 foramina.

    Examples
    --------
    >>> from sjplan.phantom.parameters import PhantomParameters
    >>> from sjplan.phantom.truth.hip_marks import hip_marks
    >>> pelvis = Pelvis(PhantomParameters())
    >>> angles = view_angles_deg(pelvis, hip_marks(pelvis.hip))
    >>> bool(angles["inlet"][1] < 0 < angles["outlet"][1])
    True
    """
    left = pelvis.sacral_frame.left
    ap = _along(-marks.anterior @ pelvis.pelvic_frame.axes, left)
    down = _front_line(pelvis)
    canal = pelvis.lps_from_sacral(_canal(pelvis))
    z = pelvis.forms.sacrum.foramen_z_mm[1]
    mouth = np.array((0.0, float(pelvis.sacrum["left"].anterior_y(np.array(_s2_x(pelvis)), np.array(z))), z))
    to_s2 = pelvis.lps_from_sacral(mouth[None])[0] - pelvis.lps_from_pelvic(marks.symphysis_top_mm[None])[0]
    rotations = {
        "ap": ap,
        "lateral": np.column_stack([-ap[:, 1], left, ap[:, 2]]),
        "inlet": _along(down, left),
        "inlet-canal": _along(canal[1] - canal[0], left),
        "outlet": _along(to_s2, left),
        "outlet-s1": _along(np.cross(left, down), left),
    }
    return {name: frozen(np.array(carm_angles(rotation))) for name, rotation in rotations.items()}


def _along(direction: Array, left: Array) -> Array:
    """The arm's rotation for a ray in the mid-sagittal plane."""
    ray = unit(direction - (direction @ left) * left)
    return np.column_stack([left, ray, np.cross(left, ray)])


def _s2_x(pelvis: Pelvis) -> float:
    return pelvis.forms.sacrum.ventral_x_mm[1]


def _canal(pelvis: Pelvis) -> Array:
    """Middle of the canal at the S1 and at the S2 foramina, sacral coordinates."""
    z = np.array(pelvis.forms.sacrum.foramen_z_mm[:2])
    return np.column_stack([np.zeros(2), pelvis.sacrum["left"].curves.canal_y(z), z])


def _front_line(pelvis: Pelvis) -> Array:
    """Unit vector down the line that touches the midline's outline above and below the first disc."""
    half, form = pelvis.sacrum["left"], pelvis.forms.sacrum
    s2_z = 0.5 * sum(form.foramen_z_mm[:2])
    z = np.arange(_ABOVE_MM, s2_z - _BELOW_MM, -_STEP_MM)
    y = np.arange(-40.0, 40.0, _STEP_MM)
    grid = np.stack(np.meshgrid((0.0,), y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = half.solid_mm(grid).reshape(len(y), len(z)) < 0
    outline = np.column_stack([y[inside.argmax(axis=0)], z])[inside.any(axis=0)]
    hull = ConvexHull(outline)
    for ends, equation in zip(hull.simplices, hull.equations, strict=True):
        upper, lower = sorted((outline[i] for i in ends), key=lambda point: -float(point[1]))
        if equation[0] < 0 and lower[1] <= 0.5 * s2_z <= upper[1]:
            break
    (first, second) = pelvis.lps_from_sacral([(0.0, *upper), (0.0, *lower)])
    return unit(second - first)
