"""Planners for the benchmark's tests: one that answers at once, and every kind that an experiment has to survive."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np

from sjplan.core.plan import Outcome, Plan, Reason
from sjplan.core.trajectory import Trajectory
from sjplan.planning.protocol import Budget, PlannerSpec, Problem

HOG = "import time; kept = bytearray(900 * 2**20); time.sleep(600)"
DAEMON_S = "600.25"
SPIN = "while True: pass"


def straight(problem: Problem, planner: str, shift_mm: float = 0.0) -> Plan:
    """Three parallel implants through the middle of the joint: measured at once, and accepted nowhere."""
    anatomy, sign = problem.anatomy, 1.0 if problem.side == "left" else -1.0
    middle = anatomy.joints[problem.side].sacral_lps_mm.mean(axis=0)
    medial = -sign * anatomy.frame.left
    implants = []
    for n, model in enumerate(problem.models):
        entry = middle + (16.0 * (1 - n) + shift_mm) * anatomy.frame.cranial - 30.0 * medial
        implants.append(Trajectory(entry, entry + model.lengths_mm[0] * medial, 0.0, model))
    return Plan(problem.side, tuple(implants), planner)


class Straight:
    """Answers after `ms` of thinking; a moody one not for every seed; one that tells its process, by evaluations."""

    def __init__(self, ms: float = 0.0, tell_process: bool = False, moody: bool = False) -> None:
        self.ms, self.tell_process, self.moody = ms, tell_process, moody
        self.spec = PlannerSpec("straight-v1", "three parallel implants")

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        until = time.perf_counter() + self.ms / 1000.0
        while time.perf_counter() < until:
            pass
        if self.moody and rng.random() < 0.1:
            raise RuntimeError("not in the mood")
        plan = straight(problem, "straight-v1", float(rng.normal()))
        budget.offer(plan, 1)
        reason = Reason("clearance:canal", 1.0, "mm", "nothing was searched")
        return Outcome(
            "infeasible", nearest=plan, reasons=(reason,), evaluations=os.getpid() if self.tell_process else 3
        )


class Odd:
    """Does what its parameter names."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.spec = PlannerSpec("odd-v1", "misbehaves")

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        answer = WAYS[self.way](problem)
        plan = straight(problem, "odd-v1")
        return Outcome("infeasible", nearest=plan) if answer is WELL else answer


WELL: Any = object()


def prints(problem: Problem) -> Any:
    print('{"row": {"status": "found"}, "clean": true}', flush=True)
    os.write(1, b'\n{"row": {"status": "found"}}\n')
    subprocess.run(["echo", "{}"], check=True)
    assert sys.stdin.read() == ""
    return WELL


def raises(problem: Problem) -> Any:
    raise ValueError(f"no idea\nwhat to do with {object()}")


def exits(problem: Problem) -> Any:
    sys.exit(3)


def exits_at_once(problem: Problem) -> Any:
    os._exit(5)


def faults(problem: Problem) -> Any:
    ctypes.string_at(0)


def kills_itself(problem: Problem) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(problem: Problem) -> Any:
    time.sleep(600.0)


def sleeps_alone(problem: Problem) -> Any:
    """No other thread of its process runs meanwhile."""
    ctypes.PyDLL(None).sleep(600)


def eats(problem: Problem) -> Any:
    kept = []
    while True:
        kept.append(bytearray(20 * 2**20))
        time.sleep(0.002)


def asks_for_all(problem: Problem) -> Any:
    return np.ones(2**45)


def child_eats(problem: Problem) -> Any:
    subprocess.run([sys.executable, "-c", HOG], check=True)


def children_spin(problem: Problem) -> Any:
    some = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(3)]
    return [one.wait() for one in some]


def leaves_a_child(problem: Problem) -> Any:
    subprocess.Popen(["sleep", "600"])
    return WELL


def leaves_a_daemon(problem: Problem) -> Any:
    """One that has left its session, and whose parent has ended."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", DAEMON_S])
        os._exit(0)
    os.wait()
    return WELL


def leaves_a_daemon_and_exits(problem: Problem) -> Any:
    leaves_a_daemon(problem)
    os._exit(5)


def goes_elsewhere(problem: Problem) -> Any:
    os.chdir("/")
    return WELL


def changes_arithmetic(problem: Problem) -> Any:
    np.seterr(all="raise")
    return WELL


def leaves_a_thread(problem: Problem) -> Any:
    threading.Thread(target=time.sleep, args=(600.0,), daemon=True).start()
    return WELL


def claims(problem: Problem) -> Any:
    return Outcome("found", plan=straight(problem, "odd-v1"))


def none(problem: Problem) -> Any:
    return None


def garbage(problem: Problem) -> Any:
    return {"row": {"status": "found"}}


def nan(problem: Problem) -> Any:
    plan = straight(problem, "odd-v1")
    object.__setattr__(plan.trajectories[0], "entry_lps_mm", np.full(3, np.nan))
    return Outcome("found", plan=plan)


def others(problem: Problem) -> Any:
    return Outcome("found", plan=straight(problem, "certified-v1"))


def changes_its_problem(problem: Problem) -> Any:
    landmarks: Any = problem.anatomy.landmarks
    landmarks["symphysis"] = landmarks["symphysis"] + 1.0
    return WELL


WAYS = {f.__name__: f for f in (
    prints, raises, exits, exits_at_once, faults, kills_itself, sleeps, sleeps_alone, eats, asks_for_all, child_eats,
    children_spin, leaves_a_child, leaves_a_daemon, leaves_a_daemon_and_exits, leaves_a_thread, claims, none, garbage,
    nan, others, changes_its_problem, goes_elsewhere, changes_arithmetic,
)}  # fmt: skip
