"""How long a phantom takes, as a user builds it: `python scripts/bench_phantoms.py [--rounds 5]`.

The whole command `sjplan phantom build default`, from its start to its last file, with its largest resident memory; a
first round that compiles kernels is not counted. Writes docs/results/phantom_speed.json; scripts/tabulate_speed.py
makes the table of docs/performance.md of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.io.results import write_rows

ROOT: Final = Path(__file__).parents[1]
SPACINGS_MM: Final = (1.0, 0.7)


def build(spacing_mm: float) -> tuple[float, float]:
    """Seconds and largest resident megabytes of one command."""
    words = [sys.executable, "-m", "sjplan.cli.main", "phantom", "build", "default", "--spacing", f"{spacing_mm:g}"]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        child = subprocess.Popen(
            [*words, "--out", folder + "/phantom"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"the command ended with {child.returncode}")
        return time.monotonic() - begun, used.ru_maxrss / 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "phantom_speed.json")
    arguments = parser.parse_args()
    build(SPACINGS_MM[0])
    found: dict[float, list[tuple[float, float]]] = {spacing: [] for spacing in SPACINGS_MM}
    for _ in range(arguments.rounds):
        for spacing, measured in found.items():
            measured.append(build(spacing))
            print(f"{spacing:g} mm: {measured[-1][0]:.1f} s, {measured[-1][1]:.0f} MB", flush=True)
    rows: list[dict[str, Any]] = []
    for spacing, measured in found.items():
        for n, (what, unit) in enumerate((("time", "s"), ("memory", "MB"))):
            values = [one[n] for one in measured]
            rows.append({"id": f"{spacing:g} mm, {what}", "unit": unit, "median": round(float(np.median(values)), 1),
                         "least": round(min(values), 1), "worst": round(max(values), 1), "n": len(values)})  # fmt: skip
    settings = {"cores": os.cpu_count(), "rounds": arguments.rounds, "load": os.getloadavg()[1]}
    write_rows(arguments.out, rows, seed=0, settings=settings)


if __name__ == "__main__":
    main()
