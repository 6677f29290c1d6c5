"""Pictures of how much room there is: entry map, slack against length, clearance along each path, tightest places."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from sjplan.cli.pictures import implants_of, shown_as

if TYPE_CHECKING:
    from sjplan.cli.pictures import Gallery
    from sjplan.cli.progress import Report
    from sjplan.cli.sides import SideResult
    from sjplan.core.arrays import Array
    from sjplan.core.plan import Certificate
    from sjplan.report.data import Picture
    from sjplan.safety.types import MarginReport

MAP_CAP_MM: Final = 5.0
"""Slack above this is not told apart on the entry map: beyond the planners' cap, so that a reserve shows."""

CUT_STATION_MM: Final = 3.0
"""Slabs of an implant that a danger's surface cuts: measuring a depth takes longer than measuring a distance."""


def entries(gallery: Gallery, result: SideResult, report: Report) -> tuple[Picture, ...]:
    """Where on the ilium a single implant could go in; nothing for a side without a joint."""
    from sjplan.planning.entry_map import entry_map
    from sjplan.planning.protocol import Problem
    from sjplan.render.entries import entry_map_picture

    run, side = gallery.run, result.side
    if side not in run.anatomy.joints or result.outcome.status == "invalid_input":
        return ()
    report(f"{side}: entry map", 0.0)
    found = entry_map(Problem(run.anatomy, side, run.models, run.limits), MAP_CAP_MM)
    title = f"Where one implant could enter, {side} side"
    image = entry_map_picture(found, run.anatomy, implants_of(result), *_lateral(gallery), title)
    caption = (
        f"Entry map, {side}: best slack of any single implant by where its axis enters the ilium, laid out as the "
        "lateral view. Grey: no implant keeps its limits there. White: none enters there at all within the limits on "
        f"length and angle. Whether three fit together it does not say. Circles: planned envelopes "
        f"at the entry, each with a line to its tip{shown_as(result)}"
    )
    return (gallery.save(f"{side}-entries", caption, image),)


def _lateral(gallery: Gallery) -> tuple[Array, Array]:
    """Right and up of the lateral radiograph, in LPS."""
    from sjplan.xray.carm import carm_rotation

    frame, carm = gallery.run.anatomy.frame, gallery.run.views.get("lateral")
    if carm is None:
        return -frame.posterior, frame.cranial
    right, _, up = carm_rotation(carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg).T
    return np.asarray(right), np.asarray(up)


def pareto(gallery: Gallery, result: SideResult) -> tuple[Picture, ...]:
    """What length in the sacrum would cost in slack; nothing where the planner laid no such plans out."""
    from sjplan.render.charts import Trade, pareto_picture

    if result.margins is None or not result.pareto_margins:
        return ()

    def trade(margins: MarginReport) -> Trade:
        sacral = sum(i.sacral_mm for i in margins.implants)
        return Trade(sacral, margins.slack_mm, tuple(i.trajectory.length_mm for i in margins.implants))

    title = f"Slack against length in the sacrum, {result.side} side"
    trades = [trade(margins) for margins in result.pareto_margins]
    image = pareto_picture(trade(result.margins), trades, title, _bound(result.outcome.certificate))
    caption = (
        f"Slack against length, {result.side}: the chosen plan, and accepted plans with longer implants on the same "
        "axes. Beside each point: lengths of the implants, head to foot"
    )
    return (gallery.save(f"{result.side}-pareto", caption, image),)


def _bound(certificate: Certificate | None) -> tuple[float, str] | None:
    if certificate is None or not math.isfinite(certificate.upper_bound_mm):
        return None
    if certificate.upper_bound_mm >= certificate.cap_mm:
        return certificate.cap_mm, f"cap {certificate.cap_mm:g} mm: more is not asked for"
    upper = math.ceil(100 * certificate.upper_bound_mm - 1e-6) / 100
    return upper, f"proved: no plan has more than {upper:.2f} mm"


def profiles(gallery: Gallery, result: SideResult, report: Report) -> tuple[Picture, ...]:
    """Slack along each implant's axis."""
    from sjplan.render.charts import profile_picture
    from sjplan.safety.profile import STATION_MM, clearance_profile
    from sjplan.safety.surfaces import measuring_surfaces

    run, side, (_, margins) = gallery.run, result.side, result.shown
    if margins is None:
        return ()
    report(f"{side}: clearance along each path", 0.0)
    surfaces = measuring_surfaces(run.anatomy, side)
    measured = {
        i.slot: clearance_profile(surfaces, i.trajectory, run.limits, STATION_MM if i.margin_mm > 0 else CUT_STATION_MM)
        for i in margins.implants
    }
    title = f"Clearance along each path, {side} side{shown_as(result)}"
    image = profile_picture(measured, {i.slot: i.trajectory.length_mm for i in margins.implants}, title)
    caption = (
        f"Clearance along each path, {side}{shown_as(result)}: how far the envelope is from the nearest danger, less "
        "that danger's limit, from the lateral end to the tip. The curve has the colour of the nearest danger; the "
        "circle is the tightest place, with the implant's worst slack"
    )
    return (gallery.save(f"{side}-profiles", caption, image),)


def bindings(gallery: Gallery, result: SideResult, report: Report) -> tuple[Picture, ...]:
    """A close-up of the tightest place of each implant."""
    from sjplan.render.closeup import closeup_pictures

    run, side, (_, margins) = gallery.run, result.side, result.shown
    if margins is None:
        return ()
    report(f"{side}: tightest places", 0.0)
    volume = run.case.ct if run.case.ct is not None else run.case.labels
    assert volume is not None
    measured = {i.slot: i for i in margins.implants}
    drawn = closeup_pictures(volume, run.anatomy, implants_of(result), measured, f"{side} side{shown_as(result)}")
    return tuple(
        gallery.save(
            f"{side}-tightest-{slot}",
            f"Implant {slot}{shown_as(result)}: what binds it. Left: the plane along its axis that holds the shortest "
            "distance; right: across its axis there",
            image,
        )
        for slot, image in drawn.items()
    )
