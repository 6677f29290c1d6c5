"""Make the pictures of the documentation: `python scripts/make_gallery.py [--pelves]`.

Without arguments: runs `sjplan demo` (default phantom, seed 0) and keeps a choice of its pictures in docs/pictures.
With --pelves: one anatomy picture of each real pelvis (SJPLAN_REAL_DATA, else ../shared/data) in docs/pictures/pelves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.io.volumes import read_labels
from sjplan.render.png import compact_png, lighter, save_picture
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


def demo() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        subprocess.run([sys.executable, "-m", "sjplan.cli.main", "demo", "--out", str(out)], check=True)
        for name in DEMO:
            picture = lighter((out / f"{name}.png").read_bytes(), WIDTH_PX)
            kind = "png" if picture.startswith(b"\x89PNG") else "jpg"
            print(save_picture(picture, PICTURES / f"{name}.{kind}").relative_to(ROOT), len(picture))


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


if __name__ == "__main__":
    pelves() if "--pelves" in sys.argv[1:] else demo()
