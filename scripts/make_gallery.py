"""Make the pictures of the documentation.

    python scripts/make_gallery.py [--demo FOLDER | --pelves | --carm | --phantoms]

Without arguments: runs `sjplan demo` (default phantom, seed 0) and keeps a choice of its pictures in docs/pictures;
with --demo FOLDER it takes them from a demo that was run before.
With --carm: how the arm's numbers turn it, on the default phantom, and a lateral that is not true beside one that is.
With --phantoms: AP, inlet, outlet and lateral of four phantoms beside two real pelves.
With --pelves: one anatomy picture of each real pelvis (SJPLAN_REAL_DATA, else ../shared/data) in docs/pictures/pelves.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.io.presets import read_preset
from sjplan.io.volumes import read_labels
from sjplan.phantom.build import build_phantom
from sjplan.render.carm_scene import carm_picture
from sjplan.render.fluoro import FluoroOverlays, fluoro_picture
from sjplan.render.montage import montage
from sjplan.render.png import compact_png, save_picture
from sjplan.render.sheet import anatomy_picture
from sjplan.views.landmarks import landmark_lines, lines_seen
from sjplan.views.patient import views_of_anatomy
from sjplan.xray.carm import carm_angles, carm_rotation
from sjplan.xray.density import assumed_ct
from sjplan.xray.fluoroscope import Fluoroscope
from sjplan.xray.types import CArm, Detector

ROOT: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = ROOT / "docs" / "pictures"

DEMO: Final = (
    "anatomy",
    "left-ap",
    "left-lateral",
    "left-inlet",
    "left-outlet",
    "left-slices-1",
    "left-3d-posterior",
    "left-3d-cranial",
)
"""Pictures of the demo that the documentation shows."""

PHANTOMS: Final = ("default", "male", "elderly-osteoporotic", "dysmorphic")
BESIDE: Final = ("13", "41")
"""Presets, and JHU pelves beside them (density assumed from their label maps)."""

PHANTOM_VIEWS: Final = ("ap", "inlet", "outlet", "lateral")
PHANTOMS_WIDTH_PX: Final = 2000

WIDTH_PX: Final = 1000
PELVIS_WIDTH_PX: Final = 1500
PELVIS_BYTES: Final = 150_000


def demo(out: Path) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in DEMO:
        picture = compact_png((out / f"{name}.png").read_bytes(), WIDTH_PX)
        print(save_picture(picture, PICTURES / f"{name}.png").relative_to(ROOT), len(picture))


def new_demo() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        subprocess.run([sys.executable, "-m", "sjplan.cli.main", "demo", "--out", str(out)], check=True)
        demo(out)


def pelves() -> None:
    data = data_folder()
    folder = PICTURES / "pelves"
    folder.mkdir(parents=True, exist_ok=True)
    for source in ("vsd_pelvis", "jhu_pelvis_atlas"):
        for path in sorted((data / source / "labelmaps_1mm").glob("*_labels.nii.gz")):
            name = f"{source.split('_')[0]}-{path.name.removesuffix('_labels.nii.gz')}"
            sheet = anatomy_picture(anatomy_from_labels(read_labels(path)), name)
            widths = range(PELVIS_WIDTH_PX, 600, -100)
            picture = next(p for p in (compact_png(sheet, width) for width in widths) if len(p) < PELVIS_BYTES)
            print(save_picture(picture, folder / f"{name}.png").relative_to(ROOT), len(picture))


def carm() -> None:
    """Rest and one turn of each angle; a lateral turned off by 6 degrees beside the true one."""
    ct = build_phantom(read_preset("default"), spacing_mm=2.0).ct
    centre = ct.grid.centre_lps_mm
    poses = {
        "at rest": (0, 0, 0),
        "orbital 40: detector to the patient's left": (40, 0, 0),
        "tilt 40: detector to the head, an outlet": (0, 40, 0),
        "wig-wag 25: the arm turned about the vertical": (0, 0, 25),
    }
    rooms = [carm_picture(ct, CArm(*angles, centre, 650.0), Detector(), title) for title, angles in poses.items()]
    keep("carm-angles", montage(rooms, 2, background="white"))

    labels = read_labels(data_folder() / "jhu_pelvis_atlas" / "labelmaps_1mm" / "13_labels.nii.gz")
    anatomy, scope = anatomy_from_labels(labels), Fluoroscope(assumed_ct(labels))
    true = views_of_anatomy(anatomy)["lateral"]
    seen = lines_seen(landmark_lines(anatomy), anatomy.frame, anatomy.frame.left)
    lines = {name: line for name, line in seen.items() if name.startswith(("notch", "iliac_density"))}
    pictures = []
    for title, turn in (("turned off by 6 degrees: not true", 6.0), ("true lateral", 0.0)):
        rotation = carm_rotation(true.orbital_deg, true.tilt_deg, true.wig_wag_deg) @ carm_rotation(turn, turn, 0.0)
        pose = CArm(*carm_angles(rotation), true.isocentre_lps_mm, true.source_to_isocentre_mm)
        over = FluoroOverlays(lines_lps_mm=lines, frame=anatomy.frame, title=title, show_names=False)
        pictures.append(fluoro_picture(scope.take(pose), over, zoom=1))
    keep("carm-lateral", montage(pictures, 2))


def phantoms() -> None:
    """One row a view, one column a pelvis: phantoms first, then real ones."""
    cases = []
    for name in PHANTOMS:
        built = build_phantom(read_preset(name), spacing_mm=1.0)
        cases.append((name, built.ct, built.labels))
    for name in BESIDE:
        labels = read_labels(data_folder() / "jhu_pelvis_atlas" / "labelmaps_1mm" / f"{name}_labels.nii.gz")
        cases.append((f"real pelvis JHU {name}", assumed_ct(labels), labels))
    rows: dict[str, list[bytes]] = {view: [] for view in PHANTOM_VIEWS}
    for title, ct, labels in cases:
        anatomy, scope = anatomy_from_labels(labels), Fluoroscope(ct)
        poses = views_of_anatomy(anatomy)
        for view in PHANTOM_VIEWS:
            over = FluoroOverlays(frame=anatomy.frame, title=f"{title}: {view}")
            rows[view].append(fluoro_picture(scope.take(poses[view]), over, zoom=1))
    pictures = [picture for view in PHANTOM_VIEWS for picture in rows[view]]
    keep("phantom-radiographs", montage(pictures, len(cases)), PHANTOMS_WIDTH_PX)


def keep(name: str, picture: bytes, width_px: int = WIDTH_PX) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    small = compact_png(picture, width_px)
    print(save_picture(small, PICTURES / f"{name}.png").relative_to(ROOT), len(small))


def data_folder() -> Path:
    named = os.environ.get("SJPLAN_REAL_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("--demo", type=Path, help="folder that `sjplan demo` wrote; a new one is made without it")
    parser.add_argument("--pelves", action="store_true", help="one anatomy picture of each real pelvis instead")
    parser.add_argument("--carm", action="store_true", help="the C-arm's numbers and a true lateral instead")
    parser.add_argument("--phantoms", action="store_true", help="radiographs of phantoms beside real pelves instead")
    chosen = parser.parse_args()
    if chosen.carm:
        carm()
    elif chosen.phantoms:
        phantoms()
    elif chosen.pelves:
        pelves()
    elif chosen.demo is not None:
        demo(chosen.demo)
    else:
        new_demo()


if __name__ == "__main__":
    main()
