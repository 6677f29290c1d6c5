"""The one-file report of an operation: what the debrief shows, with pictures inside and no identifiers but the code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import sjplan
from sjplan.app.monitor import grey_of
from sjplan.core.plan import Plan, Side
from sjplan.core.scoring import Scoring
from sjplan.core.shown import clear_or_out, cut
from sjplan.core.structure_words import structure_words
from sjplan.core.trajectory import Trajectory
from sjplan.render.marked import marked_picture
from sjplan.render.path_svg import clearance_svg
from sjplan.render.replay import LOOKS, Look, PathShown, ReplayWindow
from sjplan.report.data import Picture
from sjplan.report.debrief import DebriefReport, ImplantTold, TellingPicture, debrief_html
from sjplan.training.debrief import ImplantDebrief
from sjplan.training.happenings import clock
from sjplan.training.retelling import Retelling
from sjplan.training.sheet_words import SIGNS, Tone, complication_rows, measure_rows, verdict
from sjplan.training.sightings import ImplantSeen
from sjplan.training.step_words import arm_words
from sjplan.training.theatre import AVERAGED

SHOT_PX: Final = 256
"""Width of a radiograph in the report's contact sheet."""

SCENE_PX: Final = 460
SCENES: Final = {"behind": "behind", "head": "the head"}
"""Looks at the bones, and where from in words."""

_QUALITY: Final = 85


Pixels = NDArray[np.uint8]
Shown = tuple[Literal["shot"], int] | tuple[Literal["telling"], int, int] | tuple[Literal["scene"], str]
"""A picture of a report: a shot by its event, the view that tells by numbers of implant and structure, the bones by
what is said of them."""


@dataclass(frozen=True, slots=True)
class CaseName:
    """What a patient may be called outside the house: in a heading, and in the name of a file."""

    title: str
    file: str


def case_name(title: str, sha256: Mapping[str, str]) -> CaseName:
    """A phantom's own name; of any other patient only what its files hash to.

    Parameters
    ----------
    title : str
        Of a phantom that ships; "" for any other patient, whose file may be named after a person.
    sha256 : mapping
        Of the case's files.

    Examples
    --------
    >>> case_name("", {"labels": "abcdef0123456789"})
    CaseName(title='case abcdef0123', file='abcdef0123')
    >>> case_name("default", {}).file
    'default'
    """
    if title:
        return CaseName(title, re.sub(r"[^A-Za-z0-9-]+", "-", title))
    code = next(iter(sha256.values()), "")[:10]
    return CaseName(f"case {code}".strip(), code or "case")


def jpeg(picture: NDArray[np.uint8], width_px: int = SHOT_PX) -> bytes:
    """A picture, grey or coloured, as JPEG of at most so many pixels in width."""
    image = Image.fromarray(picture)
    if image.width > width_px:
        image = image.resize((width_px, round(image.height * width_px / image.width)), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()


def debrief_report(
    retelling: Retelling,
    sheet: Mapping[str, Any] | None,
    scoring: Scoring,
    name: CaseName,
    who: str,
    begun: str,
    pictures: Mapping[Shown, Pixels],
) -> str:
    """The report of an operation as HTML.

    Parameters
    ----------
    retelling : Retelling
        The operation.
    sheet : mapping or None
        Its score, as the history has it.
    scoring : Scoring
        How it was rated.
    name : CaseName
        Of the patient.
    who, begun : str
        The trainee's name or code, and when.
    pictures : mapping of Shown to picture
        As `pictures_to_draw` has them drawn.
    """
    said = verdict(sheet)
    header, state = retelling.session.header, retelling.session.state
    facts = {
        "shots": f"{state.shots}, {state.fluoroscopy_s:.1f} s of X-rays, {state.dose_area_ugy_m2:.1f} µGy m²",
        "time": f"{clock(state.seconds)} min",
        "redirections": str(state.redirections),
        "C-arm": str(header["device"]),
        "seed": str(header["seed"]),
        **{f"sha256 of the {role}": digest for role, digest in retelling.session.theatre.sha256.items()},
        "rated with": scoring.name,
        "operated with": f"sjplan {header['sjplan']}",
        "report by": f"sjplan {sjplan.__version__}",
    }
    report = DebriefReport(
        title=name.title, who=who, begun=begun[:16].replace("T", " "),
        verdict=asdict(said) | {"sign": SIGNS[said.tone]},
        measures=[asdict(row) | {"sign": SIGNS[row.tone]} for row in measure_rows(sheet, scoring)],
        complications=[asdict(row) for row in complication_rows(sheet)],
        steps=[asdict(step) for step in retelling.steps()],
        implants=tuple(_implant(n, implant, pictures) for n, implant in enumerate(retelling.told.implants)),
        scenes=tuple(Picture(key[1], jpeg(drawn, SCENE_PX)) for key, drawn in pictures.items() if key[0] == "scene"),
        shots=tuple(Picture(_caption(retelling, k[1]), jpeg(drawn)) for k, drawn in pictures.items() if k[0] == "shot"),
        left_out=sum(("shot", n) not in pictures for n in retelling.shots),
        facts=facts,
    )  # fmt: skip
    return debrief_html(report)


def implant_words(implant: ImplantDebrief) -> ImplantTold:
    """One implant in words, with its chart."""
    path, margins = implant.margins.trajectory, implant.margins
    out, missed = any(seen.breach for seen in implant.seen), margins.crossing_lps_mm is None
    tone: Tone = "bad" if out or margins.margin_mm < 0.0 else "near" if implant.seen or missed else "good"
    nearest = min(margins.clearances, key=lambda c: c.envelope_mm)
    crossing = "" if margins.crossing_lps_mm is not None else "; it does not cross the joint"
    return ImplantTold(
        name=implant.name.capitalize(),
        size=f"{path.model.id}, {path.length_mm:g} mm",
        clear=clear_or_out(margins.margin_mm),
        lengths=f"{cut(margins.iliac_mm, 0)} mm in the ilium, {cut(margins.sacral_mm, 0)} mm in the sacrum{crossing}",
        plan="" if implant.deviation is None else implant.deviation.text,
        tone=tone,
        sign=SIGNS[tone],
        svg=clearance_svg(implant.clearance, path.length_mm, implant.name, (nearest.envelope_mm, nearest.structure)),
        seen=tuple(TellingPicture(s.text, tuple(shot.text for shot in s.shots), None) for s in implant.seen),
    )


def telling_picture(retelling: Retelling, implant: ImplantDebrief, seen: ImplantSeen) -> Pixels:
    """The view that tells of a structure near an implant, with all that was in at the end; there has to be one."""
    assert seen.telling is not None
    session = retelling.session
    theatre, carm = session.theatre, seen.telling.carm
    metal = [i.trajectory for i in session.state.implants]
    rng = np.random.default_rng(session.seed)
    radiograph = theatre.radiograph(carm, metal, (), "fluoroscopy", rng, session.pixels, AVERAGED)
    outlined = {implant.margins.slot: implant.margins.trajectory}
    return marked_picture(radiograph, outlined, seen.at_lps_mm, structure_words(seen.structure), theatre.anatomy.frame)


def pictures_to_draw(
    retelling: Retelling, plans: Mapping[Side, Plan], shots: Sequence[int]
) -> dict[Shown, Callable[[], Pixels]]:
    """What draws each picture of a report; call them one after another, in the thread of GL and kernels.

    Parameters
    ----------
    retelling : Retelling
        The operation.
    plans : mapping of side to Plan
        Drawn beside the implants.
    shots : sequence of event
        Radiographs that are to be in it.
    """
    implants = retelling.told.implants
    found: dict[Shown, Callable[[], Pixels]] = {("shot", n): partial(_radiograph, retelling, n) for n in shots}
    for i, implant in enumerate(implants):
        for k, seen in enumerate(implant.seen):
            if seen.telling is not None:
                found["telling", i, k] = partial(telling_picture, retelling, implant, seen)
    planned = [t for plan in plans.values() for t in plan.trajectories if plan.side in retelling.sides]
    edges = ", the certified plan as white edges" if planned else ""
    for look, where in SCENES.items() if implants else ():
        found["scene", f"From {where}{edges}"] = partial(_scene, retelling, planned, look)
    return found


def _radiograph(retelling: Retelling, number: int) -> Pixels:
    return grey_of(retelling.session.shot(number))


def _scene(retelling: Retelling, planned: Sequence[Trajectory], look: str) -> Pixels:
    """The bones at the end, with the plan's implants as edges."""
    window = ReplayWindow(retelling.session.theatre.anatomy, retelling.sides, SCENE_PX)
    try:
        end = len(retelling.told.moments) - 1
        paths = [PathShown(path.ends_lps_mm, path.clearance_mm) for path in retelling.paths_at(end)]
        return window.draw(Look(*LOOKS[look]), retelling.implants_at(end), None, paths, planned)
    finally:
        window.close()


def _implant(number: int, implant: ImplantDebrief, pictures: Mapping[Shown, Pixels]) -> ImplantTold:
    """One implant with the pictures that tell of it."""
    words = implant_words(implant)
    told = []
    for n, (seen, text) in enumerate(zip(implant.seen, words.seen, strict=True)):
        picture = pictures.get(("telling", number, n))
        shown = None
        if picture is not None and seen.telling is not None:
            caption = f"{words.name}, the view that tells: {seen.telling.text}"
            shown = Picture(caption, jpeg(picture, SCENE_PX))
        told.append(TellingPicture(text.text, text.shots, shown))
    return replace(words, seen=tuple(told))


def _caption(retelling: Retelling, number: int) -> str:
    moment = retelling.told.moments[number]
    return f"{clock(moment.state.seconds)} {arm_words(moment.state.arm)}"
