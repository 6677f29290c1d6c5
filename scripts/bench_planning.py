"""Time one side from labels to plan, the axes valued a second, and the draws of a breach probability.

    python scripts/bench_planning.py LABELS.nii.gz [--side left] [--rounds 3] [--json FILE]

Everything runs once before it is timed, so that compiled kernels are loaded; figures are medians of rounds. Rates of
kernels stand beside those of a plain numpy reading of the same field, from the same rounds.

An axis is one candidate: one crossing with one direction, its way through ilium, joint and sacrum, its footprint on the
joint, its shortest implant, and the slack of that implant's envelope. Rates are given over the whole raster, as the
search asks for it (an axis is dropped once its slack is known to lie below -3 mm), with every axis that fits measured
to the end, some ninety readings of the field for the envelope alone, and with every axis dropped at the first look.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.core.plan import check_side
from sjplan.io.catalogue import read_implants
from sjplan.io.error_models import read_error_models
from sjplan.io.limits import read_limits
from sjplan.io.volumes import read_labels
from sjplan.planning.candidates import NOTHING, scan
from sjplan.planning.joint_map import crossings, directions
from sjplan.planning.protocol import Budget, Problem
from sjplan.planning.registry import load
from sjplan.planning.workshop import Workshop
from sjplan.safety.breach import breach_report
from sjplan.safety.judge import judge
from sjplan.safety.surfaces import measuring_surfaces

SAMPLES = 64
DRAWS = 10_000
_SEARCH_FLOOR_MM, _HOPELESS_MM = -3.0, 90.0


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def figures(file: Path, side_name: str) -> dict[str, float]:
    """One round: seconds of each step, and axes a second."""
    side, labels, limits = check_side(side_name), read_labels(file), read_limits()
    started = time.perf_counter()
    anatomy = anatomy_from_labels(labels)
    anatomy_s = time.perf_counter() - started
    problem = Problem(anatomy, side, (read_implants()["tri-7"],) * 3, limits)
    started = time.perf_counter()
    outcome = load().plan(problem, rng=np.random.default_rng(0), budget=Budget())
    plan_s = time.perf_counter() - started
    result = {"anatomy_s": anatomy_s, "plan_s": plan_s, "labels_to_plan_s": anatomy_s + plan_s}
    if outcome.plan is not None:
        report, surfaces = judge(outcome.plan, anatomy, limits), measuring_surfaces(anatomy, side)
        model = read_error_models()["fluoro-planned"]
        result["breach_s"] = timed(lambda: breach_report(report, surfaces, model, np.random.default_rng(0), DRAWS))
    shop = Workshop.prepare(problem, {}, np.random.default_rng(0), Budget(), "bench")
    joint = anatomy.joints[side]
    points = crossings(joint, shop.bench.frame, 2.0)
    ways = directions(shop.bench.frame.side_from_vector(joint.mean_normal), 43.0, 4.0)
    rules = shop.bench.rules[0].packed()
    seconds = timed(lambda: scan(shop.field, shop.joint, rules, points, ways, _SEARCH_FLOOR_MM))
    result["million_axes_a_second"] = len(points) * len(ways) / seconds / 1e6
    value, _, _ = scan(shop.field, shop.joint, rules, points, ways, _SEARCH_FLOOR_MM)
    result["share_of_axes_kept"] = float((value >= _SEARCH_FLOOR_MM).mean())
    for name, floor in (("measured", NOTHING), ("dropped", _HOPELESS_MM)):
        seconds = timed(lambda floor=floor: scan(shop.field, shop.joint, rules, points, ways, floor))
        result[f"million_axes_a_second_all_{name}"] = len(points) * len(ways) / seconds / 1e6
    some = np.repeat(points[:20], len(ways), axis=0)[:, None] + (
        np.linspace(-30.0, 15.0, SAMPLES)[:, None] * np.tile(ways, (20, 1))[:, None]
    )
    index = np.moveaxis((some - shop.field.origin) / shop.field.step, -1, 0)
    slow = timed(lambda: map_coordinates(shop.field.slack, index, order=1))
    result["million_axes_a_second_scipy"] = 20 * len(ways) / slow / 1e6
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path)
    parser.add_argument("--side", default="left", choices=["left", "right"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    figures(arguments.labels, arguments.side)
    rounds = [figures(arguments.labels, arguments.side) for _ in range(arguments.rounds)]
    found = {name: round(statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}
    found["scan_ratio"] = round(found["million_axes_a_second"] / found["million_axes_a_second_scipy"], 1)
    found["peak_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    for name, value in found.items():
        print(f"{name:30} {value:g}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
