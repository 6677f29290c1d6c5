"""The report of a rehearsal: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sjplan.report.data import Picture
from sjplan.report.html import rendered


@dataclass(frozen=True, slots=True)
class TellingPicture:
    """A structure that an implant is in or near: what the shots said of it, and the view that tells."""

    text: str
    shots: tuple[str, ...]
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class ImplantTold:
    """One implant of a rehearsal.

    Parameters
    ----------
    name, size, clear, lengths, plan : str
        What it is, how it lies, and how far off the plan; "" where there is none.
    tone, sign : str
        Bad, near or good, and the sign that says so without colour.
    svg : str
        Its clearance along its path, as an element of our own making.
    seen : tuple of TellingPicture
        Structures that it is in or near.
    """

    name: str
    size: str
    clear: str
    lengths: str
    plan: str
    tone: str
    sign: str
    svg: str
    seen: tuple[TellingPicture, ...] = ()


@dataclass(frozen=True, slots=True)
class DebriefReport:
    """Everything that stands in the report of a rehearsal.

    Parameters
    ----------
    title : str
        Of the patient, without identifiers.
    who, begun : str
        Name or code of the trainee, and when; "" where they are not known.
    verdict : mapping
        `tone`, `sign`, `rating`, `headline`, `grades`.
    measures, complications, steps : sequence of mapping
        Rows of the score sheet, of published complications, and of the log.
    implants : tuple of ImplantTold
        As they lie.
    scenes, shots : tuple of Picture
        The bones at the end, and the radiographs that were taken.
    left_out : int
        How many radiographs are not shown.
    facts : mapping
        What it was made of and with.
    """

    title: str
    who: str
    begun: str
    verdict: Mapping[str, str]
    measures: Sequence[Mapping[str, Any]]
    complications: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    implants: tuple[ImplantTold, ...] = ()
    scenes: tuple[Picture, ...] = ()
    shots: tuple[Picture, ...] = ()
    left_out: int = 0
    facts: Mapping[str, str] | None = None


def debrief_html(report: DebriefReport) -> str:
    """The whole page as text.

    Examples
    --------
    >>> said = {"tone": "bad", "sign": "x", "rating": "31", "headline": "An implant is out.", "grades": ""}
    >>> html = debrief_html(DebriefReport("default", "T-01", "", said, (), (), ()))
    >>> html.index("An implant is out.") < html.index(">31<"), html.count("ot for clinical use") >= 2
    (True, True)
    """
    return rendered("debrief.html.j2", {f.name: getattr(report, f.name) for f in fields(report)})
