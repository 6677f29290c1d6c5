"""How an operation went, from its log: which views were true, and whether a pin was seen before it was drilled over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from sjplan.core.arrays import Array
from sjplan.core.errors import SjplanError
from sjplan.training.actions import MoveArm, from_dict
from sjplan.training.lie import Lie
from sjplan.training.moves import pose
from sjplan.training.theatre import Theatre
from sjplan.views.landmarks import landmark_lines
from sjplan.views.patient import views_of_anatomy
from sjplan.views.quality import INLET_MM, OUTLET_MM, inlet_offset_mm, lateral_quality, outlet_offset_mm
from sjplan.views.true_lateral import DENSITY_MM, NOTCH_MM
from sjplan.xray.types import CArm

LATERAL_FROM_DEG: Final = 45.0
STEEP_FROM_DEG: Final = 12.0
"""A shot from farther round than this is meant as a lateral; one tilted more to feet or head as an inlet or outlet."""

TRUE_TIMES: Final = 2.0
"""A trainee's view passes within so many times what a true one keeps (default)."""


def meant(arm: MoveArm) -> str:
    """What a shot is meant to be: lateral, inlet, outlet, or ap.

    Examples
    --------
    >>> meant(MoveArm(orbital_deg=88.0)), meant(MoveArm(tilt_deg=-25.0)), meant(MoveArm())
    ('lateral', 'inlet', 'ap')
    """
    if abs(arm.orbital_deg) > LATERAL_FROM_DEG:
        return "lateral"
    if abs(arm.tilt_deg) < STEEP_FROM_DEG:
        return "ap"
    return "outlet" if arm.tilt_deg > 0 else "inlet"


_TILTED: Final = {
    "inlet": (inlet_offset_mm, "fronts of S1 and S2", INLET_MM),
    "outlet": (outlet_offset_mm, "symphysis and S2 foramina", OUTLET_MM),
}


class Offset(NamedTuple):
    """How far apart a view shows what a true one shows together: by what landmark, and how far a true one has it."""

    landmark: str
    mm: float
    true_mm: float


def arm_for(theatre: Theatre, carm: CArm) -> MoveArm | None:
    """The move that brings the arm to a pose, the inverse of `pose`; None where the device does not go there."""
    middle = theatre.start.isocentre_lps_mm
    there = carm if theatre.lie is None else theatre.lie.in_room(carm, middle)
    travel = there.isocentre_lps_mm - middle
    arm = MoveArm(there.orbital_deg, there.tilt_deg, there.wig_wag_deg, *(float(mm) for mm in travel))
    try:
        pose(theatre, arm)
    except SjplanError:
        return None
    return arm


class Looks:
    """Judges views of one patient; what lines there are is found once."""

    def __init__(self, theatre: Theatre, like: Looks | None = None) -> None:
        self.theatre, self._like = theatre, like
        self.lines: dict[str, Array] = landmark_lines(theatre.anatomy) if like is None else like.lines

    def lying(self, lie: Lie | None) -> Looks:
        """Of the same patient lying otherwise."""
        return Looks(self.theatre.lying(lie), self)

    @cached_property
    def views(self) -> Mapping[str, CArm]:
        """Standard views of the patient, whether the device reaches them or not."""
        if self._like is not None:
            return self._like.views
        return views_of_anatomy(self.theatre.anatomy, self.theatre.maker.device.source_to_isocentre_mm)

    @cached_property
    def arms(self) -> dict[str, MoveArm]:
        """Where the arm stands for each standard view of this patient, as far as the device reaches it."""
        found = {name: arm_for(self.theatre, carm) for name, carm in self.views.items()}
        return {name: arm for name, arm in found.items() if arm is not None}

    def offsets(self, view: str, arm: MoveArm) -> tuple[Offset, ...] | None:
        """How far a pose is from a true lateral, inlet or outlet; None where the landmarks do not tell."""
        anatomy, carm = self.theatre.anatomy, pose(self.theatre, arm)
        if view == "lateral":
            found = lateral_quality(anatomy.frame, self.lines, carm, parallel=True)
            if found is None:
                return None
            return Offset("notches", found.notch_mm, NOTCH_MM), Offset("densities", found.density_mm, DENSITY_MM)
        measure, what, true_mm = _TILTED[view]
        off = measure(anatomy, carm)
        return None if off is None else (Offset(what, off, true_mm),)

    def true(self, arm: MoveArm) -> bool | None:
        """Whether a view is true by its landmarks; None where it is no named view, or the landmarks are not there."""
        kind = meant(arm)
        offsets = None if kind == "ap" else self.offsets(kind, arm)
        return None if offsets is None else all(off.mm <= TRUE_TIMES * off.true_mm for off in offsets)


def views_true_share(theatre: Theatre, events: Iterable[Mapping[str, Any]]) -> float | None:
    """Share of a log's shots in a named view that were true; None where there was none."""
    looks, found = Looks(theatre), []
    judged = lru_cache(maxsize=None)(looks.true)
    for arm, event in _with_arm(events):
        if event["action"]["do"] == "shoot" and "refused" not in event:
            true = judged(arm)
            found += [] if true is None else [true]
    return sum(found) / len(found) if found else None


def checked_share(events: Iterable[Mapping[str, Any]]) -> float | None:
    """Share of drilled pins that an inlet and an outlet showed on their way in; None where none was drilled."""
    seen: set[str] = set()
    checked, drilling = [], False
    for arm, event in _with_arm(events):
        do = event["action"]["do"]
        if "refused" in event:
            continue
        if do == "shoot":
            seen.add(meant(arm))
        elif do == "drill" and not drilling:
            checked.append({"inlet", "outlet"} <= seen)
            drilling = True
        elif do in ("place-pin", "place-parallel", "tilt-pin"):
            # Looks while it is driven count: nobody takes both views after every blow.
            seen, drilling = set(), False
    return sum(checked) / len(checked) if checked else None


def _with_arm(events: Iterable[Mapping[str, Any]]) -> Iterable[tuple[MoveArm, Mapping[str, Any]]]:
    arm = MoveArm()
    for event in events:
        if event["action"]["do"] == "move-arm" and "refused" not in event:
            moved = from_dict(event["action"])
            arm = moved if isinstance(moved, MoveArm) else arm
        yield arm, event


def counted(events: Iterable[Mapping[str, Any]], *names: str) -> int:
    """How many hidden events of these names a log holds."""
    return sum(hidden["event"] in names for event in events for hidden in event.get("hidden", ()))
