"""The real pelves of the data folder, and the words that scripts over all of them are called with."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def cases(folder: Path) -> dict[str, Path]:
    """Name and label map of every pelvis in the data folder."""
    found = {}
    for family in ("vsd_pelvis", "jhu_pelvis_atlas"):
        for file in sorted((folder / family / "labelmaps_1mm").glob("*_labels.nii.gz")):
            found[f"{family.split('_')[0]}-{file.name.split('_')[0]}"] = file
    return found


def asked(description: str, out: str) -> tuple[argparse.Namespace, dict[str, Path]]:
    """The command line, and the label maps that it asks for, by name; `out` is where results go if nothing is said."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SJPLAN_REAL_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--only", nargs="*", default=None, help="names such as vsd-z001 jhu-41")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    wanted = {n: f for n, f in cases(arguments.data).items() if not arguments.only or n in arguments.only}
    if not wanted:
        parser.exit(1, f"no label maps in {arguments.data}: name the folder with --data or SJPLAN_REAL_DATA\n")
    return arguments, wanted
