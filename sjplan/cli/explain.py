"""What the views of a plan hide, for `sjplan fluoro --explain`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from sjplan.cli.output import out_console
from sjplan.cli.views import carm_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sjplan.cli.patient_views import PatientViews
    from sjplan.core.plan import Plan
    from sjplan.views.hides import Sight

ASKED = ("ap", "lateral", "inlet", "inlet-canal", "outlet", "outlet-s1")
"""Views that are asked; the others look past the sacrum's edges."""

_TABLE_WIDTH = 100


def require_plan(explain: bool, plan: Path | None) -> None:
    """Refuse --explain without implants to explain."""
    from sjplan.core.errors import InputError

    if explain and plan is None:
        raise InputError("--explain", found="no --plan", wanted="implants to explain", fix="add --plan FILE")


def explained(found: PatientViews, sides: Sequence[Plan]) -> tuple[Sight, ...]:
    """What the standard views show of every implant of the plans of all sides, numbered over them.

    Raises
    ------
    InputError
        If the case has no anatomy to measure on.
    """
    from sjplan.core.errors import InputError
    from sjplan.io.limits import read_limits
    from sjplan.safety.judge import judge
    from sjplan.views.hides import explain

    if found.anatomy is None:
        wanted = "labels that are fine enough to plan on"
        raise InputError("--explain", found="a case without anatomy", wanted=wanted, fix="give --labels FILE")
    limits, implants = read_limits(), []
    for plan in sides:
        report = judge(plan, found.anatomy, limits)
        implants += [(i.trajectory, i.crossing_lps_mm, i.clearances) for i in report.implants]
    views = {name: found.views[name] for name in ASKED if name in found.views}
    return explain(found.anatomy, implants, views)


def print_sights(sights: tuple[Sight, ...]) -> None:
    """A table, one line a structure: the distance in space, and what each view shows of it."""
    from sjplan.render.style import words

    views = [name for name in ASKED if any(name in s.seen_mm for s in sights)]
    table = Table("implant", "structure", "in space", *views, box=None, title="mm to the edge, negative where out")
    for s in sights:
        cells = ["-" if math.isnan(s.seen_mm[name]) else f"{s.seen_mm[name]:+.1f}" for name in views]
        table.add_row(str(s.slot), words(s.structure), f"{s.distance_mm:+.1f}", *cells)
    out_console().print(table, width=_TABLE_WIDTH, crop=False)
    for s in sights:
        out_console().print(f"implant {s.slot}, {words(s.structure)}: {verdict(s)}", markup=False)


def verdict(sight: Sight) -> str:
    """One sentence for people."""
    if not sight.breach:
        alarm = f"; looks out on {', '.join(sight.shown_on)}" if sight.shown_on else ""
        return f"in{alarm}"
    parts = [f"shown on {', '.join(sight.shown_on)}" if sight.shown_on else "no view shows it"]
    if sight.hidden_on:
        parts.append(f"hidden on {', '.join(sight.hidden_on)}")
    if sight.most_deceptive is not None:
        parts.append(f"{sight.most_deceptive} deceives most ({sight.seen_mm[sight.most_deceptive]:+.1f} mm)")
    if sight.extra is not None:
        carm = sight.extra.carm
        numbers = f"{carm.orbital_deg:.0f}, {carm.tilt_deg:.0f}, {carm.wig_wag_deg:.0f}"
        parts.append(f"{sight.extra.start} turned by {sight.extra.turned_deg:.0f} deg ({numbers}) reveals it")
    return "out; " + "; ".join(parts)


def sight_document(sight: Sight) -> dict[str, Any]:
    """One structure near one implant, for JSON; null where a view shows no edge."""
    document: dict[str, Any] = {
        "implant": sight.slot,
        "structure": sight.structure,
        "envelope_mm": round(sight.distance_mm, 2),
        "seen_mm": {name: None if math.isnan(v) else round(v, 2) for name, v in sight.seen_mm.items()},
        "shown_on": list(sight.shown_on),
        "hidden_on": list(sight.hidden_on),
        "most_deceptive": sight.most_deceptive,
        "extra": None,
    }
    if sight.extra is not None:
        turned = {"from": sight.extra.start, "turned_deg": sight.extra.turned_deg}
        document["extra"] = turned | {
            "carm": carm_numbers(sight.extra.carm),
            "seen_mm": round(sight.extra.clearance_mm, 2),
        }
    return document
