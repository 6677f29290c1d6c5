"""The sacrum of one side: a curved plate with ala and S1 body, cut by the joint, tunnelled by canal and foramina."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.structures import LEVELS
from sjplan.phantom.joint import SACRAL_OPENING, JointShape
from sjplan.phantom.sacrum_form import ADULT_SACRUM, Row, SacralCurves, SacrumForm
from sjplan.phantom.shapes import Tube, cone, ellipse, smooth_max, smooth_min, smooth_step, tube_along


class SacrumHalf:
    """One side of the sacrum, with x counted from the midline to that side.

    Parameters
    ----------
    joint : JointShape
        Joint of this side.
    ala_height_mm : float
        Bone between ala top and the nominal roof of the S1 foramen.
    foramen_scale : float
        Scale of all radii of the foramina.
    drop_mm : float
        How much lower than nominal the foramina of this side lie.
    closed : tuple of str
        Levels left solid.
    form : SacrumForm
        How long, wide and deep its parts are.
    """

    def __init__(
        self,
        joint: JointShape,
        ala_height_mm: float,
        foramen_scale: float,
        drop_mm: float = 0.0,
        closed: tuple[str, ...] = (),
        form: SacrumForm = ADULT_SACRUM,
    ) -> None:
        self.joint, self.form, self.curves = joint, form, SacralCurves(form)
        self._ala_top_z = form.foramen_z_mm[0] + form.ventral_radius_mm[0] + ala_height_mm
        self._drop = drop_mm
        self.ventral: Mapping[str, Tube] = {
            level: self._ventral_tube(level, foramen_scale) for level in LEVELS if level not in closed
        }
        self.dorsal: Mapping[str, Tube] = {
            level: self._dorsal_tube(level, foramen_scale) for level in LEVELS if level not in closed
        }

    def anterior_y(self, x: Array, z: Array) -> Array:
        """Front of the plate at (x, z): bodies in the middle, ala and lateral mass set back."""
        half = np.interp(z, (-110.0, -60.0, 0.0), (9.0, 15.0, 22.0))
        return np.asarray(
            self.curves.anterior_y(z) + self.curves.ala_recess(z) * smooth_step((x - 0.45 * half) / (0.95 * half))
        )

    def posterior_y(self, x: Array, z: Array) -> Array:
        """Back of the plate at (x, z): lamina in the middle, sloping gently forward to the side."""
        back = self.curves.canal_y(z) + self.curves.canal_height(z) / 2.0 + self.curves.lamina(z)
        solid = self.curves.canal_y(z) + np.interp(z, (-110.0, -97.0, -60.0, 0.0), (3.0, 6.0, 9.0, 12.5))
        side = smooth_step((x - 4.0) / 14.0)
        return np.asarray((1.0 - side) * back + side * solid)

    def solid_mm(self, p: Array) -> Array:
        """First-order signed distance to this half without its tunnels, (n, 3) -> (n,), positive outside."""
        x, y, z = p[:, 0], p[:, 1], p[:, 2]
        front = (self.anterior_y(x, z) - y) / _steepness(self.anterior_y, x, z)
        back = (y - self.posterior_y(x, z)) / _steepness(self.posterior_y, x, z)
        plate = smooth_max(front, back, 6.0)
        top = self._ala_top_z + self.form.ala_slope * (y - 8.0) - self.form.ala_drop * np.maximum(x - 28.0, 0.0)
        plate = smooth_max(plate, (z - np.minimum(top, -2.0)) / np.hypot(1.0, self.form.ala_slope), 7.0)
        plate = smooth_max(plate, self.form.apex_z_mm - z, 5.0)
        lateral = smooth_max(plate, (x - self.curves.lateral_x(z)) * 0.8, 6.0)
        whole = smooth_min(lateral, self._s1_body(x, y, z), 7.0)
        whole = smooth_min(whole, self._processes(p), 4.0)
        return smooth_max(whole, self.side_mm(x, y, z), 2.5)

    def side_mm(self, x: Array, y: Array, z: Array) -> Array:
        """First-order signed distance to the sacral face of the joint and its continuation."""
        recess = self.joint.gap_mm / 2.0 + self.joint.opening_mm(y, z, SACRAL_OPENING)
        return np.asarray((x - self.joint.mid_x(y, z)) / self.joint.stretch(y, z) + recess)

    def foramen_mm(self, level: str, p: Array) -> Array:
        """Signed distance to the tunnel of one level (both branches); infinite where it is closed."""
        if level not in self.ventral:
            return np.full(len(p), np.inf)
        return np.minimum(self.ventral[level].distance_mm(p), self.dorsal[level].distance_mm(p))

    def bone_mm(self, p: Array) -> Array:
        """First-order signed distance to the bone: the solid less canal and foramina."""
        bone = np.maximum(self.solid_mm(p), -self.curves.canal_mm(p[:, 0], p[:, 1], p[:, 2]))
        for tube in (*self.ventral.values(), *self.dorsal.values()):
            np.maximum(bone, -tube.nearby_mm(p), out=bone)
        return bone

    def _s1_body(self, x: Array, y: Array, z: Array) -> Array:
        centre = self.curves.anterior_y(z) + self.curves.body_depth(z) / 2.0
        round_ = ellipse(x, y - centre, self.form.endplate_half_mm[0] + 0.0 * z, self.curves.body_depth(z) / 2.0, 2.4)
        # The endplate's rim stands a little proud of its middle.
        cap = z - 1.2 * (
            np.clip(x / self.form.endplate_half_mm[0], -1, 1) ** 2
            + np.clip((y - centre) / self.form.endplate_half_mm[1], -1, 1) ** 2
        )
        return smooth_max(smooth_max(round_, cap, 2.5), -34.0 - z, 8.0)

    def _processes(self, p: Array) -> Array:
        """Superior articular process, median crest and the first coccygeal segment."""
        facet = cone(p, (20.0, 33.0, -12.0), (21.5, 37.0, 7.0), 7.0, 4.0)
        for z in (-16.0, -42.0, -66.0):
            y = float(
                self.curves.canal_y(np.array(z)) + self.curves.canal_height.at(z) / 2.0 + self.curves.lamina.at(z)
            )
            spine = cone(p, (0.0, y - 2.0, z), (0.0, y + 7.0 + z / 20.0, z - 6.0), 5.5, 3.2)
            facet = smooth_min(facet, spine, 5.0)
        coccyx = cone(p, (0.0, -9.0, -112.0), (0.0, -16.0, -122.0), 5.5, 4.0)
        return smooth_min(facet, coccyx, 4.0)

    def _mouth(self, level: str, from_midline: Row, radius: Row, scale: float) -> tuple[float, float, float]:
        """Height, distance from the midline and radius of one mouth."""
        form = self.form
        z = form.of_level(form.foramen_z_mm, level) - self._drop
        return z, form.of_level(from_midline, level), form.of_level(radius, level) * scale

    def _ventral_tube(self, level: str, scale: float) -> Tube:
        z, x, r = self._mouth(level, self.form.ventral_x_mm, self.form.ventral_radius_mm, scale)
        front = float(self.anterior_y(np.array(x), np.array(z)))
        inner = float(self.curves.canal_y(np.array(z + 6.0)))
        start_x = 0.55 * self.curves.canal_half_width.at(z + 6.0)
        points = (
            (start_x, inner, z + 6.0),
            (0.5 * (start_x + x), inner - 2.0, z + 4.0),
            (0.9 * x, 0.5 * (front + inner), z + 1.5),
            (x, front + 1.0, z),
            (x + 3.0, front - 9.0, z - 3.0),
        )
        return tube_along(points, np.array((0.62, 0.78, 0.86, 1.0, 1.5)) * r)

    def _dorsal_tube(self, level: str, scale: float) -> Tube:
        z, x, r = self._mouth(level, self.form.dorsal_x_mm, self.form.dorsal_radius_mm, scale)
        back = float(self.posterior_y(np.array(x), np.array(z - 1.5)))
        inner = float(self.curves.canal_y(np.array(z + 3.0)))
        points = (
            (0.72 * x, inner - 1.5, z + 3.0),
            (x - 1.0, inner + 1.0, z),
            (x, back, z - 1.5),
            (x + 0.5, back + 7.0, z - 2.5),
        )
        return tube_along(points, np.array((1.0, 0.95, 1.0, 1.3)) * r, samples=14)


def _steepness(surface_y: Callable[[Array, Array], Array], x: Array, z: Array) -> Array:
    """sqrt(1 + |grad y|^2) of a height field over (x, z)."""
    h = 0.5
    dx = (surface_y(x + h, z) - surface_y(x - h, z)) / (2 * h)
    dz = (surface_y(x, z + h) - surface_y(x, z - h)) / (2 * h)
    return np.asarray(np.sqrt(1.0 + dx * dx + dz * dz))
