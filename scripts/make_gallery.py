"""Make the pictures of the documentation: `python scripts/make_gallery.py [--demo FOLDER | --pelves]`.

Without arguments: runs `sjplan demo` (default phantom, seed 0) and keeps a choice of its pictures in docs/pictures;
with --demo FOLDER it takes them from a demo that was run before.
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
from sjplan.io.volumes import read_labels
from sjplan.render.png import compact_png, save_picture
from sjplan.render.sheet import anatomy_picture

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
    named = os.environ.get("SJPLAN_REAL_DATA")
    data = Path(named) if named else ROOT.parent / "shared" / "data"
    folder = PICTURES / "pelves"
    folder.mkdir(parents=True, exist_ok=True)
    for source in ("vsd_pelvis", "jhu_pelvis_atlas"):
        for path in sorted((data / source / "labelmaps_1mm").glob("*_labels.nii.gz")):
            name = f"{source.split('_')[0]}-{path.name.removesuffix('_labels.nii.gz')}"
            sheet = anatomy_picture(anatomy_from_labels(read_labels(path)), name)
            widths = range(PELVIS_WIDTH_PX, 600, -100)
            picture = next(p for p in (compact_png(sheet, width) for width in widths) if len(p) < PELVIS_BYTES)
            print(save_picture(picture, folder / f"{name}.png").relative_to(ROOT), len(picture))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("--demo", type=Path, help="folder that `sjplan demo` wrote; a new one is made without it")
    parser.add_argument("--pelves", action="store_true", help="one anatomy picture of each real pelvis instead")
    chosen = parser.parse_args()
    if chosen.pelves:
        pelves()
    elif chosen.demo is not None:
        demo(chosen.demo)
    else:
        new_demo()


if __name__ == "__main__":
    main()
