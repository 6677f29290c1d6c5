"""How long a hospital's CT takes to read and check: `python scripts/bench_intake.py [--rounds 3] [--ahead]`.

Writes a DICOM series of 512 x 512 x 400 (and an enhanced CT, and the same series in other codings) into a temporary
folder, then reads each in a process of its own, from the start of the read to the volume in Hounsfield units, trusted
and as a stranger's; memory is that process's largest resident size, with that of its child where there is one. Files
were written just before: they come from the system's cache, not from a disc. `--ahead` (for root) has each reading run
ahead of whatever else the machine does. Writes docs/results/intake_speed.json;
scripts/tabulate_speed.py makes the table of docs/performance.md of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage, JPEG2000Lossless, JPEGLSLossless, RLELossless
from scipy.ndimage import gaussian_filter
from sound_files import put_groups, save, slice_of

from sjplan.io.results import write_rows
from sjplan.io.volumes import load

ROOT: Final = Path(__file__).parents[1]
ROWS, COLUMNS, SLICES = 512, 512, 400
CODED: Final = 100
"""Slices of the compressed series: writing them takes far longer than reading."""


def picture(k: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A slice with the noise of a CT: what a coding has to work for."""
    rng = np.random.default_rng(k)
    y, x = np.mgrid[-1.0:1.0:512j, -1.0:1.0:512j]
    body = np.where((x / 0.9) ** 2 + (y / 0.6) ** 2 < 1.0, 40.0, -1000.0)
    body[((x - 0.3) / 0.15) ** 2 + ((y - 0.01 * (k % 20)) / 0.2) ** 2 < 1.0] = 700.0
    return np.asarray(body + 12.0 * gaussian_filter(rng.standard_normal((ROWS, COLUMNS)), 0.8) * 2.5).astype(np.int16)


def classic(folder: Path, count: int, change: Callable[[Dataset], None] | None = None, shear_mm: float = 0.0) -> Path:
    """A series, a file a slice."""
    folder.mkdir()
    for k in range(count):
        dataset = slice_of(k, Rows=ROWS, Columns=COLUMNS, PixelSpacing=[0.8, 0.8], SliceThickness=1.0)
        dataset.ImagePositionPatient = [-200.0, -200.0 + shear_mm * k, 1.0 * k]
        dataset.RescaleIntercept, dataset.PixelData = 0, picture(k).tobytes()
        if change is not None:
            change(dataset)
        save(dataset, folder / f"{k:04d}.dcm")
    return folder


def enhanced(folder: Path, count: int) -> Path:
    """The same series in one file."""
    folder.mkdir()
    dataset = slice_of(0, Rows=ROWS, Columns=COLUMNS, SOPClassUID=EnhancedCTImageStorage, NumberOfFrames=count)
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    put_groups(dataset, (0.8, 0.8), 0, [[-200.0, -200.0, 1.0 * k] for k in range(count)])
    dataset.PixelData = b"".join(picture(k).tobytes() for k in range(count))
    save(dataset, folder / "all.dcm")
    return folder


def packed(syntax: str) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.compress(syntax, generate_instance_uid=False)

    return change


def read_once(folder: str, untrusted: bool, ahead: bool = False) -> None:
    """The child's side: read, and print seconds, seconds of processor and megabytes."""
    if ahead:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    before = sum(os.times()[:4])
    begun = time.monotonic()
    load(folder, "ct", untrusted=untrusted)
    seconds = time.monotonic() - begun
    # The kernel's ru_maxrss of a process begins with its parent's size; VmHWM does not.
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    own = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cpu = sum(os.times()[:4]) - before
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mb": own + children}))


def measured(folder: Path, untrusted: bool, ahead: bool) -> tuple[float, float, float]:
    words = [sys.executable, __file__, "--read", str(folder), *["--untrusted"] * untrusted, *["--ahead"] * ahead]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["cpu"], answer["mb"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "intake_speed.json")
    parser.add_argument("--ahead", action="store_true", help="read ahead of whatever else runs (root)")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--untrusted", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read_once(arguments.read, arguments.untrusted, arguments.ahead)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="intake-") as scratch:
        root = Path(scratch)
        plain = classic(root / "plain", SLICES)
        cases: list[tuple[str, Path, bool]] = [
            (f"{SLICES} slices", plain, False),
            (f"{SLICES} slices, --untrusted", plain, True),
            (f"{SLICES} slices, tilted gantry", classic(root / "tilted", SLICES, shear_mm=0.27), False),
            (f"{SLICES} slices, enhanced CT", enhanced(root / "enhanced", SLICES), False),
        ]
        for name, syntax in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
            folder = classic(root / name, CODED, packed(syntax))
            cases.append((f"{CODED} slices, {name}", folder, False))
        for name, folder, untrusted in cases:
            found = [measured(folder, untrusted, arguments.ahead) for _ in range(arguments.rounds)]
            for n, (what, unit) in enumerate((("time", "s"), ("processor", "s"), ("memory", "MB"))):
                values = [one[n] for one in found]
                middle, least, worst = (round(float(f(values)), 1) for f in (np.median, min, max))
                row = {"id": f"{name}: {what}", "unit": unit, "median": middle, "least": least, "worst": worst}
                rows.append(row | {"n": len(values)})
            print(name, rows[-3]["median"], "s", rows[-1]["median"], "MB", flush=True)
    settings = {
        "cores": os.cpu_count(),
        "rounds": arguments.rounds,
        "load": os.getloadavg()[1],
        "ahead": arguments.ahead,
    }
    write_rows(arguments.out, rows, seed=0, settings=settings)


if __name__ == "__main__":
    main()
