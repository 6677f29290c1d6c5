"""One picture a pelvis, from which a person can judge foramina levels, joints and surface names at a glance."""

from __future__ import annotations

import textwrap
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from sjplan.anatomy.types import Anatomy
from sjplan.core.structures import SURFACE_NAMES
from sjplan.render.display import Scene
from sjplan.render.overlay import FONT_FOLDER
from sjplan.render.png import encode_png, save_picture
from sjplan.render.scene import scene_picture, surface_labels_picture
from sjplan.render.style import legend_entries

_PANEL: Final = (620, 430)
_LINE_PX: Final = 20
_TEXT_WIDTH: Final = 150
_MAX_FINDINGS: Final = 6


def anatomy_picture(anatomy: Anatomy | Scene, title: str = "") -> bytes:
    """PNG of six views with the names of what was found, a legend, and the findings in words.

    Upper row: the sacrum from the front with the foramina's ventral mouths named; everything from behind through
    transparent bone with the landmarks named; the sacrum from above. Lower row: the sacrum's left and right side
    (joint faces), and the inner faces of both hips. Colours are those of the surface names; here the surfaces keep
    all their triangles.

    Parameters
    ----------
    anatomy : Anatomy or Scene
        Any, plannable or not; a `Scene` saves making its meshes again.
    title : str
        Such as the case's name.
    """
    light = Scene.of(anatomy)
    anatomy = light.anatomy
    fine = Scene.of(anatomy, None)
    wide, half = _PANEL, (_PANEL[0] // 2, _PANEL[1])
    mouths = _mouths(anatomy)
    front = {**mouths, **_landmarks(anatomy, ("promontory", "s1_endplate_centre", "s2_anterior"))}
    panels = [
        surface_labels_picture(fine, "anterior", bones=("sacrum",), names=front, size_px=wide, legend=False,
                               title="sacrum from the front"),
        scene_picture(light, view="posterior", size_px=wide, title="all from behind", focus=("sacrum",),
                      points=_landmarks(anatomy, tuple(anatomy.landmarks))),
        surface_labels_picture(fine, "cranial", bones=("sacrum",), size_px=wide, legend=False,
                               title="sacrum from the head"),
        surface_labels_picture(fine, "left", bones=("sacrum",), size_px=wide, legend=False,
                               title="sacrum from the left: joint face"),
        surface_labels_picture(fine, "right", bones=("sacrum",), size_px=wide, legend=False,
                               title="sacrum from the right: joint face"),
    ]  # fmt: skip
    hips = [
        surface_labels_picture(fine, view, bones=(f"ilium_{side}",), size_px=half, legend=False, lumina=False,
                               title=f"{side} hip from within")
        for side, view in (("right", "left"), ("left", "right"))
        if side in anatomy.ilium
    ]  # fmt: skip
    return _compose(panels, hips, _words_below(anatomy), title or "anatomy as found")


def anatomy_png(anatomy: Anatomy | Scene, path: str | Path, title: str = "") -> Path:
    """Save `anatomy_picture` to a file."""
    return save_picture(anatomy_picture(anatomy, title), path)


def _mouths(anatomy: Anatomy) -> dict[str, ArrayLike]:
    return {f.name: f.ventral.centre_lps_mm for f in anatomy.foramina if f.ventral is not None}


def _landmarks(anatomy: Anatomy, names: tuple[str, ...]) -> dict[str, ArrayLike]:
    return {name: anatomy.landmarks[name] for name in names if name in anatomy.landmarks}


def _words_below(anatomy: Anatomy) -> list[str]:
    lines = []
    for side in ("left", "right"):
        levels = ", ".join(
            f"{f.level} (neck {2 * f.ventral.neck_radius_mm:.0f} mm{', doubtful' if f.doubtful else ''})"
            if f.ventral is not None
            else f"{f.level} (no ventral mouth)"
            for f in anatomy.foramina
            if f.side == side
        )
        joint = next((j for s, j in anatomy.joints.items() if s == side), None)
        area = "none" if joint is None else f"articular {joint.articular_area_mm2 / 100:.1f} cm², " + (
            f"gap {np.median(joint.gap_mm[joint.articular]):.1f} mm" if joint.articular.any() else "no articular part"
        )  # fmt: skip
        lines.append(f"{side}: foramina {levels or 'none'}; joint {area}")
    for finding in anatomy.findings[:_MAX_FINDINGS]:
        side = f" {finding.side}" if finding.side else ""
        lines += textwrap.wrap(f"{finding.severity}{side}: {finding.text}", _TEXT_WIDTH)
    if len(anatomy.findings) > _MAX_FINDINGS:
        lines.append(f"and {len(anatomy.findings) - _MAX_FINDINGS} more findings")
    return lines


def _compose(panels: list[bytes], hips: list[bytes], lines: list[str], title: str) -> bytes:
    """Panels in two rows of three (the last cell shared by the hips), title above, legend and words below."""
    (w, h), top = _PANEL, 34
    font = ImageFont.truetype(str(FONT_FOLDER / "DejaVuSans.ttf"), 14)
    bold = ImageFont.truetype(str(FONT_FOLDER / "DejaVuSans-Bold.ttf"), 18)
    legend = list(legend_entries(SURFACE_NAMES).items())
    sheet = Image.new("RGB", (3 * w, top + 2 * h + _LINE_PX * (len(lines) + 3)), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((10, 8), f"{title}   (research and training, not for clinical use)", fill="black", font=bold)
    for n, panel in enumerate(panels):
        sheet.paste(Image.open(BytesIO(panel)), ((n % 3) * w, top + (n // 3) * h))
    for n, panel in enumerate(hips):
        sheet.paste(Image.open(BytesIO(panel)), (2 * w + n * (w // 2), top + h))
    column = 3 * w / ((len(legend) + 1) // 2)
    for n, (text, colour) in enumerate(legend):
        x, y = 10 + (n // 2) * column, top + 2 * h + 6 + (n % 2) * _LINE_PX
        draw.rectangle((x, y + 2, x + 13, y + 15), fill=colour, outline="#606060")
        draw.text((x + 18, y), text, fill="black", font=font)
    for n, line in enumerate(lines):
        draw.text((10, top + 2 * h + 10 + _LINE_PX * (n + 2)), line, fill="black", font=font)
    return encode_png(np.asarray(sheet))
