"""Plans, reports and plan files for the tests of sjplan.io."""

from __future__ import annotations

import numpy as np

from sjplan.core.findings import Finding
from sjplan.core.implant import ImplantModel
from sjplan.core.plan import Outcome, Plan, Reason, Side
from sjplan.core.trajectory import Trajectory
from sjplan.io.catalogue import read_implants
from sjplan.io.planfile import new_plan_file, side_entry
from sjplan.io.planschema import PlanFile
from sjplan.safety.types import Clearance, ImplantMargins, MarginReport, PairMeasure, Violation

CATALOGUE = read_implants()


def plan(side: Side = "left", model: ImplantModel | None = None, count: int = 3) -> Plan:
    """Parallel implants of 45 mm, slightly oblique, with coordinates that no short decimal can write."""
    chosen = model or CATALOGUE["tri-7"]
    sign = 1.0 if side == "left" else -1.0
    axis = np.array([-sign, 0.123456789, 0.0987654321])
    axis /= np.linalg.norm(axis)
    placed = []
    for n in range(count):
        entry = np.array([sign * 70.0 + 1 / 3, 40.0 + 2 * n + 1 / 7, 10.0 - 20 * n])
        placed.append(Trajectory(entry, entry + 45.0 * axis, 12.3456789 * n, chosen))
    return Plan(side, tuple(placed), "raster-v1", {"step_mm": 2.0, "tries": 7}, seed=5)


def report(of: Plan, *, accepted: bool = True) -> MarginReport:
    """A report with plausible numbers: a danger of every sign, and nothing ahead of the last implant's pin."""
    implants = tuple(_margins(n + 1, t, last=n + 1 == len(of.trajectories)) for n, t in enumerate(of.trajectories))
    pairs = tuple(PairMeasure(n, n + 1, 8.00049, 20.1, 0.0) for n in range(1, len(implants)))
    broken = Violation("clearance:canal", (1,), 1.5, 2.0, 0.5, "mm", "implant 1: envelope to canal 1.50 mm")
    finding = Finding("close-to-notch", "warning", "implant 3 passes notch at 6.0 mm", of.side)
    return MarginReport(of.side, implants, pairs, () if accepted else (broken,), (finding,))


def _margins(slot: int, trajectory: Trajectory, *, last: bool) -> ImplantMargins:
    tip = trajectory.tip_lps_mm
    clearances = tuple(
        Clearance(name, distance, distance - 1.0, limit, distance - 0.8, tip + distance, tip)
        for name, distance, limit in (
            ("canal", 9.87654, 2.0),
            (f"foramen_S1_{'left' if tip[0] > 0 else 'right'}", 4.44449 + slot, 2.0),
            ("iliac_border", 1.0, 0.0),
        )
    )
    return ImplantMargins(
        slot=slot,
        trajectory=trajectory,
        clearances=clearances,
        protrusion_mm=3.0,
        iliac_mm=20.12345,
        joint_mm=2.0,
        sacral_mm=19.87655,
        crosses_articular=slot != 3,
        crossing_lps_mm=None if last else trajectory.entry_lps_mm * 0.5,
        joint_normal_angle_deg=float("nan") if last else 7.0,
        tip_to_midline_mm=25.0,
        overshoot_reserve_mm=float("inf") if last else 11.0,
        overshoot_structure="" if last else "canal",
    )


def refused() -> Outcome:
    """Nothing accepted: a nearest plan and a two-implant fallback."""
    reason = Reason("clearance:canal", float("inf"), "mm", "the canal is too near")
    return Outcome("infeasible", None, (reason,), plan("right"), plan("right", count=2))


def plan_file() -> PlanFile:
    """Both sides: the left found, the right refused."""
    from io_makers import blocks, plain_grid

    from sjplan.io.cases import Case

    left = side_entry(Outcome("found", plan()), "left", "raster-v1", report(plan()), views={"ap": {"tilt_deg": 1.5}})
    outcome = refused()
    assert outcome.nearest is not None
    assert outcome.fallback is not None
    right = side_entry(
        outcome, "right", "raster-v1", None, report(outcome.nearest, accepted=False), report(outcome.fallback)
    )
    findings = [Finding("labels-coarse", "note", "voxels of 2 mm")]
    return new_plan_file(
        Case(None, blocks(plain_grid())), [left, right], seed=5, findings=findings, created="2026-11-22T10:00:00+00:00"
    )
