"""Implant models: the cross-section and the lengths that a catalogue offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sjplan.core.errors import GeometryError

Section = Literal["cylinder", "triangle"]


@dataclass(frozen=True, slots=True)
class Thread:
    """The thread round a cylinder, for its picture: clearances are those of the full cylinder.

    Parameters
    ----------
    pitch_mm : float
        From one crest to the next.
    core_radius_mm : float
        Radius between the crests, and of the shaft where there is no thread.
    length_mm : float or None
        So far from the medial end the thread goes; None over the whole implant.
    """

    pitch_mm: float
    core_radius_mm: float
    length_mm: float | None = None


@dataclass(frozen=True, slots=True)
class ImplantModel:
    """One catalogue entry.

    Parameters
    ----------
    id : str
        Short name on the command line and in plan files.
    summary : str
        One line for people.
    section : {"cylinder", "triangle"}
        Shape of the cross-section; a triangle is equilateral with rounded corners.
    inscribed_radius_mm : float
        Radius of the largest circle inside the section (for a cylinder: its radius).
    corner_radius_mm : float
        Radius of the rounded corners (for a cylinder: its radius).
    lengths_mm : tuple of float
        Lengths on offer, ascending.
    sources : tuple of str
        Source keys, one per statement.
    recalled : tuple of str
        Names of the fields whose values are recalled from literature, not read in a source.
    thread : Thread, optional
        Of a cylinder.

    Raises
    ------
    GeometryError
        For a radius or length that is not positive, a corner larger than the section, or a thread that does not fit.

    Examples
    --------
    >>> ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (30.0, 35.0)).circumscribed_radius_mm
    6.0
    """

    id: str
    summary: str
    section: Section
    inscribed_radius_mm: float
    corner_radius_mm: float
    lengths_mm: tuple[float, ...]
    sources: tuple[str, ...] = ()
    recalled: tuple[str, ...] = ()
    thread: Thread | None = None

    def __post_init__(self) -> None:
        r, rho = float(self.inscribed_radius_mm), float(self.corner_radius_mm)
        if self.section not in ("cylinder", "triangle"):
            raise GeometryError(f"{self.id}.section", found=repr(self.section), wanted="cylinder or triangle")
        if not 0 < r < 20:
            raise GeometryError(f"{self.id}.inscribed_radius_mm", found=f"{r:g}", wanted="0 to 20 mm")
        if self.section == "cylinder":
            rho = r
        if not 0 <= rho <= r:
            raise GeometryError(f"{self.id}.corner_radius_mm", found=f"{rho:g}", wanted=f"0 to {r:g} mm")
        lengths = tuple(float(v) for v in self.lengths_mm)
        if not lengths or sorted(set(lengths)) != list(lengths) or not 0 < lengths[0] <= lengths[-1] < 300:
            raise GeometryError(f"{self.id}.lengths_mm", found=f"{lengths}", wanted="ascending lengths, 0 to 300 mm")
        if self.thread is not None:
            self._check_thread(self.thread)
        object.__setattr__(self, "inscribed_radius_mm", r)
        object.__setattr__(self, "corner_radius_mm", rho)
        object.__setattr__(self, "lengths_mm", lengths)

    def _check_thread(self, thread: Thread) -> None:
        if self.section != "cylinder":
            raise GeometryError(f"{self.id}.thread", found=f"section {self.section}", wanted="a cylinder")
        if not 0.5 <= thread.pitch_mm <= 20:
            raise GeometryError(f"{self.id}.thread.pitch_mm", found=f"{thread.pitch_mm:g}", wanted="0.5 to 20 mm")
        wanted = f"above 0 and below the outer radius of {self.inscribed_radius_mm:g} mm"
        if not 0 < thread.core_radius_mm < self.inscribed_radius_mm:
            raise GeometryError(f"{self.id}.thread.core_radius_mm", found=f"{thread.core_radius_mm:g}", wanted=wanted)
        if thread.length_mm is not None and not 0 < thread.length_mm < 300:
            raise GeometryError(f"{self.id}.thread.length_mm", found=f"{thread.length_mm:g}", wanted="0 to 300 mm")

    @property
    def circumscribed_radius_mm(self) -> float:
        """Radius of the smallest circle round the section: that of the clearance envelope."""
        if self.section == "cylinder":
            return self.inscribed_radius_mm
        return 2.0 * (self.inscribed_radius_mm - self.corner_radius_mm) + self.corner_radius_mm
