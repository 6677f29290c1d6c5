"""Implants, pins and tools as exact solids of one attenuation: sections swept along an axis, flat at both ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sjplan.core.arrays import Array, check_vector, frozen
from sjplan.core.errors import GeometryError
from sjplan.core.trajectory import Trajectory, section_axes
from sjplan.xray.attenuation import MU_STEEL_PER_MM, MU_TITANIUM_PER_MM

METALS: Final = ("titanium", "steel")
"""What implants and pins are made of."""

PIN_RADIUS_MM: Final = 1.6
"""Guide pin of 3.2 mm (TORQ 510(k) K213667, CLINICAL.md 1.3)."""

_OUTSIDE_MM: Final = 120.0
"""So far outside the implant's lateral end a drill or broach begins."""

_FLANK, _CREST = 0.3, 0.12
"""Half widths of a thread's flanks and of its crest, as shares of the pitch."""


@dataclass(frozen=True, slots=True, eq=False)
class Pin:
    """A steel guide pin from its outer end to its tip.

    Parameters
    ----------
    entry_lps_mm, tip_lps_mm : (3,) float
        Outer end and tip.
    radius_mm : float
        Half the pin's thickness.
    """

    entry_lps_mm: Array
    tip_lps_mm: Array
    radius_mm: float = PIN_RADIUS_MM

    def __post_init__(self) -> None:
        object.__setattr__(self, "entry_lps_mm", check_vector("pin entry_lps_mm", self.entry_lps_mm))
        object.__setattr__(self, "tip_lps_mm", check_vector("pin tip_lps_mm", self.tip_lps_mm))
        if not 0 < self.radius_mm < 20:
            raise GeometryError("pin radius_mm", found=f"{self.radius_mm}", wanted="0 to 20 mm")
        if not float(np.linalg.norm(self.tip_lps_mm - self.entry_lps_mm)) > 0:
            raise GeometryError("pin", found="entry and tip at one point", wanted="two different points")


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A steel drill or broach that makes room for an implant.

    Parameters
    ----------
    kind : {"drill", "broach"}
        A drill cuts the circle inside the implant's section, a broach the section itself.
    trajectory : Trajectory
        The implant's.
    depth_mm : float
        How far the tool's tip has gone along it from the lateral end; up to the implant's length for the whole way.
    """

    kind: Literal["drill", "broach"]
    trajectory: Trajectory
    depth_mm: float

    def __post_init__(self) -> None:
        if self.kind not in ("drill", "broach"):
            raise GeometryError("tool kind", found=repr(self.kind), wanted="drill or broach")
        longest = self.trajectory.length_mm
        if not -_OUTSIDE_MM < self.depth_mm <= longest:
            found, wanted = (
                f"{self.depth_mm:g}",
                f"above {-_OUTSIDE_MM:g} and up to {longest:g} mm, its implant's length",
            )
            raise GeometryError(f"{self.kind} depth_mm", found=found, wanted=wanted)


PinLike = Pin | Sequence[ArrayLike | float]
"""A `Pin`, or (entry, tip) or (entry, tip, radius)."""


@dataclass(frozen=True, slots=True, eq=False)
class MetalSolid:
    """A convex solid: in section coordinates (u, v) the hull of three equal discs (of one, for a cylinder).

    Parameters
    ----------
    base_lps_mm : (3,) float
        Centre of one flat end.
    axes : (3, 3) float
        Rows are the unit vectors u (towards a corner), v and w (along the axis).
    length_mm : float
        Along w.
    centres_mm : (3, 2) float
        Centres (u, v) of the corner discs.
    corner_radius_mm : float
        Their radius.
    mu_per_mm : float
        Linear attenuation of the metal at 60 keV; where solids overlap, the larger counts.
    metal : int
        Which of `METALS` it is made of.
    """

    base_lps_mm: Array
    axes: Array
    length_mm: float
    centres_mm: Array
    corner_radius_mm: float
    mu_per_mm: float
    metal: int = 0

    @classmethod
    def of_trajectory(cls, trajectory: Trajectory, mu_per_mm: float = MU_TITANIUM_PER_MM) -> MetalSolid:
        """The implant, solid through and through (its cannula is not drawn)."""
        u, v = trajectory.section_axes()
        model = trajectory.model
        triangle = model.section == "triangle"
        corner = model.corner_radius_mm if triangle else model.inscribed_radius_mm
        reach = 2.0 * (model.inscribed_radius_mm - corner) if triangle else 0.0
        angles = np.deg2rad([0.0, 120.0, 240.0])
        centres = reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        axes = frozen([u, v, trajectory.axis])
        return cls(trajectory.entry_lps_mm, axes, trajectory.length_mm, frozen(centres), corner, mu_per_mm)

    @classmethod
    def of_rod(cls, trajectory: Trajectory, start_mm: float, stop_mm: float, radius_mm: float) -> MetalSolid:
        """A titanium cylinder about an implant's axis, between two places along it from its lateral end."""
        u, v = trajectory.section_axes()
        base = frozen(trajectory.entry_lps_mm + start_mm * trajectory.axis)
        axes = frozen([u, v, trajectory.axis])
        return cls(base, axes, stop_mm - start_mm, frozen(np.zeros((3, 2))), radius_mm, MU_TITANIUM_PER_MM)

    @classmethod
    def of_pin(cls, pin: PinLike, mu_per_mm: float = MU_STEEL_PER_MM) -> MetalSolid:
        """The pin as a flat-ended cylinder."""
        p = pin if isinstance(pin, Pin) else Pin(*pin)  # type: ignore[arg-type]
        along = p.tip_lps_mm - p.entry_lps_mm
        length = float(np.linalg.norm(along))
        u, v = section_axes(along, 0.0)
        axes = frozen([u, v, along / length])
        return cls(p.entry_lps_mm, axes, length, frozen(np.zeros((3, 2))), p.radius_mm, mu_per_mm, 1)

    def box_lps_mm(self) -> Array:
        """Eight corners, (8, 3), of a box round the solid."""
        reach = float(np.linalg.norm(self.centres_mm, axis=1).max()) + self.corner_radius_mm
        local = [(a * reach, b * reach, w) for a in (-1, 1) for b in (-1, 1) for w in (0.0, self.length_mm)]
        return np.asarray(np.array(local) @ self.axes + self.base_lps_mm)

    def half_planes(self) -> Array:
        """(6, 3): rows (n_u, n_v, d) of n . p <= d; with the corner discs their intersection makes up the section.

        Three lie on the flat sides and three cut the corners off where the arcs begin; a cylinder has none, and
        gets an empty intersection.
        """
        reach = float(np.linalg.norm(self.centres_mm[0]))
        if reach == 0:
            return np.asarray(np.tile([0.0, 0.0, -1.0], (6, 1)))
        corner = self.centres_mm / reach
        rho = self.corner_radius_mm
        sides = np.column_stack([-corner, np.full(3, reach / 2 + rho)])
        cuts = np.column_stack([corner, np.full(3, reach + rho / 2)])
        return np.concatenate([sides, cuts])

    def packed(self) -> NDArray[np.float64]:
        """All numbers in one row of 41, in the order that the kernel of `sjplan.xray.chords` reads."""
        head = [*self.base_lps_mm, *self.axes.ravel(), self.length_mm, self.corner_radius_mm, self.mu_per_mm]
        round_mm = float(np.linalg.norm(self.centres_mm[0])) + self.corner_radius_mm
        return np.array([*head, *self.centres_mm.ravel(), *self.half_planes().ravel(), self.metal, round_mm])


def metal_solids(
    trajectories: Iterable[Trajectory] = (), pins: Iterable[PinLike] = (), tools: Iterable[Tool] = ()
) -> tuple[MetalSolid, ...]:
    """Titanium implants, steel pins, drills and broaches as solids."""
    implants = [solid for trajectory in trajectories for solid in implant_solids(trajectory)]
    return (*implants, *(MetalSolid.of_pin(p) for p in pins), *(tool_solid(t) for t in tools))


def implant_solids(trajectory: Trajectory) -> tuple[MetalSolid, ...]:
    """An implant in place: one solid, or for a threaded one its core and a stack of discs for each turn.

    The thread is a profile turned about the axis: crests of the outer radius, flanks half as high. A helix would stand
    half a pitch apart on the two sides of its picture.

    Examples
    --------
    >>> from sjplan.core.implant import ImplantModel, Thread
    >>> model = ImplantModel("screw", "screw", "cylinder", 3.65, 3.65, (40.0,), thread=Thread(4.0, 2.4, 16.0))
    >>> solids = implant_solids(Trajectory((0, 0, 0), (40, 0, 0), 0.0, model))
    >>> [round(s.corner_radius_mm, 3) for s in solids[:3]], len(solids)
    ([2.4, 3.025, 3.65], 9)
    """
    thread, outer = trajectory.model.thread, trajectory.model.inscribed_radius_mm
    if thread is None:
        return (MetalSolid.of_trajectory(trajectory),)
    end, pitch, core = trajectory.length_mm, thread.pitch_mm, thread.core_radius_mm
    solids = [MetalSolid.of_rod(trajectory, 0.0, end, core)]
    start = 0.0 if thread.length_mm is None else max(end - thread.length_mm, 0.0)
    for turn in range(int((end - start) / pitch + 1e-9)):
        crest = end - (turn + 0.5) * pitch
        for half_width, radius in ((_FLANK * pitch, 0.5 * (core + outer)), (_CREST * pitch, outer)):
            solids.append(MetalSolid.of_rod(trajectory, crest - half_width, crest + half_width, radius))
    return tuple(solids)


def tool_solid(tool: Tool) -> MetalSolid:
    """A drill or broach as far as it has gone, from well outside the patient's bone."""
    path = tool.trajectory
    if tool.kind == "drill":
        tip = path.entry_lps_mm + tool.depth_mm * path.axis
        return MetalSolid.of_pin(Pin(path.entry_lps_mm - _OUTSIDE_MM * path.axis, tip, path.model.inscribed_radius_mm))
    whole = MetalSolid.of_trajectory(path, MU_STEEL_PER_MM)
    base = frozen(path.entry_lps_mm - _OUTSIDE_MM * path.axis)
    return replace(whole, base_lps_mm=base, length_mm=_OUTSIDE_MM + tool.depth_mm, metal=METALS.index("steel"))
