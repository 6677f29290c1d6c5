"""Numbers of the implant that is being planned: what they are, and what a change of one does."""

from __future__ import annotations

from typing import Any, Final

from sjplan.app.planning_desk import Desk
from sjplan.safety.judge import view_angles_deg
from sjplan.safety.measures import axis_passage
from sjplan.safety.surfaces import MeasuringSurfaces
from sjplan.training import templating as tpl

NUMBERS: Final = ("pl_up", "pl_fore", "pl_out", "pl_rise", "pl_ventral", "pl_roll")
"""Where the implant's middle lies (cranial and ventral of the pelvis's origin, mm), how far it stands out of the ilium
(mm), and how it aims and is rolled (degrees)."""


def numbers_of(desk: Desk) -> dict[str, float]:
    """Numbers of the chosen implant; zeros where there is none."""
    path = desk.path
    if path is None:
        return dict.fromkeys(NUMBERS, 0.0)
    _, back, up = desk.frame.frame_from_lps(0.5 * (path.entry_lps_mm + path.tip_lps_mm))
    lateral = axis_passage(desk.theatre.surfaces(desk.side), path).lateral_mm
    rise, ventral = view_angles_deg(path, desk.theatre.anatomy, desk.side)
    values = (float(up), -float(back), 0.0 if lateral is None else lateral, rise, ventral, path.roll_deg)
    return dict(zip(NUMBERS, values, strict=True))


def changed_by(
    draft: tpl.Draft, slot: int, surfaces: MeasuringSurfaces, key: str, by: float, about: tpl.Pivot
) -> tpl.Draft:
    """An implant with one of `NUMBERS` larger by so much; what changes its place goes across its axis, or along it.

    Raises
    ------
    InputError
        As the moves in `sjplan.training.templating`.
    """
    frame, path = surfaces.anatomy.frame, draft.path(slot)
    cranial, ventral = tpl.across(path.axis, frame)
    if key == "pl_up":
        return tpl.moved(draft, slot, frame, cranial_mm=by / float(cranial @ frame.cranial))
    if key == "pl_fore":
        return tpl.moved(draft, slot, frame, ventral_mm=-by / float(ventral @ frame.posterior))
    if key == "pl_out":
        return tpl.moved(draft, slot, frame, deeper_mm=-by)
    if key == "pl_rise":
        return tpl.turned(draft, slot, surfaces, cranial_deg=by, about=about)
    if key == "pl_ventral":
        return tpl.turned(draft, slot, surfaces, ventral_deg=by, about=about)
    return tpl.rolled(draft, slot, by)


def number_of(value: Any) -> float | None:
    """A number that a page sent, if it is one.

    Examples
    --------
    >>> number_of("2.5"), number_of("much"), number_of("nan"), number_of(None)
    (2.5, None, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 1e5 else None
