"""Every picture of a plan: views with the implants in, slices, 3D scenes, the anatomy, each as PNG bytes by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sjplan.cli.fluoro import ct_of
from sjplan.cli.progress import Report

if TYPE_CHECKING:
    from sjplan.cli.pipeline import PlanRun
    from sjplan.cli.sides import SideResult
    from sjplan.core.trajectory import Trajectory
    from sjplan.xray.fluoroscope import Fluoroscope

REPORT_VIEWS: Final = ("ap", "lateral", "inlet", "outlet")
"""Views that every report shows; the others are one `sjplan fluoro` away."""

SCENES: Final = ("posterior", "cranial")


def numbered(result: SideResult) -> dict[int, Trajectory]:
    """Implants to draw of one side, by slot: the accepted plan's, else the nearest one's."""
    plan, _ = result.shown
    return {} if plan is None else dict(enumerate(plan.trajectories, 1))


def write_pictures(run: PlanRun, folder: Path, report: Report) -> None:
    """Draw everything and write it as PNG files into a folder."""
    from sjplan.io.atomic import write_bytes

    for name, picture in pictures(run, report).items():
        write_bytes(folder / f"{name}.png", picture)


def pictures(run: PlanRun, report: Report) -> dict[str, bytes]:
    """All pictures of a plan by name: the anatomy, and for each side its views, slices and scenes."""
    from sjplan.render.sheet import anatomy_picture
    from sjplan.xray.fluoroscope import Fluoroscope

    report("drawing the anatomy", 0.0)
    drawn = {"anatomy": anatomy_picture(run.anatomy)}
    scope = Fluoroscope(ct_of(run.case))
    for n, result in enumerate(run.results):
        part = part_of(report, 0.2 + 0.8 * n / len(run.results), 0.2 + 0.8 * (n + 1) / len(run.results))
        if numbered(result):
            drawn |= side_pictures(run, scope, result, part)
    return drawn


def side_pictures(run: PlanRun, scope: Fluoroscope, result: SideResult, report: Report) -> dict[str, bytes]:
    """Views, slices and scenes of one side, each named SIDE-WHAT."""
    side, implants = result.side, numbered(result)
    drawn: dict[str, bytes] = {}
    names = [name for name in REPORT_VIEWS if name in run.views]
    for n, name in enumerate(names):
        report(f"{side}: {name} view", 0.5 * n / len(names))
        drawn[f"{side}-{name}"] = view_picture(run, scope, result, name)
    report(f"{side}: slices", 0.5)
    drawn |= slice_pictures(run, result)
    report(f"{side}: 3D pictures", 0.75)
    drawn |= {f"{side}-3d-{view}": scene_picture(run.anatomy, implants, view) for view in SCENES}
    return drawn


def view_picture(run: PlanRun, scope: Fluoroscope, result: SideResult, name: str) -> bytes:
    """One standard view with one side's implants in."""
    implants = numbered(result)
    radiograph = scope.take(run.views[name], trajectories=tuple(implants.values()))
    overlays = FluoroOverlays(
        implants=implants,
        points_lps_mm=structure_points(run.anatomy, result.side),
        frame=run.anatomy.frame,
        title=f"{name}, {result.side} side",
    )
    return fluoro_picture(radiograph, overlays)
