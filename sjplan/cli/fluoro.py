"""`sjplan fluoro`: one simulated radiograph of a case, with or without a plan in it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from cyclopts import Parameter

from sjplan.cli.evaluate import case_notes
from sjplan.cli.explain import explained, print_sights, require_plan, sight_document
from sjplan.cli.intake import CaseArguments, read_case
from sjplan.cli.opengl import require_opengl
from sjplan.cli.options import AsJson, Case, CatalogueFile, FilePath, Labels, Names, Series, Untrusted
from sjplan.cli.output import note_line, out_console, print_json
from sjplan.cli.progress import part_of, progress
from sjplan.cli.views import carm_numbers
from sjplan.core.errors import InputError, unknown_name

if TYPE_CHECKING:
    from sjplan.cli.patient_views import PatientViews
    from sjplan.core.plan import Plan
    from sjplan.core.trajectory import Trajectory
    from sjplan.core.volume import CtVolume
    from sjplan.io.cases import Case as CaseData
    from sjplan.io.planfile import PlanFile
    from sjplan.xray.frame import FrameMaker
    from sjplan.xray.types import CArm, Radiograph

Mode = Literal["fluoroscopy", "single-shot"]

_SCENE_PX = (1024, 1024)
_FARTHEST_MM = 5000.0


def fluoro(
    case: Case,
    /,
    *,
    view: Annotated[
        str,
        Parameter(help="A view's name (sjplan views lists them) or ORBITAL,TILT[,WIGWAG].", allow_leading_hyphen=True),
    ],
    out: Annotated[FilePath, Parameter(help="PNG file to write.")],
    plan: Annotated[FilePath | None, Parameter(help="plan.json whose implants are put in.")] = None,
    explain: Annotated[
        bool,
        Parameter(negative="", help="Say which views show, and which hide, what the plan's implants come near to."),
    ] = False,
    npy: Annotated[FilePath | None, Parameter(help="Also write the line integrals, as a NumPy file.")] = None,
    move: Annotated[
        str | None,
        Parameter(
            help="ACROSS,LIFT,ALONG in mm: how far table and lift carry the picture's middle to left, up, to the head.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    distances: Annotated[
        str | None, Parameter(help="ISOCENTRE,DETECTOR in mm from the tube; a --device has its own.")
    ] = None,
    device: Annotated[str | None, Parameter(help="C-arm whose frame it is: flat-panel or intensifier-12.")] = None,
    mode: Annotated[Mode | None, Parameter(help="What --device exposes for; single-shot if left out.")] = None,
    kvp: Annotated[float | None, Parameter(help="Voltage of --device; by brightness control if left out.")] = None,
    field: Annotated[
        str | None, Parameter(help="WIDTH,HEIGHT in mm that the collimator of --device leaves open; all if left out.")
    ] = None,
    seed: Annotated[int | None, Parameter(help="Of the noise of --device; 0 if left out.")] = None,
    signal: Annotated[FilePath | None, Parameter(help="Also write the signal of --device, as a NumPy file.")] = None,
    carms: Annotated[FilePath | None, Parameter(help="TOML file with C-arms of your own for --device.")] = None,
    overlays: Annotated[bool, Parameter(help="Draw outlines, names and letters over the picture.")] = True,
    scene: Annotated[bool, Parameter(negative="", help="Show beside it how the C-arm stands.")] = False,
    landmarks: Annotated[bool, Parameter(negative="", help="Draw the lines to look for in this view.")] = False,
    inverted: Annotated[bool, Parameter(negative="", help="Bone white, as on a film.")] = False,
    labels: Labels = None,
    names: Names = None,
    catalogue: CatalogueFile = None,
    series: Series = None,
    untrusted: Untrusted = False,
    json: AsJson = False,
) -> int:
    """Take one simulated radiograph.

    A label map without a CT gets assumed densities, and the picture says so. Without --device the picture shows line
    integrals at one energy: no scatter, no noise.
    """
    from sjplan.cli.patient_views import patient_views
    from sjplan.render.carm_scene import carm_picture
    from sjplan.render.montage import montage
    from sjplan.views.standard import parse_view

    require_png(out, "--out")
    _require_apart({"--out": out, "--npy": npy, "--signal": signal})
    require_plan(explain, plan)
    if device is None:
        _require_device(
            {"--mode": mode, "--kvp": kvp, "--seed": seed, "--signal": signal, "--carms": carms, "--field": field}
        )
    elif distances is not None:
        raise InputError("--distances", found="--device too", wanted="one of them", fix="leave out --distances")
    travel_mm = _numbers("--move", move, "ACROSS,LIFT,ALONG", "0,20,-40") or (0.0, 0.0, 0.0)
    apart_mm = _numbers("--distances", distances, "ISOCENTRE,DETECTOR", "650,1020")
    frame = None if device is None else _frame_asked(device, carms, mode, kvp, field, seed)
    require_opengl()
    with progress("xray", intake=0.6) as reporter:
        planned = None if plan is None else planned_sides(plan, catalogue)
        implants = {} if planned is None else planned.implants
        data = read_case(CaseArguments(case, labels, names, series, untrusted), part_of(reporter, 0.0, 0.3))
        source_mm = None if frame is None else frame.maker.device.source_to_isocentre_mm
        found = patient_views(data, part_of(reporter, 0.3, 0.6), source_mm)
        carm = _standing(parse_view(view, found.views), travel_mm, apart_mm, frame)
        reporter("taking the radiograph", 0.6)
        ct = ct_of(data)
        radiograph = _taken(ct, carm, tuple(implants.values()), frame)
        sights = explained(found, planned.sides) if explain and planned is not None else ()
        reporter("drawing the picture", 0.9)
        picture = _drawn(radiograph, found, implants, view, overlays=overlays, landmarks=landmarks, inverted=inverted)
        if scene:
            room = carm_picture(ct, radiograph.carm, radiograph.detector, view, _SCENE_PX)
            picture = montage([room, picture], columns=2)
        _write(out, picture, [(npy, radiograph.line_integral), (signal, radiograph.signal)])
    notes = [*found.notes, *(["densities are assumed: the case has no CT"] if radiograph.assumed_density else [])]
    notes += [] if planned is None else case_notes(planned.file, data)
    notes += _no_room(ct, radiograph) if frame is not None else []
    if json:
        written = {"out": out, "npy": npy, "signal": signal}
        asked: dict[str, object] = {"view": view, "device": device, "notes": notes}
        asked |= {name: None if file is None else str(file) for name, file in written.items()}
        asked["explain"] = [sight_document(s) for s in sights] if explain else None
        print_json(asked | _document(radiograph))
        return 0
    out_console().print(str(out), markup=False)
    if explain:
        print_sights(sights)
    for note in notes:
        note_line(note)
    return 0


class _FrameAsked(NamedTuple):
    """A frame of a device, as the options ask for it."""

    maker: FrameMaker
    mode: Mode
    kvp: float | None
    field_mm: tuple[float, float] | None
    seed: int


def _frame_asked(
    device: str, own: Path | None, mode: Mode | None, kvp: float | None, field: str | None, seed: int | None
) -> _FrameAsked:
    """The frame that the options ask for; they are checked against what the device can give."""
    from sjplan.io.carms import read_carms
    from sjplan.io.physics import read_physics
    from sjplan.xray.frame import FrameMaker

    carms = read_carms(own)
    if device not in carms:
        raise unknown_name("--device", device, carms)
    low, high = carms[device].kvp_min, carms[device].kvp_max
    if kvp is not None and not low <= kvp <= high:
        raise InputError("--kvp", found=f"{kvp:g}", wanted=f"{low:g} to {high:g} kV, as {device} gives")
    if seed is not None and seed < 0:
        raise InputError("--seed", found=str(seed), wanted="0 or more")
    maker = FrameMaker(read_physics(), carms[device])
    size = _numbers("--field", field, "WIDTH,HEIGHT", "120,150")
    return _FrameAsked(maker, mode or "single-shot", kvp, None if size is None else (size[0], size[1]), seed or 0)


def _taken(ct: CtVolume, carm: CArm, metal: tuple[Trajectory, ...], frame: _FrameAsked | None) -> Radiograph:
    """Line integrals at one energy, or the frame of a device."""
    import numpy as np

    from sjplan.xray.fluoroscope import Fluoroscope

    scope = Fluoroscope(ct)
    if frame is None:
        return scope.take(carm, trajectories=metal)
    rng = np.random.default_rng(frame.seed)
    return scope.shoot(carm, frame.maker, metal, rng=rng, mode=frame.mode, kvp=frame.kvp, field_mm=frame.field_mm)


def _standing(
    carm: CArm, travel_mm: tuple[float, ...], apart_mm: tuple[float, ...] | None, frame: _FrameAsked | None
) -> CArm:
    """A view's pose after table and lift have travelled, with the device's or the given distances."""
    from sjplan.xray.carm import moved

    across, lift, along = travel_mm
    if frame is not None:
        return frame.maker.device.pose(carm, (across, lift, along))
    if apart_mm is not None:
        carm = replace(carm, source_to_isocentre_mm=apart_mm[0], source_to_detector_mm=apart_mm[1])
    return moved(carm, (across, lift, along))


def _document(radiograph: Radiograph) -> dict[str, object]:
    """What a machine reads of a radiograph."""
    given = asdict(radiograph.exposure) if radiograph.exposure is not None else None
    return {
        "carm": carm_numbers(radiograph.carm),
        "exposure": {name: round(value, 4) for name, value in given.items()} if given else None,
        "assumed_density": radiograph.assumed_density,
    }


def _drawn(
    radiograph: Radiograph,
    found: PatientViews,
    implants: dict[int, Trajectory],
    title: str,
    *,
    overlays: bool,
    landmarks: bool,
    inverted: bool,
) -> bytes:
    """The radiograph as PNG, with or without outlines, names and letters."""
    from sjplan.render.fluoro import FluoroOverlays, fluoro_picture, structure_points
    from sjplan.views.landmarks import landmark_lines, lines_seen
    from sjplan.xray.carm import ray_direction

    if not overlays:
        return fluoro_picture(radiograph, inverted=inverted)
    points, lines = {}, {}
    if found.anatomy is not None and landmarks:
        lines = lines_seen(landmark_lines(found.anatomy), found.anatomy.frame, ray_direction(radiograph.carm))
    elif found.anatomy is not None:
        points = structure_points(found.anatomy)
    over = FluoroOverlays(implants=implants, points_lps_mm=points, lines_lps_mm=lines, frame=found.frame, title=title)
    return fluoro_picture(radiograph, over, inverted=inverted)


def ct_of(case: CaseData) -> CtVolume:
    """The case's CT, or one with densities assumed from its labels."""
    from sjplan.xray.density import assumed_ct

    if case.ct is not None:
        return case.ct
    assert case.labels is not None
    return assumed_ct(case.labels)


class PlannedSides(NamedTuple):
    """A plan file, and the plan of every side that has implants."""

    file: PlanFile
    sides: tuple[Plan, ...]

    @property
    def implants(self) -> dict[int, Trajectory]:
        """Every implant, numbered from 1 over all sides."""
        return dict(enumerate((t for side in self.sides for t in side.trajectories), 1))


def planned_sides(plan: Path, catalogue: Path | None) -> PlannedSides:
    """What a plan file holds, its implants by the models of the catalogue."""
    from sjplan.io.catalogue import read_implants
    from sjplan.io.planfile import plan_from_entry, read_plan

    models, file = read_implants(catalogue), read_plan(plan)
    return PlannedSides(file, tuple(plan_from_entry(entry, models) for entry in file.sides if entry.implants))


def require_png(out: Path, option: str) -> None:
    """Refuse a picture's file that is no PNG or has no folder to go to."""
    if out.suffix.lower() != ".png":
        raise InputError(option, found=str(out), wanted="a file name that ends in .png", fix="name it .png")
    if out.is_dir() or not out.absolute().parent.is_dir():
        found = "a folder" if out.is_dir() else f"no folder {out.parent}"
        raise InputError(
            str(out), found=found, wanted="a file name in a folder that exists", fix="make the folder first"
        )


def _no_room(ct: CtVolume, radiograph: Radiograph) -> list[str]:
    """A word for each end of the arm that may touch the patient or the table."""
    from sjplan.xray.collision import room, surroundings

    near = [r for r in room(surroundings(ct), radiograph.carm, radiograph.detector) if r.gap_mm < 0.0]
    return [f"the {r.part} may touch the {r.obstacle}" for r in near]


def _numbers(option: str, text: str | None, names: str, example: str) -> tuple[float, ...] | None:
    """Lengths in mm, one for each of the names; None where the option is left out."""
    if text is None:
        return None
    parts = text.split(",")
    try:
        found = tuple(float(part) for part in parts)
    except ValueError:
        found = ()
    if len(found) != len(names.split(",")) or not all(abs(value) < _FARTHEST_MM for value in found):
        raise InputError(option, found=repr(text), wanted=f"{names} in mm, such as {example}")
    return found


def _require_device(options: dict[str, object]) -> None:
    """Refuse options that mean nothing without a device."""
    for name, value in options.items():
        if value is not None:
            wanted = "a device whose frame it is"
            raise InputError(name, found="no --device", wanted=wanted, fix="add --device flat-panel")


def _require_apart(files: dict[str, Path | None]) -> None:
    """Refuse files that have no folder to go to, or that would be written over each other."""
    taken: dict[Path, str] = {}
    for option, file in files.items():
        if file is None:
            continue
        whole = file.absolute()
        if file.is_dir() or not whole.parent.is_dir():
            found = "a folder" if file.is_dir() else f"no folder {file.parent}"
            raise InputError(f"{option} {file}", found=found, wanted="a file name in a folder that exists")
        if whole in taken:
            raise InputError(option, found=f"the file of {taken[whole]}", wanted="a file of its own")
        taken[whole] = option


def _write(out: Path, picture: bytes, arrays: list[tuple[Path | None, object]]) -> None:
    """The arrays first, the picture last: it is the sign that all is done."""
    import io

    import numpy as np

    from sjplan.io.atomic import write_bytes

    for path, array in arrays:
        if path is None:
            continue
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array))
        write_bytes(path, buffer.getvalue())
    write_bytes(out, picture)
