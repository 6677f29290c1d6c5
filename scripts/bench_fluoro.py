"""How long a 512 x 512 radiograph of a 1 mm pelvis takes: `python scripts/bench_fluoro.py [LABELS] [--repeats N]`.

Without LABELS, a label map, the phantom with its default parameters is used. Either gets the assumed densities of
`sjplan.xray.density`, body and all. The goal is a median of 250 ms for a new pose on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numba
import numpy as np

from sjplan.core.implant import ImplantModel
from sjplan.core.trajectory import Trajectory
from sjplan.io.volumes import read_labels
from sjplan.phantom.build import build_phantom
from sjplan.phantom.parameters import PhantomParameters
from sjplan.xray.density import assumed_ct
from sjplan.xray.fluoroscope import Fluoroscope, compile_kernels
from sjplan.xray.types import CArm

POSES = {"ap": (0, 5, 0), "inlet": (0, -22, 0), "outlet": (0, 45, 0), "lateral": (90, 5, 2), "oblique": (30, 25, -10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", nargs="?")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    labels = read_labels(arguments.labels) if arguments.labels else build_phantom(PhantomParameters()).labels
    print(f"{numba.get_num_threads()} threads")
    report("load or compile the kernels", timed(compile_kernels, 1))
    assumed_ct(labels)
    report("assumed CT", timed(lambda: assumed_ct(labels), 3))
    ct = assumed_ct(labels)
    report(f"prepare {' x '.join(map(str, ct.grid.shape))} voxels", timed(lambda: Fluoroscope(ct), 3))
    scope, centre = Fluoroscope(ct), labels.grid.centre_lps_mm
    for name, angles in POSES.items():
        # a Fluoroscope keeps recent poses, so every repeat looks at another point
        looks = iter(CArm(*angles, centre + np.array([0, 0, 0.01 * n]), 650.0) for n in range(arguments.repeats + 1))
        scope.take(next(looks))
        report(f"{name}, new pose", timed(lambda looks=looks: scope.take(next(looks)), arguments.repeats))
    model = ImplantModel("tri-7", "triangular 7 mm", "triangle", 3.5, 1.0, (45.0,))
    at = [centre + np.array([0.0, 20.0, z]) for z in (10.0, -10.0, -30.0)]
    implants = [Trajectory(p + np.array([65.0, 0, 0]), p + np.array([20.0, 0, 0]), 0.0, model) for p in at]
    pins = [(at[0] + np.array([160.0, 0, 0]), at[0] + np.array([20.0, 0, 0]), 1.6)]
    carm = CArm(0, 45, 0, centre, 650.0)
    scope.take(carm, None, implants, pins)
    report(
        "outlet, same pose, implants and pin", timed(lambda: scope.take(carm, None, implants, pins), arguments.repeats)
    )


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return seconds


def report(what: str, seconds: list[float]) -> None:
    median, low, high = (1000 * f(seconds) for f in (statistics.median, min, max))
    print(f"{what:40s} median {median:7.1f} ms   min {low:7.1f} ms   max {high:7.1f} ms   n = {len(seconds)}")


if __name__ == "__main__":
    main()
