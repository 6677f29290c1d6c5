"""What a trainee is asked and shown, what the answer may be, and what is said of it; plus where a click points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sjplan.core.arrays import Array
from sjplan.core.errors import InputError
from sjplan.core.exercise import Kind
from sjplan.core.plan import Side
from sjplan.core.trajectory import Trajectory
from sjplan.training.actions import MoveArm
from sjplan.training.moves import pose
from sjplan.training.pin import PIN_LENGTH_MM
from sjplan.training.score import ScoreSheet
from sjplan.training.state import Implanted
from sjplan.training.theatre import Theatre
from sjplan.xray.carm import CArmGeometry, carm_axes
from sjplan.xray.pincushion import DrawnOut
from sjplan.xray.types import CArm, Radiograph

SCALE_PIXELS: Final = 1024
"""Clicks are worked out on a detector of so many rows: far finer than anybody points."""


@dataclass(frozen=True, slots=True)
class PointAt:
    """A point of a picture: shares of its width from the left edge and of its height from the top.

    Raises
    ------
    InputError
        For a point beside the picture.

    Examples
    --------
    >>> PointAt.at_pixel(255.5, 0.0, 512)
    PointAt(across=0.5, down=0.0009765625)
    """

    across: float
    down: float

    def __post_init__(self) -> None:
        for name in ("across", "down"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not 0.0 <= value <= 1.0:
                raise InputError(f"point {name}", found=f"{value!r}"[:60], wanted="a share of the picture, 0 to 1")

    @classmethod
    def at_pixel(cls, column: float, row: float, pixels: int) -> PointAt:
        """The middle of a pixel (column, row) of a picture with so many rows and columns."""
        return cls((column + 0.5) / pixels, (row + 0.5) / pixels)


@dataclass(frozen=True, slots=True)
class InOrOut:
    """Whether what is shown is out of the bone, and the name of the view that shows it; None: no view does."""

    out: bool
    view: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.out, bool):
            raise InputError("out", found=f"{self.out!r}"[:60], wanted="true or false")
        if self.view is not None and not isinstance(self.view, str):
            raise InputError("view", found=f"{self.view!r}"[:60], wanted="the name of a view, or none")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One thing that is asked, with everything that is shown; the truth is not in it.

    Parameters
    ----------
    kind : str
        Of its exercise: it says what an answer is. view: `MoveArm`; landmark: `PointAt`; judge-pin: `InOrOut`; one-pin
        and operate: a `Session`.
    text : str
        In plain words.
    arm : MoveArm
        Where the C-arm stands at the start.
    views : mapping of name to MoveArm
        Views that are offered; where there are none the arm is free.
    choices : tuple of str
        For judge-pin: names of views that an answer may give.
    implants, pins : tuple of Trajectory
        Shown in the patient, and no more than shown; of a pin what lies between its entry into bone and its tip.
    given : tuple of Implanted
        In the patient when a session begins.
    sides : tuple of side
        That it is about.
    view, landmark : str
        What is asked for, by name; "" where nothing is.
    """

    kind: Kind
    text: str
    arm: MoveArm = field(default_factory=MoveArm)
    views: Mapping[str, MoveArm] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    implants: tuple[Trajectory, ...] = ()
    pins: tuple[Trajectory, ...] = ()
    given: tuple[Implanted, ...] = ()
    sides: tuple[Side, ...] = ()
    view: str = ""
    landmark: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is said of an answer.

    Parameters
    ----------
    passed : bool
        Whether it was good enough.
    value : float or None
        What it was judged by; None where nothing could be measured.
    unit : str
        Of the value: "mm", "rating", or "of 5".
    words : tuple of str
        Sentences: what was right, what the truth was, what to do next time.
    arm : MoveArm or None
        A pose to show the truth from.
    drawn_lps_mm : tuple of (n, 3) float
        Lines to draw over a radiograph of that pose.
    sheet : ScoreSheet or None
        Of an operation.
    """

    passed: bool
    value: float | None
    unit: str
    words: tuple[str, ...]
    arm: MoveArm | None = None
    drawn_lps_mm: tuple[Array, ...] = ()
    sheet: ScoreSheet | None = None


def seen_at(theatre: Theatre, arm: MoveArm, point: PointAt) -> Array:
    """What a click points at: (column, up) in mm in the plane of the isocentre, as `views.plane.seen_mm` counts."""
    carm, detector = pose(theatre, arm), theatre.detector(SCALE_PIXELS)
    geometry = DrawnOut.like(CArmGeometry.of(carm, detector), theatre.maker.device.pincushion)
    pixel = np.array([point.across, point.down]) * SCALE_PIXELS - 0.5
    column, row = geometry.undrawn(pixel) - 0.5 * (SCALE_PIXELS - 1)
    scale = detector.pixel_mm * carm.source_to_isocentre_mm / carm.source_to_detector_mm
    return np.array([column * scale, -row * scale])


def shown_at(theatre: Theatre, arm: MoveArm, points_lps_mm: Array) -> Array:
    """Where points (n, 3) are seen, as a click counts: shares of the picture from the left and from the top, (n, 2)."""
    geometry = CArmGeometry.of(pose(theatre, arm), theatre.detector(SCALE_PIXELS))
    pixels = DrawnOut.like(geometry, theatre.maker.device.pincushion).project(points_lps_mm)
    return np.asarray((pixels + 0.5) / SCALE_PIXELS)


def in_plane_lps_mm(carm: CArm, seen: Array) -> Array:
    """Points (n, 2) of the isocentre's plane, as `seen_at` counts, in space: a radiograph shows them just there."""
    column, _, up = carm_axes(carm)
    return np.asarray(carm.isocentre_lps_mm + seen[:, :1] * column + seen[:, 1:] * up)


def half_field_mm(theatre: Theatre) -> float:
    """From the middle of the picture to its edge, in the plane of the isocentre."""
    device = theatre.maker.device
    return 0.5 * device.field_mm * device.source_to_isocentre_mm / device.source_to_detector_mm


def in_field(theatre: Theatre, seen: Array) -> bool:
    """Whether a picture shows all of these points (n, 2)."""
    reach = np.abs(seen).max(axis=1) if theatre.maker.device.kind == "flat-panel" else np.linalg.norm(seen, axis=1)
    return bool((reach <= half_field_mm(theatre)).all())


def picture(
    theatre: Theatre, question: Question, arm: MoveArm | None = None, *, pixels: int = 512, seed: int = 0
) -> Radiograph:
    """The radiograph of a question from a pose, with what lies in the patient; a fine one, as for a print."""
    pins = tuple((pin.tip_lps_mm - PIN_LENGTH_MM * pin.axis, pin.tip_lps_mm) for pin in question.pins)
    implants = (*(i.trajectory for i in question.given), *question.implants)
    at = pose(theatre, question.arm if arm is None else arm)
    return theatre.radiograph(at, implants, pins, "single-shot", np.random.default_rng([seed]), pixels)
