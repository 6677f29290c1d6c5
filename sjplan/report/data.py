"""What a report is made of: the plan file as plain values, and pictures as bytes with captions."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sjplan.core.errors import InputError
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits

_MAGIC: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}

STEPS: Final = ("pin at the joint", "pin at depth", "implant")
"""The steps that the sheet of predicted views shows for each implant."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what it shows.

    Parameters
    ----------
    caption : str
        Shown below it, and read aloud in its place.
    image : bytes
        PNG or JPEG.

    Raises
    ------
    InputError
        If the bytes are neither.

    Examples
    --------
    >>> Picture("a view", b"GIF89a")
    Traceback (most recent call last):
    ...
    sjplan.core.errors.InputError: picture 'a view': found bytes that start b'GIF89a'; wanted PNG or JPEG
    """

    caption: str
    image: bytes

    def __post_init__(self) -> None:
        if not any(self.image.startswith(magic) for magic in _MAGIC):
            raise InputError(
                f"picture {self.caption!r}", found=f"bytes that start {self.image[:8]!r}", wanted="PNG or JPEG"
            )

    @property
    def uri(self) -> str:
        """The picture as a data URI, so that the page needs no other file."""
        kind = next(mime for magic, mime in _MAGIC.items() if self.image.startswith(magic))
        return f"data:{kind};base64,{base64.b64encode(self.image).decode('ascii')}"


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One step of one implant on the sheet of predicted views: what is done, what to look for, one picture a view."""

    slot: int
    step: str
    note: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class SidePictures:
    """Pictures of one side.

    Parameters
    ----------
    views : tuple of Picture
        Fluoroscopic views with the implants in place.
    sheet : tuple of SheetRow
        Predicted views per implant and step; the captions of the first row head the columns.
    slices : tuple of Picture
        One an implant.
    scenes : tuple of Picture
        In three dimensions.
    entries : tuple of Picture
        The map of the best slack per entry point.
    pareto : tuple of Picture
        Slack against length in the sacrum.
    profiles : tuple of Picture
        Clearance along each path.
    bindings : tuple of Picture
        Where each implant is tightest, one an implant.
    """

    views: tuple[Picture, ...] = ()
    sheet: tuple[SheetRow, ...] = ()
    slices: tuple[Picture, ...] = ()
    scenes: tuple[Picture, ...] = ()
    entries: tuple[Picture, ...] = ()
    pareto: tuple[Picture, ...] = ()
    profiles: tuple[Picture, ...] = ()
    bindings: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that stands in a report.

    Parameters
    ----------
    plan : mapping
        A plan file (schema sjplan.plan/1) as plain values; keys that are missing or null are shown as unknown.
    pictures : mapping of side to SidePictures
        Pictures of each side.
    overview : tuple of Picture
        Pictures of the whole pelvis.
    limits : Limits, optional
        The limits that were used.
    models : mapping of id to ImplantModel
        Catalogue entries of the implants, for their full names and for sizes that are only recalled.
    title : str
        Heading; the case's file name where it is empty.
    assumed_density : bool
        Whether the radiographs stand on densities invented for a label map without a CT.
    """

    plan: Mapping[str, Any]
    pictures: Mapping[str, SidePictures] = field(default_factory=dict)
    overview: tuple[Picture, ...] = ()
    limits: Limits | None = None
    models: Mapping[str, ImplantModel] = field(default_factory=dict)
    title: str = ""
    assumed_density: bool = False
