"""Every picture of a plan, as PNG files and inside the report: anatomy, views, steps, slices, 3D."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from sjplan.cli.fluoro import ct_of
from sjplan.cli.progress import Report, part_of

if TYPE_CHECKING:
    from pathlib import Path

    from sjplan.cli.pipeline import PlanRun
    from sjplan.cli.sides import SideResult
    from sjplan.core.trajectory import Trajectory
    from sjplan.render.display import Scene
    from sjplan.render.steps import Step
    from sjplan.report.data import Picture, SheetRow, SidePictures
    from sjplan.xray.fluoroscope import Fluoroscope

VIEWS: Final = ("ap", "lateral", "inlet", "outlet")
"""Views that every report shows with the implants in; the others are one `sjplan fluoro` away."""

STEP_VIEWS: Final = ("lateral", "inlet", "outlet")
"""Views that are looked at while a pin advances (CLINICAL.md 2)."""

STEP_PIXELS: Final = 384
"""Detector pixels a side for the sheet of steps: its pictures are printed small, and there are many of them."""

SCENES: Final = ("posterior", "cranial")
"""Directions from which the 3D scene is shown."""


@dataclass(slots=True)
class Gallery:
    """What the pictures of one plan are drawn from, and where their files go."""

    run: PlanRun
    scope: Fluoroscope
    scene: Scene
    folder: Path
    written: list[str] = field(default_factory=list)

    def save(self, name: str, caption: str, image: bytes) -> Picture:
        """Keep a picture as a file, and hand it on for the report."""
        from sjplan.io.atomic import write_bytes
        from sjplan.render.png import lighter
        from sjplan.report.data import Picture

        write_bytes(self.folder / f"{name}.png", image)
        self.written.append(name)
        return Picture(caption, lighter(image))


def write_pictures(run: PlanRun, folder: Path, report: Report) -> None:
    """Draw everything into a folder, and write report.html beside it."""
    from sjplan.render.display import Scene
    from sjplan.render.sheet import anatomy_picture
    from sjplan.report.data import ReportData
    from sjplan.report.html import write_report
    from sjplan.xray.fluoroscope import Fluoroscope

    report("preparing the radiographs", 0.0)
    ct = ct_of(run.case)
    gallery = Gallery(run, Fluoroscope(ct), Scene.of(run.anatomy), folder)
    report("drawing the anatomy", 0.1)
    overview = gallery.save("anatomy", "What was found in the label map", anatomy_picture(gallery.scene))
    drawn: dict[str, SidePictures] = {}
    for n, result in enumerate(run.results):
        start, stop = (0.25 + 0.73 * m / len(run.results) for m in (n, n + 1))
        drawn[result.side] = side_pictures(gallery, result, part_of(report, start, stop))
    report("writing the report", 0.98)
    data = ReportData(
        run.plan_file.model_dump(by_alias=True),
        drawn,
        (overview,),
        run.limits,
        run.catalogue,
        assumed_density=ct.assumed,
    )
    write_report(folder / "report.html", data)


def implants_of(result: SideResult) -> dict[int, Trajectory]:
    """Implants to draw of one side, by slot: the accepted plan's, else the nearest one's."""
    plan, _ = result.shown
    return {} if plan is None else dict(enumerate(plan.trajectories, 1))


def side_pictures(gallery: Gallery, result: SideResult, report: Report) -> SidePictures:
    """All pictures of one side; of one without any implant, the map of where one could go in."""
    from sjplan.cli.margin_pictures import bindings, entries, pareto, profiles
    from sjplan.report.data import SidePictures

    if not implants_of(result):
        return SidePictures(entries=entries(gallery, result, report))
    return SidePictures(
        views=_views(gallery, result, part_of(report, 0.0, 0.25)),
        sheet=_sheet(gallery, result, part_of(report, 0.25, 0.75)),
        slices=_slices(gallery, result, part_of(report, 0.75, 0.85)),
        scenes=_scenes(gallery, result, part_of(report, 0.85, 0.9)),
        entries=entries(gallery, result, part_of(report, 0.9, 0.95)),
        pareto=pareto(gallery, result),
        profiles=profiles(gallery, result, part_of(report, 0.95, 0.98)),
        bindings=bindings(gallery, result, part_of(report, 0.98, 1.0)),
    )


def shown_as(result: SideResult) -> str:
    """What a caption says of a plan that is not accepted."""
    return "" if result.margins is not None else ", nearest plan (NOT accepted)"


def _views(gallery: Gallery, result: SideResult, report: Report) -> tuple[Picture, ...]:
    from sjplan.render.fluoro import FluoroOverlays, fluoro_picture, structure_points

    run, side, implants, drawn = gallery.run, result.side, implants_of(result), []
    for n, name in enumerate(view for view in VIEWS if view in run.views):
        report(f"{side}: {name} view", n / len(VIEWS))
        overlays = FluoroOverlays(
            implants=implants,
            points_lps_mm=structure_points(run.anatomy, side),
            frame=run.anatomy.frame,
            title=f"{name}, {side} side{shown_as(result)}",
        )
        radiograph = gallery.scope.take(run.views[name], trajectories=tuple(implants.values()))
        drawn.append(gallery.save(f"{side}-{name}", f"{name}{shown_as(result)}", fluoro_picture(radiograph, overlays)))
    return tuple(drawn)


def _sheet(gallery: Gallery, result: SideResult, report: Report) -> tuple[SheetRow, ...]:
    """Predicted views of every implant and step: what the C-arm should show before one goes on."""
    from sjplan.render.steps import steps_of
    from sjplan.report.data import SheetRow

    implants, (_, margins) = implants_of(result), result.shown
    crossings = {m.slot: m.crossing_lps_mm for m in margins.implants} if margins is not None else {}
    rows = []
    for n, slot in enumerate(implants):
        report(f"{result.side}: steps of implant {slot}", n / len(implants))
        for step in steps_of(slot, implants, crossings.get(slot)):
            rows.append(SheetRow(slot, step.name, step.note, _step_pictures(gallery, result, slot, step)))
    return tuple(rows)


def _step_pictures(gallery: Gallery, result: SideResult, slot: int, step: Step) -> tuple[Picture, ...]:
    from sjplan.render.fluoro import FluoroOverlays, fluoro_picture
    from sjplan.render.png import lighter
    from sjplan.report.data import Picture
    from sjplan.xray.types import Detector

    run = gallery.run
    whole = Detector()
    detector = Detector(STEP_PIXELS, STEP_PIXELS, whole.pixel_mm * whole.columns / STEP_PIXELS)
    around = np.array([p for t in implants_of(result).values() for p in (t.entry_lps_mm, t.tip_lps_mm)])
    drawn = []
    for name in (view for view in STEP_VIEWS if view in run.views):
        radiograph = gallery.scope.take(run.views[name], detector, tuple(step.implants.values()), step.pins)
        overlays = FluoroOverlays(
            implants=step.implants, pins=step.pins, frame=run.anatomy.frame, show_names=False, show_caption=False
        )
        image = fluoro_picture(radiograph, overlays, zoom=2, around_lps_mm=around)
        drawn.append(Picture(name, lighter(image, 400)))
    return tuple(drawn)


def _slices(gallery: Gallery, result: SideResult, report: Report) -> tuple[Picture, ...]:
    from sjplan.render.slices import slices_pictures

    report(f"{result.side}: slices", 0.0)
    run, implants, (_, margins) = gallery.run, implants_of(result), result.shown
    volume = run.case.ct if run.case.ct is not None else run.case.labels
    assert volume is not None
    measured = {m.slot: m for m in margins.implants} if margins is not None else None
    sheets = slices_pictures(volume, run.anatomy, implants, measured)
    return tuple(
        gallery.save(f"{result.side}-slices-{slot}", f"Implant {slot}{shown_as(result)}", image)
        for slot, image in sheets.items()
    )


def _scenes(gallery: Gallery, result: SideResult, report: Report) -> tuple[Picture, ...]:
    from sjplan.render.scene import scene_picture

    drawn = []
    for n, view in enumerate(SCENES):
        report(f"{result.side}: 3D pictures", n / len(SCENES))
        image = scene_picture(gallery.scene, implants_of(result), view)
        drawn.append(gallery.save(f"{result.side}-3d-{view}", f"{view}{shown_as(result)}", image))
    return tuple(drawn)
